"""Descriptors of the conventional cell: what a table states without the atoms.

Kang et al. 2022 add five to the composition: a, c, a/c, volume and the number of the space group.
The full set adds what does not depend on the choice of cell, since tables mix settings.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition

from ssefw.documents import Cell
from ssefw.errors import DataError

__all__ = ["CELL_FEATURES", "KANG_CELL_FEATURES", "cell_features"]

KANG_CELL_FEATURES = ("a", "c", "a/c", "volume", "space group")
CELL_FEATURES = (
    *KANG_CELL_FEATURES,
    "b",
    "alpha",
    "beta",
    "gamma",
    "volume per atom",
    "lithium per volume",
    "crystal system",
)
# Largest number of each crystal system's space groups, triclinic to cubic.
_LAST_OF_SYSTEM = (2, 15, 74, 142, 167, 194, 230)


def cell_features(
    cells: Sequence[Cell], compositions: Sequence[Composition], *, names: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return the named descriptors of each cell, shape (n, len(names)); angstrom and degrees.

    Volume per atom (angstrom^3) and lithium per volume (1/angstrom^3) need the formula units.

    Raises
    ------
    DataError
        If a cell does not state its formula units and a name needs them.
    """
    rows = [_row(cell, comp) for cell, comp in zip(cells, compositions, strict=True)]
    unknown = set(names) - set(CELL_FEATURES)
    if unknown:
        raise ValueError(f"unknown cell features {sorted(unknown)}; known: {CELL_FEATURES}")
    table = np.array([[row[name] for name in names] for row in rows], dtype=float)
    table = table.reshape(len(rows), len(names))
    if np.isnan(table).any():
        row = int(np.argwhere(np.isnan(table))[0][0])
        raise DataError(
            f"The cell of {compositions[row].reduced_formula} does not state its formula units, so "
            "its volume per atom is not known. Give Z or a structure."
        )
    return table


def _row(cell: Cell, composition: Composition) -> dict[str, float]:
    atoms = np.nan
    lithium = np.nan
    if cell.formula_units is not None:
        atoms = cell.formula_units * composition.num_atoms
        lithium = cell.formula_units * composition["Li"]
    volume = cell.volume
    return {
        "a": cell.a,
        "b": cell.b,
        "c": cell.c,
        "a/c": cell.a / cell.c,
        "alpha": cell.alpha,
        "beta": cell.beta,
        "gamma": cell.gamma,
        "volume": volume,
        "space group": float(cell.space_group),
        "volume per atom": volume / atoms,
        "lithium per volume": lithium / volume,
        "crystal system": float(np.searchsorted(_LAST_OF_SYSTEM, cell.space_group)),
    }
