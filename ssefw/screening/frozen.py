"""Fitted classifiers as plain arrays: saved without pickle, evaluated without their library.

A saved model must not run code when it is read, and must still be readable after scikit-learn,
LightGBM or XGBoost have changed. The nine classifiers reduce to four forms: trees, a line, normal
distributions, and stored neighbors. Each predicts the probability of class 1.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.screening.frozen_checks import CHECKS, check_scaler

__all__ = [
    "NODES",
    "Frozen",
    "checked_nodes",
    "freeze",
    "freeze_nodes",
    "join_frozen",
    "part_frozen",
]

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Frozen:
    """A fitted binary classifier: its form and the arrays that define it.

    Attributes
    ----------
    form
        ``trees``, ``line``, ``normal`` or ``neighbors``.
    arrays
        What was learned; see the functions of this module for names and shapes.
    """

    form: str
    arrays: Mapping[str, npt.NDArray[Any]]

    def probability(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the probability of class 1 for each row of features, shape (n,)."""
        width = features.shape[1]
        if width < self.n_features or (width > self.n_features and self.form != "trees"):
            raise DataError(
                f"A classifier of {self.n_features} features is given {width}; the model is "
                "damaged or was written by another version. Train it again."
            )
        predict = _PREDICT[self.form]
        return predict(self.arrays, np.ascontiguousarray(features, dtype=np.float64))

    @cached_property
    def n_features(self) -> int:
        """Features that it looks at, of trees the last of them; everything is checked here once.

        Raises
        ------
        DataError
            If the form is unknown, or the arrays are not those of such a classifier: compiled code
            would run along a circle of nodes for ever, or out of its memory.
        """
        try:
            count = CHECKS[self.form]
        except KeyError:
            raise DataError(
                f"Unknown form of classifier {self.form!r}. Known: {', '.join(sorted(CHECKS))}."
            ) from None
        try:
            n_features = count(self.arrays)
            if "shift" in self.arrays:
                n_features = check_scaler(self.arrays, n_features)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"a classifier of {self.form} is damaged: {error}") from error
        return n_features


def join_frozen(members: Sequence[Frozen]) -> tuple[dict[str, Any], Arrays]:
    """Return many classifiers as JSON and a few long arrays: those of one name end to end."""
    shapes: list[dict[str, list[int]]] = []
    columns: dict[str, list[npt.NDArray[Any]]] = {}
    for member in members:
        shapes.append({name: list(array.shape) for name, array in member.arrays.items()})
        for name, array in member.arrays.items():
            columns.setdefault(name, []).append(np.ravel(array))
    arrays = {f"member_{name}": np.concatenate(parts) for name, parts in columns.items()}
    return {"forms": [member.form for member in members], "shapes": shapes}, arrays


def part_frozen(layout: Mapping[str, Any], arrays: Mapping[str, Any]) -> list[Frozen]:
    """Return the classifiers that `join_frozen` joined."""
    used: dict[str, int] = {}
    members = []
    for form, shapes in zip(layout["forms"], layout["shapes"], strict=True):
        own: Arrays = {}
        for name, shape in shapes.items():
            start = used.get(name, 0)
            if not all(isinstance(size, int) and size >= 0 for size in shape):
                raise DataError(f"the array {name!r} of a classifier has the shape {shape}")
            size = math.prod(shape)
            own[name] = arrays[f"member_{name}"][start : start + size].reshape(shape)
            used[name] = start + size
        member = Frozen(form, own)
        assert member.n_features >= 0  # checks the arrays
        members.append(member)
    return members


def freeze(fitted: Any) -> Frozen:
    """Return a fitted classifier as arrays; a scaler before it is folded in.

    Raises
    ------
    TypeError
        If the classifier is of a kind that has no form here.
    """
    shift, scale = None, None
    if type(fitted).__name__ == "Pipeline":
        scaler, fitted = fitted[0], fitted[-1]
        shift, scale = scaler.mean_, scaler.scale_
    kind = type(fitted).__name__
    if kind not in _FREEZE:
        raise TypeError(f"no frozen form for {kind}; known: {sorted(_FREEZE)}")
    frozen = _FREEZE[kind](fitted)
    if shift is not None:
        arrays = {**frozen.arrays, "shift": shift, "scale": scale}
        return Frozen(frozen.form, arrays)
    return frozen


def freeze_nodes(trees: Sequence[Any]) -> Arrays:
    """Return the nodes of fitted trees of scikit-learn; what their leaves say is kept elsewhere."""
    roots = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]

    def joined(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    offset = np.repeat(roots, [tree.node_count for tree in trees])
    left, right = joined("children_left"), joined("children_right")
    is_leaf = left < 0
    return {
        "feature": np.where(is_leaf, -1, joined("feature")).astype(np.int32),
        "threshold": np.where(is_leaf, 0.0, joined("threshold")),
        "left": np.where(is_leaf, -1, left + offset).astype(np.int32),
        "right": np.where(is_leaf, -1, right + offset).astype(np.int32),
        "roots": roots.astype(np.int32),
    }


NODES = ("feature", "threshold", "left", "right", "roots")
"""Arrays that say which leaf a row reaches."""


def checked_nodes(arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[Arrays, int]:
    """Return the nodes among arrays that were read, and how many features they look at.

    Raises
    ------
    DataError
        If they are those of no trees.
    """
    nodes = {name: arrays[name] for name in NODES}
    rest = {"sigmoid": np.array(0), "single": np.array(1), "start": np.array(0.0)}
    whole = {**nodes, **rest, "value": np.zeros(len(nodes["feature"]))}
    return nodes, Frozen("trees", whole).n_features


def _scaled(
    arrays: Mapping[str, npt.NDArray[Any]], features: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    if "shift" not in arrays:
        return features
    result: npt.NDArray[np.float64] = (features - arrays["shift"]) / arrays["scale"]
    return result


def _sigmoid(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-x)), dtype=np.float64)


# Trees. A node is a leaf where its feature is -1; `roots` are the first nodes of the trees.
# `link` says how the sum of leaves becomes a probability: its mean, or the sigmoid of sum + start.


class _TreeWriter:
    """Collects the nodes of many trees into flat arrays."""

    def __init__(self) -> None:
        self.feature: list[int] = []
        self.threshold: list[float] = []
        self.left: list[int] = []
        self.right: list[int] = []
        self.value: list[float] = []
        self.roots: list[int] = []

    def leaf(self, value: float) -> int:
        return self._add(-1, 0.0, value)

    def inner(self, feature: int, threshold: float) -> int:
        return self._add(feature, threshold, 0.0)

    def _add(self, feature: int, threshold: float, value: float) -> int:
        self.feature.append(feature)
        self.threshold.append(threshold)
        self.left.append(-1)
        self.right.append(-1)
        self.value.append(value)
        return len(self.feature) - 1

    def frozen(self, *, link: str, start: float = 0.0, single: bool = False) -> Frozen:
        arrays = {
            "feature": np.array(self.feature, dtype=np.int32),
            "threshold": np.array(self.threshold),
            "left": np.array(self.left, dtype=np.int32),
            "right": np.array(self.right, dtype=np.int32),
            "value": np.array(self.value),
            "roots": np.array(self.roots, dtype=np.int32),
            "sigmoid": np.array(link == "sigmoid"),
            "start": np.array(start),
            "single": np.array(single),
        }
        return Frozen("trees", arrays)


def _add_sklearn_tree(writer: _TreeWriter, tree: Any, leaf: Callable[[int], float]) -> None:
    offset = len(writer.feature)
    for node in range(tree.node_count):
        if tree.children_left[node] < 0:
            writer.leaf(leaf(node))
        else:
            # scikit-learn casts features to single precision and compares with <=.
            here = writer.inner(int(tree.feature[node]), float(tree.threshold[node]))
            writer.left[here] = offset + int(tree.children_left[node])
            writer.right[here] = offset + int(tree.children_right[node])
    writer.roots.append(offset)


def _share_of_one(tree: Any) -> Callable[[int], float]:
    values = tree.value[:, 0, :]
    return lambda node: float(values[node, 1] / values[node].sum())


def _scaled_leaf(tree: Any, rate: float) -> Callable[[int], float]:
    values = tree.value[:, 0, 0]
    return lambda node: rate * float(values[node])


def _freeze_tree(fitted: Any) -> Frozen:
    writer = _TreeWriter()
    _add_sklearn_tree(writer, fitted.tree_, _share_of_one(fitted.tree_))
    return writer.frozen(link="mean", single=True)


def _freeze_forest(fitted: Any) -> Frozen:
    writer = _TreeWriter()
    for member in fitted.estimators_:
        _add_sklearn_tree(writer, member.tree_, _share_of_one(member.tree_))
    return writer.frozen(link="mean", single=True)


def _freeze_gradient_boosting(fitted: Any) -> Frozen:
    writer = _TreeWriter()
    rate = fitted.learning_rate
    for (member,) in fitted.estimators_:
        _add_sklearn_tree(writer, member.tree_, _scaled_leaf(member.tree_, rate))
    share = float(fitted.init_.class_prior_[1])
    return writer.frozen(link="sigmoid", start=float(np.log(share / (1 - share))), single=True)


def _freeze_lightgbm(fitted: Any) -> Frozen:
    writer = _TreeWriter()

    def walk(node: dict[str, Any]) -> int:
        if "leaf_value" in node:
            return writer.leaf(float(node["leaf_value"]))
        here = writer.inner(int(node["split_feature"]), float(node["threshold"]))
        writer.left[here] = walk(node["left_child"])
        writer.right[here] = walk(node["right_child"])
        return here

    for tree in fitted.booster_.dump_model()["tree_info"]:
        writer.roots.append(walk(tree["tree_structure"]))
    return writer.frozen(link="sigmoid")


def _freeze_xgboost(fitted: Any) -> Frozen:
    record = json.loads(fitted.get_booster().save_raw("json"))["learner"]
    base = np.float32(str(record["learner_model_param"]["base_score"]).strip("[]"))
    writer = _TreeWriter()
    for tree in record["gradient_booster"]["model"]["trees"]:
        offset = len(writer.feature)
        for node, child in enumerate(tree["left_children"]):
            condition = np.float32(tree["split_conditions"][node])
            if child < 0:
                writer.leaf(float(condition))
                continue
            # XGBoost goes left where x < t in single precision: x <= the number just below t.
            below = np.nextafter(condition, np.float32(-np.inf))
            here = writer.inner(int(tree["split_indices"][node]), float(below))
            writer.left[here] = offset + int(child)
            writer.right[here] = offset + int(tree["right_children"][node])
        writer.roots.append(offset)
    start = float(np.log(base / (1 - base)))
    return writer.frozen(link="sigmoid", start=start, single=True)


def _predict_trees(
    arrays: Mapping[str, npt.NDArray[Any]], features: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    x = _scaled(arrays, features)
    if arrays["single"]:
        x = x.astype(np.float32).astype(np.float64)
    names = ("feature", "threshold", "left", "right", "value", "roots")
    # Compiled, half a second to import: whoever predicts nothing need not wait for it.
    from ssefw.screening.tree_sums import sum_of_leaves  # noqa: PLC0415

    total = np.asarray(sum_of_leaves(x, *(arrays[name] for name in names)))
    if arrays["sigmoid"]:
        return _sigmoid(total + float(arrays["start"]))
    return np.asarray(total / len(arrays["roots"]))


# A line: probability = sigmoid(slope . x + intercept).


def _freeze_line(fitted: Any) -> Frozen:
    return Frozen("line", {"slope": fitted.coef_[0], "intercept": np.array(fitted.intercept_[0])})


def _predict_line(
    arrays: Mapping[str, npt.NDArray[Any]], features: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return _sigmoid(_scaled(arrays, features) @ arrays["slope"] + float(arrays["intercept"]))


# Normal distributions: one mean and variance for each class and feature, shape (2, n_features).


def _freeze_normal(fitted: Any) -> Frozen:
    return Frozen(
        "normal",
        {"mean": fitted.theta_, "variance": fitted.var_, "prior": fitted.class_prior_},
    )


def _predict_normal(
    arrays: Mapping[str, npt.NDArray[Any]], features: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    x = _scaled(arrays, features)
    log = [
        np.log(arrays["prior"][k])
        - 0.5 * np.log(2 * np.pi * arrays["variance"][k]).sum()
        - 0.5 * ((x - arrays["mean"][k]) ** 2 / arrays["variance"][k]).sum(axis=1)
        for k in (0, 1)
    ]
    return _sigmoid(np.clip(log[1] - log[0], -700, 700))


# Neighbors: the labeled points, and how many of the nearest vote.


def _freeze_neighbors(fitted: Any) -> Frozen:
    return Frozen(
        "neighbors",
        {
            "points": np.asarray(fitted._fit_X),  # noqa: SLF001 - scikit-learn has no public name
            "classes": np.asarray(fitted._y),  # noqa: SLF001
            "k": np.array(fitted.n_neighbors),
            "by_distance": np.array(fitted.weights == "distance"),
        },
    )


def _predict_neighbors(
    arrays: Mapping[str, npt.NDArray[Any]], features: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    x = _scaled(arrays, features)
    k = int(arrays["k"])
    probability = np.empty(len(x))
    for start in range(0, len(x), 512):
        part = x[start : start + 512]
        distance = np.sqrt(((part[:, None, :] - arrays["points"][None]) ** 2).sum(axis=2))
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
        votes = arrays["classes"][nearest].astype(float)
        weight = np.ones_like(votes)
        if arrays["by_distance"]:
            near = np.take_along_axis(distance, nearest, axis=1)
            exact = near == 0
            with np.errstate(divide="ignore"):
                weight = np.where(exact.any(axis=1, keepdims=True), exact, 1.0 / near)
        probability[start : start + 512] = (votes * weight).sum(axis=1) / weight.sum(axis=1)
    return probability


_PREDICT: dict[
    str,
    Callable[[Mapping[str, npt.NDArray[Any]], npt.NDArray[np.float64]], npt.NDArray[np.float64]],
] = {
    "trees": _predict_trees,
    "line": _predict_line,
    "normal": _predict_normal,
    "neighbors": _predict_neighbors,
}
_FREEZE: dict[str, Callable[[Any], Frozen]] = {
    "DecisionTreeClassifier": _freeze_tree,
    "RandomForestClassifier": _freeze_forest,
    "ExtraTreesClassifier": _freeze_forest,
    "GradientBoostingClassifier": _freeze_gradient_boosting,
    "LGBMClassifier": _freeze_lightgbm,
    "XGBClassifier": _freeze_xgboost,
    "LogisticRegression": _freeze_line,
    "SGDClassifier": _freeze_line,
    "GaussianNB": _freeze_normal,
    "KNeighborsClassifier": _freeze_neighbors,
}
