"""Molecular dynamics: the cell, the runs, the ladder of temperatures, and the fit."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ssefw.campaigns.file.block import Block
from ssefw.units import Cm2PerS, CoreHours, Fraction, Length, Pure, Temperature, TimeFs, TimePs

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

    min_length: Length = Field(10.0, gt=0)
    max_atoms: int = Field(400, ge=1)


class HeatingSpec(Block):
    """A linear rise of the thermostat's set point at the start of each run."""

    start: Temperature = Field(100.0, gt=0)
    length: TimePs = Field(2.0, gt=0)


class TriageSpec(Block):
    """A short run that decides whether the ladder is climbed."""

    temperature: Temperature = Field(gt=0)
    length: TimePs = Field(gt=0)
    min_hops: Pure = Field(5.0, ge=0)


class ConvergeSpec(Block):
    """Continue each run beyond `length` until its diffusivity is known well enough."""

    relative_error: Fraction = Field(0.3, gt=0)
    max_length: TimePs = Field(gt=0)
    step: TimePs | None = Field(None, gt=0)
    enough_bound: Cm2PerS | None = Field(None, gt=0)
    min_hops: Pure = Field(20.0, ge=0)
    give_up: Pure | None = Field(4.0, ge=1)
    max_temperature_error: Fraction = Field(0.2, gt=0)


class AdaptiveSpec(Block):
    """When a ladder that chooses its next temperature ends."""

    interval_decades: Pure = Field(1.0, gt=0)
    max_runs: int = Field(6, ge=2)
    max_core_hours: CoreHours | None = Field(None, gt=0)


SHORTEST_STEP = 0.05
LONGEST_STEP = 20.0
"""What no dynamics of ions need or bear, fs: beyond it a unit was mistaken."""

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
    temperatures: tuple[Temperature, ...] = Field(ADAPTIVE_RANGE, min_length=1)
    length: TimePs = Field(gt=0)
    equilibration: TimePs = Field(1.0, ge=0)
    timestep: TimeFs = Field(2.0, gt=0)
    steps_per_frame: int = Field(10, ge=1)
    thermostat: Literal["nose-hoover", "langevin"] = "nose-hoover"
    damping: TimeFs = Field(100.0, gt=0)
    seed: int = 0
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
        if bad := [t for t in self.temperatures if t <= 0]:
            raise ValueError(f"temperatures must be positive, got {bad[0]:g} K")
        if len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError("a temperature occurs twice")
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
        if not SHORTEST_STEP <= self.timestep <= LONGEST_STEP:
            raise ValueError(
                f"the timestep is in fs, between {SHORTEST_STEP:g} and {LONGEST_STEP:g}, got "
                f"{self.timestep:g}"
            )
        return self


class ConductivitySpec(Block):
    """What is asked of the fit."""

    temperature: Temperature = Field(300.0, gt=0)
    level: Fraction = Field(0.95, gt=0, lt=1)
