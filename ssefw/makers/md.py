"""Molecular dynamics at one temperature, in as many segments as interruptions make of it."""

import logging
from dataclasses import dataclass, field

from jobflow import Maker, Response, job
from pymatgen.core import Structure

from ssefw.documents import Trajectory
from ssefw.engines import Engine, MDSettings, RunDirectory, settings_hash
from ssefw.engines.stopping import stop_check
from ssefw.makers.failures import WATCHED, failures_recorded
from ssefw.makers.site import run_folder, trajectories
from ssefw.store.tenure import ensure_tenure
from ssefw.store.trajectories import TrajectoryStore

__all__ = ["MDMaker"]

logger = logging.getLogger(__name__)


@dataclass
class MDMaker(Maker):
    """Run NVT dynamics with any engine, and keep it as a trajectory with a ledger.

    The key of a trajectory hashes the cell, the engine and the settings, not the length: a longer
    run of the same key continues the shorter one, and one that exists is not computed again.
    """

    engine: Engine
    settings: MDSettings = field(default_factory=lambda: MDSettings(temperature=900.0))
    name: str = "md"

    def key(self, structure: Structure) -> str:
        """Return the key of the trajectory that starts from a structure."""
        return settings_hash(structure, self.engine, self.settings)

    @job(output_schema=Trajectory, config=WATCHED)
    def make(
        self, structure: Structure, *, candidate_id: str, steps: int, equilibration_steps: int = 0
    ) -> Trajectory | Response[Trajectory]:
        """Bring the trajectory to `steps` steps.

        When time runs out first, what was computed is stored and a job for the rest takes the
        place of this one.
        """
        with failures_recorded():
            store = trajectories()
            key = self.key(structure)
            ledger = (
                store.ledger(key) or self._new_ledger(structure, candidate_id=candidate_id)
            ).model_copy(update={"target_steps": steps, "equilibration_steps": equilibration_steps})
            if not ledger.is_complete:
                ledger = self._advance(structure, ledger, store)
            if ledger.is_complete:
                return ledger
            logger.info("%s stopped at step %d of %d", run_folder(key), ledger.n_steps, steps)
            return Response(
                replace=self.make(
                    structure,
                    candidate_id=candidate_id,
                    steps=steps,
                    equilibration_steps=equilibration_steps,
                )
            )

    def _new_ledger(self, structure: Structure, *, candidate_id: str) -> Trajectory:
        return Trajectory(
            key=self.key(structure),
            candidate_id=candidate_id,
            temperature=self.settings.temperature,
            timestep=self.settings.timestep,
            steps_per_frame=self.settings.steps_per_frame,
            equilibration_steps=0,
            target_steps=0,
            seed=self.settings.seed,
            thermostat=self.settings.thermostat,
            structure=structure,
            provenance=self.engine.provenance(self.settings),
        )

    def _advance(
        self, structure: Structure, ledger: Trajectory, store: TrajectoryStore
    ) -> Trajectory:
        """Compute until the target or until time is up, and store what is new."""
        about = {
            "candidate": ledger.candidate_id,
            "temperature": ledger.temperature,
            "timestep": ledger.timestep,
        }
        run = RunDirectory(run_folder(ledger.key), key=ledger.key, about=about)
        # The folder is held until its frames are stored: who comes next finds them there.
        with run.lock():
            if (stored := store.ledger(ledger.key)) is not None:
                goal = ("target_steps", "equilibration_steps")
                ledger = stored.model_copy(update={name: getattr(ledger, name) for name in goal})
            if run.last_chunk() is None and (newest := store.last_blob(ledger)) is not None:
                run.restore(newest)  # scratch was purged, or this is another machine
            until = ledger.target_steps
            self.engine.md(structure, self.settings, run, until=until, stop=stop_check())
            ensure_tenure()
            return self._store(ledger, run, store)

    def _store(self, ledger: Trajectory, run: RunDirectory, store: TrajectoryStore) -> Trajectory:
        """Store what is new in a run's folder, and empty it when nothing is left to compute."""
        segments = list(ledger.segments)
        for segment in run.segments(after=ledger.n_steps):
            numbered = segment.model_copy(update={"index": len(segments)})
            segments.append(store.put_frames(ledger.key, numbered, run.chunks_of(segment)))
        record = {name: getattr(ledger, name) for name in type(ledger).model_fields}
        ledger = Trajectory(**record | {"segments": tuple(segments)})
        ensure_tenure()
        store.save(ledger)
        if ledger.is_complete:
            run.clear()
        return ledger
