"""The nine simplifications of a structure (Laskowski, McHaffie, See 2023).

Atoms are sorted by charge: cations become Al, anions S, neutral atoms Mg, the mobile ion Li. A
simplification says which of them stay, and whether the cell is scaled, its shape kept, to 40 cubic
angstrom for each anion or neutral atom (those carry the framework). On a site that several species
share, equal kinds add up and what is removed leaves the site partly empty.

Charges are assigned in the paper's order: as given; one fixed charge an element, where that is
neutral; bond valences; a guess from the composition, which calls every atom neutral where it finds
nothing (an intermetallic). The paper ordered what is disordered first; here a shared site keeps its
species, bond valences are passed over, and the guess takes the common charges nearest to neutral.
"""

import itertools
import math
import warnings
from collections import defaultdict
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import yaml
from pymatgen.core import Composition, Element, Lattice, Species, Structure

from ssefw.errors import ConfigurationError, DataError

__all__ = [
    "SIMPLIFICATIONS",
    "assign_oxidation_states",
    "simplified",
    "simplify",
]

SIMPLIFICATIONS: Final = (
    "unperturbed",
    "CAMN",
    "CAN",
    "AM",
    "A",
    "CAMN-40",
    "CAN-40",
    "AM-40",
    "A-40",
)
"""Letters are what stays: cations, anions, mobile ions, neutral atoms."""

VOLUME_PER_ANION: Final = 40.0
"""Cubic angstrom."""

NEUTRALITY: Final = 0.5
"""Elementary charges a cell may be off and still count as neutral, as in the paper."""

LARGEST_FOR_BOND_VALENCES: Final = 200
"""Sites; beyond, the search of bond valences takes minutes and the composition decides."""

MOST_CHOICES: Final = 100_000
IMBALANCE: Final = 0.1
"""Share of the positive charge a disordered refinement may be off neutral."""

_STANDS_FOR: Final = {
    "C": Species("Al", 3),
    "A": Species("S", -2),
    "M": Species("Li", 1),
    "N": Species("Mg", 0),
}


def assign_oxidation_states(structure: Structure) -> Structure:
    """Return the structure with an oxidation state on every specie.

    Raises
    ------
    DataError
        If it holds something without a charge to guess, for example a dummy atom.
    """
    if all(isinstance(specie, Species) for specie in structure.composition):
        return structure
    amounts = structure.composition.element_composition
    table = _fixed_charges()
    if all(element.symbol in table for element in amounts):
        charge = sum(table[element.symbol] * amount for element, amount in amounts.items())
        if abs(charge) < NEUTRALITY:
            return _by_element(structure, table)
    return _by_bond_valences(structure) or _by_guess(structure)


def simplify(structure: Structure, name: str, *, mobile: str = "Li") -> Structure:
    """Return one simplification of a structure; see the module.

    Raises
    ------
    ConfigurationError
        If there is no simplification of that name.
    DataError
        If no oxidation states can be assigned.
    """
    return simplified(structure, (name,), mobile=mobile)[name]


def simplified(
    structure: Structure, names: tuple[str, ...] = SIMPLIFICATIONS, *, mobile: str = "Li"
) -> dict[str, Structure]:
    """Return several simplifications of a structure by name; charges are assigned once.

    Where nothing would be left, the paper's rules hold: of a structure with other atoms than the
    mobile ion, these all become S; of a structure of mobile ions only, these do.
    """
    for name in names:
        if name not in SIMPLIFICATIONS:
            raise ConfigurationError(
                f"Unknown simplification {name!r}. Known: {', '.join(SIMPLIFICATIONS)}."
            )
    charged = assign_oxidation_states(structure)
    kinds = [_kinds(site.species, mobile) for site in charged]
    counts = [kind for site in kinds for kind in site]
    n_frame = sum(site.get("A", 0.0) + site.get("N", 0.0) for site in kinds)
    result = {}
    for name in names:
        if name == "unperturbed":
            result[name] = charged
            continue
        letters, _, scaled = name.partition("-")
        if not set(letters) & set(counts):
            rescued = "M" if set(counts) == {"M"} else "CN"
            sites = [_renamed(site, rescued) for site in kinds]
            kept = "A"
        else:
            sites, kept = kinds, letters
        made = _keep(charged, sites, kept)
        if scaled:
            n = n_frame or made.composition.num_atoms
            made.scale_lattice(VOLUME_PER_ANION * n)
        result[name] = made
    return result


def _kinds(species: Composition, mobile: str) -> dict[str, float]:
    """Return how much of a site is cation, anion, mobile or neutral."""
    found: dict[str, float] = defaultdict(float)
    for specie, amount in species.items():
        if specie.symbol == mobile:
            kind = "M"
        else:
            charge = specie.oxi_state or 0
            kind = "C" if charge > 0 else "A" if charge < 0 else "N"
        found[kind] += amount
    return dict(found)


def _renamed(site: dict[str, float], kinds: str) -> dict[str, float]:
    total = sum(amount for kind, amount in site.items() if kind in kinds)
    return {"A": total} if total else {}


def _keep(structure: Structure, sites: list[dict[str, float]], letters: str) -> Structure:
    species, coords = [], []
    for site, kinds in zip(structure, sites, strict=True):
        kept = {_STANDS_FOR[kind]: kinds[kind] for kind in letters if kinds.get(kind, 0) > 0}
        if kept:
            species.append(kept)
            coords.append(site.frac_coords)
    lattice = Lattice(structure.lattice.matrix)
    return Structure(lattice, species, coords)


@cache
def _fixed_charges() -> dict[str, float]:
    text = files("ssefw.screening.features").joinpath("oxidation_states.yaml").read_text()
    return {
        symbol: float(charge)
        for charge, symbols in yaml.safe_load(text).items()
        for symbol in str(symbols).split()
    }


def _by_element(structure: Structure, charges: dict[str, float]) -> Structure:
    copy: Structure = structure.copy()
    copy.remove_oxidation_states()
    copy.add_oxidation_state_by_element(charges)
    return copy


def _by_bond_valences(structure: Structure) -> Structure | None:
    if len(structure) > LARGEST_FOR_BOND_VALENCES or not structure.is_ordered:
        return None
    # Its tables take half a second to load, which most processes need not wait for.
    from pymatgen.analysis.bond_valence import BVAnalyzer  # noqa: PLC0415

    # As in the paper the distances are not scaled; the default is for calculated cells.
    analyzer = BVAnalyzer(distance_scale_factor=1, max_permutations=10_000)
    bare: Structure = structure.copy()
    bare.remove_oxidation_states()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            charged: Structure = analyzer.get_oxi_state_decorated_structure(bare)
    except (ValueError, KeyError, TypeError, ZeroDivisionError, IndexError, AttributeError):
        return None
    return charged if abs(charged.charge) < NEUTRALITY else None


def _by_guess(structure: Structure) -> Structure:
    elements = structure.composition.element_composition
    if not all(isinstance(element, Element) for element in elements):
        raise DataError(
            f"{structure.composition.reduced_formula} holds a species without an element. Replace "
            "or leave it out."
        )
    if structure.is_ordered:
        return _by_element(structure, _guess(elements.reduced_formula))
    return _by_element(structure, _nearly_neutral(elements))


@cache
def _guess(formula: str) -> dict[str, float]:
    """Return the likeliest neutral charges, zero for every element where there are none."""
    composition = Composition(formula)
    try:
        found = composition.oxi_state_guesses(max_sites=-1)
    except ValueError:
        found = ()
    return dict(found[0]) if found else dict.fromkeys(composition.get_el_amt_dict(), 0.0)


def _nearly_neutral(composition: Composition) -> dict[str, float]:
    """Return the common charges that come closest to neutral; zero where none come close.

    Refined occupancies are never exactly neutral, which the search of the likeliest asks for.
    """
    amounts = composition.get_el_amt_dict()
    choices = [Element(symbol).common_oxidation_states or (0,) for symbol in amounts]
    neutral = dict.fromkeys(amounts, 0.0)
    if math.prod(len(states) for states in choices) > MOST_CHOICES:
        return neutral
    numbers = np.array(list(amounts.values()))
    states = np.array(list(itertools.product(*choices)), dtype=float)
    charge = np.abs(states @ numbers)
    positive = np.maximum(states, 0) @ numbers
    best = int(np.argmin(charge))
    if not charge[best] <= IMBALANCE * positive[best]:
        return neutral
    return dict(zip(amounts, states[best].tolist(), strict=True))
