"""How well clusters gather like labels: W, the sum of squared deviations from the clusters' means.

W of log10 conductivities is W_sigma, of activation energies W_Ea (Laskowski, McHaffie, See 2023).
A cluster with one label has no deviation, so that fine clusterings would look good for nothing; the
frozen-state rule keeps for a label that is alone the deviation it had at the next coarser depth,
down from that of a single cluster.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError

__all__ = [
    "cluster_variance",
    "expected_variance",
    "held_out_deviations",
    "random_control",
    "shuffled_control",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def cluster_variance(values: FloatArray, clusters: IntArray, *, frozen: bool = True) -> FloatArray:
    """Return W at each depth, shape (n_depths,).

    Parameters
    ----------
    values
        A number of each label, shape (n,), for example log10 of sigma in S/cm.
    clusters
        Cluster of each label at each depth, coarse to fine, shape (n_depths, n).
    frozen
        Whether a label that is alone keeps its deviation; else it has none.

    Raises
    ------
    DataError
        If there are fewer than two labels or one is not finite.
    """
    if len(values) < 2 or not np.isfinite(values).all():
        raise DataError(
            f"W takes at least two labels with finite values, got {len(values)}. Leave out what "
            "has no value, or match more labels to the pool."
        )
    deviation = (values - values.mean()) ** 2
    result = np.empty(len(clusters))
    for depth, names in enumerate(clusters):
        mean, count = _means(values, names)
        now = (values - mean) ** 2
        deviation = np.where(count > 1, now, deviation) if frozen else now
        result[depth] = deviation.sum()
    return result


def expected_variance(values: FloatArray, clusters: IntArray) -> FloatArray:
    """Return the expectation of W over shuffled labels, without the frozen rule.

    Shape (n_depths,): a cluster of m labels has (m - 1) s^2 on average, s^2 being the sample
    variance of all.
    """
    occupied = np.array([len(np.unique(names)) for names in clusters])
    return np.asarray((len(values) - occupied) * values.var(ddof=1))


def random_control(
    values: FloatArray,
    depths: Sequence[int] | IntArray,
    *,
    repeats: int = 100,
    seed: int = 0,
    frozen: bool = True,
) -> FloatArray:
    """Return W where each label is dealt to one of as many clusters as the depth has.

    Every depth is dealt anew, and the mean of the repeats returned, shape (n_depths,): the paper's
    control.

    Parameters
    ----------
    values
        Of the labels.
    depths
        Numbers of clusters.
    repeats
        How often labels are dealt.
    seed
        Of the dealing.
    frozen
        As for `cluster_variance`.
    """
    rng = np.random.default_rng(seed)
    number = np.asarray(depths, dtype=np.int64)[:, None]
    total = np.zeros(len(number))
    for _ in range(repeats):
        dealt = rng.integers(0, number, size=(len(number), len(values)))
        total += cluster_variance(values, dealt, frozen=frozen)
    return total / repeats


def shuffled_control(
    values: FloatArray,
    clusters: IntArray,
    *,
    repeats: int = 100,
    seed: int = 0,
    frozen: bool = True,
) -> FloatArray:
    """Return W of the same clusters with the values dealt out anew, mean of the repeats.

    Shape (n_depths,). This also keeps how unequal in size the clusters are: stricter than the
    random control, which any unequal clustering of labels differs from.

    Parameters
    ----------
    values
        Of the labels.
    clusters
        Of each label at each depth.
    repeats
        How often labels are dealt.
    seed
        Of the dealing.
    frozen
        As for `cluster_variance`.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros(len(clusters))
    for _ in range(repeats):
        total += cluster_variance(rng.permutation(values), clusters, frozen=frozen)
    return total / repeats


def held_out_deviations(
    values: FloatArray, clusters: IntArray, train: Sequence[int] | IntArray
) -> FloatArray:
    """Return the squared deviation of each label from the training labels of its cluster.

    Shape (n_depths, n). Where a cluster holds no training label, the next coarser depth that does
    speaks for it; the mean of all training labels comes first. For training labels the deviation
    counts the label itself and is no test.
    """
    index = np.asarray(train, dtype=np.int64)
    known = np.zeros(len(values), dtype=bool)
    known[index] = True
    mean = np.full(len(values), values[known].mean())
    result = np.empty(clusters.shape, dtype=float)
    for depth, names in enumerate(clusters):
        _, place = np.unique(names, return_inverse=True)
        count = np.bincount(place, weights=known)
        total = np.bincount(place, weights=np.where(known, values, 0.0))
        held = count[place] > 0
        mean = np.where(held, total[place] / np.maximum(count[place], 1), mean)
        result[depth] = (values - mean) ** 2
    return result


def _means(values: FloatArray, names: IntArray) -> tuple[FloatArray, IntArray]:
    """Return for each label the mean and the number of labels of its cluster."""
    _, place = np.unique(names, return_inverse=True)
    count = np.bincount(place)
    mean = np.bincount(place, weights=values) / count
    return mean[place], count[place]
