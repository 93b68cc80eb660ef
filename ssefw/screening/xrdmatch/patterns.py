"""The powder patterns of materials on the points that members look at."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ssefw.data.materials import Material
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.features import PatternGrid, bin_patterns, xrd_pattern

__all__ = ["points_in_bin", "read_patterns"]

Patterns = npt.NDArray[np.float32]

POINT = 0.02  # degrees 2 theta


def points_in_bin(bin_width: float) -> int:
    """Return of how many points of a calculated pattern the largest counts.

    Parameters
    ----------
    bin_width
        In degrees 2 theta.

    Raises
    ------
    ConfigurationError
        If it is no whole number of points.
    """
    points = round(bin_width / POINT)
    if points < 1 or abs(points * POINT - bin_width) > 1e-9:
        raise ConfigurationError(f"bin_width is a multiple of {POINT} degrees, got {bin_width:g}.")
    return points


def read_patterns(
    materials: Sequence[Material], grid: PatternGrid, *, bin_width: float
) -> tuple[Patterns, dict[int, str]]:
    """Return the patterns of the rows that have one, and the reasons of the others."""
    points = points_in_bin(bin_width)
    rows: list[Patterns] = []
    problems: dict[int, str] = {}
    for row, material in enumerate(materials):
        try:
            sticks = xrd_pattern(material.structure, grid).astype(np.float32)
        except DataError as error:
            problems[row] = str(error)
        else:
            rows.append(bin_patterns(sticks[None], points)[0])
    size = -(-grid.size // points)
    return np.array(rows, dtype=np.float32).reshape(len(rows), size), problems
