"""The graph of atoms, bonds and angles that CHGNet sees, made fast for moving atoms.

CHGNet (DOI 10.1038/s42256-023-00716-3) joins atoms closer than 6 A by *bonds* and bonds closer
than 3 A that share an atom by *angles*. A bond is stored once and points from `i` to the image of
`j`; each of its two directions is an *edge*. Edges are sorted by the atom they start from, so that
the edges of an atom and the angles of an edge are contiguous, and sums over them need no scatter.

Candidate pairs are sorted (see `neighbors`), hence the graph of given positions is the same, to the
order of its bonds, whenever they were found: nothing computed from it depends on history.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from ssefw.engines.potentials.neighbors import NeighborSearch, joined
from ssefw.errors import EngineError

__all__ = ["ANGLE_CUTOFF", "BOND_CUTOFF", "Graph", "build_graph"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BOND_CUTOFF = 6.0
"""Atoms closer than this are joined by a bond, in A."""

ANGLE_CUTOFF = 3.0
"""Bonds shorter than this form angles, in A."""

CLOSEST = 1e-3
"""Atoms closer than this, in A, are taken as a mistake: forces have no direction there."""

ACOS_GUARD = 1 - 1e-6
"""CHGNet scales cosines by this, to keep the derivative of acos finite for straight angles."""


@dataclass(frozen=True)
class Graph:
    """Bonds, edges and angles of one or more structures, with their lengths and openings.

    Short bonds, those that form angles, come first. All indices are int64.

    Attributes
    ----------
    n_atoms, n_short
        Number of atoms, and of short bonds.
    bond_start, bond_end
        Atoms of each bond, shape (n_bonds,).
    vectors, lengths
        From the end of a bond to its start, shape (n_bonds, 3), and its length, both in A.
    edge_start, edge_end, edge_bond
        Atoms and bond of each edge, shape (2 n_bonds,), sorted by start.
    angle_atom, angle_first, angle_second
        The common atom and the two short bonds of each angle, shape (n_angles,). Both orders of a
        pair are angles of their own.
    sign
        +1 where both or none of the two bonds of an angle start from its atom, else -1.
    angles
        Opening of each angle, in radians.
    """

    n_atoms: int
    n_short: int
    bond_start: IntArray
    bond_end: IntArray
    vectors: FloatArray
    lengths: FloatArray
    edge_start: IntArray
    edge_end: IntArray
    edge_bond: IntArray
    angle_atom: IntArray
    angle_first: IntArray
    angle_second: IntArray
    sign: FloatArray
    angles: FloatArray

    def gradient_by_bond_vector(self, by_length: FloatArray, by_angle: FloatArray) -> FloatArray:
        """Turn derivatives by lengths and angles into those by bond vectors, in eV/A.

        Forces and stress follow from them alone, since energy depends on nothing else.
        """
        return _chain_to_vectors(
            self.vectors,
            self.lengths,
            self.angle_first,
            self.angle_second,
            self.sign,
            by_length,
            by_angle,
        )

    def forces(self, gradient: FloatArray) -> FloatArray:
        """Minus the derivative of energy by positions, in eV/A, shape (n_atoms, 3)."""
        return _scatter_forces(self.n_atoms, self.bond_start, self.bond_end, gradient)

    def virial(self, gradient: FloatArray) -> FloatArray:
        """Compute the derivative of energy by strain, in eV, shape (3, 3)."""
        virial = self.vectors.T @ gradient
        return (virial + virial.T) / 2


def build_graph(positions: FloatArray, searches: Sequence[NeighborSearch]) -> Graph:
    """Build the graph of replicas that do not see each other.

    Parameters
    ----------
    positions
        In A, shape (n_replicas, n, 3).
    searches
        One for each replica, covering its positions, with each pair once.
    """
    flat, first, second, shift = joined(positions, searches)
    n_short, start, end, vectors, lengths = _select_bonds(flat, first, second, shift)
    if len(lengths) and lengths.min() < CLOSEST:
        worst = int(lengths.argmin())
        msg = (
            f"Atoms {start[worst]} and {end[worst]} are {lengths[worst]:.2g} A apart, which no "
            "potential can describe. Check the structure, or use a shorter time step."
        )
        raise EngineError(msg)
    edge_start, edge_end, edge_bond, offsets, n_short_edges = _directed_edges(
        len(flat), n_short, start, end
    )
    return Graph(
        len(flat),
        n_short,
        start,
        end,
        vectors,
        lengths,
        edge_start,
        edge_end,
        edge_bond,
        *_angles_at_atoms(edge_bond, offsets, n_short_edges, start, vectors, lengths),
    )


@numba.njit(cache=True)
def _select_bonds(
    positions: FloatArray, first: IntArray, second: IntArray, shift: FloatArray
) -> tuple[int, IntArray, IntArray, FloatArray, FloatArray]:
    """Keep the pairs within the cutoff, short ones first."""
    n_pairs = len(first)
    square = np.empty(n_pairs)
    n_bonds = n_short = 0
    for p in range(n_pairs):
        total = 0.0
        for k in range(3):
            total += (positions[first[p], k] - positions[second[p], k] - shift[p, k]) ** 2
        square[p] = total
        n_bonds += total < BOND_CUTOFF**2
        n_short += total < ANGLE_CUTOFF**2
    start = np.empty(n_bonds, np.int64)
    end = np.empty(n_bonds, np.int64)
    vectors = np.empty((n_bonds, 3))
    lengths = np.empty(n_bonds)
    short, long = 0, n_short
    for p in range(n_pairs):
        if square[p] >= BOND_CUTOFF**2:
            continue
        if square[p] < ANGLE_CUTOFF**2:
            b = short
            short += 1
        else:
            b = long
            long += 1
        start[b], end[b] = first[p], second[p]
        lengths[b] = np.sqrt(square[p])
        for k in range(3):
            vectors[b, k] = positions[first[p], k] - positions[second[p], k] - shift[p, k]
    return n_short, start, end, vectors, lengths


@numba.njit(cache=True)
def _directed_edges(
    n_atoms: int, n_short: int, start: IntArray, end: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """Give each bond its two edges, sorted by starting atom and then by bond."""
    n_bonds = len(start)
    offsets = np.zeros(n_atoms + 1, np.int64)
    n_short_edges = np.zeros(n_atoms, np.int64)
    for b in range(n_bonds):
        offsets[start[b] + 1] += 1
        offsets[end[b] + 1] += 1
        if b < n_short:
            n_short_edges[start[b]] += 1
            n_short_edges[end[b]] += 1
    offsets = np.cumsum(offsets)
    fill = offsets[:-1].copy()
    edge_start = np.empty(2 * n_bonds, np.int64)
    edge_end = np.empty(2 * n_bonds, np.int64)
    edge_bond = np.empty(2 * n_bonds, np.int64)
    for b in range(n_bonds):
        for i, j in ((start[b], end[b]), (end[b], start[b])):
            e = fill[i]
            fill[i] += 1
            edge_start[e], edge_end[e], edge_bond[e] = i, j, b
    return edge_start, edge_end, edge_bond, offsets, n_short_edges


@numba.njit(cache=True)
def _angles_at_atoms(  # noqa: PLR0917  numba takes no keywords
    edge_bond: IntArray,
    offsets: IntArray,
    n_short_edges: IntArray,
    start: IntArray,
    vectors: FloatArray,
    lengths: FloatArray,
) -> tuple[IntArray, IntArray, IntArray, FloatArray, FloatArray]:
    """Pair each short edge with every other short edge of its atom."""
    n_angles = 0
    for n in n_short_edges:
        n_angles += n * (n - 1)
    atom = np.empty(n_angles, np.int64)
    first = np.empty(n_angles, np.int64)
    second = np.empty(n_angles, np.int64)
    sign = np.empty(n_angles)
    angles = np.empty(n_angles)
    a = 0
    for i in range(len(n_short_edges)):
        begin, stop = offsets[i], offsets[i] + n_short_edges[i]
        for p in range(begin, stop):
            u = edge_bond[p]
            # The two edges of a bond between images of one atom lie side by side: the first of
            # them runs along the stored vector.
            along_u = start[u] == i and not (p > begin and edge_bond[p - 1] == u)
            for q in range(begin, stop):
                if p == q:
                    continue
                v = edge_bond[q]
                along_v = start[v] == i and not (q > begin and edge_bond[q - 1] == v)
                atom[a], first[a], second[a] = i, u, v
                sign[a] = 1.0 if along_u == along_v else -1.0
                dot = 0.0
                for k in range(3):
                    dot += vectors[u, k] * vectors[v, k]
                angles[a] = np.arccos(ACOS_GUARD * sign[a] * dot / (lengths[u] * lengths[v]))
                a += 1
    return atom, first, second, sign, angles


@numba.njit(cache=True)
def _chain_to_vectors(  # noqa: PLR0917  numba takes no keywords
    vectors: FloatArray,
    lengths: FloatArray,
    first: IntArray,
    second: IntArray,
    sign: FloatArray,
    by_length: FloatArray,
    by_angle: FloatArray,
) -> FloatArray:
    gradient = np.empty_like(vectors)
    for b in range(len(lengths)):
        for k in range(3):
            gradient[b, k] = by_length[b] * vectors[b, k] / lengths[b]
    for a in range(len(first)):
        u, v = first[a], second[a]
        cosine = 0.0
        for k in range(3):
            cosine += vectors[u, k] * vectors[v, k]
        cosine *= sign[a] / (lengths[u] * lengths[v])
        by_cosine = -by_angle[a] * ACOS_GUARD / np.sqrt(1 - (ACOS_GUARD * cosine) ** 2)
        for k in range(3):
            along_u = vectors[u, k] / lengths[u]
            along_v = vectors[v, k] / lengths[v]
            gradient[u, k] += by_cosine * (sign[a] * along_v - cosine * along_u) / lengths[u]
            gradient[v, k] += by_cosine * (sign[a] * along_u - cosine * along_v) / lengths[v]
    return gradient


@numba.njit(cache=True)
def _scatter_forces(
    n_atoms: int, start: IntArray, end: IntArray, gradient: FloatArray
) -> FloatArray:
    forces = np.zeros((n_atoms, 3))
    for b in range(len(start)):
        for k in range(3):
            forces[start[b], k] -= gradient[b, k]
            forces[end[b], k] += gradient[b, k]
    return forces
