"""The gradient of a NEP's errors by its weights, compiled and without second derivatives.

The gradient of an error of forces is a derivative of dE/dw along the displacement F - F* ::

    d/dw (F - F*)^2 = 2 (F - F*) . dF/dw = -2 d/de [dE/dw](x + e (F - F*))

so that dE/dw at the frame and once more a little along its own error of forces gives it. An error
of stress enters the same displacement as a strain.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

from ssefw.nep.angular import (
    N_COMPONENTS,
    harmonics,
    harmonics_slope,
    invariants,
    invariants_slope,
)
from ssefw.nep.energy import hidden_layer

__all__ = ["batch_gradient", "weight_gradient"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DISPLACEMENT = 2e-4
"""Longest displacement (A) of the difference: small beside bonds, large beside rounding."""

HARD_FORCE = 1.0
"""Root mean square force (eV/A) above which a frame counts less."""

HARD_POWER = 1.5
"""Errors grow with the forces; dynamics seldom visit such frames, which would rule the sum."""


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def weight_gradient(  # noqa: C901, PLR0912, PLR0915, PLR0917 - one loop over atoms
    types: IntArray,
    start: IntArray,
    index: npt.NDArray[np.int32],
    vectors: FloatArray,
    radial_cutoff: float,
    angular_cutoff: float,
    radial_table: FloatArray,
    radial_knots: float,
    angular_table: FloatArray,
    angular_knots: float,
    first: FloatArray,
    bias: FloatArray,
    last: FloatArray,
    radial: FloatArray,
    angular: FloatArray,
    factor: float,
    forces: FloatArray,
    virial: FloatArray,
    g_first: FloatArray,
    g_bias: FloatArray,
    g_last: FloatArray,
    g_radial: FloatArray,
    g_angular: FloatArray,
    descriptors: FloatArray,
) -> float:
    """Return the energy of a frame and add `factor` times its gradient by the weights.

    Parameters
    ----------
    types, start, index, vectors
        The frame: element of each atom, and its neighbors with the vectors to them.
    radial_table, angular_table
        The radial functions of all pairs, (knots, 4, functions), and their knots per angstrom.
    first, bias, last, radial, angular
        The weights, `first` with the scale of the descriptors in it.
    factor
        What the gradient is multiplied by before it is added.
    forces, virial, descriptors
        Overwritten: (n_atoms, 3), (3, 3) and (n_atoms, descriptors).
    g_first, g_bias, g_last, g_radial, g_angular
        The gradient is added to these.
    """
    n = len(types)
    n_types, neurons, nd = first.shape
    nr, radial_size = radial.shape[1], radial.shape[2]
    na, angular_size = angular.shape[1], angular.shape[2]
    room = 1
    for i in range(n):
        room = max(room, start[i + 1] - start[i])
    J = np.empty(room, np.int32)
    R, inverse, X, Y, Z = (
        np.empty(room),
        np.empty(room),
        np.empty(room),
        np.empty(room),
        np.empty(room),
    )
    radial_slope = np.empty((room, radial_size))
    FA, FA_slope = np.empty((room, angular_size)), np.empty((room, angular_size))
    G, slope = np.empty((na, room)), np.empty((na, room))
    B, W = np.empty((N_COMPONENTS, room)), np.empty((N_COMPONENTS, room))
    along, grad = np.empty(room), np.empty((3, room))
    A, dA = np.empty((na, N_COMPONENTS)), np.empty((na, N_COMPONENTS))
    q, dq = np.empty(nd), np.empty(nd)
    hidden, active = np.empty(neurons), np.empty(neurons)
    # Radial functions summed over the neighbors of one element: all that weights multiply.
    density = np.empty((n_types, radial_size))
    H = np.empty((n_types, angular_size, N_COMPONENTS))
    radial2, angular2 = radial_cutoff**2, angular_cutoff**2
    energy = 0.0
    forces[:] = 0.0
    virial[:] = 0.0
    for i in range(n):
        ti = types[i]
        near, far = 0, room
        for e in range(start[i], start[i + 1]):
            x, y, z = vectors[e, 0], vectors[e, 1], vectors[e, 2]
            r2 = x * x + y * y + z * z
            if r2 < radial2:
                if r2 < angular2:
                    k = near
                    near += 1
                else:
                    far -= 1
                    k = far
                J[k], R[k], X[k], Y[k], Z[k] = index[e], r2, x, y, z
        m = near
        for k in range(far, room):
            J[m], R[m], X[m], Y[m], Z[m] = J[k], R[k], X[k], Y[k], Z[k]
            m += 1
        for k in range(m):
            r = math.sqrt(R[k])
            s = 1.0 / r
            R[k], inverse[k] = r, s
            X[k] *= s
            Y[k] *= s
            Z[k] *= s
        density[:] = 0.0
        for k in range(m):
            u = R[k] * radial_knots
            knot = int(u)
            u -= knot
            T, t = radial_table[knot], types[J[k]]
            for c in range(radial_size):
                density[t, c] += T[0, c] + u * (T[1, c] + u * (T[2, c] + u * T[3, c]))
                radial_slope[k, c] = radial_knots * (
                    T[1, c] + u * (2.0 * T[2, c] + u * 3.0 * T[3, c])
                )
        for k in range(near):
            u = R[k] * angular_knots
            knot = int(u)
            u -= knot
            T = angular_table[knot]
            for c in range(angular_size):
                FA[k, c] = T[0, c] + u * (T[1, c] + u * (T[2, c] + u * T[3, c]))
                FA_slope[k, c] = angular_knots * (T[1, c] + u * (2.0 * T[2, c] + u * 3.0 * T[3, c]))
        harmonics(near, X, Y, Z, B)
        H[:] = 0.0
        for k in range(near):
            t = types[J[k]]
            for f in range(angular_size):
                s = FA[k, f]
                for c in range(N_COMPONENTS):
                    H[t, f, c] += s * B[c, k]
        for a in range(nr):
            s = 0.0
            for t in range(n_types):
                for f in range(radial_size):
                    s += radial[ti * n_types + t, a, f] * density[t, f]
            q[a] = s
        for a in range(na):
            for c in range(N_COMPONENTS):
                A[a, c] = 0.0
            for t in range(n_types):
                for f in range(angular_size):
                    s = angular[ti * n_types + t, a, f]
                    for c in range(N_COMPONENTS):
                        A[a, c] += s * H[t, f, c]
        invariants(A, q, nr)
        descriptors[i] = q
        for h in range(neurons):
            s = -bias[ti, h]
            for d in range(nd):
                s += first[ti, h, d] * q[d]
            hidden[h] = s
        hidden_layer(neurons, hidden, active)
        dq[:] = 0.0
        for h in range(neurons):
            energy += last[ti, h] * active[h]
            s = last[ti, h] * (1.0 - active[h] * active[h])
            g_last[ti, h] += factor * active[h]
            g_bias[ti, h] -= factor * s
            v = factor * s
            for d in range(nd):
                dq[d] += s * first[ti, h, d]
                g_first[ti, h, d] += v * q[d]
        invariants_slope(A, dq, nr, dA)
        for t in range(n_types):
            p = ti * n_types + t
            for a in range(nr):
                v = factor * dq[a]
                for f in range(radial_size):
                    g_radial[p, a, f] += v * density[t, f]
            for a in range(na):
                for f in range(angular_size):
                    s = 0.0
                    for c in range(N_COMPONENTS):
                        s += dA[a, c] * H[t, f, c]
                    g_angular[p, a, f] += factor * s
        for k in range(near):
            p = ti * n_types + types[J[k]]
            for a in range(na):
                s = v = 0.0
                for f in range(angular_size):
                    s += angular[p, a, f] * FA[k, f]
                    v += angular[p, a, f] * FA_slope[k, f]
                G[a, k], slope[a, k] = s, v
        for k in range(m):
            p = ti * n_types + types[J[k]]
            s = 0.0
            for f in range(radial_size):
                v = 0.0
                for a in range(nr):
                    v += radial[p, a, f] * dq[a]
                s += v * radial_slope[k, f]
            along[k] = s
        for c in range(N_COMPONENTS):
            for k in range(near):
                W[c, k] = 0.0
            for a in range(na):
                s = dA[a, c]
                for k in range(near):
                    W[c, k] += s * G[a, k]
                    along[k] += s * slope[a, k] * B[c, k]
        harmonics_slope(near, X, Y, Z, W, grad)
        for k in range(near):
            t_ = grad[0, k] * X[k] + grad[1, k] * Y[k] + grad[2, k] * Z[k]
            u = along[k] - t_ * inverse[k]
            grad[0, k] = u * X[k] + grad[0, k] * inverse[k]
            grad[1, k] = u * Y[k] + grad[1, k] * inverse[k]
            grad[2, k] = u * Z[k] + grad[2, k] * inverse[k]
        for k in range(near, m):
            grad[0, k], grad[1, k], grad[2, k] = along[k] * X[k], along[k] * Y[k], along[k] * Z[k]
        for k in range(m):
            j = J[k]
            x, y, z = X[k] * R[k], Y[k] * R[k], Z[k] * R[k]
            for c in range(3):
                g = grad[c, k]
                forces[i, c] += g
                forces[j, c] -= g
                virial[c, 0] += g * x
                virial[c, 1] += g * y
                virial[c, 2] += g * z
    return energy


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def batch_gradient(  # noqa: PLR0917 - flat arrays of the compiled loop
    frames: IntArray,
    first_atom: IntArray,
    all_types: IntArray,
    all_starts: IntArray,
    all_indices: npt.NDArray[np.int32],
    all_vectors: FloatArray,
    energies: FloatArray,
    all_forces: FloatArray,
    stresses: FloatArray,
    has_stress: npt.NDArray[np.bool_],
    volumes: FloatArray,
    radial_cutoff: float,
    angular_cutoff: float,
    radial_table: FloatArray,
    radial_knots: float,
    angular_table: FloatArray,
    angular_knots: float,
    first: FloatArray,
    bias: FloatArray,
    last: FloatArray,
    radial: FloatArray,
    angular: FloatArray,
    width_energy: float,
    width_force: float,
    width_stress: float,
    g_first: FloatArray,
    g_bias: FloatArray,
    g_last: FloatArray,
    g_radial: FloatArray,
    g_angular: FloatArray,
    errors: FloatArray,
) -> float:
    """Return the loss over `frames` and add its gradient; `errors` gathers squares.

    The loss of a frame is (dE/n/width)^2 + mean(dF^2)/width^2 + mean(dS^2)/width^2, with all widths
    larger for frames of large forces. `errors` gathers, for each frame, dE/n, F and S squared, the
    components' mean, and the number of frames with a stress.
    """
    nd = first.shape[2]
    loss = 0.0
    for f in frames:
        i0, i1 = first_atom[f], first_atom[f + 1]
        n = i1 - i0
        types = all_types[i0:i1]
        p0 = all_starts[i0 + f]
        start = all_starts[i0 + f : i1 + f + 1] - p0
        p1 = p0 + start[n]
        index, vectors = all_indices[p0:p1], all_vectors[p0:p1]
        forces, virial, q = np.empty((n, 3)), np.empty((3, 3)), np.empty((n, nd))
        t_first, t_bias, t_last = np.zeros_like(first), np.zeros_like(bias), np.zeros_like(last)
        t_radial, t_angular = np.zeros_like(radial), np.zeros_like(angular)
        energy = weight_gradient(
            types, start, index, vectors, radial_cutoff, angular_cutoff,
            radial_table, radial_knots, angular_table, angular_knots,
            first, bias, last, radial, angular, 1.0, forces, virial,
            t_first, t_bias, t_last, t_radial, t_angular, q,
        )  # fmt: skip
        d_energy = (energy - energies[f]) / n
        d_force = forces - all_forces[i0:i1]
        d_stress = np.zeros((3, 3))
        if has_stress[f]:
            d_stress[:] = virial / volumes[f] - stresses[f]
        square_force, square_stress = (d_force**2).sum() / (3 * n), (d_stress**2).sum() / 9
        errors[0] += d_energy * d_energy
        errors[1] += square_force
        errors[2] += square_stress
        errors[3] += has_stress[f]
        hard = max(1.0, math.sqrt((all_forces[i0:i1] ** 2).mean()) / HARD_FORCE) ** HARD_POWER
        we, wf, ws = width_energy * hard, width_force * hard, width_stress * hard
        loss += (d_energy / we) ** 2 + square_force / wf**2 + square_stress / ws**2
        # Displacement u of the atoms and strain of the cell along which dE/dw is differentiated.
        u = d_force * (-2.0 / (3 * n) / wf**2)
        strain = d_stress * (2.0 / 9 / ws**2 / volumes[f])
        longest = 1e-12
        moves = np.empty_like(vectors)
        for i in range(n):
            for k in range(start[i], start[i + 1]):
                s = 0.0
                for c in range(3):
                    v = u[index[k], c] - u[i, c]
                    for d in range(3):
                        v += strain[c, d] * vectors[k, d]
                    moves[k, c] = v
                    s += v * v
                longest = max(longest, s)
        eps = DISPLACEMENT / math.sqrt(longest)
        here = 2.0 * d_energy / n / we**2 - 1.0 / eps
        g_first += here * t_first
        g_bias += here * t_bias
        g_last += here * t_last
        g_radial += here * t_radial
        g_angular += here * t_angular
        weight_gradient(
            types, start, index, vectors + eps * moves, radial_cutoff, angular_cutoff,
            radial_table, radial_knots, angular_table, angular_knots,
            first, bias, last, radial, angular, 1.0 / eps, forces, virial,
            g_first, g_bias, g_last, g_radial, g_angular, q,
        )  # fmt: skip
    return loss
