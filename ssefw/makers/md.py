"""Molecular dynamics at one temperature, in as many segments as interruptions make of it."""

import hashlib
import logging
from dataclasses import dataclass, field

from jobflow import Maker, Response, job
from pymatgen.core import Structure

from ssefw.documents import EndReason, Trajectory
from ssefw.engines import Engine, MDSettings, RunDirectory, settings_hash
from ssefw.engines.stopping import stop_check
from ssefw.errors import EngineError
from ssefw.makers.failures import WATCHED, failures_recorded
from ssefw.makers.site import equip, run_folder, trajectories
from ssefw.store.frames.salvage import sound_part, with_stored_frames
from ssefw.store.frames.trajectories import TrajectoryStore
from ssefw.store.tenure import ensure_tenure

__all__ = ["MDMaker", "drawn_seed"]

logger = logging.getLogger(__name__)

MAX_FRUITLESS = 10
"""Jobs in a row that may be stopped before they add a chunk. A busy queue stops some at once; that
all of so many were stopped says that a chunk does not fit into the time of a job."""


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
        self,
        structure: Structure,
        *,
        candidate_id: str,
        steps: int,
        equilibration_steps: int = 0,
        fruitless: int = 0,
    ) -> Trajectory | Response[Trajectory]:
        """Bring the trajectory to `steps` steps.

        When time runs out first, what was computed is stored and a job for the rest takes the
        place of this one.

        Parameters
        ----------
        fruitless
            How many jobs before this one were stopped before they had added anything.

        Raises
        ------
        EngineError
            If jobs take each other's place and the trajectory does not grow.
        """
        with failures_recorded():
            store = trajectories()
            goal = {"target_steps": steps, "equilibration_steps": equilibration_steps}
            new = self._new_ledger(structure, candidate_id=candidate_id).model_copy(update=goal)
            ledger, lost = sound_part(store, new)
            ledger = ledger.model_copy(update=goal)
            before = ledger.n_steps
            if lost or not ledger.is_complete:
                ledger, reason = self._advance(structure, new, store)
                fruitless = fruitless + 1 if ledger.n_steps <= before else 0
                self._check_growth(ledger, reason, fruitless)
            if ledger.is_complete:
                return ledger
            logger.info("%s stopped at step %d of %d", run_folder(new.key), ledger.n_steps, steps)
            return Response(
                replace=self.make(
                    structure,
                    candidate_id=candidate_id,
                    steps=steps,
                    equilibration_steps=equilibration_steps,
                    fruitless=fruitless,
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
        self,
        structure: Structure,
        new: Trajectory,
        store: TrajectoryStore,
    ) -> tuple[Trajectory, EndReason]:
        """Compute until the target of a new ledger or until time is up, and store what is new."""
        equip(self.engine)
        about = {
            "candidate": new.candidate_id,
            "temperature": new.temperature,
            "timestep": new.timestep,
            # For those who analyze the run while it goes on.
            "steps_per_frame": new.steps_per_frame,
            "equilibration_steps": new.equilibration_steps,
            "symbols": [site.specie.symbol for site in structure],
        }
        run = RunDirectory(run_folder(new.key), key=new.key, about=about)
        # The folder is held until its frames are stored: who comes next finds them there.
        with run.lock():
            goal = ("target_steps", "equilibration_steps")
            ledger, lost = sound_part(store, new)
            ledger = ledger.model_copy(update={name: getattr(new, name) for name in goal})
            for what in lost:
                run.remark(what)
            if not run.chunk_files():  # scratch was purged, or this is another machine
                ledger = with_stored_frames(store, ledger)
            if not run.connect(step=ledger.n_steps, frame=ledger.n_frames):
                newest = store.last_blob(ledger)
                if newest is not None:
                    run.restore(newest)
            reason = self.engine.md(
                structure, self.settings, run, until=ledger.target_steps, stop=stop_check()
            )
            return self._store(ledger, run, store), reason

    def _store(self, ledger: Trajectory, run: RunDirectory, store: TrajectoryStore) -> Trajectory:
        """Store what is new in a run's folder, and empty it when nothing is left to compute."""
        ensure_tenure()
        segments = list(ledger.segments)
        new = run.segments(after=ledger.n_steps)
        if new:
            store.drop_frames_behind(ledger)
        for segment in new:
            numbered = segment.model_copy(update={"index": len(segments)})
            segments.append(store.put_frames(ledger.key, numbered, run.chunks_of(segment)))
        record = {name: getattr(ledger, name) for name in type(ledger).model_fields}
        ledger = Trajectory(**record | {"segments": tuple(segments)})
        ensure_tenure()
        store.save(ledger)
        if ledger.is_complete:
            run.clear()
        return ledger

    def _check_growth(self, ledger: Trajectory, reason: EndReason, fruitless: int) -> None:
        """Raise EngineError where going on again would be going in a circle."""
        if ledger.is_complete or fruitless == 0:
            return
        where = f"{run_folder(ledger.key)} at step {ledger.n_steps} of {ledger.target_steps}"
        if reason not in {"walltime", "preempted"}:
            raise EngineError(
                f"Dynamics in {where} ended ({reason}) without a new frame and without being "
                "stopped: move that folder away, so that they begin from the stored frames.",
                directory=run_folder(ledger.key),
            )
        if fruitless >= MAX_FRUITLESS:
            raise EngineError(
                f"Dynamics in {where} were stopped {fruitless} times in a row before one chunk of "
                f"{self.settings.frames_per_chunk} frames was complete: give jobs more walltime "
                "or more cores, or set a smaller frames_per_chunk in the dynamics' settings.",
                directory=run_folder(ledger.key),
            )


def drawn_seed(seed: int, candidate_id: str, run: str) -> int:
    """Return a seed of its own for each run; one for all would give all the same first kick."""
    text = f"{seed}/{candidate_id}/{run}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
