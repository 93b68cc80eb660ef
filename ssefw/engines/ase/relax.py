"""Relaxation with ASE's FIRE that goes on where a killed process left it.

The file holds positions, cell and the optimizer's own state, written when some seconds have passed
since it was last. Everything else that FIRE and the cell filter use follows from these and from the
structure at the start, so that the steps are those of a relaxation that nothing interrupted.
"""

import io
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from ssefw.engines.run_directory import RunDirectory, write_atomically
from ssefw.engines.stopping import InterruptionError, StopCheck
from ssefw.errors import DataError
from ssefw.files.arrays import unpack_npz

__all__ = ["Relaxed", "relax_atoms"]

SAVE_EVERY = 5.0
"""Seconds between two writings of the state: what kill -9 can cost."""


@dataclass(frozen=True)
class Relaxed:
    """How a relaxation ended.

    Attributes
    ----------
    seconds
        Of all processes that worked at it.
    """

    converged: bool
    n_steps: int
    seconds: float


def relax_atoms(
    atoms: Atoms,
    *,
    fmax: float,
    max_steps: int,
    relax_cell: bool,
    directory: Path | None,
    key: str,
    stop: StopCheck,
) -> Relaxed:
    """Relax `atoms` in place, from the state in `directory` if there is one.

    Parameters
    ----------
    fmax
        Largest force at the end, eV/A.
    directory
        Where the state is kept; without one an interrupted relaxation starts anew.
    key
        Of structure and settings; a folder that belongs to another is refused.

    Raises
    ------
    InterruptionError
        If `stop` asked to stop; the state is written.
    """
    began = time.monotonic()
    target = FrechetCellFilter(atoms) if relax_cell else atoms
    optimizer = FIRE(target, logfile=None)
    with _state_file(directory, key) as file, _precise_enough():
        before = _restore(file, atoms, optimizer)
        saved = time.monotonic()
        converged = False
        for converged in optimizer.irun(fmax=fmax, steps=max_steps - optimizer.nsteps):
            now = time.monotonic()
            if file is None:
                continue
            asked = None if converged else stop()
            if asked is not None or now - saved >= SAVE_EVERY:
                _save(file, atoms, optimizer, seconds=before + now - began)
                saved = now
            if asked is not None:
                raise InterruptionError(
                    f"The relaxation in {directory} was interrupted ({asked}) after step "
                    f"{optimizer.nsteps}; run it again to continue.",
                    directory=directory,
                )
        if file is not None:
            file.unlink(missing_ok=True)
    return Relaxed(bool(converged), int(optimizer.nsteps), before + time.monotonic() - began)


@contextmanager
def _precise_enough() -> Iterator[None]:
    """Hush scipy, which says at every step that it knows the logarithm of the cell to 4e-13 only.

    ASE takes it of the strain times the number of atoms.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "logm result may be inaccurate", RuntimeWarning)
        yield


@contextmanager
def _state_file(directory: Path | None, key: str) -> Iterator[Path | None]:
    """Hold the folder of the state; it is removed when nothing is left to continue."""
    if directory is None:
        yield None
        return
    record = RunDirectory(directory, key=key)
    file = directory / "relaxation.npz"
    with record.lock():
        try:
            yield file
        finally:
            if not file.exists():
                record.clear()


def _save(file: Path, atoms: Atoms, optimizer: FIRE, *, seconds: float) -> None:
    if optimizer.vel is None:  # not a step was made
        return
    buffer = io.BytesIO()
    np.savez(
        buffer,
        positions=atoms.positions,
        cell=atoms.cell.array,
        velocities=optimizer.vel,
        pace=np.array([optimizer.dt, optimizer.a, seconds]),
        counts=np.array([optimizer.Nsteps, optimizer.nsteps]),
    )
    write_atomically(file, buffer.getvalue())


def _restore(file: Path | None, atoms: Atoms, optimizer: FIRE) -> float:
    """Take up the state in a file, if there is one; return the seconds spent before."""
    if file is None or not file.exists():
        return 0.0
    try:
        found = unpack_npz(file.read_bytes())
        positions, cell, velocities = found["positions"], found["cell"], found["velocities"]
        (dt, a, seconds), (n_downhill, n_steps) = found["pace"], found["counts"]
    except (DataError, OSError, ValueError, KeyError):
        return 0.0  # damaged on disk: what it held is computed again
    atoms.set_cell(cell)
    atoms.positions[:] = positions
    optimizer.vel = velocities
    optimizer.dt, optimizer.a = float(dt), float(a)
    optimizer.Nsteps, optimizer.nsteps = int(n_downhill), int(n_steps)
    return float(seconds)
