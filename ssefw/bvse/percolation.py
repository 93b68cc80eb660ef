"""Energies at which the low-energy region of a periodic field percolates in one, two, three axes.

Grid points are added in order of energy to a union-find whose links carry lattice vectors. When a
link closes a loop whose lattice vectors do not cancel, the region holds a path from a point to its
own periodic image; the region percolates in as many dimensions as it has independent such vectors.
The energy of the point that raises the rank is the threshold: exact on the grid, found in one pass,
and independent of which cell describes the crystal.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import ndimage

__all__ = ["Thresholds", "box_thresholds", "percolation_thresholds"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ENERGY_CAP = 20.0
"""Regions are followed up to this energy above the minimum, in eV; beyond it nothing percolates."""

# The box rule of CAVD halves [0, 20] eV until the interval is below 0.01 eV.
_BOX_INTERVALS = 2048


@dataclass(frozen=True)
class Thresholds:
    """Energies above the minimum, in eV, at which 1D, 2D and 3D percolation begins.

    Infinite where the region does not percolate below `ENERGY_CAP`.
    """

    one: float
    two: float
    three: float

    def __iter__(self) -> Iterator[float]:
        return iter((self.one, self.two, self.three))


def percolation_thresholds(energies: FloatArray, *, cap: float = ENERGY_CAP) -> Thresholds:
    """Return the exact thresholds of a periodic grid (n1, n2, n3) of energies in eV.

    A point is linked to its 26 neighbors.
    """
    flat = np.ascontiguousarray(energies, dtype=float).ravel()
    minimum = float(flat.min())
    # Most fields percolate within the lowest eV or two: only those points need sorting.
    for limit in sorted({min(cap, 1.0), min(cap, 4.0), cap}):
        low = np.flatnonzero(flat <= minimum + limit)
        order = low[np.argsort(flat[low])]
        found = _sweep(flat, order, np.array(energies.shape))
        if np.isfinite(found[2]):
            break
    one, two, three = (float(value) - minimum for value in found)
    return Thresholds(one, two, three)


def box_thresholds(energies: FloatArray, *, cap: float = ENERGY_CAP) -> Thresholds:
    """Return the thresholds by the rule of CAVD, in its steps of 20 eV / 2048.

    The grid, end points included, is copied 2 x 2 x 2 without periodic links; an axis counts when
    one connected region touches both ends of it. The result depends on the choice of cell, and a
    channel oblique to the axes counts for each axis it spans: use it to compare with published
    numbers only.
    """
    data = energies - energies.min()
    data = np.pad(data, [(0, 1)] * 3, mode="wrap")
    data = np.tile(data, (2, 2, 2))
    step = cap / _BOX_INTERVALS
    counted: dict[int, int] = {}  # the three searches begin alike
    thresholds = []
    for wanted in (1, 2, 3):
        low, high = 0, _BOX_INTERVALS
        while high - low > 1:
            middle = (low + high) // 2
            if middle not in counted:
                counted[middle] = _spanned_axes(data < middle * step)
            if counted[middle] >= wanted:
                high = middle
            else:
                low = middle
        thresholds.append(high * step if high < _BOX_INTERVALS else np.inf)
    return Thresholds(*thresholds)


def _spanned_axes(region: npt.NDArray[np.bool_]) -> int:
    labels, _ = ndimage.label(region, structure=np.ones((3, 3, 3)))
    spanned = [
        sum(
            part.start == 0 and part.stop == size
            for part, size in zip(box, region.shape, strict=True)
        )
        for box in ndimage.find_objects(labels)
    ]
    return max(spanned, default=0)


@njit(cache=True, nogil=True)
def find_root(parents: npt.NDArray[np.int32], offsets: npt.NDArray[np.int32], node: int) -> int:
    """Return the root of a node; afterwards the node's own offset leads to that root."""
    parent = parents[node]
    while parents[parent] != parent:
        for axis in range(3):
            offsets[node, axis] += offsets[parent, axis]
        parent = parents[parent]
        parents[node] = parent
    return int(parent)


@njit(cache=True, nogil=True)
def extend_lattice(vectors: npt.NDArray[np.int64], rank: int, vector: npt.NDArray[np.int64]) -> int:
    """Add a vector to up to three independent integer vectors and return the new rank."""
    x, y, z = vector[0], vector[1], vector[2]
    if x == 0 and y == 0 and z == 0:
        return rank
    if rank >= 1:
        a = vectors[0]
        cx, cy, cz = a[1] * z - a[2] * y, a[2] * x - a[0] * z, a[0] * y - a[1] * x
        if rank == 1 and cx == 0 and cy == 0 and cz == 0:
            return rank
        if rank == 2:
            b = vectors[1]
            if b[0] * cx + b[1] * cy + b[2] * cz == 0:
                return rank
        if rank == 3:
            return rank
    for axis in range(3):
        vectors[rank, axis] = vector[axis]
    return rank + 1


@njit(cache=True, nogil=True)
def _sweep(  # noqa: C901, PLR0912, PLR0915 (compiled: one loop that reads like the method)
    energies: FloatArray, order: npt.NDArray[np.int64], shape: npt.NDArray[np.int64]
) -> FloatArray:
    n1, n2, n3 = shape[0], shape[1], shape[2]
    found = np.full(3, np.inf)
    best = 0
    parents = np.full(len(energies), -1, dtype=np.int32)
    offsets = np.zeros((len(energies), 3), dtype=np.int32)
    sizes = np.ones(len(energies), dtype=np.int32)
    lattice_of = np.full(len(energies), -1, dtype=np.int32)
    # A region that closes a loop around the cell holds at least as many points as the loop.
    most = len(order) // min(n1, n2, n3) + 1
    lattices = np.zeros((most, 3, 3), dtype=np.int64)
    ranks = np.zeros(most, dtype=np.int64)
    n_lattices = 0
    vector = np.zeros(3, dtype=np.int64)
    for node in order:
        parents[node] = node
        i, rest = divmod(node, n2 * n3)
        j, k = divmod(rest, n3)
        for di in range(-1, 2):
            ni = i + di
            ci = -1 if ni < 0 else (1 if ni >= n1 else 0)
            ni -= ci * n1
            for dj in range(-1, 2):
                nj = j + dj
                cj = -1 if nj < 0 else (1 if nj >= n2 else 0)
                nj -= cj * n2
                for dk in range(-1, 2):
                    nk = k + dk
                    ck = -1 if nk < 0 else (1 if nk >= n3 else 0)
                    nk -= ck * n3
                    other = (ni * n2 + nj) * n3 + nk
                    if parents[other] < 0 or (di == 0 and dj == 0 and dk == 0):
                        continue
                    root = find_root(parents, offsets, node)
                    far = find_root(parents, offsets, other)
                    # Position of the far root as seen from the root of this node.
                    vector[0] = offsets[other, 0] + ci - offsets[node, 0]
                    vector[1] = offsets[other, 1] + cj - offsets[node, 1]
                    vector[2] = offsets[other, 2] + ck - offsets[node, 2]
                    if root == far:
                        if vector[0] == 0 and vector[1] == 0 and vector[2] == 0:
                            continue
                        if lattice_of[root] < 0:
                            lattice_of[root] = n_lattices
                            n_lattices += 1
                        at = lattice_of[root]
                        ranks[at] = extend_lattice(lattices[at], ranks[at], vector)
                    else:
                        if sizes[root] < sizes[far]:
                            root, far = far, root
                            for axis in range(3):
                                vector[axis] = -vector[axis]
                        parents[far] = root
                        sizes[root] += sizes[far]
                        for axis in range(3):
                            offsets[far, axis] = -vector[axis]
                        if lattice_of[far] < 0:
                            continue
                        if lattice_of[root] < 0:
                            lattice_of[root] = lattice_of[far]
                        else:
                            at, source = lattice_of[root], lattice_of[far]
                            for row in range(ranks[source]):
                                ranks[at] = extend_lattice(
                                    lattices[at], ranks[at], lattices[source, row]
                                )
                        at = lattice_of[root]
                    while best < ranks[at]:
                        found[best] = energies[node]
                        best += 1
                    if best == 3:
                        return found
    return found
