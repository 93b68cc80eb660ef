"""What a reader of trajectories gives: one raw frame after another."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError

__all__ = ["RawFrame", "blocks", "lines", "open_binary"]

FloatArray = npt.NDArray[np.float64]

BLOCK_BYTES = 4 * 2**20

_MAGIC: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}
_ENDS_EARLY = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)


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


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file, decompressed if it is gzip, bzip2 or xz whatever its name."""
    try:
        with path.open("rb") as plain:
            magic = plain.read(2)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    opener = _MAGIC.get(magic)
    if opener is None:
        with path.open("rb") as stream:
            yield stream
    else:
        with opener(path, "rb") as stream:
            yield cast("BinaryIO", stream)


def blocks(stream: BinaryIO, *, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Return the bytes of a stream in blocks, up to where a damaged archive can be read."""
    pieces: list[bytes] = []
    waiting = 0
    is_open = True
    while is_open:
        try:
            # One piece at a time: a whole read of a damaged archive would lose what came before.
            piece = stream.read1(size)  # type: ignore[attr-defined]
        except _ENDS_EARLY:
            piece = b""
        is_open = bool(piece)
        pieces.append(piece)
        waiting += len(piece)
        if waiting >= size or (not is_open and waiting):
            yield b"".join(pieces)
            pieces, waiting = [], 0


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """Return the lines of a stream, up to where a damaged archive can be read.

    A last line without an end is left out: it may have lost digits.
    """
    rest = b""
    for block in blocks(stream):
        parts = (rest + block).split(b"\n")
        rest = parts.pop()
        yield from parts
