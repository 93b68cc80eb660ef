"""Units as part of a number's type, and the few conversions ssefw needs.

A stored float carries its unit as `Annotated` metadata, so that a schema, a table header and a
reader of the code see the same thing::

    Energy = Annotated[float, Unit("eV")]

Everywhere in ssefw: eV, angstrom, femtoseconds for a time step, picoseconds for a duration, kelvin,
cm^2/s for diffusivity and S/cm for conductivity.

A number that a person gives has `Limits` as well: what is no number, not finite, or beyond what its
unit is used for, was mistaken. Options of commands, keys of campaign files and settings of systems
take the same types, ``Asked...``, so that each is judged in one place.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic_core import core_schema

__all__ = [
    "ANGSTROM2_PER_PS_TO_CM2_PER_S",
    "BOLTZMANN_EV_PER_K",
    "ELEMENTARY_CHARGE_C",
    "GPA_PER_EV_PER_A3",
    "Area",
    "AskedAmount",
    "AskedArrangements",
    "AskedCharge",
    "AskedClusters",
    "AskedConductivity",
    "AskedCoreHours",
    "AskedCount",
    "AskedCountOrNone",
    "AskedCutoff",
    "AskedDecades",
    "AskedEnergy",
    "AskedFolds",
    "AskedForce",
    "AskedHop",
    "AskedImages",
    "AskedInterval",
    "AskedLength",
    "AskedLevel",
    "AskedLevelOfEnergy",
    "AskedMembers",
    "AskedPort",
    "AskedPressure",
    "AskedPriority",
    "AskedRatio",
    "AskedResolution",
    "AskedSeconds",
    "AskedSeed",
    "AskedSpacing",
    "AskedStart",
    "AskedTemperature",
    "AskedTimeFs",
    "AskedTimePs",
    "AskedTimeStep",
    "AskedTolerance",
    "AskedWavelength",
    "AskedWorkers",
    "Cm2PerS",
    "CoreHours",
    "Energy",
    "EnergyPerAtom",
    "Fraction",
    "Length",
    "Limits",
    "Pressure",
    "Pure",
    "SPerCm",
    "Seconds",
    "Temperature",
    "TimeFs",
    "TimePs",
    "Unit",
    "Volume",
    "limits_in",
]


@dataclass(frozen=True)
class Unit:
    """The unit of an annotated float; an empty symbol is a pure number."""

    symbol: str


Energy = Annotated[float, Unit("eV")]
EnergyPerAtom = Annotated[float, Unit("eV/atom")]
Length = Annotated[float, Unit("angstrom")]
Area = Annotated[float, Unit("angstrom^2")]
Volume = Annotated[float, Unit("angstrom^3")]
TimeFs = Annotated[float, Unit("fs")]
TimePs = Annotated[float, Unit("ps")]
Seconds = Annotated[float, Unit("s")]
CoreHours = Annotated[float, Unit("core h")]
Temperature = Annotated[float, Unit("K")]
Pressure = Annotated[float, Unit("eV/angstrom^3")]
Cm2PerS = Annotated[float, Unit("cm^2/s")]
SPerCm = Annotated[float, Unit("S/cm")]
Fraction = Annotated[float, Unit("fraction")]
Pure = Annotated[float, Unit("")]


@dataclass(frozen=True)
class Limits:
    """What a number may be that a person gives; it is finite in any case.

    Attributes
    ----------
    above, least, below, most
        Bounds; what is left out is none.
    whole
        No fractions.
    """

    unit: str = ""
    above: float | None = None
    least: float | None = None
    below: float | None = None
    most: float | None = None
    whole: bool = False

    def check(self, value: object) -> Any:
        """Return a number, given as one or as text (to YAML, 1e-4 is text).

        Raises
        ------
        ValueError
            If it is none, or outside the limits; the message says what it must be, not what it is.
        """
        try:
            number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            number = math.nan
        except OverflowError:
            number = math.inf
        if not math.isfinite(number) or not self._holds(number):
            raise ValueError(f"must be {self}")
        return int(number) if self.whole else number

    def _holds(self, number: float) -> bool:
        return (
            (self.above is None or number > self.above)
            and (self.least is None or number >= self.least)
            and (self.below is None or number < self.below)
            and (self.most is None or number <= self.most)
            and (not self.whole or number.is_integer())
        )

    def __str__(self) -> str:
        bounds = {
            "above": self.above,
            "at least": self.least,
            "below": self.below,
            "at most": self.most,
        }
        said = " and ".join(f"{word} {x:g}" for word, x in bounds.items() if x is not None)
        return " ".join(
            filter(None, ["a whole number" if self.whole else "a number", said, self.unit])
        )

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Let models of pydantic ask `check` first."""
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Tell editors the limits."""
        content: dict[str, Any] = handler(schema)
        bounds = {
            "exclusiveMinimum": self.above,
            "minimum": self.least,
            "exclusiveMaximum": self.below,
            "maximum": self.most,
        }
        return content | {key: bound for key, bound in bounds.items() if bound is not None}


def limits_in(annotation: Any) -> Iterator[Limits]:
    """Yield the limits in a type, such as the one of ``tuple[AskedTemperature, ...] | None``."""
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
        yield from (item for item in metadata if isinstance(item, Limits))
    for part in get_args(annotation):
        yield from limits_in(part)


AskedEnergy = Annotated[Energy, Limits("eV", above=0, most=1e4)]
AskedForce = Annotated[float, Unit("eV/angstrom"), Limits("eV/A", above=0, most=1e3)]
AskedLength = Annotated[Length, Limits("A", above=0, most=1e3)]
AskedPressure = Annotated[float, Unit("GPa"), Limits("GPa", above=0, most=100)]
AskedHop = Annotated[Length, Limits("A", above=0, most=20)]
"""Longest jump of an ion; the sites of all neighbors so far away are looked at."""
AskedResolution = Annotated[Length, Limits("A", least=0.01, most=5)]
"""Distance of grid points: finer ones fill the memory, wider ones miss the path of an ion."""
AskedWavelength = Annotated[Length, Limits("A", above=0, most=10)]
AskedTimeStep = Annotated[TimeFs, Limits("fs", least=0.05, most=20)]
"""What dynamics of ions need and bear: beyond, a unit was mistaken."""
AskedTimeFs = Annotated[TimeFs, Limits("fs", above=0, most=1e6)]
AskedTimePs = Annotated[TimePs, Limits("ps", above=0, most=1e8)]
AskedStart = Annotated[TimePs, Limits("ps", least=0, most=1e8)]
"""How much of a run's beginning is left out."""
AskedSeconds = Annotated[Seconds, Limits("s", least=0, most=1e9)]
AskedCoreHours = Annotated[CoreHours, Limits("core-hours", above=0, most=1e10)]
AskedTemperature = Annotated[Temperature, Limits("K", above=0, most=1e5)]
AskedCharge = Annotated[float, Unit("e"), Limits("e", least=-100, most=100)]
AskedConductivity = Annotated[SPerCm, Limits("S/cm", above=0, most=1e6)]
AskedLevel = Annotated[Fraction, Limits("", above=0, below=1)]
AskedRatio = Annotated[Fraction, Limits("", above=0, most=1e3)]
AskedAmount = Annotated[Pure, Limits("", least=0, most=1e9)]
AskedLevelOfEnergy = Annotated[Energy, Limits("eV", least=-1e4, most=1e4)]
AskedTolerance = Annotated[float, Unit("meV/atom"), Limits("meV/atom", least=1e-3, most=1e4)]
AskedCutoff = Annotated[float, Unit("Ry"), Limits("Ry", least=1, most=1e3)]
AskedSpacing = Annotated[float, Unit("1/angstrom"), Limits("1/A", least=0.01, most=10)]
AskedInterval = Annotated[Seconds, Limits("s", least=0.1, most=1e5)]
"""Between two looks."""
AskedDecades = Annotated[float, Limits("decades", above=0, most=10)]
"""How well a number is known beforehand, as a standard deviation of its logarithm."""
AskedArrangements = Annotated[int, Limits("", least=1, most=100, whole=True)]
"""Of a disordered crystal: its spread is known from a few."""
AskedCount = Annotated[int, Limits("", least=1, most=10**9, whole=True)]
AskedExchanges = Annotated[int, Limits("", least=1, most=2, whole=True)]
"""Of elements in one crystal: three make another crystal."""
AskedCountOrNone = Annotated[int, Limits("", least=0, most=10**9, whole=True)]
AskedImages = Annotated[int, Limits("", least=3, most=99, whole=True)]
"""Of a band with both ends: VASP counts its folders with two digits."""
AskedMembers = Annotated[int, Limits("", least=1, most=10**5, whole=True)]
"""Of an ensemble, each of which is trained."""
AskedFolds = Annotated[int, Limits("", least=2, most=10**6, whole=True)]
AskedClusters = Annotated[int, Limits("", least=2, most=10**6, whole=True)]
AskedPort = Annotated[int, Limits("", least=0, most=65535, whole=True)]
AskedPriority = Annotated[int, Limits("", least=-(10**9), most=10**9, whole=True)]
AskedWorkers = Annotated[int, Limits("", least=1, most=4096, whole=True)]
AskedSeed = Annotated[int, Limits("", least=0, most=2**32 - 1, whole=True)]
"""Numpy and scikit-learn take 32 bits."""

BOLTZMANN_EV_PER_K = 8.617333262e-5
"""Boltzmann constant in eV/K."""

ELEMENTARY_CHARGE_C = 1.602176634e-19
"""Elementary charge in coulomb."""

GPA_PER_EV_PER_A3 = 160.2176634
"""One eV/A^3 in GPa."""

ANGSTROM2_PER_PS_TO_CM2_PER_S = 1e-4
"""One A^2/ps in cm^2/s: (1e-8 cm)^2 / 1e-12 s."""
