"""Trees evaluated on many rows at once, compiled."""

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["sum_of_leaves"]


@numba.njit(cache=True)
def _leaf(  # noqa: PLR0917 - numba takes flat arrays
    values: npt.NDArray[np.float64],
    feature: npt.NDArray[np.int32],
    threshold: npt.NDArray[np.float64],
    left: npt.NDArray[np.int32],
    right: npt.NDArray[np.int32],
    root: int,
) -> int:
    """Return the leaf that a row of features reaches in the tree of a root."""
    node = root
    while feature[node] >= 0:
        node = left[node] if values[feature[node]] <= threshold[node] else right[node]
    return node


@numba.njit(cache=True)
def sum_of_leaves(  # noqa: PLR0917 - numba takes flat arrays
    features: npt.NDArray[np.float64],
    feature: npt.NDArray[np.int32],
    threshold: npt.NDArray[np.float64],
    left: npt.NDArray[np.int32],
    right: npt.NDArray[np.int32],
    value: npt.NDArray[np.float64],
    roots: npt.NDArray[np.int32],
) -> npt.NDArray[np.float64]:
    """Return for each row the sum of the leaves it reaches, one of each tree.

    Parameters
    ----------
    features
        Shape (n_rows, n_features).
    feature, threshold, left, right
        Of each node: the feature it asks for (negative in a leaf), the value up to which a row
        goes left, and the nodes it goes to.
    value
        What a leaf adds.
    roots
        The first node of each tree.
    """
    total = np.zeros(features.shape[0])
    for row in range(features.shape[0]):
        for root in roots:
            node = _leaf(features[row], feature, threshold, left, right, root)
            total[row] += value[node]
    return total
