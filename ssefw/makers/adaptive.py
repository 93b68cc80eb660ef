"""Which temperature to run next, so that the conductivity wanted becomes known at least cost.

A run that does not exist yet is put on the line through those that do, with the error its number of
hops would give it, and the conductivity is fitted again: what its interval loses, per core hour, is
what the run is worth. The coldest runs have the longest lever and the fewest hops; this weighs one
against the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special

from ssefw import analysis
from ssefw.documents import Conductivity, Diffusivity, Document, Estimate
from ssefw.makers.length import LengthPolicy
from ssefw.units import BOLTZMANN_EV_PER_K, CoreHours, Pure

__all__ = ["AdaptivePolicy", "NextTemperatures"]

LEAST_VALUES = 3
"""Two temperatures make a line whatever the truth; only from three on is an interval believed."""

STEEPEST = 0.5
"""Activation energy (eV) that is assumed where nothing is known: most conductors have less."""

ENOUGH_HOPS = 20.0
"""A run of which fewer hops are expected may end as a bound, and is not chosen."""


@dataclass(frozen=True)
class NextTemperatures:
    """The temperatures (K) to run next, none at the end, and why.

    Attributes
    ----------
    code
        Machine-readable reason.
    numbers
        What the choice was made on; keys carry the unit.
    """

    temperatures: tuple[float, ...]
    code: str
    reason: str
    numbers: dict[str, float]


class AdaptivePolicy(Document):
    """Climb a ladder rung by rung, to where the next run tells most of the conductivity wanted.

    Attributes
    ----------
    interval_decades
        Enough is an interval of log10 sigma as wide as this, from end to end.
    max_runs
        Most temperatures of a candidate; the triage does not count.
    max_core_hours
        No run is begun that is expected to take the candidate's dynamics beyond this.
    """

    interval_decades: Pure = 1.0
    max_runs: int = 6
    max_core_hours: CoreHours | None = None

    def choose(
        self,
        found: Sequence[Diffusivity],
        *,
        temperatures: Sequence[float],
        tried: Sequence[float],
        temperature: float,
        length: float,
        skipped: float = 0.0,
        length_policy: LengthPolicy | None = None,
        done: Mapping[float, float] | None = None,
        hours_per_ps: float = 0.0,
        hours: float = 0.0,
    ) -> NextTemperatures:
        """Choose from what the runs so far have given.

        Parameters
        ----------
        found
            Diffusivities so far, at most one for each temperature; the triage may be one of them.
        temperatures
            What is allowed, K.
        tried
            Temperatures that were run in full, whatever came of them, K.
        temperature
            Where the conductivity is wanted, K.
        length, skipped
            Of the next run, and of its start that analysis leaves out, ps.
        length_policy
            By which it may become longer.
        done
            What exists of the run at a temperature, ps.
        hours_per_ps, hours
            Core hours of a ps of this material, and of its dynamics so far.
        """
        known = [d for d in found if d.tracer.kind in {"value", "upper_bound"}]
        fit = analysis.fit_conductivity(known, temperature=temperature) if known else None
        width = _width(fit)
        numbers = {"core_hours": hours}
        if width is not None:
            numbers["interval_decades"] = width
        melted = min((d.temperature for d in found if d.regime == "melted"), default=np.inf)
        left = sorted(t for t in set(temperatures) - set(tried) if t < melted)
        n_values = len({d.temperature for d in known if d.tracer.kind == "value"})
        if (end := self._end(width, n_values, tried, left)) is not None:
            return NextTemperatures((), *end, numbers)
        costs = {t: max(0.0, length - (done or {}).get(t, 0.0)) * hours_per_ps for t in left}
        if fit is None or n_values < 2:
            choice = _toward_a_line(known, left, length=length - skipped, numbers=numbers)
            cost = sum(costs[rung] for rung in choice.temperatures)
        elif width is None:
            return NextTemperatures((), "no_line", fit.conductivity.reason, numbers)
        else:
            runs = {}
            for rung in left:
                run = _expected(
                    fit, known, at=rung, length=length, skipped=skipped, policy=length_policy
                )
                if run is not None:
                    runs[rung] = run
                    longer = max(0.0, run.duration + skipped - length)
                    costs[rung] += longer * hours_per_ps
            choice = _narrowest(fit, known, runs, costs=costs, width=width, numbers=numbers)
            cost = choice.numbers.get("expected_core_hours", 0.0)
        if self.max_core_hours is not None and hours + cost > self.max_core_hours:
            reason = (
                f"{hours:.2g} core hours so far and about {cost:.2g} for the next run exceed the "
                f"{self.max_core_hours:g} allowed{_so_far(width)}"
            )
            return NextTemperatures((), "budget", reason, choice.numbers)
        return choice

    def _end(
        self,
        width: float | None,
        n_values: int,
        tried: Sequence[float],
        left: Sequence[float],
    ) -> tuple[str, str] | None:
        """Return why the ladder ends here, as a code and in words, if it does."""
        if width is not None and width <= self.interval_decades and n_values >= LEAST_VALUES:
            wanted = f"{self.interval_decades:g} wanted"
            return "narrow_enough", f"log10 sigma is known within {width:.2g} decades, {wanted}"
        if len(tried) >= self.max_runs:
            return "max_runs", f"{len(tried)} temperatures, the most allowed{_so_far(width)}"
        if not left:
            return "no_temperature_left", f"no temperature is left{_so_far(width)}"
        return None


def _width(fit: Conductivity | None) -> float | None:
    """Return the width of the interval of log10 sigma, where there is one.

    That of the statistics, which runs make narrower; a bend of the line is beyond them.
    """
    estimate = (fit.statistics or fit.conductivity) if fit is not None else None
    if estimate is None or not estimate.lower or not estimate.upper:
        return None
    return float(np.log10(estimate.upper / estimate.lower))


def _so_far(width: float | None) -> str:
    return "" if width is None else f"; the interval is {width:.2g} decades wide"


def _narrowest(
    fit: Conductivity,
    known: Sequence[Diffusivity],
    runs: Mapping[float, Diffusivity],
    *,
    costs: Mapping[float, float],
    width: float,
    numbers: dict[str, float],
) -> NextTemperatures:
    """Choose the run, of those with what they are expected to give, that is worth most."""
    after = {}
    for rung, run in runs.items():
        others = [d for d in known if d.temperature != rung]
        decades = _width(analysis.fit_conductivity([*others, run], temperature=fit.temperature))
        if decades is not None and decades < width:
            after[rung] = decades
    if not after:
        reason = (
            f"no temperature that is left would give {ENOUGH_HOPS:g} hops and narrow the "
            f"interval{_so_far(width)}"
        )
        return NextTemperatures((), "no_gain", reason, numbers)
    best = max(after, key=lambda rung: (width - after[rung]) / max(costs[rung], 1e-12))
    reason = (
        f"{best:g} K next: it would narrow log10 sigma({fit.temperature:g} K) from {width:.2g} to "
        f"{after[best]:.2g} decades for {costs[best]:.2g} core hours"
    )
    numbers = numbers | {
        "expected_decades": after[best],
        "expected_core_hours": costs[best],
    }
    return NextTemperatures((best,), "narrows_most", reason, numbers)


def _toward_a_line(
    known: Sequence[Diffusivity],
    left: Sequence[float],
    *,
    length: float,
    numbers: dict[str, float],
) -> NextTemperatures:
    """Choose where there is no line yet: fewer than two temperatures have given a value."""
    values = [d for d in known if d.tracer.kind == "value"]
    if not known:
        hottest = left[-1]
        middle = 0.5 * (1.0 / hottest + 1.0 / left[0])
        other = min(left, key=lambda t: abs(1.0 / t - middle))
        pair = tuple(dict.fromkeys((hottest, other)))
        names = " and ".join(f"{t:g} K" for t in pair)
        return NextTemperatures(pair, "first_pair", f"{names} first, to have a line", numbers)
    if not values:
        bound = max(d.temperature for d in known)
        if left[-1] <= bound:
            return NextTemperatures(
                (), "only_bounds", f"{bound:g} K gave only a bound; colder gives less", numbers
            )
        reason = f"{left[-1]:g} K next: {bound:g} K gave only a bound"
        return NextTemperatures((left[-1],), "hotter", reason, numbers)
    seen = values[0]
    blind = max((d.temperature for d in known if d.tracer.kind == "upper_bound"), default=0.0)
    others = [t for t in left if t != seen.temperature]
    colder = [
        t
        for t in others
        if blind < t < seen.temperature
        and _hops(seen, at=t, length=length, energy=STEEPEST) >= ENOUGH_HOPS
    ]
    hotter = [t for t in others if t > seen.temperature]
    if colder:
        reason = (
            f"{colder[0]:g} K next: the coldest where {seen.n_hops:.3g} hops at "
            f"{seen.temperature:g} K promise {ENOUGH_HOPS:g}, were E_a {STEEPEST:g} eV"
        )
        return NextTemperatures((colder[0],), "second_value", reason, numbers)
    if hotter:
        reason = f"{hotter[-1]:g} K next: colder than {seen.temperature:g} K promises few hops"
        return NextTemperatures((hotter[-1],), "second_value", reason, numbers)
    reason = f"one value, at {seen.temperature:g} K, and no second one to be expected"
    return NextTemperatures((), "no_gain", reason, numbers)


def _hops(seen: Diffusivity, *, at: float, length: float, energy: float) -> float:
    """Return the hops to be expected at another temperature (K) in so many ps."""
    step = (1.0 / at - 1.0 / seen.temperature) / BOLTZMANN_EV_PER_K
    return float(seen.n_hops * length / seen.duration * np.exp(-energy * step))


def _expected(
    fit: Conductivity,
    known: Sequence[Diffusivity],
    *,
    at: float,
    length: float,
    skipped: float,
    policy: LengthPolicy | None,
) -> Diffusivity | None:
    """Return the value that a run is expected to give; None where it would see too few hops.

    D lies on the line, and the variance of ln D falls with the number of hops at the rate that the
    runs so far show.
    """
    values = [d for d in known if d.tracer.kind == "value"]
    (sigma,) = analysis.predict_conductivity(fit, [at])
    nearest = min(values, key=lambda d: abs(1.0 / d.temperature - 1.0 / at))
    seen = next(p.conductivity for p in fit.points if p.temperature == nearest.temperature)
    assert sigma.value is not None
    assert seen.value is not None
    assert nearest.tracer.value is not None
    ratio = sigma.value * at / (seen.value * nearest.temperature)
    best = nearest.tracer.value * ratio
    hops_per_ps = nearest.n_hops * ratio / nearest.duration
    variance_per_hop = float(
        np.exp(np.mean([np.log(analysis.log_spread(d.tracer) ** 2 * d.n_hops) for d in values]))
    )
    level = nearest.tracer.level
    z = float(scipy.special.ndtri(0.5 + 0.5 * level))
    duration = length - skipped
    if policy is not None:
        hops_wanted = max(ENOUGH_HOPS, variance_per_hop * (z / policy.relative_error) ** 2)
        needed = hops_wanted / hops_per_ps
        duration = min(max(duration, needed), policy.max_length - skipped)
    hops = hops_per_ps * duration
    if hops < ENOUGH_HOPS * (1.0 - 1e-9):
        return None
    spread = float(np.sqrt(variance_per_hop / hops))
    tracer = Estimate(
        value=best,
        lower=best * float(np.exp(-z * spread)),
        upper=best * float(np.exp(z * spread)),
        level=level,
        unit=nearest.tracer.unit,
    )
    update = {"temperature": at, "tracer": tracer, "duration": duration, "n_hops": hops}
    return nearest.model_copy(update=update)
