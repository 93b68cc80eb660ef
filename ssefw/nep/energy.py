"""Energy, forces and virial of a NEP, compiled.

The loops run over the neighbors of one atom, contiguous in memory and short enough for the first
cache. Neighbors within the angular cut-off come first, the others have only radial functions.
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
from ssefw.nep.model import NEP, Tables
from ssefw.nep.neighbors import neighbors

__all__ = ["Evaluation", "energy_and_forces", "evaluate"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def hidden_layer(n: int, x: FloatArray, out: FloatArray) -> None:
    """Write tanh(x); its own formula, since this one is computed in vectors."""
    for k in range(n):
        e = math.exp(2.0 * min(max(x[k], -18.0), 18.0))
        out[k] = (e - 1.0) / (e + 1.0)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def energy_and_forces(  # noqa: C901, PLR0912, PLR0915, PLR0917 - one loop over atoms
    positions: FloatArray,
    types: IntArray,
    start: IntArray,
    index: npt.NDArray[np.int32],
    shift: FloatArray,
    tables: Tables,
    forces: FloatArray,
    virial: FloatArray,
) -> tuple[float, float]:
    """Compute a cell whose neighbors are known.

    Parameters
    ----------
    positions, types
        A, shape (n_atoms, 3), and the number of each atom's element.
    start, index, shift
        Neighbors, as `neighbors` returns them; farther ones than the cut-off are passed over.
    tables
        The potential.
    forces, virial
        Overwritten: eV/A, shape (n_atoms, 3); eV, shape (3, 3), the slope of the energy by strain.

    Returns
    -------
    energy, excess
        eV; and by how much, in units of the range seen in training, a descriptor of an atom leaves
        that range at most.
    """
    n = len(positions)
    n_types = len(tables.first)
    neurons, nd = tables.first.shape[1], tables.first.shape[2]
    nr, na = tables.n_radial, tables.n_angular
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
    G, slope = np.empty((nr + na, room)), np.empty((nr + na, room))
    B, W = np.empty((N_COMPONENTS, room)), np.empty((N_COMPONENTS, room))
    along, grad = np.empty(room), np.empty((3, room))
    A, dA = np.empty((na, N_COMPONENTS)), np.empty((na, N_COMPONENTS))
    q, dq = np.empty(nd), np.empty(nd)
    hidden, active = np.empty(neurons), np.empty(neurons)
    radial2, angular2 = tables.radial_cutoff**2, tables.angular_cutoff**2
    energy = excess = 0.0
    forces[:] = 0.0
    v00 = v01 = v02 = v11 = v12 = v22 = 0.0
    for i in range(n):
        ti = types[i]
        # Angular neighbors from the front, the others from the end, then closed up.
        near, far = 0, room
        for e in range(start[i], start[i + 1]):
            j = index[e]
            x = positions[j, 0] + shift[e, 0] - positions[i, 0]
            y = positions[j, 1] + shift[e, 1] - positions[i, 1]
            z = positions[j, 2] + shift[e, 2] - positions[i, 2]
            r2 = x * x + y * y + z * z
            if r2 < radial2:
                if r2 < angular2:
                    k = near
                    near += 1
                else:
                    far -= 1
                    k = far
                J[k], R[k], X[k], Y[k], Z[k] = j, r2, x, y, z
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
        for k in range(m):
            u = R[k] * tables.knots_per_angstrom
            knot = int(u)
            u -= knot
            T = tables.radial[ti * n_types + types[J[k]], knot]
            for c in range(nr + na if k < near else nr):
                G[c, k] = T[0, c] + u * (T[1, c] + u * (T[2, c] + u * T[3, c]))
                slope[c, k] = (T[1, c] + u * (2.0 * T[2, c] + u * 3.0 * T[3, c])) * (
                    tables.knots_per_angstrom
                )
        harmonics(near, X, Y, Z, B)
        for c in range(nr):
            s = 0.0
            for k in range(m):
                s += G[c, k]
            q[c] = s
        for a in range(na):
            for c in range(N_COMPONENTS):
                s = 0.0
                for k in range(near):
                    s += G[nr + a, k] * B[c, k]
                A[a, c] = s
        invariants(A, q, nr)
        for d in range(nd):
            beyond = max(q[d] - tables.high[ti, d], tables.low[ti, d] - q[d])
            excess = max(excess, beyond / tables.widths[ti, d])
        for h in range(neurons):
            s = -tables.bias[ti, h]
            for d in range(nd):
                s += tables.first[ti, h, d] * q[d]
            hidden[h] = s
        hidden_layer(neurons, hidden, active)
        dq[:] = 0.0
        energy -= tables.offset
        for h in range(neurons):
            energy += tables.last[ti, h] * active[h]
            s = tables.last[ti, h] * (1.0 - active[h] * active[h])
            for d in range(nd):
                dq[d] += s * tables.first[ti, h, d]
        invariants_slope(A, dq, nr, dA)
        for k in range(m):
            along[k] = 0.0
        for c in range(nr):
            s = dq[c]
            for k in range(m):
                along[k] += s * slope[c, k]
        for c in range(N_COMPONENTS):
            for k in range(near):
                W[c, k] = 0.0
            for a in range(na):
                s = dA[a, c]
                for k in range(near):
                    W[c, k] += s * G[nr + a, k]
                    along[k] += s * slope[nr + a, k] * B[c, k]
        harmonics_slope(near, X, Y, Z, W, grad)
        for k in range(near):
            t = grad[0, k] * X[k] + grad[1, k] * Y[k] + grad[2, k] * Z[k]
            u = along[k] - t * inverse[k]
            grad[0, k] = u * X[k] + grad[0, k] * inverse[k]
            grad[1, k] = u * Y[k] + grad[1, k] * inverse[k]
            grad[2, k] = u * Z[k] + grad[2, k] * inverse[k]
        for k in range(near, m):
            grad[0, k], grad[1, k], grad[2, k] = along[k] * X[k], along[k] * Y[k], along[k] * Z[k]
        fx = fy = fz = 0.0
        for k in range(m):
            gx, gy, gz = grad[0, k], grad[1, k], grad[2, k]
            fx += gx
            fy += gy
            fz += gz
            x, y, z = X[k] * R[k], Y[k] * R[k], Z[k] * R[k]
            v00 += gx * x
            v11 += gy * y
            v22 += gz * z
            v01 += gx * y
            v02 += gx * z
            v12 += gy * z
        forces[i, 0] += fx
        forces[i, 1] += fy
        forces[i, 2] += fz
        for k in range(m):
            j = J[k]
            forces[j, 0] -= grad[0, k]
            forces[j, 1] -= grad[1, k]
            forces[j, 2] -= grad[2, k]
    virial[0, 0], virial[1, 1], virial[2, 2] = v00, v11, v22
    virial[0, 1] = virial[1, 0] = v01
    virial[0, 2] = virial[2, 0] = v02
    virial[1, 2] = virial[2, 1] = v12
    return energy, excess


class Evaluation:
    """One evaluation: energy (eV), forces (eV/A), stress (eV/A^3), and the excess over training."""

    def __init__(
        self, energy: float, forces: FloatArray, stress: FloatArray, excess: float
    ) -> None:
        self.energy = energy
        self.forces = forces
        self.stress = stress
        self.excess = excess


def evaluate(model: NEP, positions: FloatArray, types: IntArray, cell: FloatArray) -> Evaluation:
    """Compute a crystal from nothing but its atoms.

    Parameters
    ----------
    model
        The potential.
    positions, types
        A, shape (n_atoms, 3); number of each atom's element, by `NEP.types_of`.
    cell
        Lattice vectors in rows, A.
    """
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    cell = np.ascontiguousarray(cell, dtype=np.float64)
    forces, virial = np.empty_like(positions), np.empty((3, 3))
    pairs = neighbors(positions, cell, model.radial_cutoff)
    energy, excess = energy_and_forces(positions, types, *pairs, model.tables, forces, virial)
    return Evaluation(energy, forces, virial / abs(np.linalg.det(cell)), excess)
