"""What is known of a candidate on its way from a relaxed structure to its outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

from jobflow import CURRENT_JOB

from ssefw.documents import (
    Barrier,
    Candidate,
    Diffusivity,
    Gate,
    Lesson,
    Outcome,
    RelaxResult,
    Trajectory,
)
from ssefw.makers.failures import recorded_failures
from ssefw.makers.gates import failed, relaxation_gate
from ssefw.makers.outcome import conclude_candidate
from ssefw.makers.recorded import Recorded, recorded_barrier, recorded_lesson
from ssefw.makers.site import trajectories as trajectory_store
from ssefw.settings import load_settings

__all__ = ["CandidateState", "as_stored", "longest", "present"]

T = TypeVar("T")


@dataclass(frozen=True)
class CandidateState:
    """A candidate and what its jobs have given so far.

    Attributes
    ----------
    barrier
        From NEB, where bands were computed.
    lesson
        Of the potential that runs the dynamics, if one was taught.
    tried
        Temperatures (K) of the ladder that were run, also those that failed, and how long (ps) each
        was to become; none is the triage's.
    """

    candidate: Candidate
    relaxed: RelaxResult | None = None
    gates: tuple[Gate, ...] = ()
    barrier: Barrier | None = None
    lesson: Lesson | None = None
    tried: Mapping[float, float] = field(default_factory=dict)
    diffusivities: tuple[Diffusivity, ...] = ()
    trajectories: tuple[Trajectory, ...] = ()

    @classmethod
    def handed_on(
        cls,
        candidate: Candidate,
        *,
        relaxed: RelaxResult | None,
        gates: Sequence[Gate],
        barrier: Barrier | Recorded | None,
        lesson: Lesson | Recorded | None,
    ) -> Self:
        """Return the state that a job was given.

        Parameters
        ----------
        candidate
            What is studied.
        relaxed
            None where relaxation failed.
        gates
            That it has passed.
        barrier, lesson
            What the jobs before have found; where these were of an earlier version, which does not
            say so, what the store has.
        """
        return cls(
            candidate=candidate,
            relaxed=relaxed,
            gates=tuple(gates),
            barrier=recorded_barrier(candidate.id) if isinstance(barrier, str) else barrier,
            lesson=recorded_lesson(candidate.id) if isinstance(lesson, str) else lesson,
        )

    def arguments(self) -> dict[str, Any]:
        """Return what the next job is given, besides runs that have yet to be made."""
        return {
            "candidate": self.candidate,
            "relaxed": self.relaxed,
            "gates": list(self.gates),
            "barrier": self.barrier,
            "lesson": self.lesson,
        }

    @property
    def is_rejected(self) -> bool:
        """Whether a gate has rejected it."""
        return failed(self.gates) is not None

    def after(self, *gates: Gate) -> Self:
        """Return it behind further gates."""
        return replace(self, gates=(*self.gates, *gates))

    def checked(self, *, max_volume_change: float, max_force: float) -> Self:
        """Return it behind the gate of its relaxation, which is asked of it once.

        Whichever job is the first behind a relaxation asks, with the limits of the study.

        Parameters
        ----------
        max_volume_change
            As a share of the volume before.
        max_force
            In eV/A, see `relaxation_gate`.
        """
        if self.relaxed is None or any(gate.name == "relaxation" for gate in self.gates):
            return self
        limits = {"max_volume_change": max_volume_change, "max_force": max_force}
        return self.after(relaxation_gate(self.relaxed, **limits))

    def concluded(self, *, temperature: float, **judgement: Any) -> Outcome:
        """Return the outcome, with the failures of its jobs so far.

        Parameters
        ----------
        temperature
            Where its conductivity is wanted, K.
        judgement
            Of the other arguments of `conclude_candidate` those on which it is judged.
        """
        campaign = CURRENT_JOB.job.metadata.get("campaign", "")
        return conclude_candidate(
            self.candidate,
            campaign=campaign,
            temperature=temperature,
            gates=self.gates,
            relaxed=self.relaxed,
            diffusivities=self.diffusivities,
            trajectories=self.trajectories,
            failures=recorded_failures(candidate=self.candidate.id, campaign=campaign),
            barrier=self.barrier,
            lesson=self.lesson,
            threads=load_settings().settings.threads,
            **judgement,
        )

    def having(
        self, diffusivities: Sequence[Diffusivity], trajectories: Sequence[Trajectory]
    ) -> Self:
        """Return it with these runs and no others."""
        return replace(self, diffusivities=tuple(diffusivities), trajectories=tuple(trajectories))


def present(items: Sequence[T | None]) -> list[T]:
    """Return what there is of some items."""
    return [item for item in items if item is not None]


def as_stored(trajectories: Sequence[Trajectory | None]) -> list[Trajectory]:
    """Return each trajectory once, as long as it is now.

    A policy may have continued a run, and a rung that of the triage.
    """
    store = trajectory_store()
    found = {run.key: store.newest(run) for run in present(trajectories)}
    return list(found.values())


def longest(diffusivities: Sequence[Diffusivity | None]) -> list[Diffusivity]:
    """Return the diffusivity of each trajectory when it was longest."""
    ordered = sorted(present(diffusivities), key=lambda found: found.duration)
    return list({found.trajectory_key: found for found in ordered}.values())
