"""Which ions a structure is made of: the mobile one and the charges of the others."""

import itertools
import re
import warnings
from dataclasses import dataclass
from typing import Literal

from pymatgen.core import Element, Structure

from ssefw.bvse.parameters import ion_name, mobile_charges
from ssefw.errors import DataError

__all__ = ["ChargedStructure", "assign_charges", "parse_ion"]

# Charge neutrality of a disordered structure holds up to the rounding of its occupancies.
_NEUTRALITY = 0.02

# Beyond this the exhaustive search of BVAnalyzer takes seconds, for mixed-valence cells only.
_MAX_PERMUTATIONS = 10_000

ChargeOrigin = Literal["input", "bond valence", "composition"]


@dataclass(frozen=True)
class ChargedStructure:
    """A structure with oxidation states, and where they came from.

    Attributes
    ----------
    structure
        Every specie has an oxidation state.
    origin
        ``input``: as given; ``bond valence``: pymatgen's BVAnalyzer; ``composition``: the only
        neutral choice of common oxidation states.
    notes
        What a user should know of the guess.
    """

    structure: Structure
    origin: ChargeOrigin
    notes: tuple[str, ...] = ()


def parse_ion(ion: str) -> tuple[str, int]:
    """Return element and charge of a mobile ion such as ``Li``, ``Mg2+`` or ``O2-``.

    Without a charge, the smallest that has parameters is taken.

    Raises
    ------
    DataError
        When it is no ion, or none with parameters.
    """
    match = re.fullmatch(r"([A-Z][a-z]?)(?:(\d*)([+-]))?", ion.strip())
    if match is None or not Element.is_valid_symbol(match[1]):
        raise DataError(f"Cannot read the mobile ion {ion!r}. Write it as Li, Mg2+ or O2-.")
    symbol = match[1]
    charges = mobile_charges(symbol)
    if match[3] is None:
        if not charges:
            raise DataError(f"No Morse parameters for {symbol} as a mobile ion.")
        return symbol, charges[0]
    charge = int(match[2] or 1) * (1 if match[3] == "+" else -1)
    if charge not in charges:
        known = ", ".join(ion_name(symbol, known) for known in charges) or "none"
        raise DataError(
            f"No Morse parameters for {ion_name(symbol, charge)} as a mobile ion. "
            f"Charges of {symbol} with parameters: {known}."
        )
    return symbol, charge


def assign_charges(structure: Structure, *, ion: str = "Li") -> ChargedStructure:
    """Give every specie an oxidation state: from the input, by bond valences, by composition.

    Raises
    ------
    DataError
        When the mobile ion is absent, the structure is not ionic, or its charges are ambiguous.
    """
    symbol, charge = parse_ion(ion)
    elements = {element.symbol for element in structure.composition.element_composition}
    if symbol not in elements:
        raise DataError(
            f"{structure.composition.reduced_formula} has no {symbol}. "
            f"Choose the mobile ion among: {', '.join(sorted(elements))}."
        )
    if len(elements) == 1:
        raise DataError(
            f"{symbol} alone is not ionic: a site energy needs ions of both signs around {symbol}."
        )
    given = [getattr(specie, "oxi_state", None) for site in structure for specie in site.species]
    if all(state is not None for state in given):
        charged = ChargedStructure(structure, "input")
    elif structure.is_ordered:
        charged = _of_ordered(structure, symbol, charge)
    else:
        charged = _by_composition(structure, symbol, charge)
    _check(charged, symbol, charge)
    return charged


def _of_ordered(structure: Structure, symbol: str, charge: int) -> ChargedStructure:
    """Return states by bond valences, unless these make uncommon anions and others would do.

    Bonds of an arrangement that is not relaxed have the lengths of an average over sites: sulfur
    of thiophosphates then comes out as S-.
    """
    charged = _by_bond_valence(structure)
    if charged is not None and not _has_uncommon_anions(charged.structure):
        return charged
    try:
        return _by_composition(structure, symbol, charge)
    except DataError:
        if charged is None:
            raise
        return charged


def _has_uncommon_anions(structure: Structure) -> bool:
    states = {specie.symbol: float(specie.oxi_state or 0.0) for specie in structure.composition}
    return any(
        state < 0 and state not in Element(symbol).common_oxidation_states
        for symbol, state in states.items()
    )


def _by_bond_valence(structure: Structure) -> ChargedStructure | None:
    # Its tables take half a second to load, which most processes need not wait for.
    from pymatgen.analysis.bond_valence import BVAnalyzer  # noqa: PLC0415

    analyzer = BVAnalyzer(max_permutations=_MAX_PERMUTATIONS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # spglib announces a change of its error handling
            valences = analyzer.get_valences(structure)
    except (ValueError, KeyError, IndexError):  # it says no in several ways
        return None
    charged = structure.copy()
    charged.add_oxidation_state_by_site([float(valence) for valence in valences])
    return ChargedStructure(charged, "bond valence")


def _by_composition(structure: Structure, symbol: str, charge: int) -> ChargedStructure:
    amounts = {
        element.symbol: amount
        for element, amount in structure.composition.element_composition.items()
    }
    states = {
        name: [charge] if name == symbol else list(Element(name).common_oxidation_states)
        for name in amounts
    }
    choices = [
        dict(zip(amounts, choice, strict=True)) for choice in itertools.product(*states.values())
    ]
    ordered = [choice for choice in choices if _follows_electronegativity(choice)]
    neutral = [choice for choice in ordered if _imbalance(choice, amounts) <= _NEUTRALITY]
    formula = structure.composition.reduced_formula
    if len(neutral) == 1:
        imbalance = _imbalance(neutral[0], amounts)
        notes = (f"occupancies leave {imbalance:.1%} of the charge unbalanced",)
        return _decorated(structure, neutral[0], notes if imbalance > 1e-3 else ())
    if neutral:
        shown = "; ".join(_describe(choice) for choice in neutral[:4])
        raise DataError(
            f"Oxidation states of {formula} are ambiguous: {shown}. "
            "Give a structure with oxidation states."
        )
    rare = _rare_state(ordered, amounts, symbol)
    if len(rare) == 1:
        name, choice = rare[0]
        note = f"{name} has the uncommon oxidation state {choice[name]:+g}"
        return _decorated(structure, choice, (note,))
    mixed = _mixed_valence(ordered, amounts, symbol)
    if len(mixed) == 1:
        name, choice = mixed[0]
        note = f"{name} has the mean oxidation state {choice[name]:.2f} (mixed valence)"
        return _decorated(structure, choice, (note,))
    raise DataError(
        f"No neutral choice of common oxidation states for {formula}: it may be metallic, or its "
        "occupancies do not add up. Give a structure with oxidation states."
    )


def _follows_electronegativity(choice: dict[str, float]) -> bool:
    """Tell whether the anions are the most electronegative elements."""
    cations = [Element(name).X for name, state in choice.items() if state > 0]
    anions = [Element(name).X for name, state in choice.items() if state < 0]
    return bool(cations and anions) and max(cations) < min(anions) + 1e-6


def _imbalance(choice: dict[str, float], amounts: dict[str, float]) -> float:
    charges = [state * amounts[name] for name, state in choice.items()]
    return abs(sum(charges)) / max(sum(charge for charge in charges if charge > 0), 1e-9)


def _rare_state(
    choices: list[dict[str, float]], amounts: dict[str, float], symbol: str
) -> list[tuple[str, dict[str, float]]]:
    """Return neutral choices in which one cation takes an uncommon state, such as Os7+."""
    found: dict[tuple[tuple[str, float], ...], tuple[str, dict[str, float]]] = {}
    for choice, name in itertools.product(choices, amounts):
        if name == symbol or choice[name] < 0:
            continue
        for state in Element(name).oxidation_states:
            rare = {**choice, name: float(state)}
            if state > 0 and _imbalance(rare, amounts) <= _NEUTRALITY:
                found[tuple(sorted(rare.items()))] = (name, rare)
    return list(found.values())


def _mixed_valence(
    choices: list[dict[str, float]], amounts: dict[str, float], symbol: str
) -> list[tuple[str, dict[str, float]]]:
    """Return choices in which one cation takes a mean of its common states."""
    found: dict[tuple[tuple[str, float], ...], tuple[str, dict[str, float]]] = {}
    for choice, name in itertools.product(choices, amounts):
        states = [state for state in Element(name).common_oxidation_states if state > 0]
        if name == symbol or choice[name] < 0 or len(states) < 2:
            continue
        rest = sum(state * amounts[other] for other, state in choice.items() if other != name)
        mean = -rest / amounts[name]
        if min(states) < mean < max(states):
            mixed = {**choice, name: round(mean, 4)}
            found[tuple(sorted(mixed.items()))] = (name, mixed)
    return list(found.values())


def _decorated(
    structure: Structure, choice: dict[str, float], notes: tuple[str, ...]
) -> ChargedStructure:
    charged = structure.copy()
    charged.remove_oxidation_states()
    charged.add_oxidation_state_by_element(choice)
    return ChargedStructure(charged, "composition", notes)


def _describe(choice: dict[str, float]) -> str:
    return " ".join(ion_name(name, state) for name, state in choice.items())


def _check(charged: ChargedStructure, symbol: str, charge: int) -> None:
    states = {
        (specie.symbol, float(specie.oxi_state or 0))
        for site in charged.structure
        for specie in site.species
    }
    if all(state == 0 for _, state in states):
        raise DataError(
            f"All oxidation states of {charged.structure.composition.reduced_formula} are zero. "
            "The site energy is defined for ionic compounds only."
        )
    wrong = sorted(state for name, state in states if name == symbol and state != charge)
    if wrong:
        raise DataError(
            f"{symbol} has the oxidation state {wrong[0]:g} (from: {charged.origin}), but the "
            f"mobile ion is {ion_name(symbol, charge)}."
        )
    neutral = sorted(name for name, state in states if state == 0)
    if neutral:
        raise DataError(
            f"{', '.join(neutral)} has the oxidation state 0 (from: {charged.origin}): "
            "a neutral atom has no term in the site energy."
        )
