"""Energy, forces and virial of a NEP, compiled.

The loops run over the neighbors of one atom; those within the angular cut-off come first, the
others have only radial functions. What a loop computes for a neighbor lies in a row of eights: its
radial functions, or the components of its harmonics.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

from ssefw.nep.angular import (
    N_COMPONENTS,
    invariants,
    invariants_slope,
    one_harmonics,
    one_harmonics_slope,
)
from ssefw.nep.lanes import WIDTH, load, multiply_add, splat, store, total
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
    n_types, nd = tables.low.shape
    neurons, padded = tables.first.shape[1], tables.first.shape[2]
    nr, na, channels = tables.n_radial, tables.n_angular, tables.radial.shape[3]
    room = 1
    for i in range(n):
        room = max(room, start[i + 1] - start[i])
    J = np.empty(room, np.int32)
    R, X, Y, Z = np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    G, slope = np.empty((room, channels)), np.empty((room, channels))
    B, W = np.empty((room, N_COMPONENTS)), np.empty((1, N_COMPONENTS))
    A, dA = np.empty((na, N_COMPONENTS)), np.empty((na, N_COMPONENTS))
    sums, hidden, dq = np.empty((1, channels)), np.empty((1, neurons)), np.empty((1, padded))
    q = np.zeros(padded)
    zero, one, per_angstrom = splat(0.0), splat(1.0), splat(tables.knots_per_angstrom)
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
            R[k] = math.sqrt(R[k])
            X[k] /= R[k]
            Y[k] /= R[k]
            Z[k] /= R[k]
        sums[:] = 0.0
        for k in range(m):
            u = R[k] * tables.knots_per_angstrom
            knot = int(u)
            u -= knot
            T = tables.radial[ti * n_types + types[J[k]], knot]
            by, twice, thrice = splat(u), splat(2.0 * u), splat(3.0 * u)
            for c in range(0, channels, WIDTH):
                t1, t2, t3 = load(T, 1, c), load(T, 2, c), load(T, 3, c)
                inner = multiply_add(by, multiply_add(by, t3, t2), t1)
                g = multiply_add(by, inner, load(T, 0, c))
                store(G, k, c, g)
                store(sums, 0, c, multiply_add(one, g, load(sums, 0, c)))
                g = multiply_add(by, multiply_add(thrice, t3, zero), multiply_add(twice, t2, t1))
                store(slope, k, c, multiply_add(per_angstrom, g, zero))
        for c in range(nr):
            q[c] = sums[0, c]
        for k in range(near):
            one_harmonics(X[k], Y[k], Z[k], B[k])
        for a in range(na):
            a0, a1, a2 = zero, zero, zero
            for k in range(near):
                g = splat(G[k, nr + a])
                a0 = multiply_add(g, load(B, k, 0), a0)
                a1 = multiply_add(g, load(B, k, 8), a1)
                a2 = multiply_add(g, load(B, k, 16), a2)
            store(A, a, 0, a0)
            store(A, a, 8, a1)
            store(A, a, 16, a2)
        invariants(A, q, nr)
        for d in range(nd):
            beyond = max(q[d] - tables.high[ti, d], tables.low[ti, d] - q[d])
            excess = max(excess, beyond / tables.widths[ti, d])
        inputs, first = tables.inputs[ti], tables.first[ti]
        for h in range(0, neurons, WIDTH):
            x0 = load(tables.bias, ti, h)
            for d in range(nd):
                x0 = multiply_add(splat(q[d]), load(inputs, d, h), x0)
            store(hidden, 0, h, x0)
        hidden_layer(neurons, hidden[0], hidden[0])
        energy -= tables.offset
        for h in range(neurons):
            energy += tables.last[ti, h] * hidden[0, h]
            hidden[0, h] = tables.last[ti, h] * (1.0 - hidden[0, h] * hidden[0, h])
        for d in range(0, padded, WIDTH):
            x0 = zero
            for h in range(neurons):
                x0 = multiply_add(splat(hidden[0, h]), load(first, h, d), x0)
            store(dq, 0, d, x0)
        invariants_slope(A, dq[0], nr, dA)
        fx = fy = fz = 0.0
        for k in range(m):
            along = gx = gy = gz = 0.0
            for c in range(nr):
                along += dq[0, c] * slope[k, c]
            if k < near:
                w0, w1, w2, u0, u1, u2 = zero, zero, zero, zero, zero, zero
                for a in range(na):
                    d0, d1, d2 = load(dA, a, 0), load(dA, a, 8), load(dA, a, 16)
                    g = splat(G[k, nr + a])
                    w0 = multiply_add(g, d0, w0)
                    w1 = multiply_add(g, d1, w1)
                    w2 = multiply_add(g, d2, w2)
                    g = splat(slope[k, nr + a])
                    u0 = multiply_add(g, d0, u0)
                    u1 = multiply_add(g, d1, u1)
                    u2 = multiply_add(g, d2, u2)
                store(W, 0, 0, w0)
                store(W, 0, 8, w1)
                store(W, 0, 16, w2)
                u0 = multiply_add(u0, load(B, k, 0), zero)
                u0 = multiply_add(u1, load(B, k, 8), u0)
                along += total(multiply_add(u2, load(B, k, 16), u0))
                gx, gy, gz = one_harmonics_slope(X[k], Y[k], Z[k], W[0])
            inverse = 1.0 / R[k]
            # The harmonics are those of unit vectors, on which only the direction acts.
            along -= (gx * X[k] + gy * Y[k] + gz * Z[k]) * inverse
            gx = along * X[k] + gx * inverse
            gy = along * Y[k] + gy * inverse
            gz = along * Z[k] + gz * inverse
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
            j = J[k]
            forces[j, 0] -= gx
            forces[j, 1] -= gy
            forces[j, 2] -= gz
        forces[i, 0] += fx
        forces[i, 1] += fy
        forces[i, 2] += fz
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
    from ssefw.nep.loading import load_loops  # noqa: PLC0415  it calls the loop above

    load_loops()
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    cell = np.ascontiguousarray(cell, dtype=np.float64)
    forces, virial = np.empty_like(positions), np.empty((3, 3))
    pairs = neighbors(positions, cell, model.radial_cutoff)
    energy, excess = energy_and_forces(positions, types, *pairs, model.tables, forces, virial)
    return Evaluation(energy, forces, virial / abs(np.linalg.det(cell)), excess)
