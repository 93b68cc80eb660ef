"""Search for networks over the published grid: a budget, pruning, and going on after a stop.

A trial trains one network for each of three inner folds at the same time. Trials that fall behind
are stopped by successive halving. What a search finds was chosen on all labels it was given:
evaluate on others.
"""

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.data.dataset import Dataset
from ssefw.data.splits import k_fold
from ssefw.errors import DataError, MissingDependencyError
from ssefw.screening.atomsets.checkpoints import fingerprint
from ssefw.screening.atomsets.network import PAPER, AtomSetBatch, NetworkConfig
from ssefw.screening.atomsets.sources import WeightedSet
from ssefw.screening.atomsets.training import feature_scale, train_networks

__all__ = ["GRID", "search_networks"]

logger = logging.getLogger(__name__)

GRID: dict[str, list[Any]] = {
    "layers": [2, 3, 4],
    "neurons": [32, 64, 128, 256],
    "dropout": [0.1, 0.15, 0.2, 0.25, 0.3],
    "dropout_final": [0.1, 0.15, 0.2, 0.25, 0.3],
    "l2": [1e-4, 1e-3, 1e-2, 1e-1, 1.0],
    "l2_final": [1e-4, 1e-3, 1e-2, 1e-1, 1.0],
    "batch": [32, 64, 128],
    "rate": [2e-5, 4e-5, 6e-5, 8e-5, 1e-4],
    "rate_max": [1e-4, 1e-3, 3e-3, 5e-3, 7e-3],
}
"""What McHaffie et al. 2025 searched with LAMB."""
ADAM: dict[str, list[Any]] = {
    **{name: values for name, values in GRID.items() if name != "rate_max"},
    "rate": [5e-4, 1e-3, 2e-3, 4e-3],
    "pooling": ["set2set", "statistics"],
    "noise": [0.0, 0.1, 0.3],
    "smoothing": [0.0, 0.1, 0.2],
}
"""The same with rates for Adam, and what was found to matter beside it."""
KEPT = 10
FOLDS = 3
FIRST_LOOK = 10


def search_networks(
    sets: list[WeightedSet],
    data: Dataset,
    *,
    trials: int,
    seed: int = 0,
    seconds: float = 3600.0,
    folder: Path | None = None,
    optimizer: str = "adam",
    epochs: int = 120,
) -> list[dict[str, Any]]:
    """Return the ten configurations with the smallest mean loss over inner folds, best first.

    Parameters
    ----------
    seconds
        Wall time after which no further trial is started.
    folder
        Where trials are kept; a search on the same labels goes on with what is there.

    Raises
    ------
    MissingDependencyError
        If optuna is not installed.
    DataError
        If no trial was finished.
    """
    try:
        optuna = import_module("optuna")
    except ImportError as error:
        raise MissingDependencyError("optuna", purpose="Searching hyper-parameters") from error
    batch, learns = _inner_folds(sets, data, seed=seed)
    space, fixed = (ADAM, {}) if optimizer == "adam" else (GRID, PAPER)

    def objective(trial: Any) -> float:
        chosen = {name: trial.suggest_categorical(name, values) for name, values in space.items()}
        config = NetworkConfig.from_settings(
            {**fixed, **chosen, "optimizer": optimizer, "epochs": epochs, "patience": 30}
        )

        def watch(epoch: int, loss: float) -> bool:
            if epoch % FIRST_LOOK == 0:
                trial.report(loss, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return False

        trained = train_networks(
            batch, data.y.astype(np.float64), learns, config, seed=seed, watch=watch
        )
        return float(trained.loss.mean())

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    key = fingerprint([space, optimizer, epochs, seed], sets, {"y": data.y, "learns": learns})
    study = _study(optuna, key, seed=seed, folder=folder)
    left = trials - len(_finished(optuna, study))
    if left < trials:
        logger.info("search: %d of %d trials are there already", trials - left, trials)
    if left > 0:
        study.optimize(objective, n_trials=left, timeout=seconds, callbacks=[_say(trials)])
    done = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    if not done:
        raise DataError(
            f"None of {trials} trials of the search was finished. Give more trials or time."
        )
    return _best(done, {**fixed, "optimizer": optimizer})


def _study(optuna: Any, key: str, *, seed: int, folder: Path | None) -> Any:
    """Return a new search, or the one that was kept under this key, to go on with."""
    storage = None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        storage = f"sqlite:///{folder / 'search.db'}"
    study = optuna.create_study(
        study_name=key,
        storage=storage,
        load_if_exists=True,
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST_LOOK * 2),
    )
    state = optuna.trial.TrialState
    for trial in study.trials:
        # What was running when the process was killed runs no more.
        if trial.state == state.RUNNING:
            study.tell(trial.number, state=state.FAIL)
    # With the same seed a search that goes on would draw its first trials once more.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def _finished(optuna: Any, study: Any) -> list[Any]:
    states = {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED}
    return [trial for trial in study.trials if trial.state in states]


def _say(trials: int) -> Callable[[Any, Any], None]:
    def said(study: Any, trial: Any) -> None:
        whole = trial.state.name == "COMPLETE"
        outcome = f"loss {trial.value:.4f}" if whole else "given up early"
        logger.info("search: trial %d of %d, %s", len(study.trials), trials, outcome)

    return said


def _inner_folds(
    sets: list[WeightedSet], data: Dataset, *, seed: int
) -> tuple[AtomSetBatch, npt.NDArray[np.bool_]]:
    """Return the labels as a batch, and which of them each fold learns from, shape (folds, n)."""
    learns = np.zeros((FOLDS, len(data)), dtype=bool)
    for row, split in enumerate(k_fold(data, k=FOLDS, seed=seed)):
        learns[row, split.train] = True
    center, scale = feature_scale(sets)
    return AtomSetBatch.of(sets, center=center, scale=scale), learns


def _best(done: list[Any], fixed: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for trial in sorted(done, key=lambda t: float(t.value)):
        settings = {**fixed, **trial.params}
        if settings not in found:
            found.append(settings)
    return found[:KEPT]
