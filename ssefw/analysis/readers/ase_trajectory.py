"""Frames from ASE's own trajectory files (.traj)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase.io.trajectory import Trajectory
from ase.io.ulm import InvalidULMFileError

from ssefw.analysis.readers.base import RawFrame
from ssefw.errors import DataError

__all__ = ["read_ase_trajectory"]


def read_ase_trajectory(path: Path) -> Iterator[RawFrame]:
    """Return one frame after another, with the temperature where momenta were written."""
    try:
        trajectory = Trajectory(path)
    except (InvalidULMFileError, OSError, EOFError) as error:
        raise DataError(f"{path} is not a trajectory of ASE, or is empty: {error}.") from error
    with trajectory:
        for index in range(len(trajectory)):
            try:
                atoms = trajectory[index]
            except (ValueError, EOFError, OSError):
                # The run was killed while it wrote this frame.
                return
            has_momenta = atoms.has("momenta")
            yield RawFrame(
                atoms.get_positions(),
                np.asarray(atoms.cell),
                tuple(atoms.get_chemical_symbols()),
                is_fractional=False,
                temperature=float(atoms.get_temperature()) if has_momenta else None,
            )
