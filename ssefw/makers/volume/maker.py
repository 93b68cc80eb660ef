"""The cell at a temperature: dynamics at constant volume until their mean pressure vanishes.

    relax --> volume md 600 K --> volume md pressure 600 K --> (another volume, or) ladder

Each run tells the mean pressure with its error, and that over the bulk modulus where to go next. A
run is a trajectory as any other, which goes on bit by bit after an interruption, so that the same
runs always give the same volume. The shape of the cell stays as it was relaxed.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from jobflow import Job, Maker, Response, job
from pymatgen.core import Structure

from ssefw.analysis.pressure import (
    kinetic_pressure,
    mean_pressure,
    modulus_of,
    pressure_free,
    value_and_ends,
)
from ssefw.documents import (
    Estimate,
    PressurePoint,
    RelaxResult,
    ThermalVolume,
    Trajectory,
)
from ssefw.engines import Engine, settings_hash
from ssefw.engines.stopping import InterruptionError, stop_check
from ssefw.errors import EngineError
from ssefw.makers.diffusivity import read_frames
from ssefw.makers.failures import LENIENT, failures_recorded
from ssefw.makers.md import MDMaker, drawn_seed
from ssefw.makers.outcome import core_hours
from ssefw.makers.replacement import continued_by, replaced_by
from ssefw.makers.site import computed_once, equip, trajectories
from ssefw.makers.volume.policy import (
    FRAMES,
    STRAINED_FRAMES,
    VolumePolicy,
    at_temperature,
    scaled,
)
from ssefw.settings import load_settings
from ssefw.units import GPA_PER_EV_PER_A3

__all__ = ["VolumeMaker"]

FloatArray = npt.NDArray[np.float64]

STRAIN = 0.01
"""Of the volume, to either side: within what is linear."""
FARTHEST = 0.25
"""A crystal whose volume grows by more has melted or falls apart."""


@dataclass
class VolumeMaker(Maker):
    """Find the volume without pressure at a temperature, with the engine of the dynamics.

    Attributes
    ----------
    md
        Its engine and settings.
    policy
        At which temperature, how long, how well.
    suffix
        Of the names of the jobs.
    """

    md: MDMaker
    policy: VolumePolicy
    suffix: str = ""
    name: str = "volume"

    def jobs(self, cell: Structure, *, candidate_id: str) -> list[Job]:
        """Return the first jobs for a relaxed cell; the output of the last is the volume."""
        return self._round(cell, candidate_id=candidate_id, ratio=1.0, runs=[], points=[])

    def _round(
        self,
        cell: Structure,
        *,
        candidate_id: str,
        ratio: float,
        runs: Sequence[Trajectory],
        points: Sequence[PressurePoint],
    ) -> list[Job]:
        policy, settings = self.policy, self.md.settings
        label = f"{policy.temperature:g} K{self.suffix}"
        run = f"volume {policy.temperature:.6g}"
        own = settings.model_copy(
            update={
                "temperature": policy.temperature,
                "seed": drawn_seed(settings.seed, candidate_id, run),
            }
        )
        frames = round(policy.length * 1000.0 / (own.timestep * own.steps_per_frame))
        md = replace(self.md, settings=own, name=f"volume md {label}").make(
            scaled(cell, ratio),
            candidate_id=candidate_id,
            steps=max(1, frames) * own.steps_per_frame,
            equilibration_steps=round(policy.equilibration * 1000.0 / own.timestep),
        )
        judged = replace(self, name=f"volume md pressure {label}").judge(
            md.output,
            cell=cell,
            candidate_id=candidate_id,
            runs=list(runs),
            points=list(points),
        )
        return [md, judged]

    @job(output_schema=ThermalVolume, config=LENIENT)
    def judge(
        self,
        trajectory: Trajectory | None,
        *,
        cell: Structure,
        candidate_id: str,
        runs: Sequence[Trajectory],
        points: Sequence[PressurePoint],
    ) -> ThermalVolume | Response[ThermalVolume]:
        """Return the volume, or run dynamics at the next one.

        Parameters
        ----------
        trajectory
            The newest run; None where it failed.
        cell
            As it was relaxed.
        candidate_id
            What is studied.
        runs, points
            Those before, and what they told.

        Raises
        ------
        EngineError
            If the engine tells no stress, or the crystal does not hold together.
        """
        if trajectory is None:
            raise EngineError("There is no volume: the dynamics before this failed.")
        with failures_recorded():
            key = settings_hash("pressure", trajectory.key, trajectory.n_steps, FRAMES)
            try:
                point = computed_once(key, PressurePoint, lambda: self._point(trajectory, cell))
            except InterruptionError:
                again = self.judge(
                    trajectory, cell=cell, candidate_id=candidate_id, runs=runs, points=points
                )
                return continued_by(again)
            points, runs = [*points, point], [*runs, trajectory]
            free = pressure_free(points)
            ratio, _, _ = value_and_ends(free)
            if abs(ratio - 1.0) > FARTHEST:
                raise EngineError(
                    f"At {self.policy.temperature:g} K the cell is free of pressure only at "
                    f"{ratio:.2f} of its relaxed volume: it melts or falls apart. Give a "
                    "lower volume.temperature, or volume: {mode: relaxed}."
                )
            converged = _is_free(point.pressure, self.policy.tolerance)
            if converged or len(points) >= self.policy.max_rounds:
                return self._found(points, runs, free, converged=converged)
            md, judged = self._round(
                cell, candidate_id=candidate_id, ratio=ratio, runs=runs, points=points
            )
            return replaced_by([md], judged)

    @job(output_schema=RelaxResult, config=LENIENT)
    def apply(self, relaxed: RelaxResult, volume: ThermalVolume | None) -> RelaxResult:
        """Return a relaxed structure with its cell at the temperature."""
        if volume is None:
            raise EngineError("No volume at a temperature was found.")
        return at_temperature(relaxed, volume)

    def _found(
        self,
        points: Sequence[PressurePoint],
        runs: Sequence[Trajectory],
        free: Estimate,
        *,
        converged: bool,
    ) -> ThermalVolume:
        # What was run is used; what its remaining pressure points to belongs to the interval.
        value, lower, upper = value_and_ends(free)
        ratio = points[-1].ratio if converged else value
        threads = load_settings().settings.threads
        seconds = sum(point.wall_time for point in points)
        return ThermalVolume(
            temperature=self.policy.temperature,
            ratio=ratio,
            expansion=Estimate(
                value=ratio - 1.0,
                lower=min(ratio, lower) - 1.0,
                upper=max(ratio, upper) - 1.0,
                level=free.level,
                unit="",
                method=free.method,
            ),
            bulk_modulus=modulus_of(points),
            points=tuple(points),
            converged=converged,
            core_hours=core_hours(runs, threads=threads) + seconds * threads / 3600.0,
            wall_time=seconds + sum(s.wall_time for run in runs for s in run.segments),
            md_steps=sum(run.n_steps for run in runs),
        )

    def _point(self, run: Trajectory, relaxed: Structure) -> PressurePoint:
        """Compute the stress of frames of a run."""
        began = time.monotonic()
        equip(self.md.engine)
        frames = read_frames(run, trajectories())
        volume = run.structure.volume
        chosen = frames.positions[:: max(1, len(frames.positions) // FRAMES)]
        moving = kinetic_pressure(
            len(run.structure), volume=volume, temperature=self.policy.temperature
        )
        cells = [_frame(run.structure, positions) for positions in chosen]
        pressures = [moving + _static_pressure(self.md.engine, cell) for cell in cells]
        return PressurePoint(
            ratio=volume / relaxed.volume,
            pressure=mean_pressure(pressures),
            affine_modulus=self._modulus(cells, moving),
            n_frames=len(cells),
            trajectory_key=run.key,
            wall_time=time.monotonic() - began,
        )

    def _modulus(self, cells: Sequence[Structure], moving: float) -> float:
        """Return -dP / d ln V (GPa) of frames strained as they are, their motion included."""
        engine = self.md.engine
        falls = [
            _static_pressure(engine, scaled(cell, 1.0 - STRAIN))
            - _static_pressure(engine, scaled(cell, 1.0 + STRAIN))
            for cell in cells[:: max(1, len(cells) // STRAINED_FRAMES)][:STRAINED_FRAMES]
        ]
        found = float(np.mean(falls)) / math.log((1.0 + STRAIN) / (1.0 - STRAIN)) + moving
        if found <= 0.0:
            raise EngineError(
                f"The crystal grows harder to hold the more it is stretched (bulk modulus "
                f"{found:.3g} GPa) at {self.policy.temperature:g} K: it is not stable there. Give "
                "a lower volume.temperature, or volume: {mode: relaxed}."
            )
        return found


def _is_free(pressure: Estimate, tolerance: float) -> bool:
    value, lower, upper = value_and_ends(pressure)
    return abs(value) <= tolerance or lower <= 0.0 <= upper


def _frame(structure: Structure, positions: FloatArray) -> Structure:
    return Structure(structure.lattice, structure.species, positions, coords_are_cartesian=True)


def _static_pressure(engine: Engine, structure: Structure) -> float:
    """Return the pressure (GPa) of atoms that do not move."""
    if (asked := stop_check()()) is not None:
        raise InterruptionError(f"stopped ({asked}) while the pressure was computed")
    stress = engine.static(structure).stress
    if stress is None:
        raise EngineError(
            f"{engine.name} tells no stress, without which no volume at a temperature is found: "
            "take volume: {mode: relaxed} or {mode: experiment}."
        )
    return float(-np.trace(np.asarray(stress)) / 3.0) * GPA_PER_EV_PER_A3
