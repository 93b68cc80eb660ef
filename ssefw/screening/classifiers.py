"""The nine classifiers of Kang et al. 2022 (and extremely randomized trees) as one table.

A line of the table says where the class is, its settings, whether features are scaled before it,
and the space its hyper-parameters are searched in. Adding a classifier is adding a line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.errors import ConfigurationError, MissingDependencyError
from ssefw.screening.frozen import Frozen, freeze

__all__ = ["CLASSIFIERS", "Classifier", "Range", "classifier", "fit_classifier", "importances"]


@dataclass(frozen=True)
class Range:
    """Where a hyper-parameter is searched: between two numbers, or among choices."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Classifier:
    """A line of the table.

    Attributes
    ----------
    path
        Import path of the class.
    settings
        What it is made with where nothing is searched.
    space
        Hyper-parameter to the range it is searched in.
    is_scaled
        Whether features are brought to zero mean and unit variance first.
    is_seeded
        Whether it takes a random state.
    """

    path: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    space: Mapping[str, Range] = field(default_factory=dict)
    is_scaled: bool = False
    is_seeded: bool = True


_DEPTH = Range(2, 8, integer=True)
_RATE = Range(0.01, 0.3, log=True)
_TREES = Range(50, 400, log=True, integer=True)

CLASSIFIERS: dict[str, Classifier] = {
    "nb": Classifier(
        "sklearn.naive_bayes.GaussianNB",
        {"var_smoothing": 1e-3},
        {"var_smoothing": Range(1e-9, 1.0, log=True)},
        is_scaled=True,
        is_seeded=False,
    ),
    "lr": Classifier(
        "sklearn.linear_model.LogisticRegression",
        {"C": 0.1, "max_iter": 5000},
        {"C": Range(1e-3, 1e2, log=True)},
        is_scaled=True,
    ),
    "dt": Classifier(
        "sklearn.tree.DecisionTreeClassifier",
        {},
        {"max_depth": Range(2, 20, integer=True), "min_samples_leaf": Range(1, 10, integer=True)},
    ),
    "sgd": Classifier(
        "sklearn.linear_model.SGDClassifier",
        {"loss": "log_loss", "alpha": 1e-2, "max_iter": 5000},
        {"alpha": Range(1e-5, 1.0, log=True)},
        is_scaled=True,
    ),
    "knn": Classifier(
        "sklearn.neighbors.KNeighborsClassifier",
        {"n_neighbors": 5, "algorithm": "brute"},
        {
            "n_neighbors": Range(1, 20, integer=True),
            "weights": Range(choices=("uniform", "distance")),
        },
        is_scaled=True,
        is_seeded=False,
    ),
    "rf": Classifier(
        "sklearn.ensemble.RandomForestClassifier",
        {"n_estimators": 200},
        {"max_features": Range(0.05, 0.6), "min_samples_leaf": Range(1, 6, integer=True)},
    ),
    "et": Classifier(
        "sklearn.ensemble.ExtraTreesClassifier",
        {"n_estimators": 200},
        {"max_features": Range(0.05, 0.9), "min_samples_leaf": Range(1, 6, integer=True)},
    ),
    "gb": Classifier(
        "sklearn.ensemble.GradientBoostingClassifier",
        {"max_features": "sqrt", "subsample": 0.8},
        {
            "n_estimators": _TREES,
            "learning_rate": _RATE,
            "max_depth": _DEPTH,
            "subsample": Range(0.5, 1.0),
        },
    ),
    "lgbm": Classifier(
        "lightgbm.LGBMClassifier",
        {"min_child_samples": 10, "colsample_bytree": 0.3, "n_jobs": 1, "verbose": -1},
        {
            "n_estimators": _TREES,
            "learning_rate": _RATE,
            "num_leaves": Range(4, 63, log=True, integer=True),
            "min_child_samples": Range(3, 40, log=True, integer=True),
            "colsample_bytree": Range(0.1, 1.0),
        },
    ),
    "xgb": Classifier(
        "xgboost.XGBClassifier",
        {"max_depth": 4, "learning_rate": 0.1, "colsample_bytree": 0.3, "n_jobs": 1},
        {
            "n_estimators": _TREES,
            "learning_rate": _RATE,
            "max_depth": _DEPTH,
            "colsample_bytree": Range(0.1, 1.0),
        },
    ),
}
"""Short name to classifier; nb to xgb without et are the paper's nine."""


def classifier(name: str, *, seed: int, settings: Mapping[str, Any] | None = None) -> Any:
    """Return an unfitted classifier by its short name.

    Raises
    ------
    ConfigurationError
        If the name is not in the table.
    MissingDependencyError
        If its package is not installed.
    """
    if name not in CLASSIFIERS:
        raise ConfigurationError(
            f"Unknown classifier {name!r}. Known: {', '.join(sorted(CLASSIFIERS))}."
        )
    line = CLASSIFIERS[name]
    module, _, kind = line.path.rpartition(".")
    try:
        factory = getattr(import_module(module), kind)
    except ImportError as error:
        raise MissingDependencyError(module, purpose=f"The classifier {name!r}") from error
    chosen = {**line.settings, **(settings or {})}
    if line.is_seeded:
        chosen["random_state"] = seed
    made = factory(**chosen)
    if not line.is_scaled:
        return made
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415  slow to import; see `run_tasks`
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    return make_pipeline(StandardScaler(), made)


def fit_classifier(
    name: str,
    features: npt.NDArray[np.float64],
    y: npt.NDArray[np.int64],
    *,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Frozen, npt.NDArray[np.float64]]:
    """Fit a classifier; return it as arrays, with the importance of each feature (sum 1).

    Parameters
    ----------
    name
        In the table of classifiers.
    features
        Shape (n, d).
    y
        Classes, 0 or 1.
    seed
        Of what is random.
    settings
        In the place of the table's.
    """
    fitted = classifier(name, seed=seed, settings=settings).fit(features, y)
    return freeze(fitted), importances(fitted, features.shape[1])


def importances(fitted: Any, n_features: int) -> npt.NDArray[np.float64]:
    """Return the importance of each feature, summing to 1; zeros where the kind has none."""
    last = fitted[-1] if type(fitted).__name__ == "Pipeline" else fitted
    if hasattr(last, "feature_importances_"):
        values = np.asarray(last.feature_importances_, dtype=float)
    elif hasattr(last, "coef_"):
        values = np.abs(np.asarray(last.coef_, dtype=float)[0])
    else:
        return np.zeros(n_features)
    total = values.sum()
    return values / total if total > 0 else values
