"""Trajectory files of any length, read frame by frame into memory of bounded size."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from ssefw.analysis.readers.ase_trajectory import read_ase_trajectory
from ssefw.analysis.readers.base import RawFrame
from ssefw.analysis.readers.collect import DEFAULT_MEMORY, collect_frames
from ssefw.analysis.readers.espresso import read_espresso_md
from ssefw.analysis.readers.lammps import read_lammps_dump
from ssefw.analysis.readers.vasprun import read_vasprun
from ssefw.analysis.readers.xdatcar import read_xdatcar
from ssefw.analysis.readers.xyz import read_extxyz
from ssefw.analysis.trajectory import Frames
from ssefw.errors import DataError
from ssefw.files import open_input

__all__ = [
    "FORMATS",
    "RawFrame",
    "guess_format",
    "read_frames",
    "stream_frames",
    "told_temperatures",
]

FORMATS = ("xdatcar", "vasprun", "ase", "extxyz", "lammps", "espresso")

_BEGINNINGS = 4096


def stream_frames(
    path: str | Path, *, file_format: str | None = None, types: Sequence[str] = ()
) -> Iterator[RawFrame]:
    """Return the frames of one file one after another.

    Parameters
    ----------
    file_format
        One of `FORMATS`; by default what the name and the first bytes of the file say.
    types
        Element symbols of the atom types, for LAMMPS dumps without an element column.
    """
    place = Path(path)
    readers: dict[str, Callable[[Path], Iterator[RawFrame]]] = {
        "xdatcar": read_xdatcar,
        "vasprun": read_vasprun,
        "ase": read_ase_trajectory,
        "extxyz": read_extxyz,
        "lammps": partial(read_lammps_dump, types=types),
        "espresso": read_espresso_md,
    }
    chosen = file_format or guess_format(place)
    if chosen not in readers:
        raise DataError(f"the format {chosen!r} is not read; give one of {', '.join(FORMATS)}.")
    return readers[chosen](place)


def read_frames(
    paths: str | Path | Sequence[str | Path],
    *,
    timestep: float | None = None,
    stride: int | None = None,
    file_format: str | None = None,
    types: Sequence[str] = (),
    memory: int = DEFAULT_MEMORY,
) -> Frames:
    """Read the files of one run, in order of time, into frames.

    Atoms are followed across the cell at the full frequency of the file; frames are then kept as
    densely as `memory` permits, so that a file of any size can be read.

    Parameters
    ----------
    paths
        One file, or the segments of one run. What a segment repeats of the one before, as far as
        the files tell the time, is left out; missing time becomes a break.
    timestep
        Step of the integrator in fs; needed where the files do not tell, refused where it
        contradicts them.
    stride
        Integration steps between frames, likewise.
    file_format, types
        As for `stream_frames`.
    memory
        Bytes that the kept positions may take.

    Raises
    ------
    DataError
        A file cannot be read, holds no frame, or the time between frames is not known.
    """
    sequence = [paths] if isinstance(paths, str | Path) else list(paths)
    if not sequence:
        raise DataError("no trajectory file was given.")
    return collect_frames(
        [stream_frames(path, file_format=file_format, types=types) for path in sequence],
        names=[str(path) for path in sequence],
        timestep=timestep,
        stride=stride,
        memory=memory,
    )


def told_temperatures(
    paths: Sequence[Path], *, file_format: str | None = None, types: Sequence[str] = ()
) -> tuple[float, ...]:
    """Return the temperature (K) that the thermostat of each file's run aims at.

    Raises
    ------
    DataError
        If a file does not tell.
    """
    found = []
    for path in paths:
        first = next(stream_frames(path, file_format=file_format, types=types), None)
        if first is None or first.set_temperature is None:
            raise DataError(
                f"{path} does not tell the temperature of its run; give it in K (--temperature)."
            )
        found.append(first.set_temperature)
    return tuple(found)


def guess_format(path: Path) -> str:
    """Return the format that the first bytes of a file, or else its name, speak for."""
    with open_input(path) as file:
        head = file.head(_BEGINNINGS)
    if not head:
        raise DataError(f"{path} is empty.")
    name = path.name.lower()
    signs = {
        "ase": head.startswith(b"- of Ulm"),
        "vasprun": b"<modeling>" in head or b"<?xml" in head[:100],
        "lammps": b"ITEM: " in head,
        "espresso": b"Program PWSCF" in head,
        "extxyz": b"attice=" in head and head.split()[0].isdigit(),
        "xdatcar": b"Direct configuration" in head or "xdatcar" in name,
    }
    for file_format, is_it in signs.items():
        if is_it:
            return file_format
    if name.endswith((".xyz", ".extxyz")):
        return "extxyz"
    raise DataError(
        f"{path} is none of the formats that are read ({', '.join(FORMATS)}); say which if it is."
    )
