"""Systems and baselines over the same splits of one label set, and how they compare.

Every contestant learns from the same rows and is asked about the same rows. Differences are to one
of them, on the same draws of groups, so that what makes a split hard for all cancels.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ssefw.data.dataset import Dataset
from ssefw.data.splits import Split
from ssefw.documents import Estimate, Evaluation
from ssefw.errors import DataError, SsefwError
from ssefw.screening.base import Screener, make_screener
from ssefw.screening.baselines import BASELINES
from ssefw.screening.evaluation.evaluate import (
    Predictions,
    evaluation_of,
    hold_out,
    joined_predictions,
    numbers_in,
)
from ssefw.screening.evaluation.metrics import N_BOOTSTRAP, difference_with_intervals
from ssefw.screening.evaluation.regression_metrics import measure_numbers
from ssefw.screening.parallel import delayed, run_tasks

__all__ = [
    "REFERENCE",
    "Contestant",
    "Trial",
    "Validation",
    "baselines",
    "compared",
    "difference",
    "system",
    "trials",
]

REFERENCE = "plain extra trees"
"""The baseline that differences are to."""


@dataclass(frozen=True)
class Contestant:
    """Who takes part: a name, and what makes a fresh one."""

    name: str
    make: Callable[[], Any]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """One contestant on one split: its predictions, or why there are none."""

    contestant: str
    split: str
    seconds: float
    predictions: Predictions | None = None
    problem: str = ""


@dataclass(frozen=True)
class Validation:
    """What came of a validation.

    Attributes
    ----------
    evaluations
        By contestant, in the order of the contestants.
    differences
        By contestant: measure less that of `reference`, with paired intervals.
    failures
        By contestant that could not be measured: the reason.
    seconds
        Of fitting and scoring, by contestant.
    """

    protocol: str
    evaluations: dict[str, Evaluation]
    differences: dict[str, dict[str, Estimate]]
    failures: dict[str, str]
    seconds: dict[str, float]
    reference: str = REFERENCE


def system(name: str, settings: Mapping[str, Any], *, called: str = "") -> Contestant:
    """Return a screening system as a contestant; wrong settings are refused here."""
    made: Screener = make_screener(name, settings)
    return Contestant(called or name, partial(make_screener, name, dict(settings)), made.settings())


def baselines() -> list[Contestant]:
    """Return the baselines as contestants."""
    return [Contestant(name, partial(deepcopy, one)) for name, one in BASELINES.items()]


def trials(
    contestants: Sequence[Contestant],
    data: Dataset,
    splits: Sequence[Split],
    *,
    workers: int = 1,
) -> Iterator[Trial]:
    """Yield a trial for each contestant and split, contestant by contestant.

    Parameters
    ----------
    workers
        Processes; the result does not depend on it.
    """
    tasks = [
        delayed(_trial)(contestant, data, split, number)
        for contestant in contestants
        for number, split in enumerate(splits)
    ]
    yield from run_tasks(tasks, workers=min(workers, len(tasks)))


def _trial(contestant: Contestant, data: Dataset, split: Split, number: int) -> Trial:
    start = time.perf_counter()
    found, problem = None, ""
    try:
        found = hold_out(contestant.make, data, split, number)
    except SsefwError as error:
        problem = f"{split.name}: {error}"
    seconds = time.perf_counter() - start
    return Trial(contestant.name, split.name, seconds, predictions=found, problem=problem)


def compared(
    found: Sequence[Trial],
    contestants: Sequence[Contestant],
    data: Dataset,
    *,
    protocol: str,
    seed: int = 0,
    draws: int = N_BOOTSTRAP,
) -> Validation:
    """Return the measures of all contestants, and how each differs from the reference.

    Parameters
    ----------
    found
        What `trials` yielded for these contestants.
    protocol
        How rows were held out, in words.
    draws
        Of groups, for the intervals.

    Raises
    ------
    DataError
        If no contestant could be measured.
    """
    failures: dict[str, str] = {}
    predictions: dict[str, Predictions] = {}
    for contestant in contestants:
        own = [trial for trial in found if trial.contestant == contestant.name]
        if problem := next((trial.problem for trial in own if trial.problem), ""):
            failures[contestant.name] = problem
        else:
            parts = [trial.predictions for trial in own if trial.predictions is not None]
            predictions[contestant.name] = joined_predictions(parts)
    if not predictions:
        name, problem = next(iter(failures.items()))
        raise DataError(f"Nothing could be measured. {name}, {problem}")
    evaluations = {
        one.name: evaluation_of(
            predictions[one.name],
            data,
            name=one.name,
            settings=one.settings,
            protocol=protocol,
            seed=seed,
            draws=draws,
        )
        for one in contestants
        if one.name in predictions
    }
    reference = predictions.get(REFERENCE)
    return Validation(
        protocol=protocol,
        evaluations=evaluations,
        differences={
            name: difference(own, reference, data, seed=seed, draws=draws)
            for name, own in predictions.items()
            if reference is not None and name != REFERENCE
        },
        failures=failures,
        seconds={
            one.name: sum(trial.seconds for trial in found if trial.contestant == one.name)
            for one in contestants
        },
    )


def difference(
    own: Predictions,
    other: Predictions,
    data: Dataset,
    *,
    seed: int = 0,
    draws: int = N_BOOTSTRAP,
) -> dict[str, Estimate]:
    """Return how much larger each measure is than that of another on the same rows.

    Parameters
    ----------
    own, other
        Predictions of two contestants, made on the same splits.
    draws
        Of groups, the same for both.
    """
    y, groups = data.y[own.rows], data.groups[own.rows]
    found = difference_with_intervals(
        y, own.probability, other.probability, groups=groups, seed=seed, n=draws
    )
    if own.log_sigma is not None and other.log_sigma is not None:
        # The reference states no interval, so that widths and coverages have no difference.
        mine = replace(numbers_in(own, data), lower=None, upper=None)
        theirs = numbers_in(other, data)
        found |= measure_numbers(mine, groups=groups, other=theirs, seed=seed, n=draws)
    return {name: value for name, value in found.items() if np.isfinite(value.value or np.nan)}
