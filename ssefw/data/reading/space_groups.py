"""The symmetry operations of a space group by its symbol, in the setting that a crystal is in.

A symbol alone may leave the origin open, or the axes: of the settings that it allows, the one is
taken that fits the cell and brings no atoms too close to each other.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import spglib
from pymatgen.core.operations import SymmOp

__all__ = ["operations_of"]

FloatArray = npt.NDArray[np.float64]
Operations = tuple[FloatArray, FloatArray]

SETTINGS = 530
"""Settings in the database of Hall symbols that spglib has."""

SAME_METRIC = 0.01
"""Relative change of lengths under a rotation that is none of the cell: edges are given to 1e-4."""

SAME_SITE = 1e-3
"""Fraction of the cell within which two images are one site; thirds are given to 1e-4."""

APART = 1.6
"""A; atoms farther apart say nothing about the origin, since bonds may be as short."""

_CHOICES = {"s": "1", "z": "2", "1": "1", "2": "2", "h": "H", "r": "R"}
"""How databases write the origin or the axes behind a symbol: S and Z, or :1 and :2; H and R."""


def operations_of(
    symbols: Sequence[str],
    number: int | None,
    *,
    matrix: FloatArray,
    sites: FloatArray,
    usual: Sequence[SymmOp] = (),
) -> list[str] | None:
    """Return operations as text, none if the usual ones are as good; None if none is known.

    Parameters
    ----------
    symbols
        What the file calls the space group, Hermann-Mauguin or Hall.
    number
        That of the International Tables.
    matrix
        Cell vectors in rows, angstrom.
    sites
        Fractional coordinates (n, 3) of fully occupied sites, by which the origin is known.
    usual
        The operations that are taken unless others fit better.
    """
    metric = matrix @ matrix.T
    first = _arrays(usual)
    named = [setting for symbol in symbols for setting in _settings(symbol)]
    for settings in (named, list(_of_number(number))):
        fitting = [s for s in settings if _fits(_operations(s), metric)]
        if fitting:
            strains = {s: _strain(_operations(s), matrix, sites) for s in fitting}
            best = min(strains, key=lambda setting: strains[setting])
            if _fits(first, metric) and _strain(first, matrix, sites) <= strains[best]:
                return []
            return [_text(*operation) for operation in zip(*_operations(best), strict=True)]
    return [] if usual else None


def _arrays(operations: Sequence[SymmOp]) -> Operations:
    rotations = np.array([operation.rotation_matrix for operation in operations])
    shifts = np.array([operation.translation_vector for operation in operations])
    return rotations.reshape(-1, 3, 3), shifts.reshape(-1, 3)


def _settings(symbol: str) -> Iterator[int]:
    compact = _compact(symbol)
    known = _names()
    name, choice = compact, ""
    if compact not in known and (match := re.fullmatch(r"(.+?):?([a-z0-9])", compact)):
        name, choice = match[1], _CHOICES.get(match[2], match[2])
    for setting, own_choice in known.get(name, ()):
        if not choice or own_choice == choice:
            yield setting


def _of_number(number: int | None) -> Iterator[int]:
    """Yield the settings of a number: of several axes the first, which is the standard."""
    first = None
    for setting in range(1, SETTINGS + 1):
        kind: Any = spglib.get_spacegroup_type(setting)
        if kind.number == number:
            first = first or kind.choice
            if kind.choice in {first, "1", "2", "H", "R"}:
                yield setting


@cache
def _names() -> Mapping[str, list[tuple[int, str]]]:
    """Return the settings, and which choice each is, by every name there is for them."""
    found: dict[str, list[tuple[int, str]]] = {}
    for setting in range(1, SETTINGS + 1):
        kind: Any = spglib.get_spacegroup_type(setting)
        names = {kind.international_short, kind.international_full, kind.hall_symbol}
        names |= set(kind.international.split("="))
        for name in {_compact(name) for name in names}:
            found.setdefault(name, []).append((setting, kind.choice))
    return found


def _compact(symbol: str) -> str:
    return re.sub(r"[\s_'\"()]", "", symbol).lower()


@cache
def _operations(setting: int) -> Operations:
    found: Any = spglib.get_symmetry_from_database(setting)
    return np.array(found["rotations"], dtype=float), np.array(found["translations"])


def _fits(operations: Operations, metric: FloatArray) -> bool:
    rotations = operations[0]
    if not len(rotations):
        return False
    turned = np.swapaxes(rotations, 1, 2) @ metric @ rotations
    return bool(np.abs(turned - metric).max() < SAME_METRIC * metric.max())


def _strain(operations: Operations, matrix: FloatArray, sites: FloatArray) -> tuple[float, float]:
    """Return how much too close the nearest two sites are, and how many sites there are."""
    rotations, shifts = operations
    images = [_orbit(rotations @ site + shifts) for site in sites]
    everything = np.vstack(images) if images else np.zeros((0, 3))
    apart = everything[:, None, :] - everything[None, :, :]
    lengths = np.linalg.norm((apart - np.round(apart)) @ matrix, axis=2)
    np.fill_diagonal(lengths, APART)
    nearest = float(lengths.min(initial=APART))
    return round(APART - nearest, 1), float(len(everything))


def _orbit(images: FloatArray) -> FloatArray:
    apart = images[:, None, :] - images[None, :, :]
    same = (np.abs(apart - np.round(apart)) < SAME_SITE).all(axis=2)
    return images[~np.tril(same, -1).any(axis=1)]


def _text(rotation: FloatArray, shift: FloatArray) -> str:
    rows = []
    for coefficients, step in zip(rotation, shift, strict=True):
        letters = [
            f"{'+' if value > 0 else '-'}{letter}"
            for value, letter in zip(np.rint(coefficients), "xyz", strict=True)
            if value
        ]
        twelfths = round(float(step) * 24)
        rows.append("".join(letters).removeprefix("+") + (f"+{twelfths}/24" if twelfths else ""))
    return ",".join(rows)
