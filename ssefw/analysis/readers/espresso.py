"""Frames from the output of Quantum ESPRESSO's pw.x, calculation 'md' or 'vc-md'."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssefw.analysis.readers.base import (
    CountedLines,
    RawFrame,
    count_of,
    damaged,
    say_dropped,
)
from ssefw.errors import DataError
from ssefw.files import open_input

__all__ = ["read_espresso_md"]

FloatArray = npt.NDArray[np.float64]

_ITERATION = re.compile(rb"it(?:eration)?\s*=\s*(\d{1,18})\b")
_TIME = re.compile(rb"time\s*=\s*([-+.\dEe]+)\s*pico-seconds")

BOHR = 0.529177210903
"""Bohr radius in angstrom (CODATA 2018)."""


def read_espresso_md(path: Path) -> Iterator[RawFrame]:
    """Return the position sets that pw.x printed while it moved atoms, followed across the cell.

    Raises
    ------
    DataError
        A frame amid the file is damaged; the last one is left out, with a warning, if it was cut
        off.
    """
    with open_input(path) as file:
        rows = CountedLines(file)
        state = _Output(path, rows)
        for row in rows:
            try:
                found = state.take(row)
            except (ValueError, IndexError) as error:
                shown = repr(row.strip()[:60].decode(errors="replace"))
                raise damaged(
                    path, state.frame + 1, rows.number, f"{shown} or what follows is not of pw.x"
                ) from error
            if found is not None:
                yield found
            if state.is_cut:
                return
        if file.damage:
            say_dropped(path, state.frame + 1, file.damage)


class _Output:
    """What pw.x has printed so far: cell, step, time."""

    def __init__(self, path: Path, rows: CountedLines) -> None:
        self.path = path
        self.rows = rows
        self.frame = 0
        self.is_cut = False
        self.n_atoms: int | None = None
        self.alat: float | None = None
        self.lattice: FloatArray | None = None
        self.time: float | None = None
        self.timestep: float | None = None
        self.step: int | None = None

    def take(self, row: bytes) -> RawFrame | None:
        """Take a line, and those that belong to it; return the frame that they end."""
        if row.startswith(b"ATOMIC_POSITIONS"):
            return self._frame(row)
        if b"number of atoms/cell" in row:
            self.n_atoms = count_of(row.split(b"=")[1])
        elif b"lattice parameter (alat)" in row:
            self.alat = float(row.split(b"=")[1].split()[0]) * BOHR
        elif b"crystal axes:" in row and self.alat is not None:
            body = self.rows.take(3)
            axes = [line.split(b"(")[2].split(b")")[0].split() for line in body]
            self.lattice = self._cell(axes, self.alat)
        elif row.startswith(b"CELL_PARAMETERS") and self.alat is not None:
            body = self.rows.take(3)
            self.lattice = self._cell([line.split() for line in body], _cell_scale(row, self.alat))
        elif b"Time step" in row and b"femto-seconds" in row:
            self.timestep = float(row.split(b",")[1].split()[0])
        elif b"Entering Dynamics" in row and (found := _ITERATION.search(row)):
            self.step = int(found.group(1))
            self.time = None
        # The time may stand in the line that enters the dynamics.
        if b"pico-seconds" in row and (found := _TIME.search(row)):
            self.time = float(found.group(1))
        return None

    def _cell(self, axes: list[list[bytes]], scale: float) -> FloatArray | None:
        if len(axes) < 3:
            self.is_cut = True
            say_dropped(self.path, self.frame + 1, "its cell is cut off")
            return None
        return np.array([axis[:3] for axis in axes], dtype=float).reshape(3, 3) * scale

    def _frame(self, row: bytes) -> RawFrame | None:
        self.frame += 1
        if self.lattice is None or self.alat is None or self.n_atoms is None:
            raise DataError(
                f"{self.path}, line {self.rows.number}: positions before a cell and a number of "
                "atoms: not output of pw.x."
            )
        begin = self.rows.number
        body = [line.split() for line in self.rows.take(self.n_atoms)]
        coords = []
        for k, words in enumerate(body):
            numbers = _position(words)
            if numbers is None:
                shown = repr(b" ".join(words)[:60].decode(errors="replace"))
                raise damaged(
                    self.path, self.frame, begin + k + 1, f"{shown} is no atom with a position"
                )
            coords.append(numbers)
        if len(body) < self.n_atoms:
            self.is_cut = True
            say_dropped(self.path, self.frame, f"{len(body)} of {self.n_atoms} atoms")
            return None
        # "Li1" and "Li_up" are lithium.
        labels = [words[0].decode(errors="replace").split("_")[0] for words in body]
        return RawFrame(
            np.array(coords) * _position_scale(row, self.alat),
            self.lattice,
            tuple("".join(c for c in label if c.isalpha()) for label in labels),
            is_fractional=b"crystal" in row,
            is_unwrapped=True,
            # The printed time is rounded to 0.1 fs; where the step is known, use that.
            step=self.step if self.timestep else None,
            time=None if self.step is not None and self.timestep else self.time,
            timestep=self.timestep,
        )


def _position(words: list[bytes]) -> list[float] | None:
    """Return the three numbers behind a label; fixed atoms have three more, 0 or 1."""
    if len(words) not in {4, 7} or not words[0][:1].isalpha():
        return None
    try:
        return [float(word) for word in words[1:4]]
    except ValueError:
        # Fortran prints asterisks where a number does not fit: the reader of frames says so.
        return [np.nan] * 3 if all(word.strip(b"*") == b"" for word in words[1:4]) else None


def _cell_scale(row: bytes, alat: float) -> float:
    if b"angstrom" in row:
        return 1.0
    if b"bohr" in row:
        return BOHR
    if b"alat=" in row.replace(b" ", b""):
        return float(row.split(b"=")[1].split(b")")[0]) * BOHR
    return alat


def _position_scale(row: bytes, alat: float) -> float:
    if b"bohr" in row:
        return BOHR
    return 1.0 if b"crystal" in row or b"angstrom" in row else alat
