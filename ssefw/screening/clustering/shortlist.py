"""Clusters that gather conductors: how strongly they do, and which materials they put forward."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.screening.clustering.ward import Tree, cut

__all__ = ["Enrichment", "Shortlist", "enrichment", "share_for_half", "shortlist"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Enrichment:
    """The cluster that holds most of the high labels at a depth.

    Attributes
    ----------
    cluster
        Node of the tree.
    share_of_rows, share_of_high
        Of all rows, and of the labels at or above the threshold.
    p_value
        Share of shuffled labelings in which some cluster of at most this size holds as many.
    """

    depth: int
    cluster: int
    share_of_rows: float
    share_of_high: float
    p_value: float


@dataclass(frozen=True)
class Shortlist:
    """Rows in clusters that hold a high label, or lie nearest to such a cluster.

    Attributes
    ----------
    rows
        Rows of the pool in order.
    reasons
        ``holds`` or ``nearest`` for each row.
    holding, nearest
        The clusters, as nodes of the tree.
    """

    depth: int
    rows: IntArray
    reasons: tuple[str, ...]
    holding: IntArray
    nearest: IntArray


def enrichment(
    tree: Tree,
    rows: IntArray,
    values: FloatArray,
    *,
    depths: Sequence[int],
    threshold: float = -5.0,
    repeats: int = 200,
    seed: int = 0,
) -> list[Enrichment]:
    """Return for each depth the cluster with most labels at or above a threshold.

    The cluster is chosen after seeing the labels, so chance is measured in the same way: labels are
    shuffled among the labeled rows and the best cluster of at most that size is chosen again.

    Parameters
    ----------
    rows, values
        Labeled rows and their values, for example log10 of sigma in S/cm.
    """
    high = values >= threshold
    if not 0 < high.sum() < len(high):
        raise DataError(
            f"{int(high.sum())} of {len(high)} labels are at or above {threshold:g}; enrichment "
            "needs some on either side. Choose another threshold."
        )
    rng = np.random.default_rng(seed)
    clusters = cut(tree, depths)
    result = []
    for depth, names in zip(depths, clusters, strict=True):
        nodes, place, size = np.unique(names, return_inverse=True, return_counts=True)
        here = place[rows]
        held = np.bincount(here, weights=high, minlength=len(nodes))
        # Of clusters that hold equally many, the smallest.
        best = int(np.lexsort((size, -held))[0])
        allowed = size <= size[best]
        as_good = 0
        for _ in range(repeats):
            dealt = np.bincount(here, weights=rng.permutation(high), minlength=len(nodes))
            as_good += bool(dealt[allowed].max() >= held[best])
        result.append(
            Enrichment(
                depth=int(depth),
                cluster=int(nodes[best]),
                share_of_rows=float(size[best] / tree.n),
                share_of_high=float(held[best] / high.sum()),
                p_value=(as_good + 1) / (repeats + 1),
            )
        )
    return result


def share_for_half(
    names: IntArray, rows: IntArray, values: FloatArray, *, threshold: float = -5.0
) -> float:
    """Return the smallest share of rows whose clusters hold half of the high labels.

    Clusters are taken in order of high labels a row, densest first.

    Parameters
    ----------
    names
        Cluster of each row.
    rows
        Rows that are labels.
    values
        log10 of their conductivity, S/cm.
    threshold
        From which one is high.
    """
    high = values >= threshold
    nodes, place, size = np.unique(names, return_inverse=True, return_counts=True)
    held = np.bincount(place[rows], weights=high, minlength=len(nodes))
    order = np.argsort(-held / size, kind="stable")
    enough = int(np.searchsorted(np.cumsum(held[order]), high.sum() / 2))
    return float(size[order][: enough + 1].sum() / len(names))


def shortlist(
    tree: Tree,
    features: npt.NDArray[np.float32],
    rows: IntArray,
    values: FloatArray,
    *,
    depth: int = 241,
    threshold: float = -5.0,
) -> Shortlist:
    """Return the rows whose cluster holds a high label, or is nearest to one that does.

    Nearest is between centers, in the space of the descriptor; the paper's depth is 241 clusters.

    Parameters
    ----------
    threshold
        From which a value is high: log10 of sigma in S/cm.
    """
    names = cut(tree, [depth])[0]
    nodes, place, size = np.unique(names, return_inverse=True, return_counts=True)
    high = values >= threshold
    if not high.any():
        raise DataError(f"No label is at or above {threshold:g}. Choose a lower threshold.")
    holding = np.unique(place[rows[high]])
    centers = np.zeros((len(nodes), features.shape[1]))
    np.add.at(centers, place, features)
    centers /= size[:, None]
    nearest = set()
    for cluster in holding:
        away = np.linalg.norm(centers - centers[cluster], axis=1)
        away[cluster] = np.inf
        nearest.add(int(np.argmin(away)))
    beside = np.array(sorted(nearest - set(holding.tolist())), dtype=np.int64)
    chosen = np.flatnonzero(np.isin(place, np.concatenate([holding, beside])))
    holds = np.isin(place[chosen], holding)
    return Shortlist(
        depth=depth,
        rows=chosen,
        reasons=tuple("holds" if one else "nearest" for one in holds),
        holding=nodes[holding],
        nearest=nodes[beside],
    )
