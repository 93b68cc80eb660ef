"""Frames from a LAMMPS text dump in units of angstrom (metal or real)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssefw.analysis.readers.base import (
    CountedLines,
    RawFrame,
    count_of,
    damaged,
    numbers_of,
    say_dropped,
)
from ssefw.analysis.readers.decimals import parse_rows
from ssefw.errors import DataError
from ssefw.files import open_input

__all__ = ["read_lammps_dump"]

FloatArray = npt.NDArray[np.float64]

# (columns, whether scaled, whether unwrapped), the best first.
_COORDINATES = (
    (("xu", "yu", "zu"), False, True),
    (("xsu", "ysu", "zsu"), True, True),
    (("x", "y", "z"), False, False),
    (("xs", "ys", "zs"), True, False),
)


@dataclass
class _Head:
    """What stands before the atoms of a frame."""

    step: int | None = None
    n_atoms: int | None = None
    cell: tuple[FloatArray, FloatArray] | None = None


def read_lammps_dump(path: Path, *, types: Sequence[str] = ()) -> Iterator[RawFrame]:
    """Return complete frames, atoms in the order of their ids.

    Parameters
    ----------
    types
        Element symbol of type 1, 2 ..., needed if the dump has no `element` column.

    Raises
    ------
    DataError
        A frame amid the file is damaged, or names an atom twice.
    """
    with open_input(path) as file:
        rows = CountedLines(file)
        head = _Head()
        frame = 1
        ids: npt.NDArray[np.int64] | None = None
        for row in rows:
            if not row.strip():
                continue
            if not row.startswith(b"ITEM: "):
                raise damaged(path, frame, rows.number, f"{_shown(row)} stands where ITEM: is due")
            if not row.startswith(b"ITEM: ATOMS"):
                if not _read_item(row, rows, head, path=path, frame=frame):
                    break
                continue
            if head.cell is None or head.n_atoms is None or head.step is None:
                raise DataError(
                    f"{path}, line {rows.number}: atoms without a step, a number of atoms or a box "
                    "before them; not a LAMMPS dump."
                )
            begin = rows.number
            table = rows.take(head.n_atoms)
            reader = _Table(row.decode(errors="replace").split()[2:], types, path, frame, begin)
            if len(table) < head.n_atoms and not _has_item(table):
                say_dropped(path, frame, f"{len(table)} of {head.n_atoms} atoms")
                return
            raw, here = reader.frame(table, head)
            if ids is not None and not np.array_equal(ids, here):
                raise damaged(path, frame, begin, "its atoms have other ids than before")
            ids = here
            yield raw
            head = _Head()
            frame += 1
        if head != _Head() or file.damage:
            say_dropped(path, frame, file.damage or "no atoms")


def _read_item(row: bytes, rows: CountedLines, head: _Head, *, path: Path, frame: int) -> bool:
    """Read one of the items before the atoms; return whether the file goes on."""
    n_lines = 3 if row.startswith(b"ITEM: BOX BOUNDS") else 1
    body = rows.take(n_lines)
    if len(body) < n_lines:
        head.step = head.step or 0
        return False
    if row.startswith(b"ITEM: BOX BOUNDS"):
        head.cell = _cell(row, body, path, frame, rows.number)
    elif row.startswith(b"ITEM: TIMESTEP"):
        word = body[0].strip()
        if not word.isdigit() or len(word) > 18:
            raise damaged(path, frame, rows.number, f"{_shown(word)} is no number of a step")
        head.step = int(word)
    elif row.startswith(b"ITEM: NUMBER OF ATOMS"):
        head.n_atoms = count_of(body[0])
        if head.n_atoms is None:
            raise damaged(path, frame, rows.number, f"{_shown(body[0])} is no number of atoms")
    return True


def _has_item(table: list[bytes]) -> bool:
    return any(row.startswith(b"ITEM:") for row in table)


def _shown(row: bytes) -> str:
    return repr(row[:40].decode(errors="replace"))


def _cell(
    row: bytes, bounds: list[bytes], path: Path, frame: int, line: int
) -> tuple[FloatArray, FloatArray]:
    """Return cell vectors and origin."""
    words = row.split()
    if b"abc" in words:
        raise DataError(
            f"{path}: general triclinic boxes are not read; dump with triclinic/general no."
        )
    is_tilted = b"xy" in words
    numbers = [numbers_of(bound.split()) or [] for bound in bounds]
    if any(len(found) < 2 + is_tilted for found in numbers):
        raise damaged(path, frame, line, f"its box is {_shown(b' | '.join(bounds))}")
    low = np.array([found[0] for found in numbers])
    high = np.array([found[1] for found in numbers])
    xy = xz = yz = 0.0
    if is_tilted:
        xy, xz, yz = (found[2] for found in numbers)
        low[0] -= min(0.0, xy, xz, xy + xz)
        high[0] -= max(0.0, xy, xz, xy + xz)
        low[1] -= min(0.0, yz)
        high[1] -= max(0.0, yz)
    length = high - low
    if not (length > 0).all():
        axis = int(np.argmin(length))
        raise damaged(
            path,
            frame,
            line - 2 + axis,
            f"its box ends at {high[axis]:g}, where it begins at {low[axis]:g}",
        )
    lattice = np.array([[length[0], 0, 0], [xy, length[1], 0], [xz, yz, length[2]]], dtype=float)
    return lattice, low


@dataclass(frozen=True)
class _Table:
    """The table of atoms of one frame: its columns, and where it stands."""

    names: list[str]
    types: Sequence[str]
    path: Path
    number: int
    line: int

    def frame(self, table: list[bytes], head: _Head) -> tuple[RawFrame, npt.NDArray[np.int64]]:
        """Return the frame, and the ids of its atoms in order."""
        choice = next((c for c in _COORDINATES if set(c[0]) <= set(self.names)), None)
        if choice is None:
            raise DataError(
                f"{self.path} holds the columns {' '.join(self.names)}; positions need x y z."
            )
        columns, is_scaled, is_unwrapped = choice
        if "element" in self.names:
            symbols, numbers, names = self._with_elements(table)
        else:
            numbers, names = self._numbers(table), self.names
            symbols = self._symbols(numbers)
        coords = numbers[:, [names.index(name) for name in columns]]
        ids = self._ids(numbers, names)
        order = np.argsort(ids, kind="stable")
        assert head.cell is not None
        lattice, origin = head.cell
        raw = RawFrame(
            coords[order] if is_scaled else coords[order] - origin,
            lattice,
            tuple(symbols[k] for k in order),
            is_fractional=is_scaled,
            is_unwrapped=is_unwrapped,
            step=head.step,
        )
        return raw, ids[order]

    def _numbers(self, table: list[bytes]) -> FloatArray:
        n_columns = len(self.names)
        numbers, _ = parse_rows(b"\n".join(table), len(table), n_columns)
        if len(numbers) < len(table):
            raise self._wrong(len(numbers), f"{_shown(table[len(numbers)])} is no row of "
                              f"{n_columns} numbers")  # fmt: skip
        return numbers

    def _with_elements(self, table: list[bytes]) -> tuple[list[str], FloatArray, list[str]]:
        """Return symbols, and the numbers of the columns that are wanted."""
        place = self.names.index("element")
        wanted = [
            name
            for name in self.names
            if name == "id" or name.lstrip("xyz") in {"", "u", "s", "su"}
        ]
        places = [self.names.index(name) for name in wanted]
        symbols, found = [], []
        for k, row in enumerate(table):
            words = row.split()
            numbers = None
            if len(words) == len(self.names):
                numbers = numbers_of([words[i] for i in places])
            if numbers is None:
                raise self._wrong(k, f"{_shown(row)} is no row of {' '.join(self.names)}")
            symbols.append(words[place].decode(errors="replace"))
            found.append(numbers)
        return symbols, np.array(found), wanted

    def _ids(self, numbers: FloatArray, names: list[str]) -> npt.NDArray[np.int64]:
        if "id" not in names:
            return np.arange(len(numbers))
        column = numbers[:, names.index("id")]
        self._refuse((column != np.floor(column)) | (column < 1) | (column > 2**53), column, "id")
        ids = column.astype(np.int64)
        kept, first, counts = np.unique(ids, return_index=True, return_counts=True)
        if len(kept) < len(ids):
            twice = int(np.argmax(counts > 1))
            raise self._wrong(
                int(first[twice]), f"the id {kept[twice]} occurs {counts[twice]} times"
            )
        return ids

    def _symbols(self, numbers: FloatArray) -> list[str]:
        if "type" not in self.names:
            raise DataError(
                f"{self.path} has neither an element nor a type column; dump one of them."
            )
        column = numbers[:, self.names.index("type")]
        self._refuse((column != np.floor(column)) | (column < 1) | (column > 2**31), column, "type")
        kinds = column.astype(np.int64)
        if kinds.max() > len(self.types):
            raise DataError(
                f"{self.path} numbers its atoms' types up to {kinds.max()}; give as many element "
                f"symbols (types), got {len(self.types)}."
            )
        return [self.types[kind - 1] for kind in kinds]

    def _refuse(self, is_wrong: npt.NDArray[np.bool_], column: FloatArray, name: str) -> None:
        is_wrong = is_wrong | ~np.isfinite(column)
        if is_wrong.any():
            row = int(np.argmax(is_wrong))
            raise self._wrong(row, f"{column[row]:g} is no {name} of an atom")

    def _wrong(self, row: int, what: str) -> DataError:
        return damaged(self.path, self.number, self.line + row + 1, what)
