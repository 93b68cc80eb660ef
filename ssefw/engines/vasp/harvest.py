"""From VASP's files to chunks: which steps exist, and the point from which a run continues.

VASP evaluates step after step; a step exists once its energy is written. The point to continue from
is taken from CONTCAR where that file is whole and fits the steps: VASP's own words, with velocities
and thermostat. CONTCAR may hold the last evaluated positions or those after them; both are
recognized. Where it is torn, the run continues from the last step but one, with the velocities
(x[n+1] - x[n-1]) / 2 dt that velocity Verlet itself has to second order; only the thermostat starts
anew.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.data import Chunk
from ssefw.engines.base import MDSettings
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.vasp.inputs import VaspCell
from ssefw.engines.vasp.outputs import (
    IonicStep,
    StepReader,
    read_contcar,
    was_aborted,
)
from ssefw.errors import EngineError
from ssefw.units import BOLTZMANN_EV_PER_K

__all__ = ["RunStart", "StepCollector", "start_point"]

FloatArray = npt.NDArray[np.float64]

SAME = 1e-5
"""Positions (A) that differ less than this are the same."""

TAKEN_UP = 0.5
"""Correlation of the velocities handed over with the first displacement: 1 up to a vibration's
curvature within one step, and around 0 if VASP drew new ones."""

NEXT = 0.6
"""Change from one step's displacement to the next, relative to it: about omega dt, 0.3 at most for
the stiffest bonds at a sane time step, and 1 if a step lies between."""

RUNAWAY = 10.0
"""A run hotter than this many times its set point has exploded."""


@dataclass(frozen=True)
class RunStart:
    """Where a run of VASP starts.

    Attributes
    ----------
    step
        Step of its first ionic step, counted over the trajectory.
    last_step, n_frames
        What is recorded already; `step` is `last_step` (evaluated once more) or the one after.
    positions
        Unwrapped, angstrom, VASP's order, at `last_step`.
    velocities
        A/fs, VASP's order, at `last_step`.
    poscar
        VASP's own CONTCAR, if the run continues from one.
    """

    step: int
    last_step: int
    n_frames: int
    positions: FloatArray
    velocities: FloatArray
    poscar: str | None
    is_new: bool


def start_point(run: RunDirectory, cell: VaspCell, velocities: FloatArray) -> RunStart:
    """Return where the run in a folder stands.

    Parameters
    ----------
    velocities
        For a new run, A/fs, VASP's order.
    """
    last = run.last_chunk()
    if last is None:
        positions = np.array(cell.structure.cart_coords)
        return RunStart(0, 0, 0, positions, velocities, None, is_new=True)
    restart = last.notes.get("restart") or {"step": last.last_step, "poscar": None}
    return RunStart(
        step=restart["step"],
        last_step=last.last_step,
        n_frames=last.first_frame + last.n_frames,
        positions=cell.to_vasp_order(last.state["positions"]),
        velocities=cell.to_vasp_order(last.state["velocities"]),
        poscar=restart["poscar"],
        is_new=False,
    )


# Step, positions and velocities there, and the note to continue from.
_Point = tuple[int, FloatArray, FloatArray, dict[str, Any] | None]


@dataclass
class _Frame:
    positions: FloatArray
    energy: float
    temperature: float


@dataclass
class StepCollector:
    """Gathers the steps of one VASP run into chunks.

    Attributes
    ----------
    start
        The state of the record when gathering begins. It may lie ahead of the VASP run's first
        step: chunks were written while it ran, and its process was killed.
    first_step
        Step of the VASP run's first ionic step.
    until
        Last step wanted.
    hottest
        Highest set point (K), to tell an explosion.
    max_electronic
        NELM: an ionic step that took as many electronic steps has not converged.
    n_new, n_unconverged
        Ionic steps that were new, and those of them that did not converge.
    """

    run: RunDirectory
    folder: Path
    cell: VaspCell
    settings: MDSettings
    start: RunStart
    first_step: int
    segment: int
    until: int
    hottest: float
    max_electronic: int = 60
    n_new: int = 0
    n_unconverged: int = 0
    _pending: list[_Frame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = StepReader(self.folder / "vasprun.xml")
        self._step = self.first_step - 1
        self._recorded = self.start.last_step
        self._frames = self.start.n_frames
        self._matrix = np.array(self.cell.structure.lattice.matrix)
        self._inverse = np.linalg.inv(self._matrix)
        self._now = self.start.positions  # at the step before the one to come
        self._track: list[FloatArray] = []  # positions of the last three steps
        self._total: float | None = None

    @property
    def last_step(self) -> int:
        """Last step that is recorded in a chunk."""
        return self._recorded

    @property
    def seen_step(self) -> int:
        """Last complete step that VASP has written."""
        return self._step

    def gather(self) -> None:
        """Record the chunks that VASP has completed since the last call.

        Raises
        ------
        EngineError
            If the run exploded, changed its cell, or did not take up the velocities it was given.
        """
        length = self.settings.steps_per_frame * self.settings.frames_per_chunk
        for ionic in self._reader.new_steps():
            self._take(ionic)
            edge = min(self._recorded + length, self.until)
            if self._step == edge + 1 and len(self._track) == 3:
                self._record(edge, self._track[1], self._central_velocities(), None)

    def finish(self) -> None:
        """Record what is left after VASP has ended, up to the last step it can continue from."""
        self.gather()
        dropped = 1 if was_aborted(self.folder) else 0
        point = self._contcar_point(dropped=dropped)
        if point is None and len(self._track) == 3:
            point = (self._step - 1, self._track[1], self._central_velocities(), None)
        if point is not None and point[0] > self._recorded:
            self._record(*point)

    def _contcar_point(self, *, dropped: int) -> _Point | None:
        contcar = read_contcar(self.folder / "CONTCAR", n_atoms=len(self._now))
        if contcar is None or len(self._track) < 1 + dropped:
            return None
        here = contcar.frac_coords @ self._matrix
        for back in range(dropped, min(2, len(self._track))):
            if np.abs(self._minimum_image(here - self._track[-1 - back])).max() < SAME:
                step = self._step - back
                note = {"step": step, "poscar": contcar.text}
                return step, self._track[-1 - back], contcar.velocities, note
        if dropped or len(self._track) < 2:
            return None
        ahead = self._minimum_image(here - self._track[-1])
        last = self._track[-1] - self._track[-2]
        if np.linalg.norm(ahead - last) < NEXT * np.linalg.norm(last):
            note = {"step": self._step + 1, "poscar": contcar.text}
            return self._step, self._track[-1], ahead / self.settings.timestep, note
        return None

    def _take(self, ionic: IonicStep) -> None:
        """Add one ionic step to the track, and to the frames if it is new."""
        if np.abs(ionic.cell - self._matrix).max() > 1e-4:
            raise EngineError(
                f"The cell of the dynamics in {self.folder} changed; it must stay fixed.",
                directory=self.folder,
            )
        self._step += 1
        if self._step < self.start.last_step:
            return
        move = self._minimum_image(ionic.frac_coords @ self._matrix - self._now)
        positions = self._now + move
        if self._step == self.start.last_step and not self.start.is_new:
            if np.abs(move).max() > SAME:
                raise EngineError(
                    f"{self.folder} does not continue step {self._step} of the record: positions "
                    f"differ by {np.abs(move).max():.2g} A.",
                    directory=self.folder,
                )
            positions = self._now
        if self._step == self.start.last_step + 1:
            self._check_taken_up(move)
        self._now = positions
        self._track = [*self._track[-2:], positions]
        self._total = ionic.total
        is_new = self._step > self._recorded or (self.start.is_new and self._step == 0)
        if is_new:
            self.n_new += self._step > 0
            self.n_unconverged += ionic.n_electronic >= self.max_electronic
            temperature = self._temperature(ionic)
            if self._step % self.settings.steps_per_frame == 0:
                self._pending.append(_Frame(positions, ionic.energy, temperature))

    def _temperature(self, ionic: IonicStep) -> float:
        if ionic.kinetic is None:
            raise EngineError(
                f"{self.folder / 'vasprun.xml'} has no kinetic energy; it is no dynamics.",
                directory=self.folder,
            )
        dof = max(1, 3 * len(self._now) - 3)
        temperature = 2.0 * ionic.kinetic / (dof * BOLTZMANN_EV_PER_K)
        if not temperature < RUNAWAY * self.hottest:
            raise EngineError(
                f"Dynamics at {self.settings.temperature:g} K exploded at step {self._step}: it "
                f"reached {temperature:.3g} K. Relax the structure first, or lower the time step "
                f"of {self.settings.timestep:g} fs.",
                directory=self.folder,
            )
        return temperature

    def _check_taken_up(self, move: FloatArray) -> None:
        correlation = self._correlation(self.start.velocities, move)
        if correlation < TAKEN_UP:
            raise EngineError(
                f"VASP in {self.folder} did not start from the velocities of step "
                f"{self.start.last_step} (correlation {correlation:.2f}): the trajectory would "
                "have a gap. Keep POSCAR's velocity block and MDALGO as they were written.",
                directory=self.folder,
            )

    def _correlation(self, one: FloatArray, other: FloatArray) -> float:
        mass = self.cell.masses[:, None]
        norm = float(np.sqrt((mass * one**2).sum() * (mass * other**2).sum()))
        return float((mass * one * other).sum()) / norm if norm > 0.0 else 1.0

    def _minimum_image(self, vectors: FloatArray) -> FloatArray:
        frac = vectors @ self._inverse
        moved: FloatArray = (frac - np.rint(frac)) @ self._matrix
        return moved

    def _central_velocities(self) -> FloatArray:
        before, _, after = self._track
        velocities: FloatArray = (after - before) / (2.0 * self.settings.timestep)
        return velocities

    def _record(
        self,
        step: int,
        positions: FloatArray,
        velocities: FloatArray,
        restart: dict[str, Any] | None,
    ) -> None:
        """Write the frames up to `step` as a chunk that ends in the given state."""
        every = self.settings.steps_per_frame
        n = step // every + 1 - self._frames
        frames, self._pending = self._pending[:n], self._pending[n:]
        state = {
            "positions": self.cell.to_given_order(positions),
            "velocities": self.cell.to_given_order(velocities),
        }
        notes = {"segment": self.segment, "restart": restart, "conserved_energy": self._total}
        if frames:
            order = self.cell.to_given_order
            chunk = Chunk(
                first_step=self._recorded,
                last_step=step,
                first_frame=self._frames,
                positions=np.stack([order(frame.positions) for frame in frames]),
                energies=np.array([frame.energy for frame in frames]),
                temperatures=np.array([frame.temperature for frame in frames]),
                cell=self._matrix,
                state=state,
                notes=notes,
            )
        else:
            # Steps without a frame lengthen the chunk before them, if it is of this segment; else
            # they are computed again, since a chunk needs a frame.
            last = self.run.last_chunk()
            if last is None or last.notes.get("segment") != self.segment:
                return
            chunk = Chunk(
                first_step=last.first_step,
                last_step=step,
                first_frame=last.first_frame,
                positions=last.positions,
                energies=last.energies,
                temperatures=last.temperatures,
                cell=last.cell,
                state=state,
                notes=notes,
            )
        self.run.append(chunk)
        self._recorded = step
        self._frames += len(frames)
