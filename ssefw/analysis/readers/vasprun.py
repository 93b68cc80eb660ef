"""Frames from VASP's vasprun.xml, complete or cut off at the wall time.

The file is scanned, not parsed as XML: every complete <calculation> is a frame, whatever became of
the closing tags. Runs with machine-learned forces, whose calculations hold no electronic step, read
the same.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ssefw.analysis.readers.base import MOST_ATOMS, RawFrame, damaged, say_dropped
from ssefw.analysis.readers.decimals import parse_rows
from ssefw.errors import DataError
from ssefw.files import InputFile, open_input
from ssefw.units import BOLTZMANN_EV_PER_K

__all__ = ["read_vasprun"]

_BEGIN = b"<calculation>"
_END = b"</calculation>"
_POTIM = re.compile(rb'<i[^>]*name="POTIM"[^>]*>\s*([-+.\dEe]{1,40})\s*<')
_IBRION = re.compile(rb'<i[^>]*name="IBRION"[^>]*>\s*(-?\d{1,6})\s*<')
_IS_LEARNED = re.compile(rb'name="ML_LMLFF"[^>]*>\s*\.?T')
_OUTPUT_BLOCK = re.compile(rb'name="ML_OUTBLOCK"[^>]*>\s*(\d{1,9})\s*<')
_ATOMS = re.compile(rb'<array name="atoms"\s*>.*?<set>(.*?)</set>', re.DOTALL)
_N_ATOMS = re.compile(rb"<atoms>\s*(\d{1,9})\s*</atoms>")
_SYMBOL = re.compile(rb"<rc>\s*<c>\s*([A-Za-z]+)")
_LARGEST_STEP = 512 * 2**20
"""Bytes of one calculation; one with projected densities of states has a tenth of it."""


@dataclass(frozen=True)
class _Header:
    """What stands before the first calculation."""

    species: tuple[str, ...]
    timestep: float | None
    stride: int | None


def read_vasprun(path: Path) -> Iterator[RawFrame]:
    """Return one frame an ionic step that was finished.

    Raises
    ------
    DataError
        A step amid the file is damaged; the last one is left out, with a warning, if it was cut
        off.
    """
    header: _Header | None = None
    frame = 0
    line = 1
    with open_input(path) as file:
        for part, is_whole in _parts(file):
            if not is_whole:
                if _BEGIN in part:
                    say_dropped(path, frame + 1, file.damage or "its calculation has no end")
                break
            if header is None:
                header = _header(part, path)
            frame += 1
            if part.count(_BEGIN) != 1:
                what = f"{part.count(_BEGIN)} calculations begin before one ends"
                raise damaged(path, frame, line + part.count(b"\n"), what)
            begin = part.find(_BEGIN)
            found = _frame(part[begin:], header)
            if isinstance(found, str):
                raise damaged(path, frame, line + part.count(b"\n", 0, begin), found)
            line += part.count(b"\n")
            yield found


def _parts(file: InputFile) -> Iterator[tuple[bytes, bool]]:
    """Yield the text up to each end of a calculation, and at last what has none."""
    rest = b""
    for block in file.blocks(tolerant=True):
        # The end mark may lie across two blocks: only the new text and its seam are searched.
        seam = max(len(rest) - len(_END), 0)
        rest += block
        begin = 0
        found = rest.find(_END, seam)
        while found >= 0:
            yield rest[begin:found], True
            begin = found + len(_END)
            found = rest.find(_END, begin)
        rest = rest[begin:]
        if len(rest) > _LARGEST_STEP:
            raise DataError(
                f"{file.path}: no {_END.decode()} within {_LARGEST_STEP // 2**20} MB. The file is "
                "damaged, or no vasprun.xml."
            )
    yield rest, False


def _header(text: bytes, path: Path) -> _Header:
    atoms = _ATOMS.search(text)
    symbols = () if atoms is None else tuple(s.decode() for s in _SYMBOL.findall(atoms.group(1)))
    if not 0 < len(symbols) <= MOST_ATOMS:
        raise DataError(f"{path} lists no atoms before its first calculation: not a vasprun.xml.")
    stated = _N_ATOMS.search(text)
    if stated and int(stated.group(1)) != len(symbols):
        raise DataError(
            f"{path} states {int(stated.group(1))} atoms and lists {len(symbols)}. The file is "
            "damaged there; write it again."
        )
    is_dynamics = (found := _IBRION.search(text)) is None or int(found.group(1)) == 0
    potim = _POTIM.search(text)
    try:
        timestep = float(potim.group(1)) if potim and is_dynamics else None
    except ValueError as error:
        raise DataError(f"{path}: POTIM is no number. The file is damaged there.") from error
    return _Header(symbols, timestep, _stride(text))


def _stride(text: bytes) -> int | None:
    """Return the steps between two frames: one, unless learned forces are written in blocks."""
    if not _IS_LEARNED.search(text):
        return 1
    block = _OUTPUT_BLOCK.search(text)
    return (int(block.group(1)) or None) if block else None


def _frame(text: bytes, header: _Header) -> RawFrame | str:
    """Return the frame of a calculation, or why there is none."""
    cell = text.rfind(b'name="basis"')
    places = text.find(b'name="positions"', max(cell, 0))
    if cell < 0 or places < 0:
        return "this calculation has no cell or no positions"
    n_atoms = len(header.species)
    lattice, _ = parse_rows(text, 3, 3, start=text.find(b">", cell) + 1)
    coords, _ = parse_rows(text, n_atoms, 3, start=text.find(b">", places) + 1)
    if len(lattice) < 3:
        return "its cell is not three rows of three numbers"
    if len(coords) < n_atoms:
        return f"it has {len(coords)} of {n_atoms} rows of three numbers as positions"
    temperature = None
    kinetic = text.rfind(b'name="kinetic"')
    if kinetic >= 0 and n_atoms > 1:
        energy, _ = parse_rows(text, 1, 1, start=text.find(b">", kinetic) + 1)
        if len(energy) == 0:
            return "its kinetic energy is no number"
        temperature = float(2.0 * energy[0, 0] / (3.0 * (n_atoms - 1) * BOLTZMANN_EV_PER_K))
    return RawFrame(
        coords,
        lattice,
        header.species,
        is_fractional=True,
        timestep=header.timestep,
        temperature=temperature,
        stride=header.stride,
    )
