"""Frames from ASE's own trajectory files (.traj)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase.io.trajectory import Trajectory

from ssefw.analysis.readers.base import MOST_ATOMS, RawFrame, say_dropped
from ssefw.errors import DataError
from ssefw.files import open_input

__all__ = ["read_ase_trajectory"]

# What a damaged file makes of ASE's reader; InvalidULMFileError is an OSError.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
_FRAME_BYTES = 32
"""Fewer than any frame takes in the file."""


def read_ase_trajectory(path: Path) -> Iterator[RawFrame]:
    """Return one frame after another, with the temperature where momenta were written.

    Raises
    ------
    DataError
        It is no trajectory, or a frame amid it is damaged.
    """
    with open_input(path) as file:
        most = file.size // _FRAME_BYTES
    try:
        trajectory = Trajectory(path)
        n_frames = len(trajectory)
    except _DAMAGE as error:
        raise DataError(f"{path} is not a trajectory of ASE, or is empty: {error}.") from error
    with trajectory:
        if n_frames > most:
            raise DataError(f"{path} claims {n_frames} frames, more than it can hold.")
        for index in range(n_frames):
            try:
                frame = _frame(trajectory[index])
            except _DAMAGE as error:
                later = _readable(trajectory, range(index + 1, n_frames))
                if later is None:
                    # The run was killed while it wrote this frame.
                    say_dropped(path, index + 1, f"{n_frames - index} frames cannot be read")
                    return
                raise DataError(
                    f"{path}, frame {index + 1}: cannot be read ({type(error).__name__}), but "
                    f"frame {later + 1} can. The file is damaged there; write it again, or cut it "
                    f"before frame {index + 1}."
                ) from error
            yield frame


def _frame(atoms: Any) -> RawFrame:
    coords = np.asarray(atoms.get_positions(), dtype=float)
    if coords.ndim != 2 or coords.shape[1] != 3 or not 0 < len(coords) <= MOST_ATOMS:
        raise ValueError(f"positions of shape {coords.shape}")
    temperature = float(atoms.get_temperature()) if atoms.has("momenta") else None
    return RawFrame(
        coords,
        np.asarray(atoms.cell, dtype=float),
        tuple(atoms.get_chemical_symbols()),
        is_fractional=False,
        temperature=temperature,
    )


def _readable(trajectory: Any, indices: range) -> int | None:
    """Return the first of some frames that can be read."""
    for index in indices:
        try:
            _frame(trajectory[index])
        except _DAMAGE:
            continue
        return index
    return None
