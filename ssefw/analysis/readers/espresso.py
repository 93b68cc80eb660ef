"""Frames from the output of Quantum ESPRESSO's pw.x, calculation 'md' or 'vc-md'."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssefw.analysis.readers.base import RawFrame, lines, open_binary
from ssefw.errors import DataError

__all__ = ["read_espresso_md"]

FloatArray = npt.NDArray[np.float64]

_ITERATION = re.compile(rb"it(?:eration)?\s*=\s*(\d+)")
_TIME = re.compile(rb"time\s*=\s*([-+.\dEe]+)\s*pico-seconds")

BOHR = 0.529177210903
"""Bohr radius in angstrom (CODATA 2018)."""


def read_espresso_md(path: Path) -> Iterator[RawFrame]:  # noqa: C901 - one branch a kind of line
    """Return the position sets that pw.x printed while it moved atoms, followed across the cell."""
    alat = lattice = None
    time: float | None = None
    timestep: float | None = None
    step: int | None = None
    n_atoms = 0
    with open_binary(path) as stream:
        rows = lines(stream)
        for row in rows:
            if b"number of atoms/cell" in row:
                n_atoms = int(row.split(b"=")[1])
            elif b"lattice parameter (alat)" in row:
                alat = float(row.split(b"=")[1].split()[0]) * BOHR
            elif b"crystal axes:" in row and alat is not None:
                axes = [line.split(b"(")[2].split(b")")[0].split() for line in islice(rows, 3)]
                lattice = np.array(axes, dtype=float) * alat
            elif row.startswith(b"CELL_PARAMETERS") and alat is not None:
                scale = _cell_scale(row, alat)
                lattice = np.array([line.split()[:3] for line in islice(rows, 3)], float) * scale
            elif b"Time step" in row and b"femto-seconds" in row:
                timestep = float(row.split(b",")[1].split()[0])
            elif b"Entering Dynamics" in row and (found := _ITERATION.search(row)):
                step = int(found.group(1))
                time = None
            if b"pico-seconds" in row and (found := _TIME.search(row)):
                time = float(found.group(1))
            elif row.startswith(b"ATOMIC_POSITIONS"):
                if lattice is None or alat is None or not n_atoms:
                    raise DataError(f"{path} gives positions before a cell: not output of pw.x.")
                body = [line.split() for line in islice(rows, n_atoms)]
                if len(body) < n_atoms or len(body[-1]) < 4:
                    return
                coords, species = _positions(row, body, alat=alat)
                yield RawFrame(
                    coords,
                    lattice,
                    species,
                    is_fractional=b"crystal" in row,
                    is_unwrapped=True,
                    # The printed time is rounded to 0.1 fs; where the step is known, use that.
                    step=step if timestep else None,
                    time=None if step is not None and timestep else time,
                    timestep=timestep,
                )


def _cell_scale(row: bytes, alat: float) -> float:
    if b"angstrom" in row:
        return 1.0
    if b"bohr" in row:
        return BOHR
    if b"alat=" in row.replace(b" ", b""):
        return float(row.split(b"=")[1].split(b")")[0]) * BOHR
    return alat


def _positions(
    row: bytes, body: list[list[bytes]], *, alat: float
) -> tuple[FloatArray, tuple[str, ...]]:
    coords = np.array([words[1:4] for words in body], dtype=float)
    if b"bohr" in row:
        coords *= BOHR
    elif b"crystal" not in row and b"angstrom" not in row:
        coords *= alat
    # "Li1" and "Li_up" are lithium.
    labels = [words[0].decode().split("_")[0] for words in body]
    return coords, tuple("".join(c for c in label if c.isalpha()) for label in labels)
