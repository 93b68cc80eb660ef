"""Molecular dynamics chunk by chunk into a run directory, by any driver; and ASE's."""

import time
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from ase import Atoms

from ssefw.data import Chunk
from ssefw.documents import EndReason
from ssefw.engines.ase.verlet import Dynamics, draw_momenta
from ssefw.engines.base import MDSettings
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.stopping import StepStoppedError, StopCheck
from ssefw.errors import EngineError

__all__ = ["RUNAWAY", "AseDriver", "Driver", "advance_dynamics", "new_dynamics"]

RUNAWAY = 10.0
"""A run hotter than this many times its set point has exploded."""

FARTHEST = 1000.0
"""So has one in which an atom moves farther than this (angstrom) within a chunk."""


class Driver(Protocol):
    """What moves the atoms: a state that can be written down, and the way from chunk to chunk."""

    def restore(self, last: Chunk) -> None:
        """Take up the state at the end of a chunk."""

    def begin(self) -> None:
        """Prepare the first chunk of this process."""

    def chunk(self, *, step: int, frame: int, segment: int, until: int) -> Chunk:
        """Return the next chunk: `frames_per_chunk` frames, or what is left until step `until`.

        Its bits depend on the state at its begin alone, so that a run which continues from a chunk
        is bit by bit the run that was never interrupted. A driver whose steps are long may return
        a shorter chunk when it is time to stop.

        Parameters
        ----------
        step
            Where the dynamics stand.
        frame
            Number of the first frame of the chunk, over all of the run.
        segment
            Number of the segment that the chunk belongs to.
        until
            The last step of the run.

        Raises
        ------
        ValueError, ArithmeticError
            If the run explodes.
        StepStoppedError
            If it is time to stop and there is nothing for a chunk.
        """


def advance_dynamics(
    driver: Driver, settings: MDSettings, run: RunDirectory, *, until: int, stop: StopCheck
) -> EndReason:
    """Run dynamics from where they stand to step `until`, or until `stop` asks to stop.

    Parameters
    ----------
    driver
        What moves the atoms.
    settings
        Of the dynamics.
    run
        The folder that is written to.
    until
        The last step.
    stop
        Asked between chunks whether to stop.

    Raises
    ------
    EngineError
        If the run explodes.
    """
    last = run.last_chunk()
    step, frame, index = 0, 0, 0
    if last is not None:
        driver.restore(last)
        step, frame = last.last_step, last.first_frame + last.n_frames
        index = last.notes["segment"] + 1
    if step >= until:
        return "complete"
    run.begin_segment(index, velocities="drawn" if last is None else "continued")
    began, first = time.monotonic(), step
    reason: EndReason = "complete"
    has_begun = False
    while step < until:
        if (asked := stop()) is not None:
            reason = asked
            break
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                if not has_begun:
                    driver.begin()
                    has_begun = True
                chunk = driver.chunk(step=step, frame=frame, segment=index, until=until)
        except StepStoppedError as stopped:
            reason = stopped.reason
            break
        except (ValueError, ArithmeticError) as error:
            raise _explosion(settings, run, step=step, why=str(error)) from error
        if (why := _runaway(chunk, settings)) is not None:
            raise _explosion(settings, run, step=step, why=why)
        run.append(chunk)
        step, frame = chunk.last_step, frame + chunk.n_frames
        rate = (step - first) / max(1e-9, time.monotonic() - began)
        run.note_progress(step=step, until=until, steps_per_second=rate)
    run.end_segment(index, reason=reason)
    return reason


def _runaway(chunk: Chunk, settings: MDSettings) -> str | None:
    hottest = float(np.max(chunk.temperatures))
    if not np.isfinite(hottest) or not np.all(np.isfinite(chunk.positions)):
        return "positions are not finite"
    if hottest > RUNAWAY * settings.temperature:
        return f"it reached {hottest:.3g} K"
    if np.abs(chunk.positions - chunk.positions[0]).max() > FARTHEST:
        return f"an atom moved more than {FARTHEST:g} A within {chunk.n_frames} frames"
    return None


def _explosion(settings: MDSettings, run: RunDirectory, *, step: int, why: str) -> EngineError:
    return EngineError(
        f"Dynamics at {settings.temperature:g} K exploded after step {step}: {why}. Relax the "
        f"structure first, or lower the time step of {settings.timestep:g} fs.",
        directory=run.path,
    )


def new_dynamics(
    masses: npt.NDArray[np.float64], positions: npt.NDArray[np.float64], settings: MDSettings
) -> Dynamics:
    """Return a system at its first step, its velocities drawn from the seed."""
    rng = np.random.default_rng(settings.seed)
    return Dynamics(
        masses=masses,
        positions=positions,
        momenta=draw_momenta(masses, temperature=settings.set_point(0), rng=rng),
        temperature=settings.set_point(0),
        timestep=settings.timestep,
        damping=settings.damping,
        thermostat=settings.thermostat,
        rng=rng,
    )


class _Evaluation:
    """Energy and forces at given positions, without ASE's checks for what changed."""

    def __init__(self, atoms: Atoms) -> None:
        self._atoms = atoms

    @property
    def cell(self) -> npt.NDArray[np.float64]:
        """Cell vectors in rows."""
        return np.array(self._atoms.cell, dtype=np.float64)

    def forget(self) -> None:
        """Make the next evaluation independent of those before it."""
        self._atoms.calc.reset()

    def __call__(self, positions: npt.NDArray[np.float64]) -> tuple[float, Any]:
        self._atoms.positions[:] = positions
        forces = self._atoms.get_forces()
        return float(self._atoms.calc.results["energy"]), np.asarray(forces, dtype=np.float64)


class AseDriver:
    """Dynamics with the forces of a calculator of ASE, which forgets its history in each chunk."""

    def __init__(self, atoms: Atoms, settings: MDSettings) -> None:
        self._settings = settings
        self._evaluate = _Evaluation(atoms)
        self._dynamics = new_dynamics(atoms.get_masses(), atoms.get_positions(), settings)

    def restore(self, last: Chunk) -> None:
        """Take up the state at the end of a chunk; see `Driver.restore`."""
        self._dynamics.restore(last.state, last.notes)

    def begin(self) -> None:
        """Compute the first forces; see `Driver.begin`."""
        self._evaluate.forget()
        self._dynamics.compute_forces(self._evaluate)

    def chunk(self, *, step: int, frame: int, segment: int, until: int) -> Chunk:
        """Return the next chunk; see `Driver.chunk`."""
        settings, dynamics = self._settings, self._dynamics
        length = min(settings.steps_per_frame * settings.frames_per_chunk, until - step)
        rows: list[tuple[npt.NDArray[np.float64], float, float]] = []

        def keep() -> None:
            rows.append((dynamics.positions.copy(), dynamics.energy, dynamics.kinetic_temperature))

        if step == 0:
            keep()
        for offset in range(1, length + 1):
            if offset == length:
                self._evaluate.forget()
            dynamics.temperature = settings.set_point(step + offset)
            dynamics.step(self._evaluate)
            if (step + offset) % settings.steps_per_frame == 0:
                keep()
        arrays, notes = dynamics.state()
        positions, energies, temperatures = zip(*rows, strict=True)
        return Chunk(
            first_step=step,
            last_step=step + length,
            first_frame=frame,
            positions=np.stack(positions),
            energies=np.array(energies),
            temperatures=np.array(temperatures),
            cell=self._evaluate.cell,
            state=arrays,
            notes=notes | {"segment": segment, "conserved_energy": dynamics.conserved_energy},
        )
