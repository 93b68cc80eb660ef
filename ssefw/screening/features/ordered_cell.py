"""How many atoms the smallest cell would have in which every site holds one kind of atom.

Li7La3Zr2O12 needs 24, Li6.75La3Zr1.75Ta0.25O12 needs 95: the number tells substituted and
vacant compositions from those that are written with whole numbers, whatever the chemistry.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition

from ssefw.data.compositions import fractions

__all__ = ["LARGEST", "ordered_cell_atoms"]

LARGEST = 1000
"""Atoms; a share of a tenth of a percent is then one atom, which is as formulas are written."""

WHOLE = 0.02
"""Atoms by which a number may miss a whole one: formulas are rounded to two decimals."""

BLOCK = 64
"""Sizes tried at once; nine of ten entries of the Materials Project need fewer atoms."""


def ordered_cell_atoms(compositions: Sequence[Composition]) -> npt.NDArray[np.float64]:
    """Return the atoms of the smallest ordered cell of each composition, shape (n,).

    Where none of up to `LARGEST` atoms fits, that is the answer.
    """
    each = [list(fractions(composition).values()) for composition in compositions]
    # What is not there counts as the first element once more, which changes no answer.
    width = max(map(len, each), default=1)
    shares = np.array([[*row, *row[:1] * (width - len(row))] for row in each]).reshape(-1, width)
    answer = np.full(len(each), float(LARGEST))
    open_rows = np.arange(len(each))
    for first in range(1, LARGEST + 1, BLOCK):
        sizes = np.arange(first, min(first + BLOCK, LARGEST + 1))
        atoms = shares[open_rows, None, :] * sizes[None, :, None]
        whole = np.round(atoms)
        fits = ((np.abs(atoms - whole) < WHOLE) & (whole >= 1)).all(axis=2)
        found = fits.any(axis=1)
        answer[open_rows[found]] = sizes[fits[found].argmax(axis=1)]
        open_rows = open_rows[~found]
    return answer
