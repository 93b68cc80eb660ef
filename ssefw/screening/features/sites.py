"""A crystal as arrays of occupancies, so that disorder is the rule and order a special case.

A row is a site, a column an atomic number, an entry the share of the site that the element holds.
Partly empty sites sum to less than 1. Simplified representations (Laskowski et al. 2023, McHaffie
et al. 2025) move columns: CAMN keeps all atoms, CAN leaves out lithium, the forms with S replace
every cation by Al, every anion by S and every neutral atom by Mg, by the charge that each species
has on its own site.

https://doi.org/10.1039/D5DD00052A
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition, DummySpecies, Element, Species, Structure

from ssefw.errors import ConfigurationError, DataError

__all__ = [
    "N_ELEMENTS",
    "Representation",
    "Sites",
    "composition_sites",
    "oxidation_states",
    "represented",
    "structure_sites",
]

Floats = npt.NDArray[np.float64]
Representation = Literal["CAMN", "CAN", "CAMNS", "CANS"]

N_ELEMENTS = 95
"""Columns of an occupancy array: atomic numbers up to plutonium; column 0 stays empty."""

ROUNDING = 0.02
"""A site may be over-full by so much, as rounded refinements are; it is scaled to full."""

_LI, _MG, _AL, _S = 3, 12, 13, 16
# Helium, neon and argon make no solids that teach anything of bonds; the others were in no
# training set, and their embeddings are still the random start.
_UNKNOWN = frozenset({"He", "Ne", "Ar", "Po", "At", "Rn", "Fr", "Ra"})


@dataclass(frozen=True)
class Sites:
    """Sites of a crystal, or the elements of a composition where there is no structure.

    Attributes
    ----------
    occupancy
        Shape (n, 95), each row at most 1.
    charge_sign
        Of the element of the column on this site: 1, 0 or -1, shape (n, 95). None where it was not
        asked for.
    fractional
        Positions, shape (n, 3); None for a composition.
    lattice
        Cell vectors in angstrom, shape (3, 3); None for a composition.
    weight
        How many atoms a row stands for, shape (n,).
    """

    occupancy: Floats
    weight: Floats
    charge_sign: Floats | None = None
    fractional: Floats | None = None
    lattice: Floats | None = None

    def __len__(self) -> int:
        return len(self.occupancy)


def structure_sites(structure: Structure, *, charged: bool = False) -> Sites:
    """Return the sites of a structure, ordered or not; empty sites are left out.

    Isotopes are their element. Oxidation states are taken from the structure, and guessed for the
    elements that state none.

    Parameters
    ----------
    charged
        Whether the signs of the charges are wanted.

    Raises
    ------
    DataError
        If a site is over-full, holds something that is no element, or an element is not known.
    """
    occupancy = np.zeros((len(structure), N_ELEMENTS))
    stated = np.full((len(structure), N_ELEMENTS), np.nan)
    for row, site in enumerate(structure):
        for species, share in site.species.items():
            number = _atomic_number(species)
            occupancy[row, number] += share
            state = getattr(species, "oxi_state", None)
            if state is not None:
                stated[row, number] = state
    total = occupancy.sum(axis=1)
    worst = int(np.argmax(total)) if len(total) else 0
    if len(total) and total[worst] > 1 + ROUNDING:
        raise DataError(
            f"Site {worst + 1} of {structure.composition.reduced_formula} is occupied "
            f"{total[worst]:.3f} times ({structure[worst].species_string}). Correct the CIF so "
            "that no site holds more than one atom."
        )
    occupancy /= np.maximum(total, 1.0)[:, None]
    kept = total > 0
    if not kept.any():
        raise DataError("The structure has no atoms. Give one with occupied sites.")
    return Sites(
        occupancy=occupancy[kept],
        weight=np.ones(int(kept.sum())),
        charge_sign=_signs(occupancy[kept], stated[kept]) if charged else None,
        fractional=np.asarray(structure.frac_coords, dtype=np.float64)[kept],
        lattice=np.array(structure.lattice.matrix, dtype=np.float64),
    )


def composition_sites(composition: Composition, *, charged: bool = False) -> Sites:
    """Return one row for each element of a composition, weighted by its atomic fraction.

    Raises
    ------
    DataError
        If an element is not known.
    """
    amounts: dict[int, float] = {}
    for species, amount in composition.items():
        number = _atomic_number(species)
        amounts[number] = amounts.get(number, 0.0) + float(amount)
    numbers = sorted(amounts)
    occupancy = np.zeros((len(numbers), N_ELEMENTS))
    occupancy[np.arange(len(numbers)), numbers] = 1.0
    weight = np.array([amounts[number] for number in numbers])
    sign = None
    if charged:
        stated = np.full(occupancy.shape, np.nan)
        sign = _signs(occupancy * weight[:, None], stated)
    return Sites(occupancy=occupancy, weight=weight / weight.sum(), charge_sign=sign)


def represented(sites: Sites, representation: Representation) -> Sites:
    """Return the sites in one of the four representations.

    Raises
    ------
    DataError
        If nothing is left, as of metallic lithium without its lithium.
    """
    if representation not in get_args(Representation):
        raise ConfigurationError(
            f"Unknown representation {representation!r}. "
            f"Known: {', '.join(sorted(get_args(Representation)))}."
        )
    occupancy = sites.occupancy
    if representation.endswith("S"):
        if sites.charge_sign is None:
            raise ValueError("simplified representations need sites with charges")
        simple = np.zeros_like(occupancy)
        others = occupancy.copy()
        others[:, _LI] = 0
        simple[:, _LI] = occupancy[:, _LI]
        for column, sign in ((_AL, 1), (_S, -1), (_MG, 0)):
            simple[:, column] = (others * (sites.charge_sign == sign)).sum(axis=1)
        occupancy = simple
    if "M" not in representation:
        occupancy = occupancy.copy()
        occupancy[:, _LI] = 0
    kept = occupancy.sum(axis=1) > 0
    if not kept.any():
        raise DataError(
            f"Nothing is left of the structure in the representation {representation}, which "
            "leaves out lithium. Use CAMN or CAMNS."
        )
    weight = sites.weight[kept]
    if sites.fractional is None:
        weight = weight / weight.sum()
        return Sites(occupancy=occupancy[kept], weight=weight)
    return replace(
        sites,
        occupancy=occupancy[kept],
        weight=weight,
        charge_sign=None if sites.charge_sign is None else sites.charge_sign[kept],
        fractional=sites.fractional[kept],
    )


def oxidation_states(amounts: Mapping[str, float]) -> dict[str, float]:
    """Return a likely oxidation state of each element of a composition.

    Among all choices of known states, the one that comes closest to neutral and is most frequent
    among known compounds. Occupancies of refined structures seldom balance exactly, so neutrality
    is weighed, not demanded. A compound of metals alone is neutral.

    Parameters
    ----------
    amounts
        Atoms by element symbol.
    """
    symbols = sorted(symbol for symbol, amount in amounts.items() if amount > 0)
    if all(Element(symbol).is_metal for symbol in symbols):
        return dict.fromkeys(symbols, 0.0)
    share = np.array([amounts[symbol] for symbol in symbols])
    share = share / share.sum()
    choices = [_known_states(symbol) for symbol in symbols]
    while np.prod([float(len(one)) for one in choices]) > 2e5:
        longest = max(range(len(choices)), key=lambda i: len(choices[i]))
        choices[longest] = choices[longest][:-1]
    states = np.array(list(product(*([state for state, _ in one] for one in choices))))
    rarity = np.array([sum(each) for each in product(*([r for _, r in one] for one in choices))])
    # An imbalance of 0.03 charges an atom weighs like a state that is 2.7 times as rare.
    cost = np.abs(states @ share) / 0.03 + rarity
    best = states[int(np.argmin(cost))]
    return {symbol: float(state) for symbol, state in zip(symbols, best, strict=True)}


@lru_cache(maxsize=128)
def _known_states(symbol: str) -> tuple[tuple[int, float], ...]:
    """Return states of an element and their rarity (-log frequency), most frequent first."""
    if symbol == "Li":
        return ((1, 0.0),)
    if Composition.oxi_prob is None:
        # pymatgen reads its table of frequencies with the first guess.
        Composition("LiF").oxi_state_guesses()
    table: Mapping[Any, float] = Composition.oxi_prob or {}
    element = Element(symbol)
    counts = {
        int(species.oxi_state): float(count)
        for species, count in table.items()
        if species.symbol == symbol and float(species.oxi_state or 0).is_integer()
    }
    for state in element.common_oxidation_states:
        counts[int(state)] = counts.get(int(state), 0.0) + 1.0
    counts = counts or {0: 1.0}
    total = sum(counts.values())
    found = [(state, float(-np.log(count / total))) for state, count in counts.items()]
    return tuple(sorted(found, key=lambda item: item[1])[:8])


def _signs(occupancy: Floats, stated: Floats) -> Floats:
    sums = occupancy.sum(axis=0)
    present = np.flatnonzero(sums)
    guessed: dict[str, float] = {}
    if (np.isnan(stated) & (occupancy > 0)).any():
        guessed = oxidation_states({Element.from_Z(int(z)).symbol: sums[z] for z in present})
    signs = np.zeros_like(occupancy)
    for number in present:
        column = stated[:, number]
        guess = guessed.get(Element.from_Z(int(number)).symbol, 0.0)
        signs[:, number] = np.sign(np.where(np.isnan(column), guess, column))
    return signs


def _atomic_number(species: Any) -> int:
    if isinstance(species, DummySpecies):
        raise DataError(
            f"{species.symbol} is no element. Replace placeholders by elements, and vacancies by "
            "occupancies below 1."
        )
    element = species.element if isinstance(species, Species) else species
    if element.symbol in _UNKNOWN or element.Z >= N_ELEMENTS:
        raise DataError(
            f"There is no trained embedding of {element.symbol}, so nothing can be said of a "
            "material that holds it."
        )
    return int(element.Z)
