"""From a stored trajectory to a diffusivity."""

from dataclasses import dataclass

from jobflow import Maker, Response, job

from ssefw import analysis
from ssefw.analysis.settling import Settling, find_settling
from ssefw.documents import Diffusivity, Trajectory
from ssefw.errors import AnalysisError
from ssefw.makers.failures import LENIENT, failures_recorded
from ssefw.makers.length import LengthPolicy
from ssefw.makers.md import MDMaker
from ssefw.makers.replacement import replaced_by
from ssefw.makers.site import trajectories
from ssefw.store.frames.trajectories import TrajectoryStore

__all__ = ["DiffusivityMaker", "read_frames"]

MEMORY = 64 * 2**20
"""Bytes of positions that are analyzed at most: 14,000 frames of 200 atoms."""

BYTES_PER_ATOM = 24


def read_frames(
    ledger: Trajectory, store: TrajectoryStore, *, memory: int = MEMORY
) -> "analysis.Frames":
    """Return the frames of a stored trajectory that lie after its equilibration.

    That is the longer of what was set and of the time until the potential energy has settled.
    Frames that do not fit into `memory` (bytes) are thinned to every second, third ... of them.
    Stored paths are continuous, so that thinning loses no move.
    """
    first = _first_frame(ledger)
    if first >= ledger.n_frames:
        raise AnalysisError(
            f"The {ledger.n_frames} frames of trajectory {ledger.key} end within its "
            f"equilibration of {ledger.equilibration_steps} steps; run longer."
        )
    first += settling_of(ledger, store).n_frames
    species = tuple(site.specie.symbol for site in ledger.structure)
    stride = -(-(ledger.n_frames - first) * len(species) * BYTES_PER_ATOM // memory)
    between = ledger.timestep * ledger.steps_per_frame
    return analysis.Frames(
        positions=store.positions(ledger, first=first, stride=stride),
        lattice=next(store.chunks(ledger, first=first, last=first + 1)).cell,
        species=species,
        timestep=between * stride,
        temperatures=store.series(ledger, "temperatures", first=first, stride=stride),
        start=first * between / 1000.0,
        is_unwrapped=True,
    )


def settling_of(ledger: Trajectory, store: TrajectoryStore) -> Settling:
    """Return what to leave out of a trajectory beyond the equilibration that was set."""
    return find_settling(store.series(ledger, "energies", first=_first_frame(ledger)))


def _first_frame(ledger: Trajectory) -> int:
    return -(-ledger.equilibration_steps // ledger.steps_per_frame)


@dataclass
class DiffusivityMaker(Maker):
    """Estimate the diffusivity of one specie from a trajectory.

    Attributes
    ----------
    level
        Confidence level of intervals and bounds.
    md, policy
        With both, a run whose diffusivity is not known well enough is continued by `md`.
    """

    specie: str = "Li"
    level: float = 0.95
    md: MDMaker | None = None
    policy: LengthPolicy | None = None
    name: str = "diffusivity"

    @job(output_schema=Diffusivity, config=LENIENT)
    def make(self, trajectory: Trajectory | None) -> Diffusivity | Response[Diffusivity]:
        """Return the diffusivity; `trajectory` is None where the dynamics failed."""
        if trajectory is None:
            raise AnalysisError("There is no trajectory: the dynamics before this failed.")
        with failures_recorded():
            found = self.estimate(trajectory, trajectories())
            if self.md is None or self.policy is None:
                return found
            step = trajectory.timestep / 1000.0
            verdict = self.policy.judge(found, length=trajectory.n_steps * step)
            if not verdict.goes_on:
                return found.model_copy(update={"length_reason": verdict.reason})
            target = min(self.policy.max_length, trajectory.n_steps * step + self.policy.step)
            frames = round(target / step / trajectory.steps_per_frame)
            longer = self.md.make(
                trajectory.structure,
                candidate_id=trajectory.candidate_id,
                steps=frames * trajectory.steps_per_frame,
                equilibration_steps=trajectory.equilibration_steps,
            )
            return replaced_by([longer], self.make(longer.output))

    def estimate(self, trajectory: Trajectory, store: TrajectoryStore) -> Diffusivity:
        """Return the diffusivity of what is stored of a trajectory."""
        frames = read_frames(trajectory, store)
        found = analysis.estimate_diffusivity(
            frames,
            specie=self.specie,
            temperature=trajectory.temperature,
            level=self.level,
            trajectory_key=trajectory.key,
        )
        asked = trajectory.equilibration_steps * trajectory.timestep / 1000.0
        settling = settling_of(trajectory, store)
        if not settling.n_frames:
            return found.model_copy(update={"equilibration": asked})
        until = (
            f"the potential energy settles within {frames.start:.4g} ps, of which {asked:.4g} were "
            "set: so much is left out"
            if settling.is_over
            else "the potential energy has not settled in the first half of the run, which is left "
            "out: run longer"
        )
        update = {"equilibration": frames.start, "warnings": (until, *found.warnings)}
        return found.model_copy(update=update)
