"""What to run next, so that the conductivity wanted becomes known at least cost.

A run that does not exist yet, or is not that long yet, is put on the line through those that do,
with the error its number of hops would give it, and the conductivity is fitted again: what its
interval loses, per core hour, is what the run is worth. The coldest runs have the longest lever and
the fewest hops; this weighs one against the other, and a new temperature against more of one.
"""

import math
from collections.abc import Collection, Mapping, Sequence
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
    length
        To which they are brought, ps.
    """

    temperatures: tuple[float, ...]
    code: str
    reason: str
    numbers: dict[str, float]
    length: float = 0.0


class AdaptivePolicy(Document):
    """Climb a ladder rung by rung, to where the next run tells most of the conductivity wanted.

    A run goes on only where a policy of length is given, in its steps.

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
        tried: Mapping[float, float],
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
            Temperatures (K) that were run in full, whatever came of them, and how long (ps) they
            were to become. A run that did not become so long failed, and does not go on.
        temperature
            Where the conductivity is wanted, K.
        length, skipped
            Of the next run, and of its start that analysis leaves out, ps.
        length_policy
            Which runs may go on, and how far.
        done
            What exists of the run at a temperature, ps.
        hours_per_ps, hours
            Core hours of a ps of this material, and of its dynamics so far.
        """
        done = done or {}
        known = [d for d in found if d.tracer.kind in {"value", "upper_bound"}]
        fit = analysis.fit_conductivity(known, temperature=temperature) if known else None
        width = _width(fit)
        numbers = {"core_hours": hours}
        if width is not None:
            numbers["interval_decades"] = width
        melted = min((d.temperature for d in found if d.regime == "melted"), default=np.inf)
        n_values = len({d.temperature for d in known if d.tracer.kind == "value"})
        new = sorted(t for t in set(temperatures) - set(tried) if t < melted)
        if len(tried) >= self.max_runs:
            new = []
        longer = {}
        if length_policy is not None:
            begun = [d for d in known if d.temperature < melted]
            longer = length_policy.going_on(begun, asked=tried, done=done)
        if (end := self._end(width, n_values, tried, is_more=bool(new or longer))) is not None:
            return NextTemperatures((), *end, numbers)
        if fit is None or n_values < 2:
            choice = _toward_a_line(known, new, length=length, skipped=skipped, numbers=numbers)
            if not choice.temperatures and longer:
                choice = _hottest_goes_on(longer, numbers)
        elif width is None:
            return NextTemperatures((), "no_line", fit.conductivity.reason, numbers)
        else:
            starts = dict.fromkeys(new, length) | longer
            runs = _expected_runs(fit, known, starts, skipped=skipped, policy=length_policy)
            if n_values < LEAST_VALUES and not runs.keys() <= longer.keys():
                runs = {rung: run for rung, run in runs.items() if rung not in longer}
            lacking = {
                rung: run.duration + skipped - done.get(rung, 0.0) for rung, run in runs.items()
            }
            choice = _narrowest(
                fit,
                known,
                runs,
                lengths={rung: run.duration + skipped for rung, run in runs.items()},
                costs={rung: max(0.0, ps) * hours_per_ps for rung, ps in lacking.items()},
                begun=longer.keys(),
                width=width,
                numbers=numbers,
            )
        more = (max(0.0, choice.length - done.get(rung, 0.0)) for rung in choice.temperatures)
        cost = hours_per_ps * sum(more)
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
        tried: Collection[float],
        *,
        is_more: bool,
    ) -> tuple[str, str] | None:
        """Return why the ladder ends here, as a code and in words, if it does.

        Parameters
        ----------
        width
            Of the interval, decades.
        n_values
            Temperatures with a value.
        tried
            Temperatures that were run.
        is_more
            Whether there is anything that could be run.
        """
        if width is not None and width <= self.interval_decades and n_values >= LEAST_VALUES:
            wanted = f"{self.interval_decades:g} wanted"
            return "narrow_enough", f"log10 sigma is known within {width:.2g} decades, {wanted}"
        if is_more:
            return None
        if len(tried) >= self.max_runs:
            return "max_runs", f"{len(tried)} temperatures, the most allowed{_so_far(width)}"
        return "no_temperature_left", f"no temperature is left{_so_far(width)}"


def _hottest_goes_on(longer: Mapping[float, float], numbers: dict[str, float]) -> NextTemperatures:
    """Choose where there is no line yet and no further temperature promises one."""
    rung = max(longer)
    reason = f"{rung:g} K goes on to {longer[rung]:g} ps: there is no line yet"
    return NextTemperatures((rung,), "longer", reason, numbers, longer[rung])


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
    lengths: Mapping[float, float],
    costs: Mapping[float, float],
    begun: Collection[float],
    width: float,
    numbers: dict[str, float],
) -> NextTemperatures:
    """Choose the run that is worth most.

    Parameters
    ----------
    fit, known
        The line so far, and what it rests on.
    runs
        What each run is expected to give, by its temperature (K).
    lengths, costs
        Of each, ps, and core hours from here on.
    begun
        Those that would go on.
    width, numbers
        Of the interval so far (decades), and what the choice is made on.
    """
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
    what = f"{best:g} K goes on to {lengths[best]:g} ps" if best in begun else f"{best:g} K next"
    reason = (
        f"{what}: it would narrow log10 sigma({fit.temperature:g} K) from {width:.2g} to "
        f"{after[best]:.2g} decades for {costs[best]:.2g} core hours"
    )
    numbers = numbers | {
        "expected_decades": after[best],
        "expected_core_hours": costs[best],
    }
    return NextTemperatures((best,), "narrows_most", reason, numbers, lengths[best])


def _toward_a_line(
    known: Sequence[Diffusivity],
    left: Sequence[float],
    *,
    length: float,
    skipped: float,
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
        return NextTemperatures(
            pair, "first_pair", f"{names} first, to have a line", numbers, length
        )
    if not values:
        bound = max(d.temperature for d in known)
        if not left or left[-1] <= bound:
            return NextTemperatures(
                (), "only_bounds", f"{bound:g} K gave only a bound; colder gives less", numbers
            )
        reason = f"{left[-1]:g} K next: {bound:g} K gave only a bound"
        return NextTemperatures((left[-1],), "hotter", reason, numbers, length)
    seen = values[0]
    blind = max((d.temperature for d in known if d.tracer.kind == "upper_bound"), default=0.0)
    others = [t for t in left if t != seen.temperature]
    colder = [
        t
        for t in others
        if blind < t < seen.temperature
        and _hops(seen, at=t, length=length - skipped, energy=STEEPEST) >= ENOUGH_HOPS
    ]
    hotter = [t for t in others if t > seen.temperature]
    if colder:
        reason = (
            f"{colder[0]:g} K next: the coldest where {seen.n_hops:.3g} hops at "
            f"{seen.temperature:g} K promise {ENOUGH_HOPS:g}, were E_a {STEEPEST:g} eV"
        )
        return NextTemperatures((colder[0],), "second_value", reason, numbers, length)
    if hotter:
        reason = f"{hotter[-1]:g} K next: colder than {seen.temperature:g} K promises few hops"
        return NextTemperatures((hotter[-1],), "second_value", reason, numbers, length)
    reason = f"one value, at {seen.temperature:g} K, and no second one to be expected"
    return NextTemperatures((), "no_gain", reason, numbers, length)


def _hops(seen: Diffusivity, *, at: float, length: float, energy: float) -> float:
    """Return the hops to be expected at another temperature (K) in so many ps."""
    step = (1.0 / at - 1.0 / seen.temperature) / BOLTZMANN_EV_PER_K
    return float(seen.n_hops * length / seen.duration * np.exp(-energy * step))


def _expected_runs(
    fit: Conductivity,
    known: Sequence[Diffusivity],
    starts: Mapping[float, float],
    *,
    skipped: float,
    policy: LengthPolicy | None,
) -> dict[float, Diffusivity]:
    """Return what runs are expected to give; those are left out that would see too few hops.

    D lies on the line, and the variance of ln D falls with the number of hops at the rate that the
    runs so far show.

    Parameters
    ----------
    fit, known
        The line so far, and what it rests on.
    starts
        The least length (ps) of each, by its temperature (K).
    skipped
        Of each at its start, ps.
    policy
        By whose steps a run may be longer, until it has enough hops.
    """
    values = [d for d in known if d.tracer.kind == "value"]
    variance_per_hop = float(
        np.exp(np.mean([np.log(analysis.log_spread(d.tracer) ** 2 * d.n_hops) for d in values]))
    )
    points = {p.temperature: p.conductivity.value for p in fit.points}
    found = {}
    predicted = analysis.predict_conductivity(fit, list(starts))
    for (at, least), sigma in zip(starts.items(), predicted, strict=True):
        nearest = min(values, key=lambda d: abs(1.0 / d.temperature - 1.0 / at))
        seen = points[nearest.temperature]
        assert sigma.value is not None
        assert seen is not None
        assert nearest.tracer.value is not None
        ratio = sigma.value * at / (seen * nearest.temperature)
        hops_per_ps = nearest.n_hops * ratio / nearest.duration
        length = least
        if policy is not None:
            missing = ENOUGH_HOPS / hops_per_ps + skipped - least
            steps = max(0, math.ceil(missing / policy.step - 1e-9))
            length = min(policy.max_length, least + steps * policy.step)
        hops = hops_per_ps * (length - skipped)
        if hops < ENOUGH_HOPS * (1.0 - 1e-9):
            continue
        level, best = nearest.tracer.level, nearest.tracer.value * ratio
        reach = float(scipy.special.ndtri(0.5 + 0.5 * level) * np.sqrt(variance_per_hop / hops))
        tracer = Estimate(
            value=best,
            lower=best * math.exp(-reach),
            upper=best * math.exp(reach),
            level=level,
            unit=nearest.tracer.unit,
        )
        update = {"temperature": at, "tracer": tracer, "duration": length - skipped, "n_hops": hops}
        found[at] = nearest.model_copy(update=update)
    return found
