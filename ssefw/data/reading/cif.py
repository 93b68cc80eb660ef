"""Crystals out of CIFs, as databases and programs write them.

pymatgen reads the file; what it would pass over in silence is mended or refused first: sites that
are vacancies, isotopes, occupancies that are not stated, and space groups given by symbol alone.
"""

import re
from collections.abc import Mapping
from io import StringIO
from typing import Any

import numpy as np
from pymatgen.core import Element, Lattice, Structure
from pymatgen.io.cif import CifFile

from ssefw.data.reading.cell_checks import FULL, check_cell
from ssefw.data.reading.cif_symmetry import NamedGroupParser, named_operations
from ssefw.data.reading.space_groups import operations_of
from ssefw.errors import DataError
from ssefw.files import printable

__all__ = ["structure_from_cif"]

FILLED = 0.999
"""Sites of this occupancy or more are there at once."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?(\(\d+\))?")
_KIND = re.compile(r"(\d*)([A-Za-z]+)")
_LENGTHS = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_ANGLES = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")
_FRACTIONS = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_OPERATIONS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz")
_SYMBOLS = (
    "_space_group_name_hall",
    "_symmetry_space_group_name_hall",
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
)
_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
_KINDS = "_atom_site_type_symbol"
_LABELS = "_atom_site_label"
_OCCUPANCY = "_atom_site_occupancy"
_UNSAID = {"?", "."}
_VACANCIES = {"Va", "Vac", "Vc", "Vacancy"}
SAME_ATOM = 0.2
"""Images of a filled site nearer than this (angstrom) are one atom, whose coordinates were rounded
off a special position."""

SAME_SITE = 0.05
"""No experiment tells sites nearer than this apart (angstrom), however little they are filled."""

_GROUPS = {"Oh", "Oh2", "Wat", "Nh4", "Nh3", "No3", "Od"}
"""Groups of atoms at one site, of which pymatgen keeps one atom or none."""


def structure_from_cif(text: str) -> Structure:
    """Return the first crystal of a CIF.

    Raises
    ------
    DataError
        If it cannot be read, or holds a number, an atom or a space group that is none.
    """
    try:
        blocks = CifFile.from_str(text)
    except ZeroDivisionError as error:  # of the values by the names
        raise DataError("not a readable cif file (a loop_ has no names, or no values)") from error
    except Exception as error:
        raise DataError(f"not a readable cif file ({_line(error)})") from error
    mended = False
    for block in blocks.data.values():
        if all(name in block.data for name in _LENGTHS + _ANGLES):
            mended |= _mend_atoms(block.data)
            _check_block(block.data)
            mended |= _mend_symmetry(block)
    try:
        told = str(blocks) if mended else text
        structure = _parsed(told)
        if _has_atoms_twice(structure):
            tolerance = SAME_ATOM / max(structure.lattice.abc)
            structure = _parsed(told, site_tolerance=tolerance)
    except Exception as error:
        raise DataError(f"not a readable cif file ({_line(error)})") from error
    return structure


def _parsed(text: str, *, site_tolerance: float = 1e-4) -> Structure:
    """Return a crystal; images of a site within the tolerance, fractional, are one."""
    parser = NamedGroupParser(
        StringIO(text), occupancy_tolerance=FULL, site_tolerance=site_tolerance
    )
    structure: Structure = parser.parse_structures(primitive=False)[0]
    return structure


def _has_atoms_twice(structure: Structure) -> bool:
    """Whether symmetry puts a site beside itself, as 0.33 does that stands for 1/3."""
    if len(structure) < 2:
        return False
    first, second, _, apart = structure.get_neighbor_list(SAME_ATOM, exclude_self=True)
    return any(
        structure[one].species == structure[other].species
        and (structure[one].species.num_atoms > 0.5 * FULL or distance < SAME_SITE)
        for one, other, distance in zip(first, second, apart, strict=True)
    )


def _mend_atoms(data: dict[str, Any]) -> bool:
    """Drop vacancies, name isotopes by element, fill in occupancies; return whether any was."""
    name = _KINDS if _KINDS in data else _LABELS
    kinds, labels = _column(data, name), _column(data, _LABELS)
    if len(labels) == len(kinds):
        # A site without a type may tell by its label.
        kinds = [
            label if kind in _UNSAID else kind for kind, label in zip(kinds, labels, strict=True)
        ]
    elements = [_element(kind) for kind in kinds]
    kept = [i for i, element in enumerate(elements) if element not in _VACANCIES]
    isotopes = any(kind[:1].isdigit() for kind in kinds)
    unsaid = any(cell in _UNSAID for cell in _column(data, _OCCUPANCY))
    if len(kept) == len(kinds) and not isotopes and not unsaid:
        return False
    n_atoms = len(kinds)
    if isotopes:
        data[name] = [kind.lstrip("0123456789") for kind in kinds]
    if unsaid:
        data[_OCCUPANCY] = ["1" if c in _UNSAID else c for c in _column(data, _OCCUPANCY)]
    for column, cells in data.items():
        if column.startswith("_atom_site_") and isinstance(cells, list) and len(cells) == n_atoms:
            data[column] = [cells[i] for i in kept]
    return True


def _mend_symmetry(block: Any) -> bool:
    """Add the operations of a space group that is given by its symbol or number alone."""
    data = block.data
    if any(data.get(name) for base in _OPERATIONS for name in (base, base + "_")):
        return False
    lower = {name.lower().replace("h_m", "h-m").rstrip("_"): cell for name, cell in data.items()}
    symbols = [str(lower[name]) for name in _SYMBOLS if name in lower]
    symbols = [symbol for symbol in symbols if symbol.strip() and symbol not in _UNSAID]
    numbers = [str(lower[name]) for name in _NUMBERS if str(lower.get(name, "")).isdigit()]
    if not symbols and not numbers:
        return False
    cell = [_cif_number(data[name], name) for name in _LENGTHS + _ANGLES]
    operations = operations_of(
        symbols,
        int(numbers[0]) if numbers else None,
        matrix=np.asarray(Lattice.from_parameters(*cell).matrix),
        sites=_filled_sites(data),
        usual=named_operations(data),
    )
    if operations == []:
        return False
    if operations is None:
        known = f"'{symbols[0]}'" if symbols else f"number {numbers[0]}"
        raise DataError(
            f"lists no symmetry operations, and its space group {known} is unknown or does not "
            f"fit its cell; add {_OPERATIONS[0]}"
        )
    data[_OPERATIONS[0]] = operations
    block.loops.append([_OPERATIONS[0]])
    return True


def _filled_sites(data: Mapping[str, Any]) -> np.ndarray:
    columns = [_column(data, name) for name in _FRACTIONS]
    n_atoms = min(map(len, columns))
    shares = _column(data, _OCCUPANCY) or ["1"] * n_atoms
    rows = [
        [_cif_number(column[i], _FRACTIONS[0]) for column in columns]
        for i in range(n_atoms)
        if shares[i] in _UNSAID or _cif_number(shares[i], _OCCUPANCY) >= FILLED
        if not any(column[i] in _UNSAID for column in columns)
    ]
    return np.array(rows).reshape(-1, 3)


def _check_block(data: Mapping[str, Any]) -> None:
    """Refuse what pymatgen's reader passes over or turns into atoms that are missing."""
    numbers = [_cif_number(data[name], name) for name in _LENGTHS + _ANGLES]
    check_cell(numbers[:3], numbers[3:])
    for row, cell in enumerate(_column(data, _OCCUPANCY), start=1):
        if cell not in _UNSAID and not 0 <= _cif_number(cell, _OCCUPANCY) <= FULL:
            raise DataError(f"atom {row} has the occupancy {cell[:40]}; it lies between 0 and 1")
    for name in _FRACTIONS:
        for cell in _column(data, name):
            if cell not in _UNSAID:
                _cif_number(cell, name)
    kinds = _column(data, _KINDS) or _column(data, _LABELS)
    for row, kind in enumerate(kinds, start=1):
        if _KINDS in data and _element(kind) in _GROUPS:
            raise DataError(
                f"atom {row} is of {kind[:40]!r}, a group of atoms; list each of them as an atom"
            )
        if not any(Element.is_valid_symbol(kind[:n].capitalize()) for n in (1, 2)):
            raise DataError(f"atom {row} is of {kind[:40]!r}, no element")


def _element(kind: str) -> str:
    """Return what a type or a label begins with, as elements are written."""
    found = _KIND.match(kind)
    return found[2].capitalize() if found else ""


def _column(data: Mapping[str, Any], name: str) -> list[str]:
    found = data.get(name, [])
    return [str(cell) for cell in found] if isinstance(found, list) else [str(found)]


def _cif_number(cell: Any, name: str) -> float:
    text = str(cell).strip()
    if not _NUMBER.fullmatch(text):
        raise DataError(f"{name} is {text[:40]!r}, no number")
    return float(text.partition("(")[0])


def _line(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:160] or type(error).__name__
