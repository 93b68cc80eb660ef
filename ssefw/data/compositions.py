"""Formulas as people write them, and when two of them are one composition.

Tables of conductivities carry formulas such as ``Li1.3Al0.3Ti1.7(PO4)3``, ``LiCl*H2O`` or
``(K0.1Li0.9)(SbO3)``. A formula that cannot be read is refused with the reason; nothing is guessed.
"""

import hashlib
import re
import warnings
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from pymatgen.core import Composition, Element

from ssefw.errors import DataError

__all__ = [
    "SIMILAR_FRACTION",
    "are_similar",
    "composition_id",
    "parse_formula",
    "similar_groups",
    "spellings",
]

SIMILAR_FRACTION = 0.05
"""Largest difference of an atomic fraction between near-duplicates (McHaffie et al. 2025)."""

LONGEST = 500
"""Characters; the longest formulas of the published tables have a hundred."""
MOST = 1e6
"""Atoms of one kind in a formula."""
_CLOSES = {")": "(", "]": "[", "}": "{"}
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SEPARATORS = re.compile(r"\s*[*·•]\s*")
_POLYMORPH = re.compile(r"^(?:[a-z\u03b1-\u03c9]{1,4}|[\u03b1-\u03c9]'+)-(?=[A-Z(\[])")
_UNREADABLE = re.compile(r"[^A-Za-z0-9.()\[\]{}*·•\s]")
_DEUTERIUM = {"D": "H", "T": "H"}


@lru_cache(maxsize=200_000)
def parse_formula(formula: str) -> Composition:
    """Return the composition of a formula; a dot or star joins parts, as in ``LiCl*H2O``.

    The name of a polymorph before it, as in ``β-Li3PS4``, says nothing of the composition.

    Raises
    ------
    DataError
        If it is empty, names an unknown element, has odd signs or unbalanced brackets.
    """
    if len(formula) > LONGEST:
        raise DataError(f"A formula of {len(formula)} characters is none. Give one like Li6PS5Cl.")
    text = formula.strip().lstrip("\ufeff").translate(_SUBSCRIPTS)
    text = _POLYMORPH.sub("", text)
    if not text:
        raise DataError("A formula is empty. Give one such as Li6PS5Cl.")
    if odd := _UNREADABLE.search(text):
        raise DataError(
            f"The formula {formula!r} has {odd.group()!r} in it. Write elements, numbers and "
            "brackets only, such as Li1.3Al0.3Ti1.7(PO4)3; a mixture has no one composition."
        )
    amounts: dict[str, float] = defaultdict(float)
    for part in _SEPARATORS.split(text):
        for symbol, amount in _part(part.replace(" ", ""), formula).items():
            amounts[_DEUTERIUM.get(symbol, symbol)] += amount
    amounts = {symbol: amount for symbol, amount in amounts.items() if amount > 0}
    if not amounts:
        raise DataError(f"The formula {formula!r} holds no atoms.")
    return Composition(amounts)


def spellings(formula: str) -> tuple[str, ...]:
    """Return a formula as it was written and, if that differs, as records carry it.

    A candidate is called by pymatgen's reduced formula: Li10GeP2S12 is Li10Ge(PS6)2 there. What is
    no formula stands for itself.
    """
    try:
        reduced = parse_formula(formula).reduced_formula
    except DataError:
        return (formula,)
    return (formula,) if reduced == formula else (formula, reduced)


def _part(text: str, formula: str) -> dict[str, float]:
    match = re.match(r"(\d+(?:\.\d+)?)?(.*)$", text)
    factor, rest = (float(match[1]) if match[1] else 1.0, match[2]) if match else (1.0, text)
    # A bracket may carry a number after it; ((X)Y)Z must balance, which pymatgen does not check.
    if not _balance(rest):
        raise DataError(f"The brackets of the formula {formula!r} do not balance.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            composition = Composition(rest, strict=True)
    except (ValueError, KeyError, RecursionError) as error:
        raise DataError(
            f"The formula {formula!r} cannot be read ({error}). Write it like Li6PS5Cl."
        ) from error
    amounts = composition.get_el_amt_dict()
    for symbol in amounts:
        if symbol not in _DEUTERIUM and not Element.is_valid_symbol(symbol):
            raise DataError(f"The formula {formula!r} names {symbol!r}, which is no element.")
    if not all(0 <= factor * amount < MOST for amount in amounts.values()):
        raise DataError(f"The formula {formula!r} has a number that no formula has.")
    return {symbol: factor * amount for symbol, amount in amounts.items()}


def _balance(text: str) -> bool:
    """Return whether each bracket closes the last one that is open, and is of its kind."""
    waiting = []
    for sign in text:
        if sign in _CLOSES.values():
            waiting.append(sign)
        elif sign in _CLOSES and (not waiting or waiting.pop() != _CLOSES[sign]):
            return False
    return not waiting


def fractions(composition: Composition) -> dict[str, float]:
    """Return atomic fractions by element symbol, in order of atomic number."""
    amounts = composition.element_composition
    return {
        element.symbol: amounts[element] / amounts.num_atoms
        for element in sorted(amounts, key=lambda element: element.Z)
    }


def composition_id(composition: Composition) -> str:
    """Return an id that equal compositions share, whatever the formula's multiple."""
    text = " ".join(f"{symbol}{share:.4f}" for symbol, share in fractions(composition).items())
    return "c" + hashlib.sha256(text.encode()).hexdigest()[:15]


def are_similar(
    one: Composition, other: Composition, *, tolerance: float = SIMILAR_FRACTION
) -> bool:
    """Return whether two compositions have the same elements and fractions within a tolerance."""
    a, b = fractions(one), fractions(other)
    return a.keys() == b.keys() and all(abs(a[x] - b[x]) <= tolerance for x in a)


def similar_groups(
    compositions: Sequence[Composition], *, tolerance: float = SIMILAR_FRACTION
) -> list[int]:
    """Return the number of the group of near-duplicates each composition is in.

    Two compositions share a group when they have the same elements and all atomic fractions within
    `tolerance`, directly or through a chain of others: a solid-solution series is one group, so
    that no member can be predicted from its neighbor on the other side of a split.
    """
    shares = [fractions(composition) for composition in compositions]
    by_elements: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, share in enumerate(shares):
        by_elements[tuple(share)].append(index)
    groups = [-1] * len(shares)
    number = 0
    for members in by_elements.values():
        matrix = np.array([list(shares[index].values()) for index in members])
        near = np.abs(matrix[:, None] - matrix[None]).max(axis=2) <= tolerance + 1e-12
        open_members = set(range(len(members)))
        while open_members:
            stack = [min(open_members)]
            while stack:
                here = stack.pop()
                if here in open_members:
                    open_members.remove(here)
                    groups[members[here]] = number
                    stack += [j for j in open_members if near[here, j]]
            number += 1
    return groups
