"""Whether the next run of a disordered crystal is a further one of an arrangement, or a new one.

The interval of the crystal's conductivity holds two things: how well the runs of each arrangement
know its own, and how far arrangements differ. More runs narrow only the first, more arrangements
both. Either is put into the same model with what it is expected to give, and what narrows the
interval most per core hour is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.special

from ssefw.analysis.arrangements import Mean, mean_of_arrangements
from ssefw.documents import Conductivity
from ssefw.makers.adaptive import LEAST_VALUES, AdaptivePolicy, NextTemperatures

__all__ = ["FEWEST", "ArrangementChoice", "Climber", "choose_runs"]

FEWEST = 2
"""So many arrangements are run whatever they say: one shows no spread."""


@dataclass(frozen=True)
class Climber:
    """How far one arrangement is.

    Attributes
    ----------
    started
        Whether a temperature of its ladder was run.
    fit, n_values
        Its conductivity, where it has one, and the temperatures that gave it a value.
    next
        What it would run next.
    hours
        Core hours of its dynamics so far.
    """

    started: bool
    fit: Conductivity | None
    n_values: int
    next: NextTemperatures
    hours: float

    @property
    def lacks_a_line(self) -> bool:
        """Whether it has too few temperatures for its own interval to be believed."""
        return self.n_values < LEAST_VALUES and bool(self.next.temperatures)


@dataclass(frozen=True)
class ArrangementChoice:
    """What arrangements run next, by their place, nothing at the end, and why."""

    runs: dict[int, NextTemperatures]
    code: str
    reason: str
    numbers: dict[str, float]


@dataclass(frozen=True)
class _Known:
    """What arrangements say of log10 sigma: values and their standard deviations, upper bounds."""

    values: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    bounds: tuple[float, ...] = ()

    def width(self, *, scale: float, level: float) -> float:
        mean = self.mean(scale=scale, level=level)
        return mean.upper - mean.lower

    def mean(self, *, scale: float, level: float) -> Mean:
        return mean_of_arrangements(
            self.values, self.errors, bounds=self.bounds, scale=scale, level=level
        )


def choose_runs(
    climbers: Sequence[Climber], policy: AdaptivePolicy, *, scale: float
) -> ArrangementChoice:
    """Return what arrangements run next.

    Parameters
    ----------
    climbers
        The arrangements of which one may be run, in their order; those after the first `FEWEST` are
        run only where they are worth it.
    policy
        `interval_decades` is what the interval of the crystal is to be; `max_core_hours` holds for
        all arrangements together.
    scale
        Spread between arrangements of other compounds, decades.
    """
    first = [i for i, c in enumerate(climbers) if not c.started][: max(0, FEWEST - _n(climbers))]
    toward = [i for i, c in enumerate(climbers) if c.started and c.lacks_a_line]
    hours = sum(climber.hours for climber in climbers)
    if policy.max_core_hours is not None and hours >= policy.max_core_hours:
        reason = f"{hours:.2g} core hours, of {policy.max_core_hours:g} allowed"
        return ArrangementChoice({}, "budget", reason, {"core_hours": hours})
    if chosen := [i for i in (*toward, *first) if climbers[i].next.temperatures]:
        return ArrangementChoice(
            {i: climbers[i].next for i in chosen},
            "first_lines",
            f"{len(chosen)} arrangements have no line yet",
            {"core_hours": hours},
        )
    waiting = [i for i, c in enumerate(climbers) if not c.started and c.next.temperatures]
    known, level = _known(climbers)
    if not known.values:
        if not waiting:
            return ArrangementChoice({}, "no_value", "no arrangement has a value", {})
        return ArrangementChoice(
            {waiting[0]: climbers[waiting[0]].next},
            "no_value_yet",
            "no arrangement has a value yet",
            {"core_hours": hours},
        )
    width = known.width(scale=scale, level=level)
    numbers = {"core_hours": hours, "interval_decades": width}
    if width <= policy.interval_decades:
        wanted = f"{policy.interval_decades:g} wanted"
        reason = f"log10 sigma is known within {width:.2g} decades, {wanted}"
        return ArrangementChoice({}, "narrow_enough", reason, numbers)
    options = _options(climbers, waiting, known, scale=scale, level=level)
    return _worth_most(climbers, options, policy, numbers)


def _worth_most(
    climbers: Sequence[Climber],
    options: Mapping[int, tuple[float, float]],
    policy: AdaptivePolicy,
    numbers: dict[str, float],
) -> ArrangementChoice:
    """Choose, of what may be run next with its expected width and cost, what is worth most."""
    width, hours = numbers["interval_decades"], numbers["core_hours"]
    worth = {
        i: (width - after) / max(cost, 1e-12)
        for i, (after, cost) in options.items()
        if after < width
    }
    if not worth:
        reason = f"neither a run nor an arrangement that is left would narrow {width:.2g} decades"
        return ArrangementChoice({}, "no_gain", reason, numbers)
    best = max(worth, key=lambda i: worth[i])
    after, cost = options[best]
    numbers |= {"expected_decades": after, "expected_core_hours": cost}
    if policy.max_core_hours is not None and hours + cost > policy.max_core_hours:
        reason = (
            f"{hours:.2g} core hours so far and about {cost:.2g} for the next run exceed the "
            f"{policy.max_core_hours:g} allowed; the interval is {width:.2g} decades wide"
        )
        return ArrangementChoice({}, "budget", reason, numbers)
    is_new = not climbers[best].started
    what = "another arrangement" if is_new else f"a further run of arrangement {best}"
    reason = (
        f"{what}: it would narrow the interval from {width:.2g} to {after:.2g} decades for "
        f"{cost:.2g} core hours"
    )
    code = "another_arrangement" if is_new else "further_run"
    return ArrangementChoice({best: climbers[best].next}, code, reason, numbers)


def _n(climbers: Sequence[Climber]) -> int:
    return sum(climber.started for climber in climbers)


def _options(
    climbers: Sequence[Climber],
    waiting: Sequence[int],
    known: _Known,
    *,
    scale: float,
    level: float,
) -> dict[int, tuple[float, float]]:
    """Return for what may be run next the width that is expected of it (decades), and its cost."""
    z = _quantile(level)
    found: dict[int, tuple[float, float]] = {}
    with_values = [i for i, c in enumerate(climbers) if _logs(c.fit)[0] is not None]
    for place, i in enumerate(with_values):
        choice = climbers[i].next
        if choice.temperatures and "expected_decades" in choice.numbers:
            errors = list(known.errors)
            errors[place] = min(errors[place], choice.numbers["expected_decades"] / (2.0 * z))
            after = replace(known, errors=tuple(errors)).width(scale=scale, level=level)
            found[i] = (after, choice.numbers.get("expected_core_hours", 0.0))
    if waiting:
        mean = known.mean(scale=scale, level=level).value
        more = replace(
            known,
            values=(*known.values, mean),
            errors=(*known.errors, float(np.median(known.errors))),
        )
        cost = sum(climbers[i].hours for i in with_values) / len(with_values)
        found[waiting[0]] = (more.width(scale=scale, level=level), cost)
    return found


def _known(climbers: Sequence[Climber]) -> tuple[_Known, float]:
    values, errors, bounds = [], [], []
    level = 0.95
    for climber in climbers:
        value, error, bound = _logs(climber.fit)
        if climber.fit is not None:
            level = climber.fit.conductivity.level
        if value is not None and error is not None:
            values.append(value)
            errors.append(error)
        elif bound is not None:
            bounds.append(bound)
    return _Known(tuple(values), tuple(errors), tuple(bounds)), level


def _logs(fit: Conductivity | None) -> tuple[float | None, float | None, float | None]:
    """Return log10 sigma, its standard deviation, and the bound where there is only one."""
    estimate = None if fit is None else fit.statistics or fit.conductivity
    if estimate is None:
        return None, None, None
    if estimate.kind == "value" and estimate.value and estimate.lower and estimate.upper:
        spread = np.log10(estimate.upper / estimate.lower) / (2.0 * _quantile(estimate.level))
        return float(np.log10(estimate.value)), float(spread), None
    if estimate.kind == "upper_bound" and estimate.upper:
        return None, None, float(np.log10(estimate.upper))
    return None, None, None


def _quantile(level: float) -> float:
    return float(scipy.special.ndtri(0.5 + 0.5 * level))
