"""Pairs of atoms within a cut-off, found rarely and filtered at every step.

Candidates within the cut-off and a skin are sorted; hence the edges of given positions are the
same, to their order, whenever the candidates were found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numba
import numpy as np
import numpy.typing as npt
from pymatgen.optimization.neighbors import find_points_in_spheres

__all__ = ["NeighborSearch", "directed_edges", "joined"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class NeighborSearch:
    """Pairs that may come closer than the cut-off while no atom moves by more than skin/2.

    Attributes
    ----------
    positions, cell, pbc, skin
        Of the structure the pairs were found for: A, A, three booleans, and A.
    first, second
        Atoms of each pair, sorted.
    shift
        Lattice translation of the second atom, in A, shape (n_pairs, 3).
    """

    positions: FloatArray
    cell: FloatArray
    pbc: BoolArray
    skin: float
    first: IntArray
    second: IntArray
    shift: FloatArray

    @classmethod
    def of(
        cls,
        positions: FloatArray,
        cell: FloatArray,
        pbc: BoolArray,
        *,
        cutoff: float,
        skin: float,
        each_once: bool = False,
    ) -> Self:
        """Find all pairs within the cut-off and the skin, in both directions or `each_once`.

        Parameters
        ----------
        positions
            Shape (n, 3), angstrom.
        cell
            Rows are cell vectors, angstrom.
        pbc
            Along which of these the crystal goes on.
        cutoff
            Distance of pairs, angstrom.
        skin
            Added to it, so that pairs stay known while atoms move, angstrom.
        each_once
            Whether a pair is there once in place of once a direction.
        """
        cell = np.ascontiguousarray(cell, dtype=np.float64)
        positions = np.array(positions, dtype=np.float64)
        first, second, image, _ = find_points_in_spheres(
            positions,
            positions,
            r=cutoff + skin,
            pbc=np.array(pbc, dtype=np.int64),
            # A molecule needs no cell, but the search wants one.
            lattice=cell if np.any(pbc) else np.eye(3),
            tol=1e-8,
        )
        image = np.rint(image).astype(np.int64)
        a, b, c = image.T
        if each_once:
            upper = (a > 0) | ((a == 0) & ((b > 0) | ((b == 0) & (c > 0))))
            wanted = (first < second) | ((first == second) & upper)
        else:
            wanted = (first != second) | (image != 0).any(axis=1)
        order = np.flatnonzero(wanted)
        order = order[np.lexsort((c[order], b[order], a[order], second[order], first[order]))]
        return cls(
            positions=positions,
            cell=cell,
            pbc=np.array(pbc, dtype=bool),
            skin=skin,
            first=first[order].astype(np.int64),
            second=second[order].astype(np.int64),
            shift=image[order] @ cell,
        )

    def covers(self, positions: FloatArray, cell: FloatArray, pbc: BoolArray) -> bool:
        """Whether no pair can be missing for these positions."""
        return (
            positions.shape == self.positions.shape
            and np.array_equal(cell, self.cell)
            and np.array_equal(pbc, self.pbc)
            and ((positions - self.positions) ** 2).sum(axis=1).max() <= (self.skin / 2) ** 2
        )


def directed_edges(
    positions: FloatArray, searches: Sequence[NeighborSearch], cutoff: float
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Return the edges of replicas that do not see each other.

    Parameters
    ----------
    positions
        In A, shape (n_replicas, n, 3).
    searches
        One for each replica, covering its positions, with pairs in both directions.
    cutoff
        In A.

    Returns
    -------
    starts, others, vectors, lengths
        Edges of atom i are `starts[i]` to `starts[i + 1]`; the atom at their other end, shape
        (n_edges,); from atom i there, in A, shape (n_edges, 3), and how far.
    """
    return _select(*joined(positions, searches), cutoff)


def joined(
    positions: FloatArray, searches: Sequence[NeighborSearch]
) -> tuple[FloatArray, IntArray, IntArray, FloatArray]:
    """Return replicas as one structure: positions, and first, second and shift of its pairs."""
    n = positions.shape[1]
    first = np.concatenate([s.first + k * n for k, s in enumerate(searches)])
    second = np.concatenate([s.second + k * n for k, s in enumerate(searches)])
    shift = np.concatenate([s.shift for s in searches])
    return np.ascontiguousarray(positions, dtype=np.float64).reshape(-1, 3), first, second, shift


@numba.njit(cache=True, nogil=True)
def _select(
    positions: FloatArray, first: IntArray, second: IntArray, shift: FloatArray, cutoff: float
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    starts = np.zeros(len(positions) + 1, np.int64)
    others = np.empty(len(first), np.int64)
    vectors = np.empty((len(first), 3))
    lengths = np.empty(len(first))
    n_edges = 0
    for p in range(len(first)):
        square = 0.0
        for k in range(3):
            vectors[n_edges, k] = positions[second[p], k] + shift[p, k] - positions[first[p], k]
            square += vectors[n_edges, k] ** 2
        if square < cutoff * cutoff:
            lengths[n_edges] = np.sqrt(square)
            others[n_edges] = second[p]
            starts[first[p] + 1] += 1
            n_edges += 1
    starts = np.cumsum(starts)
    return starts, others[:n_edges].copy(), vectors[:n_edges].copy(), lengths[:n_edges].copy()
