"""Frames from VASP's vasprun.xml, complete or cut off at the wall time.

The file is scanned, not parsed as XML: every complete <calculation> is a frame, whatever became of
the closing tags. Runs with machine-learned forces, whose calculations hold no electronic step, read
the same.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ssefw.analysis.readers.base import RawFrame, blocks, open_binary
from ssefw.analysis.readers.decimals import parse_decimals
from ssefw.errors import DataError
from ssefw.units import BOLTZMANN_EV_PER_K

__all__ = ["read_vasprun"]

_BEGIN = b"<calculation>"
_END = b"</calculation>"
_POTIM = re.compile(rb'<i[^>]*name="POTIM"[^>]*>\s*([-+.\dEe]+)')
_IBRION = re.compile(rb'<i[^>]*name="IBRION"[^>]*>\s*(-?\d+)')
_IS_LEARNED = re.compile(rb'name="ML_LMLFF"[^>]*>\s*\.?T')
_OUTPUT_BLOCK = re.compile(rb'name="ML_OUTBLOCK"[^>]*>\s*(\d+)')
_ATOMS = re.compile(rb'<array name="atoms"\s*>.*?<set>(.*?)</set>', re.DOTALL)
_SYMBOL = re.compile(rb"<rc>\s*<c>\s*([A-Za-z]+)")


def read_vasprun(path: Path) -> Iterator[RawFrame]:
    """Return one frame an ionic step that was finished."""
    species: tuple[str, ...] | None = None
    timestep: float | None = None
    stride: int | None = None
    with open_binary(path) as stream:
        for part in _parts(stream):
            if species is None:
                species, timestep = _header(part, path)
                stride = _stride(part)
            inside = part.rfind(_BEGIN)
            frame = _frame(part[max(inside, 0) :], species, timestep) if inside >= 0 else None
            if frame is not None:
                yield replace(frame, stride=stride)


def _parts(stream: BinaryIO) -> Iterator[bytes]:
    rest = b""
    for block in blocks(stream):
        # The end mark may lie across two blocks: only the new text and its seam are searched.
        seam = max(len(rest) - len(_END), 0)
        rest += block
        begin = 0
        found = rest.find(_END, seam)
        while found >= 0:
            yield rest[begin:found]
            begin = found + len(_END)
            found = rest.find(_END, begin)
        rest = rest[begin:]


def _header(text: bytes, path: Path) -> tuple[tuple[str, ...], float | None]:
    atoms = _ATOMS.search(text)
    if atoms is None:
        raise DataError(f"{path} lists no atoms before its first calculation: not a vasprun.xml.")
    symbols = tuple(symbol.decode() for symbol in _SYMBOL.findall(atoms.group(1)))
    is_dynamics = (found := _IBRION.search(text)) is None or int(found.group(1)) == 0
    potim = _POTIM.search(text)
    return symbols, float(potim.group(1)) if potim and is_dynamics else None


def _stride(text: bytes) -> int | None:
    """Return the steps between two frames: one, unless learned forces are written in blocks."""
    if not _IS_LEARNED.search(text):
        return 1
    block = _OUTPUT_BLOCK.search(text)
    return int(block.group(1)) if block else None


def _frame(text: bytes, species: tuple[str, ...], timestep: float | None) -> RawFrame | None:
    cell = text.rfind(b'name="basis"')
    if cell < 0:
        return None
    lattice, _ = parse_decimals(text, 9, start=cell)
    places = text.find(b'name="positions"', cell)
    if places < 0:
        return None
    coords, _ = parse_decimals(text, 3 * len(species), start=places)
    if len(lattice) < 9 or len(coords) < 3 * len(species):
        return None
    temperature = None
    kinetic = text.rfind(b'name="kinetic"')
    if kinetic >= 0 and len(species) > 1:
        energy, _ = parse_decimals(text, 1, start=kinetic)
        temperature = float(2.0 * energy[0] / (3.0 * (len(species) - 1) * BOLTZMANN_EV_PER_K))
    return RawFrame(
        np.ascontiguousarray(coords.reshape(-1, 3)),
        lattice.reshape(3, 3),
        species,
        is_fractional=True,
        timestep=timestep,
        temperature=temperature,
    )
