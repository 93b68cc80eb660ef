"""Molecular dynamics: the cell, the runs, the ladder of temperatures, and the fit."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ssefw.campaigns.file.block import Block
from ssefw.documents import DETERMINED_WITHIN
from ssefw.units import (
    AskedAmount,
    AskedCoreHours,
    AskedCount,
    AskedDecades,
    AskedLength,
    AskedLevel,
    AskedRatio,
    AskedSeed,
    AskedStart,
    AskedTemperature,
    AskedTimeFs,
    AskedTimePs,
    AskedTimeStep,
    Cm2PerS,
    Limits,
    Pure,
)

__all__ = [
    "AdaptiveSpec",
    "ConductivitySpec",
    "ConvergeSpec",
    "HeatingSpec",
    "MDSpec",
    "SupercellSpec",
    "TriageSpec",
]


class SupercellSpec(Block):
    """The cell that is simulated: least distance between opposite faces, most atoms."""

    min_length: AskedLength = 10.0
    max_atoms: AskedCount = 400


class HeatingSpec(Block):
    """A linear rise of the thermostat's set point at the start of each run."""

    start: AskedTemperature = 100.0
    length: AskedTimePs = 2.0


class TriageSpec(Block):
    """A short run that decides whether the ladder is climbed."""

    temperature: AskedTemperature
    length: AskedTimePs
    min_hops: AskedAmount = 5.0


class ConvergeSpec(Block):
    """Continue each run beyond `length` until its diffusivity is known well enough."""

    relative_error: AskedRatio = 0.3
    max_length: AskedTimePs
    step: AskedTimePs | None = None
    enough_bound: Annotated[Cm2PerS, Limits("cm^2/s", above=0, most=1)] | None = None
    min_hops: AskedAmount = 20.0
    give_up: Annotated[Pure, Limits("", least=1, most=1e6)] | None = 4.0
    max_temperature_error: AskedRatio = 0.2


class AdaptiveSpec(Block):
    """When a ladder that chooses its next temperature ends."""

    interval_decades: Annotated[Pure, Limits("decades", above=0, most=100)] = 1.0
    max_runs: Annotated[int, Limits("", least=2, most=1000, whole=True)] = 6
    max_core_hours: AskedCoreHours | None = None


ADAPTIVE_RANGE = tuple(float(t) for t in range(600, 1501, 100))


class MDSpec(Block):
    """Molecular dynamics at a ladder of temperatures.

    Attributes
    ----------
    ladder
        ``all`` temperatures are run, or an ``adaptive`` choice of them.
    """

    ladder: Literal["all", "adaptive"] = "all"
    adaptive: AdaptiveSpec | None = None
    temperatures: tuple[AskedTemperature, ...] = Field(ADAPTIVE_RANGE, min_length=1)
    length: AskedTimePs
    equilibration: AskedStart = 1.0
    timestep: AskedTimeStep = 2.0
    steps_per_frame: AskedCount = 10
    thermostat: Literal["nose-hoover", "langevin"] = "nose-hoover"
    damping: AskedTimeFs = 100.0
    seed: AskedSeed = 0
    heating: HeatingSpec | None = None
    triage: TriageSpec | None = None
    converge: ConvergeSpec | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.converge is not None and self.converge.max_length < self.length:
            raise ValueError(
                f"converge.max_length ({self.converge.max_length:g} ps) must be at least length "
                f"({self.length:g} ps)"
            )
        if self.ladder == "all" and "temperatures" not in self.model_fields_set:
            raise ValueError("give temperatures, or ladder: adaptive to have them chosen")
        if self.ladder == "all" and self.adaptive is not None:
            raise ValueError("the block adaptive needs ladder: adaptive")
        if len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError("a temperature occurs twice")
        if self.ladder == "adaptive" and len(self.temperatures) < 2:
            raise ValueError(
                "ladder: adaptive chooses among temperatures: give at least two, or ladder: all"
            )
        if self.equilibration >= self.length:
            raise ValueError(
                f"equilibration ({self.equilibration:g} ps) must be shorter than length "
                f"({self.length:g} ps)"
            )
        if self.triage is not None and self.equilibration >= self.triage.length:
            raise ValueError(
                f"equilibration ({self.equilibration:g} ps) must be shorter than triage.length "
                f"({self.triage.length:g} ps)"
            )
        if self.heating is not None and self.heating.length > self.equilibration:
            raise ValueError(
                f"the heating ({self.heating.length:g} ps) would be analyzed as if it were at the "
                f"set point: give an equilibration of at least {self.heating.length:g} ps, not "
                f"{self.equilibration:g}"
            )
        return self


class ConductivitySpec(Block):
    """What is asked of the fit."""

    temperature: AskedTemperature = 300.0
    level: AskedLevel = 0.95
    determined_within: Annotated[Pure, Limits("decades", above=0, most=100)] = DETERMINED_WITHIN
    prefactor_spread: AskedDecades | None = None
