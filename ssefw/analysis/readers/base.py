"""What a reader of trajectories gives: one raw frame after another."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.files import InputFile, printable

__all__ = [
    "MOST_ATOMS",
    "CountedLines",
    "RawFrame",
    "count_of",
    "damaged",
    "numbers_of",
    "say_dropped",
]

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

MOST_ATOMS = 10_000_000
"""Of one frame; what is claimed beyond is a damaged number, and no memory is taken for it."""
LONGEST_ROW = 2**20
"""Bytes of a line; the longest are the comments of extended XYZ."""


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One frame as a file holds it.

    Attributes
    ----------
    coords
        Positions, (n_atoms, 3), fractional or in angstrom.
    lattice
        Cell vectors as rows in angstrom, (3, 3).
    species
        Element symbols.
    is_fractional
        Whether `coords` are fractional.
    is_unwrapped
        Whether the program follows atoms beyond the cell.
    step
        Number of the integration step, where the file tells.
    time
        Time in ps, where the file tells.
    timestep
        Step of the integrator in fs, where the file tells.
    temperature
        Instantaneous temperature in K, where the file tells.
    set_temperature
        What the thermostat aims at, K, where the file tells.
    stride
        Integration steps from one frame to the next, where the format fixes it.
    follows_gap
        Whether the numbers of the file say that frames before this one are missing.
    """

    coords: FloatArray
    lattice: FloatArray
    species: tuple[str, ...]
    is_fractional: bool
    is_unwrapped: bool = False
    step: int | None = None
    time: float | None = None
    timestep: float | None = None
    temperature: float | None = None
    set_temperature: float | None = None
    stride: int | None = None
    follows_gap: bool = False


class CountedLines:
    """The lines of a trajectory one after another, counted.

    A last line without an end is left out, since it may have lost digits; so is what a damaged
    archive does not give.

    Attributes
    ----------
    number
        Of the line that was given last.
    """

    def __init__(self, file: InputFile) -> None:
        self.number = 0
        self._lines = file.lines(LONGEST_ROW, tolerant=True, whole=True)

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.number += 1
            yield line

    def next(self) -> bytes | None:
        """Return the next line, or None where the file ends."""
        return next(iter(self), None)

    def take(self, n: int) -> list[bytes]:
        """Return the next n lines, fewer where the file ends."""
        return list(islice(self, n))


def damaged(path: Path, frame: int, line: int, what: str) -> DataError:
    """Return the error of a frame that is damaged amid the file.

    Parameters
    ----------
    frame
        Its number, from 1.
    line
        Number of the line, from 1.
    what
        What is wrong there, as a sentence without its end.
    """
    return DataError(
        f"{path}, line {line} (frame {frame}): {printable(what)}. The file is damaged there; write "
        f"it again, or cut it before frame {frame}."
    )


def say_dropped(path: Path, frame: int, why: str) -> None:
    """Warn that the last frame of a file was left out since it is not complete."""
    logger.warning(
        "%s ends within frame %d (%s), as of a run that was interrupted: that frame is left out.",
        path,
        frame,
        why,
    )


def count_of(text: bytes) -> int | None:
    """Return the whole positive number that a line states, of atoms at most, else None."""
    words = text.split()
    if len(words) != 1 or not words[0].isdigit() or len(words[0]) > len(str(MOST_ATOMS)):
        return None
    n = int(words[0])
    return n if 0 < n <= MOST_ATOMS else None


def numbers_of(words: list[bytes]) -> list[float] | None:
    """Return finite numbers, or None where one of the words is none."""
    try:
        found = [float(word.replace(b"D", b"E").replace(b"d", b"e")) for word in words]
    except ValueError:
        return None
    return found if all(map(isfinite, found)) else None
