"""Units as part of a number's type, and the few conversions ssefw needs.

A stored float carries its unit as `Annotated` metadata, so that a schema, a table header and a
reader of the code see the same thing::

    Energy = Annotated[float, Unit("eV")]

Everywhere in ssefw: eV, angstrom, femtoseconds for a time step, picoseconds for a duration, kelvin,
cm^2/s for diffusivity and S/cm for conductivity.
"""

from dataclasses import dataclass
from typing import Annotated

__all__ = [
    "ANGSTROM2_PER_PS_TO_CM2_PER_S",
    "BOLTZMANN_EV_PER_K",
    "ELEMENTARY_CHARGE_C",
    "Area",
    "Cm2PerS",
    "CoreHours",
    "Energy",
    "EnergyPerAtom",
    "Fraction",
    "Length",
    "Pressure",
    "Pure",
    "SPerCm",
    "Seconds",
    "Temperature",
    "TimeFs",
    "TimePs",
    "Unit",
    "Volume",
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

BOLTZMANN_EV_PER_K = 8.617333262e-5
"""Boltzmann constant in eV/K."""

ELEMENTARY_CHARGE_C = 1.602176634e-19
"""Elementary charge in coulomb."""

ANGSTROM2_PER_PS_TO_CM2_PER_S = 1e-4
"""One A^2/ps in cm^2/s: (1e-8 cm)^2 / 1e-12 s."""
