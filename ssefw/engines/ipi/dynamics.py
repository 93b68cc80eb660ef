"""Dynamics with forces that are dear: after each step what was computed is on disk.

A step of a DFT code takes seconds to minutes, and a hundred of them would be lost with a chunk that
was not written. So the chunk in progress is written at each step, with the state of the integrator
and the forces there; a process that was killed loses the step it was at and no more. Forces and
stress of each frame stay with it.

A chunk does not depend on the state at its begin alone, as with potentials that have no memory: the
density from which electrons start is extrapolated from earlier steps. What is joined differs from
an undisturbed run by as much as self-consistency leaves open.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.data import Chunk
from ssefw.engines.ase.dynamics import RUNAWAY, new_dynamics
from ssefw.engines.base import MDSettings
from ssefw.engines.ipi.server import Answer
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.stopping import StepStoppedError

__all__ = ["ServedDriver"]

FloatArray = npt.NDArray[np.float64]

NOTE_EVERY = 1.0
"""Seconds between two notes of how far a run is."""


@dataclass(frozen=True)
class _Frame:
    positions: FloatArray
    energy: float
    temperature: float
    forces: FloatArray
    stress: FloatArray


class ServedDriver:
    """What moves the atoms, for `advance_dynamics`: see `ssefw.engines.ase.dynamics.Driver`.

    Parameters
    ----------
    masses
        amu.
    positions, cell
        A.
    forces
        Energy, forces and stress at positions in a cell; it may raise StepStoppedError.
    run
        Where the chunk in progress is kept.
    """

    def __init__(
        self,
        *,
        masses: FloatArray,
        positions: FloatArray,
        cell: FloatArray,
        settings: MDSettings,
        forces: Callable[[FloatArray, FloatArray], Answer],
        run: RunDirectory,
    ) -> None:
        self._settings = settings
        self._forces = forces
        self._run = run
        self._cell = cell
        self._dynamics = new_dynamics(masses, positions, settings)
        self._stress = np.zeros((3, 3))
        self._origin = "start"
        self._frames: list[_Frame] = []
        self._done = 0

    def restore(self, last: Chunk) -> None:
        """Take up the state at the end of a chunk, with the forces there."""
        self._dynamics.restore(last.state, last.notes)
        if "forces" in last.state:
            self._dynamics.forces = np.array(last.state["forces"])
            self._stress = np.array(last.state["stress"])
            self._dynamics.energy = last.notes["energy"]
        self._origin = _digest(last)

    def begin(self) -> None:
        """Take up the chunk that was in progress, or compute the first forces of a new run."""
        part = self._run.partial()
        if part is not None and part.notes.get("origin") == self._origin:
            origin = self._origin
            self.restore(part)
            self._origin = origin
            self._frames = _frames_of(part)
            self._done = part.last_step - part.first_step
        if self._dynamics.forces is None:
            self._dynamics.compute_forces(self._evaluate)

    def chunk(self, *, step: int, frame: int, segment: int, until: int) -> Chunk:
        """Return the next chunk, shorter where it is time to stop; see `Driver.chunk`."""
        settings, dynamics = self._settings, self._dynamics
        length = min(settings.steps_per_frame * settings.frames_per_chunk, until - step)
        if step == 0 and not self._frames:
            self._keep()
        part = self._part(step=step, frame=frame, segment=segment)
        self._run.save_partial(part)
        began, first, noted = time.monotonic(), self._done, 0.0
        while self._done < length:
            dynamics.temperature = settings.set_point(step + self._done + 1)
            try:
                dynamics.step(self._evaluate)
            except StepStoppedError:
                if not part.n_frames or not self._done:
                    raise
                self.restore(part)  # the step that was broken off has moved the atoms
                break
            self._done += 1
            if (step + self._done) % settings.steps_per_frame == 0:
                self._keep()
            part = self._part(step=step, frame=frame, segment=segment)
            self._run.save_partial(part)
            now = time.monotonic()
            if now - noted > NOTE_EVERY:
                rate, noted = (self._done - first) / max(1e-9, now - began), now
                self._run.note_progress(step=step + self._done, until=until, steps_per_second=rate)
            if dynamics.kinetic_temperature > RUNAWAY * settings.temperature:
                break
        self._frames, self._done = [], 0
        self._origin = _digest(part)
        return part

    def _evaluate(self, positions: FloatArray) -> tuple[float, FloatArray]:
        answer = self._forces(positions, self._cell)
        self._stress = answer.stress
        return answer.energy, answer.forces

    def _keep(self) -> None:
        dynamics = self._dynamics
        if dynamics.forces is None:
            raise RuntimeError("no forces yet")
        self._frames.append(
            _Frame(
                dynamics.positions.copy(),
                dynamics.energy,
                dynamics.kinetic_temperature,
                dynamics.forces,
                self._stress,
            )
        )

    def _part(self, *, step: int, frame: int, segment: int) -> Chunk:
        """Return what there is of the chunk in progress."""
        dynamics, frames = self._dynamics, self._frames
        arrays, notes = dynamics.state()
        shape = (len(frames), len(dynamics.masses), 3)
        notes |= {
            "segment": segment,
            "conserved_energy": dynamics.conserved_energy,
            "energy": dynamics.energy,
            "origin": self._origin,
        }
        arrays |= {"forces": np.asarray(dynamics.forces), "stress": self._stress}
        return Chunk(
            first_step=step,
            last_step=step + self._done,
            first_frame=frame,
            positions=np.array([f.positions for f in frames]).reshape(shape),
            energies=np.array([f.energy for f in frames]),
            temperatures=np.array([f.temperature for f in frames]),
            cell=self._cell,
            state=arrays,
            notes=notes,
            forces=np.array([f.forces for f in frames]).reshape(shape),
            stresses=np.array([f.stress for f in frames]).reshape(-1, 3, 3),
        )


def _frames_of(part: Chunk) -> list[_Frame]:
    """Return the frames of a chunk that was in progress."""
    if part.forces is None or part.stresses is None:
        return []
    rows = (part.positions, part.energies, part.temperatures, part.forces, part.stresses)
    return [_Frame(*row) for row in zip(*rows, strict=True)]


def _digest(chunk: Chunk) -> str:
    """Return what tells the state at the end of a chunk from that of any other run."""
    return hashlib.sha256(np.ascontiguousarray(chunk.state["positions"]).tobytes()).hexdigest()[:16]
