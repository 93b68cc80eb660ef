"""Frames from VASP's XDATCAR, with a fixed or a variable cell.

A frame is the text between two "Direct configuration=" lines: three numbers an atom, and in a run
with variable cell the header of the next frame behind them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssefw.analysis.readers.base import MOST_ATOMS, RawFrame, damaged, numbers_of, say_dropped
from ssefw.analysis.readers.decimals import parse_rows
from ssefw.errors import DataError
from ssefw.files import InputFile, open_input

__all__ = ["read_xdatcar"]

FloatArray = npt.NDArray[np.float64]

_MARK = b"Direct configuration="
_HEADER_BYTES = 2**16
_ROW_BYTES = 256
"""More than three numbers of a row take, whatever their digits."""


def read_xdatcar(path: Path) -> Iterator[RawFrame]:
    """Return complete frames; the last one is left out, with a warning, if it was cut off.

    Raises
    ------
    DataError
        A frame amid the file is damaged.
    """
    header: tuple[FloatArray, tuple[str, ...]] | None = None
    numbers = _Numbers()
    n_headers = 1
    with open_input(path) as file:
        parts = _Parts(file)
        for part, is_last in parts:
            if header is None:
                header = _header(part, f"{path} does not begin like an XDATCAR")
                parts.longest = _HEADER_BYTES + _ROW_BYTES * len(header[1])
                continue
            numbers.next(part)
            lattice, species = header
            coords, end = parse_rows(part, len(species), 3, start=part.find(b"\n") + 1)
            rest = part[end:].strip()
            # A frame that ends without a line end may have lost digits of its last number.
            if len(coords) < len(species) or (is_last and end == len(part)):
                if not is_last or b"\n" in rest:
                    raise _damaged(path, numbers.frame, parts.line_at(part, end), rest, species)
                say_dropped(path, numbers.frame, f"{len(coords)} of {len(species)} atoms")
                return
            if rest and not is_last:
                n_headers += 1
                header = _header(rest, f"{path}, frame {numbers.frame + 1} begins otherwise than")
            elif rest and not _MARK.startswith(rest) and n_headers < numbers.frame:
                # In a variable cell it is the header of a frame that was never written.
                raise _damaged(path, numbers.frame, parts.line_at(part, end), rest, species)
            yield RawFrame(
                coords, lattice, species, is_fractional=True, follows_gap=numbers.follows_gap
            )
        if file.damage:
            say_dropped(path, numbers.frame + 1, file.damage)


class _Parts:
    """What lies between the marks of frames, and whether it is the last."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self.longest = _HEADER_BYTES
        self.line = 0
        """Line ends before the part that was given last."""

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        rest = b""
        for block in self._file.blocks(tolerant=True):
            parts = (rest + block).split(_MARK)
            rest = parts.pop()
            for part in parts:
                yield part, False
                self.line += part.count(b"\n")
            if len(rest) > self.longest:
                raise DataError(
                    f"{self._file.path}, line {self.line + 1}: {self.longest} bytes without "
                    f"{_MARK.decode()!r}, more than a frame has. The file is damaged there, or is "
                    "no XDATCAR."
                )
        yield rest, True

    def line_at(self, part: bytes, place: int) -> int:
        """Return the number of the line of a place in the part that was given last."""
        while place < len(part) and part[place : place + 1].isspace():
            place += 1
        return self.line + part.count(b"\n", 0, place) + 1


class _Numbers:
    """The numbers that the marks of frames carry; one left out means missing time."""

    def __init__(self) -> None:
        self.frame = 0
        self.follows_gap = False
        self._last: int | None = None
        self._step: int | None = None

    def next(self, part: bytes) -> None:
        self.frame += 1
        word = part[: part.find(b"\n")].strip()
        number = int(word) if word.isdigit() and len(word) < 19 else None
        step = None if number is None or self._last is None else number - self._last
        self.follows_gap = bool(step and self._step and self._step > 0 and step > self._step)
        self._step = self._step or step
        self._last = number


def _damaged(path: Path, frame: int, line: int, rest: bytes, species: tuple[str, ...]) -> DataError:
    row = rest.partition(b"\n")[0].decode(errors="replace")[:40]
    stands = f"{row!r} stands" if row else "nothing stands"
    what = f"{stands} amid the rows of three numbers for {len(species)} atoms"
    return damaged(path, frame, line, what)


def _header(text: bytes, what: str) -> tuple[FloatArray, tuple[str, ...]]:
    rows = text[:_HEADER_BYTES].strip(b"\n").splitlines()
    # An empty comment line is stripped away with the blank lines before it.
    if len(rows) == 6:
        rows.insert(0, b"")
    try:
        scale = float(rows[1].split()[0])
        lattice = np.array([numbers_of(row.split()[:3]) for row in rows[2:5]], dtype=float)
        symbols = [word.decode().split("/")[0].split("_")[0] for word in rows[5].split()]
        counts = [int(word) for word in rows[6].split()]
        if not np.isfinite(scale) or lattice.shape != (3, 3):
            raise ValueError(scale)  # noqa: TRY301 - one message for every way to be none
    except (IndexError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{what}: a comment, a scale, three cell vectors, element symbols (VASP 5 or later) "
            "and their numbers."
        ) from error
    if len(symbols) != len(counts) or not symbols:
        raise DataError(
            f"{what}: {len(symbols)} element symbols for {len(counts)} numbers of atoms in the "
            "header."
        )
    if min(counts) < 0 or not 0 < sum(counts) <= MOST_ATOMS:
        raise DataError(f"{what}: it states {sum(counts)} atoms, which cannot be.")
    if scale < 0:
        volume = abs(np.linalg.det(lattice))
        scale = (-scale / volume) ** (1.0 / 3.0) if volume > 0 else 0.0
    species = tuple(
        symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count)
    )
    return lattice * scale, species
