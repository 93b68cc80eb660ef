"""One run of pw.x in the folder of its calculation: a relaxation or a single point.

The folder belongs to the calculation's content, so that what is whole is read and not run again,
and what broke off goes on from where it came to.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from ssefw.engines.espresso.continuation import continued, corrected, pw_attempts
from ssefw.engines.espresso.inputs import PW_INPUT, read_geometry
from ssefw.engines.espresso.job import PW_OUTPUT
from ssefw.engines.espresso.process import run_program
from ssefw.engines.espresso.pw_output import Geometry, PwRun
from ssefw.engines.espresso.symptoms import read_text
from ssefw.engines.run_directory import RunDirectory, write_atomically
from ssefw.engines.stopping import InterruptionError, StopCheck
from ssefw.errors import EngineError

__all__ = ["Finished", "run_single"]


@dataclass(frozen=True)
class Finished:
    """What all attempts of a run of pw.x printed, and where the last of them began.

    Attributes
    ----------
    final
        The last geometry.
    wall_time
        Seconds of all attempts, those of earlier processes as they told it.
    """

    attempts: list[PwRun]
    final: Structure
    wall_time: float

    @property
    def last(self) -> PwRun:
        """The attempt that was whole."""
        return self.attempts[-1]

    @property
    def energy(self) -> float:
        """Of the last geometry, eV."""
        return self.last.energies[-1]

    @property
    def max_force(self) -> float:
        """Largest force on an atom of the last geometry, eV/A."""
        if self.last.forces is None:
            msg = "pw.x printed no forces"
            raise EngineError(msg)
        return float(np.linalg.norm(self.last.forces, axis=1).max())


def run_single(
    folder: Path,
    text: str,
    structure: Structure,
    *,
    key: str,
    command: Sequence[str],
    stop: StopCheck,
) -> Finished:
    """Run pw.x in a folder, unless it has run there.

    Parameters
    ----------
    text
        Its input, as it is where nothing has run yet.
    structure
        What the input holds.
    key
        Content key of the calculation, to which the folder belongs.

    Raises
    ------
    EngineError
        If it failed in a way that cannot be mended.
    InterruptionError
        If it was asked to stop before it was whole.
    """
    record = RunDirectory(folder, key=key)
    began = time.monotonic()
    with record.lock():
        runs = pw_attempts(record.path, PW_OUTPUT)
        earlier = sum(run.seconds for run in runs)
        if not _is_whole(runs[-1]):
            text = corrected(text, record.path, PW_INPUT)
            text, _ = continued(text, record.path, PW_OUTPUT)
            write_atomically(record.path / PW_INPUT, text.encode())
            reason = run_program(list(command), record.path, PW_INPUT, PW_OUTPUT, stop=stop)
            runs = pw_attempts(record.path, PW_OUTPUT)
            if reason != "complete" and not _is_whole(runs[-1]):
                msg = (
                    f"pw.x in {record.path} was interrupted ({reason}); run it again to "
                    "continue from its last geometry."
                )
                raise InterruptionError(msg, directory=record.path)
        if not _is_whole(runs[-1]):
            why = "; ".join(s.message for s in runs[-1].symptoms) or "its output breaks off"
            msg = f"pw.x failed in {record.path}: {why}"
            raise EngineError(msg, directory=record.path)
        began_at = Geometry(*read_geometry(read_text(record.path / PW_INPUT)))
    final = _at(runs[-1].latest or began_at, structure)
    return Finished(runs, final, earlier + time.monotonic() - began)


def _at(geometry: Geometry, structure: Structure) -> Structure:
    """Return a structure moved to a geometry of the same atoms."""
    lattice = structure.lattice if geometry.cell is None else Lattice(geometry.cell)
    return Structure(lattice, structure.species, geometry.positions, coords_are_cartesian=True)


def _is_whole(run: PwRun) -> bool:
    return (
        run.finished
        and bool(run.energies)
        and run.forces is not None
        and not run.codes - {"nstep_exceeded"}
    )
