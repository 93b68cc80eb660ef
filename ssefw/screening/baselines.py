"""What a screening system must beat: a constant, the nearest composition, and plain forests.

They learn from the labels as scikit-learn's defaults do, with nothing tuned and nothing calibrated:
ten lines that anybody would write first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from ssefw.data.dataset import Dataset
from ssefw.data.labels.sets import log_conductivities
from ssefw.data.materials import Material
from ssefw.data.pettifor import cumulative_fractions
from ssefw.screening.base import Scores
from ssefw.screening.features import composition_features

__all__ = ["BASELINES", "Constant", "Learner", "NearestComposition", "PlainForest"]

Floats = npt.NDArray[np.float64]

TREES = 300
"""Of a forest: with more, its measures on 400 labels change by less than 0.005."""


class Learner(Protocol):
    """What can be validated: a screening system, or less."""

    def fit(self, data: Dataset) -> Any:
        """Learn from labels."""
        ...

    def score(self, materials: Sequence[Material]) -> Scores:
        """Score materials that were not learned from."""
        ...


@dataclass
class Constant:
    """The share of superionic labels and their mean log10 conductivity, for every material."""

    def fit(self, data: Dataset) -> Self:
        """Learn two numbers."""
        self._share = float(data.y.mean())
        self._middle = float(log_conductivities(data.labels).mean())
        return self

    def score(self, materials: Sequence[Material]) -> Scores:
        """Say them."""
        n = len(materials)
        return _scores(materials, np.full(n, self._share), np.full(n, self._middle))


@dataclass
class NearestComposition:
    """The label whose composition is nearest (earth mover's distance on the Pettifor scale)."""

    def fit(self, data: Dataset) -> Self:
        """Keep the labels."""
        self._known = cumulative_fractions([m.composition for m in data.materials])
        self._y = data.y.astype(float)
        self._log_sigma = log_conductivities(data.labels)
        return self

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return what the nearest label says; among equally near ones, their mean."""
        asked = cumulative_fractions([m.composition for m in materials])
        distance = cdist(asked, self._known, "cityblock")
        nearest = distance <= distance.min(axis=1, keepdims=True) + 1e-9
        weight = nearest / nearest.sum(axis=1, keepdims=True)
        return _scores(materials, weight @ self._y, weight @ self._log_sigma)


@dataclass
class PlainForest:
    """A forest of scikit-learn on the 145 descriptors of the composition.

    Attributes
    ----------
    kind
        ``ExtraTrees`` or ``RandomForest``.
    """

    kind: str = "ExtraTrees"
    seed: int = 0

    def fit(self, data: Dataset) -> Self:
        """Fit a classifier to the classes and a regressor to log10 sigma, bounds at themselves."""
        from sklearn import ensemble  # noqa: PLC0415  slow to import; see `run_tasks`

        features = composition_features([m.composition for m in data.materials])
        # scikit-learn's default for regression tries every descriptor at each node, which takes
        # twelve times as long as the default for classes.
        how = {"n_estimators": TREES, "random_state": self.seed, "max_features": "sqrt"}
        self._classifier = getattr(ensemble, f"{self.kind}Classifier")(**how)
        self._classifier.fit(features, data.y)
        self._regressor = getattr(ensemble, f"{self.kind}Regressor")(**how)
        self._regressor.fit(features, log_conductivities(data.labels))
        return self

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return the share of trees that say superionic, and the mean of the regressor's."""
        features = composition_features([m.composition for m in materials])
        probability = self._classifier.predict_proba(features)[:, 1]
        return _scores(materials, probability, self._regressor.predict(features))


def _scores(materials: Sequence[Material], probability: Floats, log_sigma: Floats) -> Scores:
    nothing = np.zeros(len(materials))
    return Scores(
        names=tuple(material.name for material in materials),
        probability=probability,
        spread=nothing,
        lower=probability,
        upper=probability,
        meaning="a baseline",
        log_sigma=log_sigma,
    )


BASELINES: dict[str, Learner] = {
    "constant": Constant(),
    "nearest composition": NearestComposition(),
    "plain extra trees": PlainForest("ExtraTrees"),
    "plain random forest": PlainForest("RandomForest"),
}
"""Unfitted baselines by name."""
