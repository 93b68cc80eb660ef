"""Which labels are held out together, so that a prediction can be corrected by what was unseen."""

import numpy as np
import numpy.typing as npt
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from ssefw.errors import DataError

__all__ = ["composition_clusters", "grouped_folds"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def composition_clusters(apart: Floats, n: int) -> Ints:
    """Return at most n clusters of labels by the mean distance of their compositions."""
    if len(apart) < 2:
        return np.zeros(len(apart), dtype=np.int64)
    tree = hierarchy.linkage(squareform(apart, checks=False), "average")
    return np.asarray(hierarchy.fcluster(tree, n, "maxclust"), dtype=np.int64)


def grouped_folds(groups: Ints, k: int, seed: int) -> list[tuple[Ints, Ints]]:
    """Return folds of rows whose groups stay together, as equal in size as groups allow."""
    names, place = np.unique(groups, return_inverse=True)
    size = np.bincount(place)
    # The largest first, each to the fold that is smallest; groups of one size in random order.
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-size[order], kind="stable")]
    load, fold = np.zeros(min(k, len(names))), np.empty(len(names), dtype=np.int64)
    for group in order:
        fold[group] = int(np.argmin(load))
        load[fold[group]] += size[group]
    if len(load) < 2:
        raise DataError("All labels are of one composition, so that nothing can be held out.")
    of_row = fold[place]
    return [(np.flatnonzero(of_row != f), np.flatnonzero(of_row == f)) for f in range(len(load))]
