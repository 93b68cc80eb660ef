"""The modified diffraction pattern: powder XRD of a simplified structure, smeared and normalized.

As matminer's ``XRDPowderPattern`` with 451 points: reflections up to 127 degrees 2 theta, scaled to
a maximum of 100 and cut to whole numbers, become a density of width 0.05 standard deviations of
their angles that integrates to one (Zhang et al. 2019,
https://doi.org/10.1038/s41467-019-13214-1). Reflections within 0.001 degrees are one. Cutting makes
the pattern jump where many weak reflections lie near a whole number; the pattern then differs from
matminer's, which joins reflections within 0.00001 degrees, by some percent.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure

from ssefw.errors import DataError
from ssefw.screening.features.xrd import PatternGrid, xrd_pattern

__all__ = ["N_POINTS", "STOP", "modified_xrd"]

STOP: Final = 127.0
"""Degrees 2 theta."""

N_POINTS: Final = 451
BANDWIDTH: Final = 0.05
"""Share of the standard deviation of the reflections' angles."""

_FINE: Final = PatternGrid(start=0.0, stop=STOP, step=0.001, floor=0.0)


def modified_xrd(structure: Structure) -> npt.NDArray[np.float64]:
    """Return the smeared pattern at 451 angles from 0 to 127 degrees, shape (451,), 1/degree.

    Raises
    ------
    DataError
        If the structure has no atoms or fewer than two reflections.
    """
    sticks = np.floor(100 * xrd_pattern(structure, _FINE) + 1e-9)
    lines = np.flatnonzero(sticks)
    weights, angles = sticks[lines], _FINE.angles[lines]
    total = weights.sum()
    mean = (weights * angles).sum() / total
    variance = (weights * (angles - mean) ** 2).sum() / max(total - 1, 1)
    if not variance > 0:
        raise DataError(
            f"{structure.composition.reduced_formula} has a single reflection, which has no width. "
            "Leave it out."
        )
    width = BANDWIDTH * np.sqrt(variance)
    away = (np.linspace(0, STOP, N_POINTS)[:, None] - angles) / width
    kernel = np.exp(-0.5 * away**2)
    result: npt.NDArray[np.float64] = kernel @ weights / (total * width * np.sqrt(2 * np.pi))
    return result
