"""Measures of predicted conductivities, in decades, with intervals over groups of near-duplicates.

A label that is a bound (``< 1e-10 S/cm``) is no number. `mae`, `rmse`, `r2` and `spearman` put it
at the bound, as published numbers do; `mae_censored` counts for it only how far a prediction lies
beyond the bound, and an interval covers it if it reaches into what the bound allows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.data.labels.sets import log_conductivities
from ssefw.documents import Estimate, Label
from ssefw.screening.evaluation.metrics import (
    N_BOOTSTRAP,
    estimate_of,
    number_of_groups,
    resampled_rows,
)

__all__ = [
    "REGRESSION_METRICS",
    "Numbers",
    "bound_sides",
    "mean_ranks",
    "measure_numbers",
    "numbers_of",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Numbers:
    """What labels state of log10 of sigma (S/cm), and what was predicted; all of shape (n,).

    Attributes
    ----------
    stated
        The value, or the bound.
    side
        0 for a value, 1 for an upper and -1 for a lower bound.
    lower, upper
        The interval that was predicted; None of systems that state none.
    """

    stated: Floats
    side: Ints
    predicted: Floats
    lower: Floats | None = None
    upper: Floats | None = None

    def take(self, rows: Ints) -> "Numbers":
        """Return some rows, which may repeat."""
        return Numbers(
            self.stated[rows],
            self.side[rows],
            self.predicted[rows],
            None if self.lower is None else self.lower[rows],
            None if self.upper is None else self.upper[rows],
        )


def numbers_of(
    labels: Sequence[Label],
    predicted: Floats,
    lower: Floats | None = None,
    upper: Floats | None = None,
) -> Numbers:
    """Return labels beside predictions of log10 of their conductivity.

    Parameters
    ----------
    labels
        With what they state.
    predicted
        log10 of the conductivity in S/cm, shape (n,).
    lower, upper
        Ends of the intervals, where the system gives any.
    """
    return Numbers(log_conductivities(labels), bound_sides(labels), predicted, lower, upper)


def bound_sides(labels: Sequence[Label]) -> Ints:
    """Return 0 for a value, 1 for an upper bound, -1 for a lower bound, shape (n,)."""
    sides = {"upper_bound": 1, "lower_bound": -1}
    return np.array([sides.get(label.conductivity.kind, 0) for label in labels], dtype=np.int64)


def _mae(found: Numbers) -> float:
    return float(np.abs(found.predicted - found.stated).mean())


def _mae_censored(found: Numbers) -> float:
    error = found.predicted - found.stated
    beyond = np.where(found.side == 0, np.abs(error), np.maximum(0.0, found.side * error))
    return float(beyond.mean())


def _rmse(found: Numbers) -> float:
    return float(np.sqrt(((found.predicted - found.stated) ** 2).mean()))


def _r2(found: Numbers) -> float:
    spread = float(((found.stated - found.stated.mean()) ** 2).sum())
    rest = float(((found.predicted - found.stated) ** 2).sum())
    return 1.0 - rest / spread if spread > 0 else float("nan")


def _spearman(found: Numbers) -> float:
    """Return the correlation of the ranks; ties share their mean rank. NaN of constants."""
    ranks = [mean_ranks(values) for values in (found.stated, found.predicted)]
    centered = [rank - rank.mean() for rank in ranks]
    scale = float(np.sqrt((centered[0] ** 2).sum() * (centered[1] ** 2).sum()))
    return float((centered[0] * centered[1]).sum()) / scale if scale > 0 else float("nan")


def mean_ranks(values: Floats) -> Floats:
    """Return the rank of each value, from 0; equal ones share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place])


def _coverage(found: Numbers) -> float:
    if found.lower is None or found.upper is None:
        return float("nan")
    # Of a bound it is known only that the truth lies on one side of it.
    reaches_down = (found.lower <= found.stated) | (found.side == -1)
    reaches_up = (found.upper >= found.stated) | (found.side == 1)
    return float((reaches_down & reaches_up).mean())


def _width(found: Numbers) -> float:
    if found.lower is None or found.upper is None:
        return float("nan")
    return float((found.upper - found.lower).mean())


REGRESSION_METRICS: dict[str, tuple[str, Callable[[Numbers], float]]] = {
    "mae": ("decades", _mae),
    "mae_censored": ("decades", _mae_censored),
    "rmse": ("decades", _rmse),
    "r2": ("", _r2),
    "spearman": ("", _spearman),
    "coverage": ("", _coverage),
    "width": ("decades", _width),
}
"""Unit and measure by name; NaN where it has no meaning."""


def measure_numbers(
    found: Numbers,
    *,
    groups: Sequence[int] | Ints,
    other: Numbers | None = None,
    seed: int = 0,
    n: int = N_BOOTSTRAP,
) -> dict[str, Estimate]:
    """Return every measure that has a value, with its 95 % interval over resampled groups.

    Parameters
    ----------
    other
        Predictions of the same rows by another system: then the measures are how much larger ours
        are, on the same draws.
    """

    def values(rows: Ints) -> dict[str, float]:
        own = found.take(rows)
        beside = None if other is None else other.take(rows)
        return {
            name: function(own) - (0.0 if beside is None else function(beside))
            for name, (_, function) in REGRESSION_METRICS.items()
        }

    whole = values(np.arange(len(found.stated)))
    known = [name for name, value in whole.items() if np.isfinite(value)]
    draws = [values(rows) for rows in resampled_rows(groups, seed=seed, n=n)]
    method = f"bootstrap of {number_of_groups(groups)} groups of near-duplicates, {n} draws"
    return {
        name: estimate_of(
            whole[name],
            np.array([draw[name] for draw in draws]),
            method,
            unit=REGRESSION_METRICS[name][0],
        )
        for name in known
    }
