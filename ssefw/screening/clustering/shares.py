"""What the labels in the clusters around a row say of it, at all depths of a tree."""

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["nearest_rows", "shrunk_shares", "surroundings"]

Matrix = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def shrunk_shares(
    clusters: IntArray,
    y: IntArray,
    strength: float,
    *,
    shown: npt.NDArray[np.bool_] | None = None,
) -> FloatArray:
    """Return the share of positive labels around each row at each depth, shape of `clusters`.

    The first rows are labels, of which those not `shown` do not count. A new cluster's share counts
    its own labels and `strength` times that of the cluster it came out of.

    Parameters
    ----------
    clusters
        Of each row at each depth, shape (n, depths).
    y
        Classes of the labels, which are the first rows.
    strength
        Weight of the cluster that one came out of, in labels.
    shown
        Which labels count; all without.
    """
    n = len(y)
    counted = np.ones(n) if shown is None else shown.astype(float)
    positive = y * counted
    share = np.full(clusters.shape[1], positive.sum() / counted.sum())
    result = np.empty(clusters.shape)
    result[0] = share
    for depth in range(1, len(clusters)):
        new = np.setdiff1d(clusters[depth], clusters[depth - 1])
        for name in new:
            members = clusters[depth] == name
            inside = members[:n]
            # All of them shared one cluster before, so any tells what that had.
            around = share[np.argmax(members)]
            share[members] = (positive[inside].sum() + strength * around) / (
                counted[inside].sum() + strength
            )
        result[depth] = share
    return result


def surroundings(clusters: IntArray, log_sigma: FloatArray) -> dict[str, FloatArray]:
    """Return mean and spread of log10 sigma in the smallest cluster of a row with two labels.

    And how many labels that cluster has, and the row's cluster at the deepest clustering.
    """
    n_rows, n = clusters.shape[1], len(log_sigma)
    mean = np.full(n_rows, float(log_sigma.mean()))
    spread = np.full(n_rows, float(log_sigma.std()))
    count = np.full(n_rows, float(n))
    for depth in range(1, len(clusters)):
        for name in np.setdiff1d(clusters[depth], clusters[depth - 1]):
            members = clusters[depth] == name
            inside = log_sigma[members[:n]]
            if len(inside) > 1:
                mean[members], spread[members] = inside.mean(), inside.std()
                count[members] = len(inside)
    deepest = np.unique(clusters[-1], return_inverse=True)[1].astype(float)
    return {"log_sigma": mean, "log_sigma_spread": spread, "n_labels": count, "cluster": deepest}


@numba.njit(cache=True, fastmath=True)
def nearest_rows(rows: Matrix, known: Matrix) -> tuple[IntArray, FloatArray]:
    """Return for each row the first of the nearest known rows, and its distance.

    Differences, not products: equal rows are at distance zero, whatever else is scored with them.
    """
    index = np.zeros(len(rows), dtype=np.int64)
    distance = np.empty(len(rows))
    for row in range(len(rows)):
        best = np.inf
        for other in range(len(known)):
            total = np.float32(0.0)
            for axis in range(rows.shape[1]):
                gap = rows[row, axis] - known[other, axis]
                total += gap * gap
            if total < best:
                best = float(total)
                index[row] = other
        distance[row] = np.sqrt(best)
    return index, distance
