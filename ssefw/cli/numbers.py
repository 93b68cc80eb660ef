"""Numbers as options take them: with the limits of their unit."""

from typing import Any

import click

from ssefw.mistakes import shown
from ssefw.units import (
    AskedArrangements,
    AskedCharge,
    AskedClusters,
    AskedConductivity,
    AskedCount,
    AskedCountOrNone,
    AskedCutoff,
    AskedDecades,
    AskedExchanges,
    AskedFolds,
    AskedForce,
    AskedHop,
    AskedImages,
    AskedInterval,
    AskedLength,
    AskedLevel,
    AskedLevelOfEnergy,
    AskedPort,
    AskedPriority,
    AskedResolution,
    AskedSeconds,
    AskedSeed,
    AskedSpacing,
    AskedStart,
    AskedTemperature,
    AskedTimeFs,
    AskedTolerance,
    AskedWorkers,
    limits_in,
)

__all__ = [
    "ARRANGEMENTS",
    "CHARGE",
    "CLUSTERS",
    "CONDUCTIVITY",
    "COUNT",
    "COUNT_OR_NONE",
    "CUTOFF",
    "DECADES",
    "EXCHANGES",
    "FOLDS",
    "FORCE",
    "HOP",
    "IMAGES",
    "INTERVAL",
    "LENGTH",
    "LEVEL",
    "LEVEL_OF_ENERGY",
    "PORT",
    "PRIORITY",
    "RESOLUTION",
    "SECONDS",
    "SEED",
    "SPACING",
    "START",
    "TEMPERATURE",
    "TIME_FS",
    "TOLERANCE",
    "WORKERS",
    "Number",
]


class Number(click.ParamType):  # type: ignore[type-arg]
    """A number of a kind, such as `AskedTemperature`; what cannot be one is refused."""

    name = "number"

    def __init__(self, kind: Any) -> None:
        (self.limits,) = limits_in(kind)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return the unit, or N for a count."""
        return "N" if self.limits.whole else self.limits.unit or "X"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        try:
            return self.limits.check(value)
        except ValueError as error:
            self.fail(f"{error}, got {shown(value).strip(chr(39))}", param, ctx)


ARRANGEMENTS = Number(AskedArrangements)
CHARGE = Number(AskedCharge)
CLUSTERS = Number(AskedClusters)
CONDUCTIVITY = Number(AskedConductivity)
COUNT = Number(AskedCount)
COUNT_OR_NONE = Number(AskedCountOrNone)
CUTOFF = Number(AskedCutoff)
DECADES = Number(AskedDecades)
EXCHANGES = Number(AskedExchanges)
FOLDS = Number(AskedFolds)
FORCE = Number(AskedForce)
HOP = Number(AskedHop)
IMAGES = Number(AskedImages)
INTERVAL = Number(AskedInterval)
LENGTH = Number(AskedLength)
LEVEL = Number(AskedLevel)
LEVEL_OF_ENERGY = Number(AskedLevelOfEnergy)
PORT = Number(AskedPort)
PRIORITY = Number(AskedPriority)
RESOLUTION = Number(AskedResolution)
SECONDS = Number(AskedSeconds)
SEED = Number(AskedSeed)
SPACING = Number(AskedSpacing)
START = Number(AskedStart)
TEMPERATURE = Number(AskedTemperature)
TIME_FS = Number(AskedTimeFs)
TOLERANCE = Number(AskedTolerance)
WORKERS = Number(AskedWorkers)
