"""The ladder that a universal potential climbs once it is tuned to an engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from jobflow import Response, job
from pymatgen.core import Structure

from ssefw.documents import (
    Barrier,
    Candidate,
    Gate,
    LearnedPotential,
    Outcome,
    RelaxResult,
)
from ssefw.engines.tuning import TunedEngine
from ssefw.makers.failures import LENIENT, failures_recorded
from ssefw.makers.ladder import LadderMaker
from ssefw.makers.learn import LearningLadderMaker, climbing_with, lesson_first
from ssefw.makers.recorded import RECORDED, Recorded, lesson_of
from ssefw.makers.state import CandidateState
from ssefw.makers.tune.maker import TuneMaker

__all__ = ["TuningLadderMaker"]


@dataclass
class TuningLadderMaker(LadderMaker):
    """Climb the ladder with a universal potential that is tuned first.

    Attributes
    ----------
    learn
        To what it is tuned, and how.
    student
        What climbs in its place: a student that it teaches first. Its own teacher and that of its
        `otherwise` are the potential, once there is one.
    """

    learn: TuneMaker = field(kw_only=True)
    student: LearningLadderMaker | None = field(default=None, kw_only=True)

    def _begin(self, state: CandidateState, structure: Structure) -> Outcome | Response[Outcome]:
        """Tune to the structure, which is fit for dynamics."""
        return lesson_first(self.learn.make(structure), self.tuned, state)

    @job(output_schema=Outcome, config=LENIENT)
    def tuned(
        self,
        potential: LearnedPotential | None,
        *,
        relaxed: RelaxResult,
        candidate: Candidate,
        gates: Sequence[Gate],
        barrier: Barrier | Recorded | None = RECORDED,
    ) -> Outcome | Response[Outcome]:
        """Climb with the potential, if it was accepted; dynamics with the teacher cost too much.

        Parameters
        ----------
        potential
            None where none could be tuned.
        relaxed, candidate, gates, barrier
            As in `make`.
        """
        with failures_recorded():
            state = CandidateState.handed_on(
                candidate,
                relaxed=relaxed,
                gates=[*gates, self.gate(potential)],
                barrier=barrier,
                lesson=lesson_of(potential),
            )
            if potential is None or not potential.accepted:
                return self._conclude(state)
            engine = TunedEngine(potential=potential.potential)
            if self.student is not None:
                return self.student.of_teacher(engine).start(state)
            return climbing_with(self, engine).start(state)

    def gate(self, potential: LearnedPotential | None) -> Gate:
        """Return what is said of a potential, and what its labels saved."""
        teacher = self.learn.teacher.name
        if potential is None:
            words = f"{self.learn.base.name} could not be tuned to {teacher}"
            return Gate(name="learn", passed=False, code="failed", message=words)
        steps = sum(self.steps(self.length) for _ in self.temperatures)
        each = potential.teacher_core_hours / max(1, potential.n_evaluations)
        numbers = {
            "n_evaluations": float(potential.n_evaluations),
            "core_hours": potential.core_hours,
            "label_core_hours": potential.teacher_core_hours,
            "dynamics_core_hours": each * steps,
            "force_rmse_eV_per_A": potential.errors[0].force,
        }
        words = (
            f"{self.learn.base.name} tuned to {teacher} ({potential.potential[:8]}): "
            f"{potential.n_evaluations} evaluations of {teacher} in {len(potential.rounds)} "
            f"generations, {potential.teacher_core_hours:.3g} core-hours; dynamics as long with "
            f"{teacher} itself would take {steps} evaluations, about {each * steps:.3g} core-hours"
        )
        if potential.accepted:
            return Gate(name="learn", passed=True, code="accepted", message=words, numbers=numbers)
        words = f"{words}. Not accepted: {potential.reason}"
        return Gate(name="learn", passed=False, code="not_accepted", message=words, numbers=numbers)
