"""Frames from VASP's XDATCAR, with a fixed or a variable cell.

A frame is the text between two "Direct configuration=" lines: three numbers an atom, and in a run
with variable cell the header of the next frame behind them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ssefw.analysis.readers.base import RawFrame, blocks, open_binary
from ssefw.analysis.readers.decimals import parse_decimals
from ssefw.errors import DataError

__all__ = ["read_xdatcar"]

FloatArray = npt.NDArray[np.float64]

_MARK = b"Direct configuration="


def read_xdatcar(path: Path) -> Iterator[RawFrame]:
    """Return complete frames; the last one is dropped if it was cut off."""
    header: tuple[FloatArray, tuple[str, ...]] | None = None
    with open_binary(path) as stream:
        for part, is_last in _parts(stream):
            if header is None:
                header = _header(part, path)
                continue
            lattice, species = header
            begin = part.find(b"\n") + 1
            coords, end = parse_decimals(part, 3 * len(species), start=begin)
            # A frame that ends without a line end may have lost digits of its last number.
            if len(coords) < 3 * len(species) or (is_last and end == len(part)):
                return
            yield RawFrame(coords.reshape(-1, 3), lattice, species, is_fractional=True)
            rest = part[end:].strip()
            if rest and not is_last:
                header = _header(rest, path)


def _parts(stream: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    rest = b""
    for block in blocks(stream):
        parts = (rest + block).split(_MARK)
        rest = parts.pop()
        for part in parts:
            yield part, False
    yield rest, True


def _header(text: bytes, path: Path) -> tuple[FloatArray, tuple[str, ...]]:
    rows = text.strip(b"\n").splitlines()
    # An empty comment line is stripped away with the blank lines before it.
    if len(rows) == 6:
        rows.insert(0, b"")
    try:
        scale = float(rows[1].split()[0])
        lattice = np.array([[float(x) for x in row.split()[:3]] for row in rows[2:5]])
        symbols = [word.decode().split("/")[0].split("_")[0] for word in rows[5].split()]
        counts = [int(word) for word in rows[6].split()]
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} does not begin like an XDATCAR: a comment, a scale, three cell vectors, "
            "element symbols (VASP 5 or later) and their numbers."
        ) from error
    if len(symbols) != len(counts) or lattice.shape != (3, 3):
        raise DataError(
            f"{path}: {len(symbols)} element symbols for {len(counts)} numbers of atoms in the "
            "header."
        )
    if scale < 0:
        scale = (-scale / abs(np.linalg.det(lattice))) ** (1.0 / 3.0)
    species = tuple(
        symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count)
    )
    return lattice * scale, species
