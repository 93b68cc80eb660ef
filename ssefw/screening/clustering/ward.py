"""Agglomerative clustering of a pool, by Ward's criterion or another linkage.

Ward's criterion is followed along chains of nearest neighbors (Murtagh 1983,
https://doi.org/10.1093/comjnl/26.4.354) on the centers of the clusters. A merge costs what its two
clusters add to the sum of squares, which sizes and centers say, so memory grows with the number of
rows, not with its square, and the tree is that of scipy. The other linkages need the matrix of all
distances.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numba
import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import linkage as scipy_linkage

from ssefw.errors import ConfigurationError, DataError

__all__ = ["LINKAGES", "MATRIX_GB", "Linkage", "Tree", "build_tree", "check_tree", "cut"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Linkage = Literal["ward", "average", "complete", "single"]

LINKAGES: Final = ("ward", "average", "complete", "single")

MATRIX_GB: Final = 1.5
"""Memory for distances: the condensed matrix in double precision, and a copy to work on."""


@dataclass(frozen=True)
class Tree:
    """A hierarchy of clusters: leaves 0 to n - 1, merge i makes node n + i.

    Attributes
    ----------
    pairs
        The nodes that each merge joins, shape (n - 1, 2).
    heights
        The distance at which they join, shape (n - 1,), never falling. For Ward's criterion
        half its square is what the merge adds to the sum of squared deviations.
    """

    pairs: IntArray
    heights: FloatArray

    @property
    def n(self) -> int:
        """Number of leaves."""
        return len(self.pairs) + 1


def check_tree(tree: Tree) -> None:
    """Refuse a hierarchy that was read and is none: a node joined twice, or before it is made.

    Raises
    ------
    DataError
        If it is none.
    """
    n, pairs, heights = tree.n, tree.pairs, tree.heights
    if pairs.dtype.kind != "i" or pairs.ndim != 2 or pairs.shape[1] != 2:
        raise DataError(f"its hierarchy has merges of {pairs.dtype} and shape {pairs.shape}")
    made = n + np.arange(n - 1)[:, None]
    is_whole = np.array_equal(np.sort(pairs, axis=None), np.arange(2 * (n - 1)))
    if heights.shape != (n - 1,) or not is_whole or not (pairs < made).all():
        raise DataError("its hierarchy joins a cluster twice, or before it is made")


def build_tree(
    features: npt.NDArray[np.floating],
    *,
    linkage: Linkage = "ward",
    matrix_gb: float = MATRIX_GB,
) -> Tree:
    """Cluster rows by Euclidean distance.

    Parameters
    ----------
    features
        Shape (n, d), finite.
    matrix_gb
        Memory in GB that the matrix of distances may take, where a linkage needs it.

    Raises
    ------
    DataError
        If there are fewer than two rows or one is not finite.
    ConfigurationError
        If the linkage is unknown, or needs the matrix and that is too large.
    """
    if linkage not in LINKAGES:
        raise ConfigurationError(f"Unknown linkage {linkage!r}. Known: {', '.join(LINKAGES)}.")
    n = len(features)
    if n < 2 or not np.isfinite(features).all():
        raise DataError(
            f"Clustering takes at least two rows of finite numbers, got {n}. Leave out rows whose "
            "descriptor failed."
        )
    if linkage == "ward":
        # Distances come from differences: taken from the mean, numbers keep their digits.
        middle = features.mean(axis=0, dtype=np.float64)
        centers = np.ascontiguousarray(features - middle, dtype=np.float32)
        return _in_order(*_chain(centers))
    needed = 8e-9 * n * (n - 1)
    if needed > matrix_gb:
        raise ConfigurationError(
            f"The linkage {linkage!r} of {n} rows needs {needed:.1f} GB of distances, more than "
            f"{matrix_gb:g} GB. Allow more memory, take fewer rows, or use the linkage 'ward'."
        )
    found = scipy_linkage(np.asarray(features, dtype=float), method=linkage)
    return Tree(found[:, :2].astype(np.int64), np.asarray(found[:, 2]))


def cut(tree: Tree, depths: Sequence[int]) -> IntArray:
    """Return the cluster of each leaf at each depth, shape (len(depths), n).

    A cluster is named by its node of the tree, so it keeps its name while it is not divided.

    Parameters
    ----------
    depths
        Numbers of clusters, each from 1 to the number of leaves.
    """
    n = tree.n
    if len(depths) == 0 or min(depths) < 1 or max(depths) > n:
        raise DataError(
            f"{n} rows have 1 to {n} clusters, asked for {min(depths, default=0)} to "
            f"{max(depths, default=0)}."
        )
    order = np.argsort(depths)[::-1]
    result = np.empty((len(depths), n), dtype=np.int64)
    top = np.arange(2 * n - 1)
    deepest = int(depths[order[0]])
    for merge in range(n - deepest - 1, -1, -1):
        top[tree.pairs[merge]] = top[n + merge]
    current = top[:n].copy()
    level = deepest
    for position in order:
        while level > depths[position]:
            merge = n - level
            current[np.isin(current, tree.pairs[merge])] = n + merge
            level -= 1
        result[position] = current
    return result


def _in_order(pairs: IntArray, heights: FloatArray) -> Tree:
    """Sort merges by height and name clusters by merge; pairs hold a leaf of either side."""
    order = np.argsort(heights, kind="stable")
    n = len(pairs) + 1
    parent = np.arange(n)
    node = np.arange(n)
    named = np.empty_like(pairs)
    for merge, row in enumerate(order):
        roots = []
        for leaf in pairs[row]:
            root = int(leaf)
            while parent[root] != root:
                parent[root] = parent[parent[root]]
                root = int(parent[root])
            roots.append(root)
        named[merge] = sorted(int(node[root]) for root in roots)
        parent[roots[1]] = roots[0]
        node[roots[0]] = n + merge
    return Tree(named, np.maximum.accumulate(heights[order]))


@numba.njit(cache=True, fastmath=True)
def _square_distance(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    total = np.float32(0.0)
    for axis in range(len(one)):
        gap = one[axis] - other[axis]
        total += gap * gap
    return float(total)


@numba.njit(cache=True)
def _chain(  # noqa: C901 - compiled: one loop that reads like the method
    centers: npt.NDArray[np.float32],
) -> tuple[IntArray, FloatArray]:
    """Return the leaves that stand for the two sides of each merge, and the heights, unsorted.

    From any cluster, go to its nearest until two are nearest to each other, and merge those: for
    Ward's criterion the rest of the chain stays valid.
    """
    n = len(centers)
    size = np.ones(n)
    active = np.arange(n)
    n_active = n
    chain = np.empty(n, dtype=np.int64)
    length = 0
    pairs = np.empty((n - 1, 2), dtype=np.int64)
    heights = np.empty(n - 1)
    for merge in range(n - 1):
        if length == 0:
            chain[0] = active[0]
            length = 1
        while True:
            tip = chain[length - 1]
            nearest, best = -1, np.inf
            if length > 1:
                # Of equally near clusters the one before wins, or the chain would never end.
                nearest = chain[length - 2]
                weight = 2 * size[tip] * size[nearest] / (size[tip] + size[nearest])
                best = weight * _square_distance(centers[tip], centers[nearest])
            for index in range(n_active):
                other = active[index]
                if other == tip:
                    continue
                weight = 2 * size[tip] * size[other] / (size[tip] + size[other])
                cost = weight * _square_distance(centers[tip], centers[other])
                if cost < best:
                    nearest, best = other, cost
            if length > 1 and nearest == chain[length - 2]:
                break
            chain[length] = nearest
            length += 1
        kept, gone = min(tip, nearest), max(tip, nearest)
        length -= 2
        total = size[kept] + size[gone]
        for axis in range(centers.shape[1]):
            centers[kept, axis] = (
                size[kept] * centers[kept, axis] + size[gone] * centers[gone, axis]
            ) / total
        size[kept] = total
        pairs[merge, 0], pairs[merge, 1] = kept, gone
        heights[merge] = np.sqrt(best)
        place = 0
        while active[place] != gone:
            place += 1
        n_active -= 1
        active[place] = active[n_active]
    return pairs, heights
