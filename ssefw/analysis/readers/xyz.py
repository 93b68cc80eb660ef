"""Frames from extended XYZ (extxyz): Lattice="..." and Properties=... in the comment line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssefw.analysis.readers.base import (
    CountedLines,
    RawFrame,
    count_of,
    damaged,
    numbers_of,
    say_dropped,
)
from ssefw.errors import DataError
from ssefw.files import open_input

__all__ = ["read_extxyz"]

_LATTICE = re.compile(rb'[Ll]attice="([^"]+)"')
_NUMBERS = re.compile(
    rb"(?<!\S)(time_ps|timestep_fs|step|temperature|set_temperature)"
    rb"=([-+]?\d{1,18}\.?\d*(?:[eE][-+]?\d{1,2})?)(?!\S)"
)
_PROPERTIES = re.compile(rb"[Pp]roperties=\"?([^\s\"]+)")
_DEFAULT = b"species:S:1:pos:R:3"


@dataclass(frozen=True)
class _Columns:
    """Where a row has its symbol and its position, and how many words it has at least."""

    symbol: int
    position: int
    n_words: int
    is_stated: bool


def read_extxyz(path: Path) -> Iterator[RawFrame]:
    """Return complete frames; the last one is left out, with a warning, if it was cut off.

    Of the comment, `time_ps`, `timestep_fs`, `step` and `set_temperature` are read, as ``ssefw
    results export`` writes them. A key `time` is not used: programs disagree on its unit.

    Raises
    ------
    DataError
        A frame amid the file is damaged, has no cell, or its properties are no list of columns.
    """
    with open_input(path) as file:
        rows = CountedLines(file)
        frame = 0
        for first in rows:
            if not first.strip():
                continue
            frame += 1
            begin = rows.number
            n_atoms = count_of(first)
            if n_atoms is None:
                shown = repr(first[:40].decode(errors="replace"))
                raise damaged(path, frame, begin, f"{shown} stands where a number of atoms is due")
            comment = rows.next()
            body = [] if comment is None else rows.take(n_atoms)
            if comment is None or len(body) < n_atoms:
                if comment is not None and body:
                    _rows(body, _columns(comment, path, frame, begin), path, frame, begin)
                say_dropped(path, frame, f"{len(body)} of {n_atoms} atoms")
                return
            yield _frame(comment, body, path, frame, begin)
        if file.damage:
            say_dropped(path, frame + 1, file.damage)


def _frame(comment: bytes, body: list[bytes], path: Path, frame: int, line: int) -> RawFrame:
    cell = _LATTICE.search(comment)
    if cell is None:
        raise DataError(
            f'{path} has no Lattice="..." in a comment line (frame {frame}): plain XYZ does not '
            "know its cell. Write extended XYZ."
        )
    vectors = numbers_of(cell.group(1).split())
    if vectors is None or len(vectors) != 9:
        shown = cell.group(1)[:60].decode(errors="replace")
        raise damaged(path, frame, line + 1, f"Lattice={shown!r} are not nine numbers")
    symbols, coords = _rows(body, _columns(comment, path, frame, line), path, frame, line)
    lattice = np.array(vectors).reshape(3, 3)
    told = _numbers(comment)
    step = told.get("step")
    return RawFrame(
        np.array(coords),
        lattice,
        tuple(symbols),
        is_fractional=False,
        time=told.get("time_ps"),
        timestep=told.get("timestep_fs"),
        step=None if step is None else round(step),
        temperature=told.get("temperature") if "set_temperature" in told else None,
        set_temperature=told.get("set_temperature"),
    )


def _numbers(comment: bytes) -> dict[str, float]:
    """Return the numbers of a comment line whose keys say their unit, or that have none."""
    return {name.decode(): float(number) for name, number in _NUMBERS.findall(comment)}


def _rows(
    body: list[bytes], columns: _Columns, path: Path, frame: int, line: int
) -> tuple[list[str], list[list[float]]]:
    symbols, coords = [], []
    for k, row in enumerate(body):
        words = row.split()
        is_long = len(words) > columns.n_words and columns.is_stated
        numbers = None
        if len(words) >= columns.n_words and not is_long:
            numbers = _position(words[columns.position : columns.position + 3])
        if numbers is None:
            shown = repr(row[:60].decode(errors="replace"))
            raise damaged(
                path,
                frame,
                line + 2 + k,
                f"{shown} is no row of {columns.n_words} columns with a position in columns "
                f"{columns.position + 1} to {columns.position + 3}",
            )
        symbols.append(words[columns.symbol].decode(errors="replace"))
        coords.append(numbers)
    return symbols, coords


def _position(words: list[bytes]) -> list[float] | None:
    try:
        return [float(word) for word in words]
    except ValueError:
        return None


def _columns(comment: bytes, path: Path, frame: int, line: int) -> _Columns:
    """Return where `Properties=name:type:width:...` puts symbol and position."""
    found = _PROPERTIES.search(comment)
    stated = (found.group(1) if found else _DEFAULT).decode(errors="replace")
    fields = stated.split(":")
    places: dict[str, tuple[int, str, int]] = {}
    column = 0
    for name, kind, width in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        if len(fields) % 3 or kind not in {"R", "S", "I", "L"} or not width.isdigit():
            break
        places.setdefault(name.lower(), (column, kind, int(width)))
        column += int(width)
    else:
        symbol = places.get("species") or places.get("element")
        position = places.get("pos") or places.get("positions")
        if symbol and position and symbol[1:] == ("S", 1) and position[1:] == ("R", 3):
            return _Columns(symbol[0], position[0], column, is_stated=found is not None)
    raise damaged(
        path,
        frame,
        line + 1,
        f"Properties={stated[:80]} do not tell where symbols (species:S:1) and positions (pos:R:3) "
        "stand",
    )
