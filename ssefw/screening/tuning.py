"""Search of hyper-parameters within a budget, on splits of the labels it is given and no others.

Each trial is a mean log loss over folds that keep near-duplicates together; trials that fall
behind the median after a fold are stopped. Searching on all labels and then quoting the best
trial is not an evaluation: evaluate with settings that were searched on the training side.
"""

import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.data.dataset import Dataset
from ssefw.data.splits import k_fold
from ssefw.errors import ConfigurationError, MissingDependencyError
from ssefw.screening.classifiers import CLASSIFIERS, Range, classifier

__all__ = ["search_settings"]


def search_settings(
    kind: str,
    features: npt.NDArray[np.float64],
    data: Dataset,
    *,
    trials: int = 40,
    seconds: float = 120.0,
    folds: int = 5,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the settings of a classifier with the smallest mean log loss over folds.

    Parameters
    ----------
    features
        Descriptors of the rows of `data`, shape (n, n_features).
    seconds
        Wall time after which no further trial is started.

    Raises
    ------
    ConfigurationError
        If the classifier is not known.
    MissingDependencyError
        If optuna is not installed.
    """
    if kind not in CLASSIFIERS:
        raise ConfigurationError(
            f"Unknown classifier {kind!r}. Known: {', '.join(sorted(CLASSIFIERS))}."
        )
    try:
        optuna = import_module("optuna")
    except ImportError as error:
        raise MissingDependencyError("optuna", purpose="Searching hyper-parameters") from error
    from sklearn import metrics  # noqa: PLC0415  slow to import; see `run_tasks`

    splits = k_fold(data, k=folds, seed=seed)
    space = CLASSIFIERS[kind].space

    def objective(trial: Any) -> float:
        settings = {name: _suggest(trial, name, item) for name, item in space.items()}
        losses: list[float] = []
        for number, split in enumerate(splits):
            model = classifier(kind, seed=seed, settings=settings)
            model.fit(features[split.train], data.y[split.train])
            with warnings.catch_warnings():
                # LightGBM was fitted on an array and is asked with one; it warns all the same.
                warnings.simplefilter("ignore", UserWarning)
                p = model.predict_proba(features[split.test])[:, 1]
            losses.append(float(metrics.log_loss(data.y[split.test], p, labels=[0, 1])))
            trial.report(float(np.mean(losses)), number)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(losses))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    )
    study.optimize(objective, n_trials=trials, timeout=seconds)
    return dict(study.best_params)


def _suggest(trial: Any, name: str, item: Range) -> Any:
    if item.choices:
        return trial.suggest_categorical(name, _listed(item.choices))
    if item.integer:
        return trial.suggest_int(name, int(item.low), int(item.high), log=item.log)
    return trial.suggest_float(name, item.low, item.high, log=item.log)


def _listed(choices: Sequence[Any]) -> list[Any]:
    return list(choices)
