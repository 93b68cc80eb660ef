"""What the arrays of a saved classifier must be before they are used.

A file may be damaged, or made by somebody who means harm: an index out of range would end the
process, and a child before its parent would never end.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CHECKS", "check_scaler", "check_trees"]


def _demand(holds: bool, what: str) -> None:  # noqa: FBT001 - a condition, not a flag
    if not holds:
        raise ValueError(what)


def _numbers(arrays: Mapping[str, npt.NDArray[Any]], name: str, ndim: int) -> npt.NDArray[Any]:
    """Return an array of finite real numbers of so many dimensions."""
    array = arrays[name]
    _demand(array.dtype.kind in "biuf", f"{name} is of {array.dtype}")
    _demand(array.ndim == ndim, f"{name} has the shape {array.shape}")
    _demand(bool(np.isfinite(array).all()), f"{name} holds what is no number")
    return array


def _indices(arrays: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    array = _numbers(arrays, name, 1)
    _demand(array.dtype.kind == "i", f"{name} is of {array.dtype}")
    return array


def check_trees(arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    """Return how many features the trees ask for."""
    feature = _indices(arrays, "feature")
    n = len(feature)
    left, right, roots = (_indices(arrays, name) for name in ("left", "right", "roots"))
    for name in ("threshold", "value"):
        _demand(len(_numbers(arrays, name, 1)) == n, f"{name} is not one for each node")
    _demand(len(left) == len(right) == n, "children are not two for each node")
    _demand(len(roots) > 0 and roots.min() >= 0 and roots.max() < n, "roots are no nodes")
    for name in ("sigmoid", "single", "start"):
        _numbers(arrays, name, 0)
    inner = np.flatnonzero(feature >= 0)
    for child in (left[inner], right[inner]):
        # Written parents first, so that a child behind its parent is on no circle.
        _demand(bool((child > inner).all() and (child < n).all()), "children are no later nodes")
    return int(feature.max()) + 1 if len(inner) else 0


def _check_line(arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    _numbers(arrays, "intercept", 0)
    return len(_numbers(arrays, "slope", 1))


def _check_normal(arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    mean, variance = _numbers(arrays, "mean", 2), _numbers(arrays, "variance", 2)
    prior = _numbers(arrays, "prior", 1)
    _demand(mean.shape == variance.shape and len(mean) == len(prior) == 2, "classes are not two")
    _demand(bool((variance > 0).all() and (prior > 0).all()), "variances are not positive")
    return int(mean.shape[1])


def _check_neighbors(arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    points, classes = _numbers(arrays, "points", 2), _numbers(arrays, "classes", 1)
    _demand(len(points) == len(classes), "points and classes are not as many")
    _demand(bool(np.isin(classes, (0, 1)).all()), "classes are not 0 and 1")
    _demand(1 <= int(_numbers(arrays, "k", 0)) <= len(points), "k is no number of points")
    _numbers(arrays, "by_distance", 0)
    return int(points.shape[1])


def check_scaler(arrays: Mapping[str, npt.NDArray[Any]], n_features: int) -> int:
    """Return how many features are scaled, at least `n_features`."""
    shift, scale = _numbers(arrays, "shift", 1), _numbers(arrays, "scale", 1)
    _demand(len(shift) == len(scale) >= n_features, "shift and scale are not one a feature")
    _demand(bool((scale != 0).all()), "scale holds a zero")
    return len(shift)


CHECKS: dict[str, Callable[[Mapping[str, npt.NDArray[Any]]], int]] = {
    "trees": check_trees,
    "line": _check_line,
    "normal": _check_normal,
    "neighbors": _check_neighbors,
}
"""By form of classifier: returns how many features it needs.

Raises ValueError with what is wrong."""
