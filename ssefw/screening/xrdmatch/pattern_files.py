"""Measured powder patterns: files of two columns, 2 theta in degrees and intensity."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.files.tables import text_lines
from ssefw.screening.features import PatternGrid, bin_patterns
from ssefw.screening.xrdmatch.patterns import points_in_bin

__all__ = ["pattern_files", "read_pattern_files"]

ENDINGS = frozenset({".xy", ".xye", ".dat", ".txt"})
COMMENTS = ("#", "!", ";", "'", "*", "/")

Patterns = npt.NDArray[np.float32]


def pattern_files(path: Path) -> list[Path]:
    """Return the file of a pattern, or those of a folder in order; none where it has no such."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS)
    return [path] if path.suffix.lower() in ENDINGS else []


def read_pattern_files(files: Sequence[Path], grid: PatternGrid, *, bin_width: float) -> Patterns:
    """Read patterns onto the points of a grid, shape (n, points).

    As in calculated patterns the highest peak is 1 and what lies below the grid's floor, such as
    a background, is 0. What was not measured is 0. The wavelength must be the grid's.

    Parameters
    ----------
    bin_width
        Spacing of the points in degrees, as of `read_patterns`.

    Raises
    ------
    DataError
        If a file is no pattern; the message names the line.
    """
    rows = [_sampled(file, grid) for file in files]
    sampled = np.array(rows, dtype=np.float32).reshape(len(rows), grid.size)
    return bin_patterns(sampled, points_in_bin(bin_width))


def _sampled(path: Path, grid: PatternGrid) -> npt.NDArray[np.float64]:
    angle, intensity = _columns(path)
    if not (np.diff(angle) > 0).all():
        raise DataError(f"{path}: the angles do not increase from line to line.")
    if intensity.min() < 0:
        raise DataError(
            f"{path}: an intensity is negative ({intensity.min():g}). Subtract less background."
        )
    values = np.interp(grid.angles, angle, intensity, left=0.0, right=0.0)
    highest = values.max()
    if not highest > 0:
        raise DataError(
            f"{path}: no intensity between {grid.start:g} and {grid.stop:g} degrees 2 theta."
        )
    values = values / highest
    values[values < grid.floor] = 0.0
    return np.asarray(values, dtype=np.float64)


def _columns(path: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the first two columns; comments and a first line of words are passed over."""
    rows: list[tuple[float, float]] = []
    for number, line in enumerate(text_lines(path), start=1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith(COMMENTS):
            continue
        try:
            angle, intensity = float(words[0]), float(words[1])
            if not np.isfinite([angle, intensity]).all():
                raise ValueError(line)  # noqa: TRY301 - one message for all
        except (ValueError, IndexError):
            if not rows and number == 1:
                continue
            raise DataError(
                f"{path}, line {number}: {line.strip()[:40]!r} is not an angle and an intensity."
            ) from None
        rows.append((angle, intensity))
    if len(rows) < 2:
        raise DataError(f"{path} holds no pattern: two columns, 2 theta in degrees and intensity.")
    found = np.array(rows)
    return found[:, 0], found[:, 1]
