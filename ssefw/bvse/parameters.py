"""Published parameters of the bond-valence site energy, and which of them are missing.

The numbers and where they come from are in `softbv.yaml` beside this module: the Morse parameters
and covalent radii of softBV (Chen, Wong & Adams, 2019, doi:10.1107/S2052520618015718).
"""

from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pymatgen.core import Element

from ssefw.errors import DataError

__all__ = [
    "MorsePair",
    "Radii",
    "covalent_radius",
    "ion_name",
    "known_anions",
    "mobile_charges",
    "morse_pair",
    "principal_quantum_number",
]

Radii = Literal["softbv", "ase"]
"""Covalent radii of the screening length: softBV's own, or the general ones that ASE carries."""

_PairKey = tuple[str, float, str, float]

_NOBLE_GASES = (2, 10, 18, 36, 54, 86, 118)


@dataclass(frozen=True)
class MorsePair:
    """The Morse potential of a cation and an anion.

    Attributes
    ----------
    r_min
        Distance of the minimum, in angstrom.
    alpha
        Inverse of the bond-valence softness b, in 1/angstrom.
    d0
        Bond-breaking energy, in eV; the site energy takes half of it.
    """

    r_min: float
    alpha: float
    d0: float


@dataclass(frozen=True)
class _Table:
    pairs: dict[_PairKey, MorsePair]
    unusable: frozenset[_PairKey]
    cation_radii: dict[str, float]
    anion_radii: dict[str, float]


def _pair_key(words: list[str]) -> _PairKey:
    return words[0], int(words[1]), words[2], int(words[3])


def _radii(block: str) -> dict[str, float]:
    words = block.split()
    return {symbol: float(radius) for symbol, radius in zip(words[::2], words[1::2], strict=True)}


@cache
def _table() -> _Table:
    text = files("ssefw.bvse").joinpath("softbv.yaml").read_text(encoding="utf-8")
    blocks = yaml.safe_load(text)
    pairs = {}
    for line in blocks["pairs"].splitlines():
        words = line.split()
        r_min, alpha, d0 = (float(word) for word in words[4:7])
        pairs[_pair_key(words)] = MorsePair(r_min, alpha, d0)
    return _Table(
        pairs=pairs,
        unusable=frozenset(_pair_key(line.split()) for line in blocks["unusable"].splitlines()),
        cation_radii=_radii(blocks["cation_radii"]),
        anion_radii=_radii(blocks["anion_radii"]),
    )


def ion_name(symbol: str, charge: float) -> str:
    """Return a name such as ``Li+`` or ``S2-``."""
    size = f"{abs(charge):g}" if abs(charge) != 1 else ""
    return f"{symbol}{size}{'+' if charge > 0 else '-'}"


def known_anions(symbol: str, charge: float) -> tuple[str, ...]:
    """Return the counter-ions that a mobile ion has Morse parameters with."""
    if charge > 0:
        partners = [key[2:] for key in _table().pairs if key[:2] == (symbol, charge)]
    else:
        partners = [key[:2] for key in _table().pairs if key[2:] == (symbol, charge)]
    return tuple(ion_name(*partner) for partner in partners)


def mobile_charges(symbol: str) -> tuple[int, ...]:
    """Return the charges with which an element has parameters as a mobile ion."""
    charges = {int(key[1]) for key in _table().pairs if key[0] == symbol}
    charges |= {int(key[3]) for key in _table().pairs if key[2] == symbol}
    return tuple(sorted(charges, key=lambda charge: (abs(charge), charge)))


def morse_pair(symbol: str, charge: float, partner: str, partner_charge: float) -> MorsePair:
    """Return the Morse parameters of a mobile ion and a counter-ion.

    Parameters
    ----------
    symbol, charge
        The mobile ion and its charge (e).
    partner, partner_charge
        The counter-ion and its charge (e).

    Raises
    ------
    DataError
        When the table has no row for the pair, or an unusable one.
    """
    mobile, counter = (symbol, charge), (partner, partner_charge)
    key = (*mobile, *counter) if charge > 0 else (*counter, *mobile)
    table = _table()
    if (pair := table.pairs.get(key)) is not None:
        return pair
    names = f"{ion_name(*mobile)} and {ion_name(*counter)}"
    if key in table.unusable:
        raise DataError(
            f"The published Morse parameters of {names} have a negative alpha and cannot be used. "
            "Choose another mobile ion or leave the structure out."
        )
    known = ", ".join(known_anions(symbol, charge)) or "nothing"
    raise DataError(
        f"No Morse parameters for {names}. {ion_name(*mobile)} has parameters with: {known}."
    )


def covalent_radius(symbol: str, charge: float, *, radii: Radii = "softbv") -> float:
    """Return a covalent radius in angstrom for the screening length.

    Raises
    ------
    DataError
        When the set of radii lacks the ion.
    """
    if radii == "ase":
        from ase.data import atomic_numbers, covalent_radii  # noqa: PLC0415 (0.3 s, rarely used)

        return float(covalent_radii[atomic_numbers[symbol]])
    table = _table().cation_radii if charge > 0 else _table().anion_radii
    if symbol not in table:
        raise DataError(
            f"softBV has no covalent radius for {ion_name(symbol, charge)}. "
            "Pass radii='ase' or leave the structure out."
        )
    return table[symbol]


def principal_quantum_number(symbol: str) -> int:
    """Return the period of an element, the n of the Coulomb term."""
    return bisect_left(_NOBLE_GASES, Element(symbol).Z) + 1
