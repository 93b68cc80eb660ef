"""Frames from a LAMMPS text dump in units of angstrom (metal or real)."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssefw.analysis.readers.base import RawFrame, lines, open_binary
from ssefw.analysis.readers.decimals import parse_decimals
from ssefw.errors import DataError

__all__ = ["read_lammps_dump"]

FloatArray = npt.NDArray[np.float64]

# (columns, whether scaled, whether unwrapped), the best first.
_COORDINATES = (
    (("xu", "yu", "zu"), False, True),
    (("xsu", "ysu", "zsu"), True, True),
    (("x", "y", "z"), False, False),
    (("xs", "ys", "zs"), True, False),
)


def read_lammps_dump(path: Path, *, types: Sequence[str] = ()) -> Iterator[RawFrame]:
    """Return complete frames, atoms in the order of their ids.

    Parameters
    ----------
    types
        Element symbol of type 1, 2 ..., needed if the dump has no `element` column.
    """
    with open_binary(path) as stream:
        rows = lines(stream)
        step = n_atoms = 0
        cell: tuple[FloatArray, FloatArray] | None = None
        for row in rows:
            if row.startswith(b"ITEM: TIMESTEP"):
                step = int(next(rows, b"0") or 0)
            elif row.startswith(b"ITEM: NUMBER OF ATOMS"):
                n_atoms = int(next(rows, b"0") or 0)
            elif row.startswith(b"ITEM: BOX BOUNDS"):
                cell = _cell(row, list(islice(rows, 3)), path)
            elif row.startswith(b"ITEM: ATOMS"):
                if cell is None:
                    raise DataError(f"{path} gives atoms before a box: not a LAMMPS dump.")
                names = row.decode().split()[2:]
                table = list(islice(rows, n_atoms))
                if len(table) < n_atoms or len(table[-1].split()) < len(names):
                    return
                yield _frame(names, table, cell=cell, step=step, types=types, path=path)


def _cell(row: bytes, bounds: list[bytes], path: Path) -> tuple[FloatArray, FloatArray] | None:
    """Return cell vectors and origin."""
    numbers = [[float(word) for word in line.split()] for line in bounds]
    if len(numbers) < 3 or any(len(line) < 2 for line in numbers):
        return None
    words = row.split()
    if b"abc" in words:
        raise DataError(
            f"{path}: general triclinic boxes are not read; dump with triclinic/general no."
        )
    low = np.array([line[0] for line in numbers])
    high = np.array([line[1] for line in numbers])
    xy = xz = yz = 0.0
    if b"xy" in words:
        xy, xz, yz = (line[2] for line in numbers)
        low[0] -= min(0.0, xy, xz, xy + xz)
        high[0] -= max(0.0, xy, xz, xy + xz)
        low[1] -= min(0.0, yz)
        high[1] -= max(0.0, yz)
    length = high - low
    lattice = np.array([[length[0], 0, 0], [xy, length[1], 0], [xz, yz, length[2]]], dtype=float)
    return lattice, low


def _frame(
    names: list[str],
    table: list[bytes],
    *,
    cell: tuple[FloatArray, FloatArray],
    step: int,
    types: Sequence[str],
    path: Path,
) -> RawFrame:
    choice = next((c for c in _COORDINATES if set(c[0]) <= set(names)), None)
    if choice is None:
        raise DataError(f"{path} holds the columns {' '.join(names)}; positions need x y z.")
    columns, is_scaled, is_unwrapped = choice
    if "element" in names:
        words = [row.split() for row in table]
        symbols = [row[names.index("element")].decode() for row in words]
        wanted = [names.index(name) for name in columns]
        coords = np.array([[row[k] for k in wanted] for row in words], dtype=float)
        ids = (
            np.array([int(row[names.index("id")]) for row in words])
            if "id" in names
            else np.arange(len(words))
        )
    else:
        numbers = parse_decimals(b"\n".join(table), len(table) * len(names))[0]
        numbers = numbers.reshape(len(table), len(names))
        coords = numbers[:, [names.index(name) for name in columns]]
        ids = numbers[:, names.index("id")] if "id" in names else np.arange(len(table))
        symbols = _symbols(names, numbers, types, path)
    order = np.argsort(ids, kind="stable")
    lattice, origin = cell
    return RawFrame(
        coords[order] if is_scaled else coords[order] - origin,
        lattice,
        tuple(symbols[k] for k in order),
        is_fractional=is_scaled,
        is_unwrapped=is_unwrapped,
        step=step,
    )


def _symbols(names: list[str], numbers: FloatArray, types: Sequence[str], path: Path) -> list[str]:
    if "type" not in names:
        raise DataError(f"{path} has neither an element nor a type column; dump one of them.")
    kinds = numbers[:, names.index("type")].astype(int)
    if not types or kinds.max() > len(types):
        raise DataError(
            f"{path} numbers its atoms' types up to {kinds.max()}; give as many element symbols "
            f"(types), got {len(types)}."
        )
    return [types[kind - 1] for kind in kinds]
