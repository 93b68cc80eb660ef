"""How long a run must be: as long as a paper's, or until its diffusivity is known well enough."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import scipy.special

from ssefw.documents import Diffusivity, Document
from ssefw.units import ANGSTROM2_PER_PS_TO_CM2_PER_S, Cm2PerS, Fraction, Pure, TimePs

__all__ = ["LengthPolicy", "Verdict"]


THERMOSTAT_MEMORY = 1.0
"""Time (ps) after which the kinetic temperature is taken as drawn anew."""


@dataclass(frozen=True)
class Verdict:
    """Whether a run goes on, and why or why not."""

    goes_on: bool
    reason: str


class LengthPolicy(Document):
    """Continue a run until its diffusivity is known, or until that is not worth more.

    Attributes
    ----------
    relative_error
        Enough is an interval whose half-width is at most this share of the value.
    max_length
        The run ends here in any case.
    step
        It is continued by so much at a time.
    enough_bound
        An upper bound on D as low as this is as good as a value.
    min_hops
        With fewer hops no interval is narrow enough.
    give_up
        A run that would have to be so many times `max_length` long ends at once; None ends none so.
    max_temperature_error
        So does one whose mean temperature is off the set point by more than this share of it.
    """

    relative_error: Fraction
    max_length: TimePs
    step: TimePs
    enough_bound: Cm2PerS | None = None
    min_hops: Pure = 20.0
    give_up: Pure | None = 4.0
    max_temperature_error: Fraction = 0.2

    def judge(self, found: Diffusivity, *, length: float) -> Verdict:
        """Decide from the diffusivity of a run that is `length` ps long so far."""
        if (broken := self._broken(found)) is not None:
            return Verdict(goes_on=False, reason=broken)
        error = relative_error(found)
        is_seen = found.n_hops >= self.min_hops
        if error is not None and error <= self.relative_error and is_seen:
            return Verdict(
                goes_on=False,
                reason=f"relative error {error:.2g}, at most {self.relative_error:g} wanted",
            )
        bound = found.tracer.upper if found.tracer.kind == "upper_bound" else None
        if bound is not None and self.enough_bound is not None and bound <= self.enough_bound:
            return Verdict(
                goes_on=False,
                reason=f"D below {bound:.2g} cm^2/s, which is low enough",
            )
        if length >= self.max_length - 1e-9:
            state = found.regime if error is None else f"relative error {error:.2g}"
            return Verdict(
                goes_on=False, reason=f"{self.max_length:g} ps, the most allowed; {state}"
            )
        if self.give_up is not None and (needed := self._needed(found)) > self.give_up:
            return Verdict(
                goes_on=False,
                reason=f"hopeless: it would take {needed:.2g} times the {self.max_length:g} ps "
                "allowed, or more",
            )
        return Verdict(goes_on=True, reason="")

    def going_on(
        self,
        known: Iterable[Diffusivity],
        *,
        asked: Mapping[float, float],
        done: Mapping[float, float],
    ) -> dict[float, float]:
        """Return the temperatures (K) whose runs may go on, and to which length (ps) at least.

        Parameters
        ----------
        known
            What runs have given so far.
        asked, done
            How long (ps) each was to become, and is: one that did not become so long failed, and
            would again.
        """
        found = {}
        for point in known:
            rung, so_far = point.temperature, done.get(point.temperature, 0.0)
            is_whole = so_far >= asked.get(rung, math.inf) - 1e-6
            if is_whole and self.judge(point, length=so_far).goes_on:
                found[rung] = min(self.max_length, so_far + self.step)
        return found

    def _broken(self, found: Diffusivity) -> str | None:
        """Return why more of this run would be worth nothing, if so."""
        if found.regime == "melted":
            return "the framework melted"
        if (mean := found.mean_temperature) is None:
            return None
        # A few atoms in a short run fluctuate by this much around the set point.
        n_drawn = 1.5 * found.n_atoms * max(1.0, found.duration / THERMOSTAT_MEMORY)
        tolerated = self.max_temperature_error + 3.0 / math.sqrt(n_drawn)
        if abs(mean / found.temperature - 1.0) <= tolerated:
            return None
        return f"the temperature ran away: {mean:.0f} K on average, {found.temperature:g} K wanted"

    def _needed(self, found: Diffusivity) -> float:
        """Return the length that would be enough, over `max_length`; for a bound, at least that.

        Errors fall with the square root of time. The hops that a bound permits are the most there
        can be, and an interval needs as many as would make it if nothing but their count mattered;
        the bound itself falls with time where nothing hops.
        """
        z = float(scipy.special.ndtri(0.5 + 0.5 * found.tracer.level))
        hops_wanted = max(self.min_hops, (z / self.relative_error) ** 2)
        allowed = self.max_length - found.equilibration
        error, tracer = relative_error(found), found.tracer
        if error is not None:
            missing = max((error / self.relative_error) ** 2, self.min_hops / found.n_hops)
            return missing * found.duration / allowed
        if tracer.kind != "upper_bound" or tracer.upper is None:
            return 0.0
        square = tracer.upper / ANGSTROM2_PER_PS_TO_CM2_PER_S * allowed
        most_hops = 6.0 * found.n_mobile * square / found.hop_distance**2
        needed = hops_wanted / most_hops
        if self.enough_bound is not None:
            needed = min(needed, tracer.upper / self.enough_bound * found.duration / allowed)
        return needed


def relative_error(found: Diffusivity) -> float | None:
    """Return the half-width of the interval of D over its value; None without a value."""
    tracer = found.tracer
    if tracer.kind != "value" or not tracer.value or tracer.upper is None or tracer.lower is None:
        return None
    return (tracer.upper - tracer.lower) / (2.0 * tracer.value)
