"""Frames from extended XYZ (extxyz): Lattice="..." and Properties=... in the comment line."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ssefw.analysis.readers.base import RawFrame, lines, open_binary
from ssefw.errors import DataError

__all__ = ["read_extxyz"]

_LATTICE = re.compile(rb'[Ll]attice="([^"]+)"')
_NUMBERS = re.compile(
    rb"(?<!\S)(time_ps|timestep_fs|step|temperature|set_temperature)"
    rb"=([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)(?!\S)"
)
_PROPERTIES = re.compile(rb"[Pp]roperties=\"?([^\s\"]+)")


def read_extxyz(path: Path) -> Iterator[RawFrame]:
    """Return complete frames; the last one is dropped if it was cut off.

    Of the comment, `time_ps`, `timestep_fs`, `step` and `set_temperature` are read, as ``ssefw
    results export`` writes them. A key `time` is not used: programs disagree on its unit.
    """
    with open_binary(path) as stream:
        rows = lines(stream)
        for first in rows:
            if not first.strip():
                continue
            try:
                n_atoms = int(first)
            except ValueError as error:
                raise DataError(
                    f"{path}: {first[:40]!r} stands where a number of atoms is expected."
                ) from error
            comment = next(rows, None)
            body = list(islice(rows, n_atoms))
            if comment is None or len(body) < n_atoms:
                return
            frame = _frame(comment, body, path, is_damaged=is_cut_off(body))
            if frame is None:
                return
            yield frame


def is_cut_off(body: list[bytes]) -> bool:
    """Return whether the last row is shorter than the others: it was cut off while written."""
    return len(body) > 1 and len(body[-1].split()) < len(body[0].split())


def _frame(comment: bytes, body: list[bytes], path: Path, *, is_damaged: bool) -> RawFrame | None:
    cell = _LATTICE.search(comment)
    if cell is None:
        raise DataError(
            f'{path} has no Lattice="..." in a comment line: plain XYZ does not know its cell. '
            "Write extended XYZ."
        )
    if is_damaged:
        return None
    lattice = np.array([float(word) for word in cell.group(1).split()]).reshape(3, 3)
    symbol_column, first_column = _columns(comment)
    words = [row.split() for row in body]
    try:
        coords = np.array([row[first_column : first_column + 3] for row in words], dtype=float)
    except ValueError as error:
        raise DataError(f"{path}: a row of positions is damaged ({error}).") from error
    species = tuple(row[symbol_column].decode() for row in words)
    told = _numbers(comment)
    step = told.get("step")
    return RawFrame(
        coords,
        lattice,
        species,
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


def _columns(comment: bytes) -> tuple[int, int]:
    """Return the column of the symbol and the first column of the positions."""
    found = _PROPERTIES.search(comment)
    if found is None:
        return 0, 1
    fields = found.group(1).decode().split(":")
    columns = {}
    column = 0
    for name, width in zip(fields[::3], fields[2::3], strict=False):
        columns[name.lower()] = column
        column += int(width)
    symbol = columns.get("species", columns.get("element", 0))
    return symbol, columns.get("pos", columns.get("positions", 1))
