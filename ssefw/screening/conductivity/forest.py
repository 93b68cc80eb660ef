"""A forest that answers with labels: how much of its leaves a material shares with each of them.

The trees are extremely randomized (Geurts et al., Machine Learning 63, 3, 2006) and parted so that
the answers to many thresholds at once become pure, not one number: a leaf then holds labels of one
distribution (Meinshausen, J. Mach. Learn. Res. 7, 983, 2006). A bound is no obstacle, since what it
leaves open is a share like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.screening.frozen import NODES, checked_nodes, freeze_nodes

__all__ = ["LabelForest"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelForest:
    """A fitted forest as arrays.

    Attributes
    ----------
    nodes
        Of all trees; see `ssefw.screening.frozen`.
    first, count
        Of each leaf: where its labels begin among `members`, and how many they are.
    members
        Rows of the labels of all leaves.
    importance
        Of each feature, summing to 1.
    """

    nodes: Mapping[str, npt.NDArray[Any]]
    n_features: int
    first: npt.NDArray[np.int32]
    count: npt.NDArray[np.int32]
    members: npt.NDArray[np.int32]
    n_labels: int
    importance: Floats

    @classmethod
    def fit(cls, features: Floats, answers: Floats, *, n_trees: int, seed: int) -> Self:
        """Fit trees to the answers of labels, shape (n, thresholds).

        Parameters
        ----------
        features
            Shape (n, d).
        answers
            Shape (n, thresholds).
        n_trees
            How many.
        seed
            Of what is random.
        """
        from sklearn.ensemble import ExtraTreesRegressor  # noqa: PLC0415  see `run_tasks`

        # The square root of the number of features, as is usual for classes.
        forest = ExtraTreesRegressor(n_trees, max_features="sqrt", random_state=seed)
        forest.fit(features, answers)
        nodes = freeze_nodes([tree.tree_ for tree in forest.estimators_])
        leaves = forest.apply(features) + nodes["roots"][None]
        order = np.argsort(leaves, axis=0, kind="stable")
        in_turn = np.take_along_axis(leaves, order, axis=0).T.ravel()
        found, start, size = np.unique(in_turn, return_index=True, return_counts=True)
        first, count = (np.zeros(len(nodes["feature"]), np.int32) for _ in range(2))
        first[found], count[found] = start, size
        members = order.T.ravel().astype(np.int32)
        return cls(
            nodes,
            features.shape[1],
            first,
            count,
            members,
            len(features),
            importance=forest.feature_importances_,
        )

    def shares(self, features: Floats) -> Floats:
        """Return how much of its leaves each row shares with each label, shape (n, labels)."""
        # Compiled, half a second to import: whoever predicts nothing need not wait for it.
        from ssefw.screening.tree_sums import leaf_shares  # noqa: PLC0415

        if features.shape[1] < self.n_features:
            raise DataError(
                f"A forest of {self.n_features} features is given {features.shape[1]}; the model "
                "is damaged or was written by another version. Train it again."
            )
        # scikit-learn compares in single precision.
        single = np.ascontiguousarray(features, dtype=np.float32).astype(np.float64)
        nodes = [self.nodes[name] for name in NODES]
        flat: list[Any] = [*nodes, self.first, self.count, self.members, self.n_labels]
        return np.asarray(leaf_shares(single, *flat))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `of_arrays` reads."""
        return {
            **self.nodes,
            "first": self.first,
            "count": self.count,
            "members": self.members,
            "importance": self.importance,
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], *, n_labels: int) -> Self:
        """Take over what `arrays` returned.

        Raises
        ------
        DataError
            If the arrays are not those of a forest over so many labels: compiled code would read
            out of its memory.
        """
        nodes, n_features = checked_nodes(arrays)
        first, count, members = (
            np.asarray(arrays[name], np.int32) for name in ("first", "count", "members")
        )
        leaves = nodes["feature"] < 0
        if not (
            len(first) == len(count) == len(leaves)
            and first.min() >= 0
            and count.min() >= 0
            and count[leaves].min() > 0
            and int((first.astype(np.int64) + count).max()) <= len(members)
            and members.min() >= 0
            and members.max() < n_labels
        ):
            raise DataError("the leaves of the forest hold other labels than the model has")
        return cls(
            nodes, n_features, first, count, members, n_labels, importance=arrays["importance"]
        )
