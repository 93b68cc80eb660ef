"""The ladder that a universal potential climbs once it is tuned to an engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from jobflow import Job, Response, job
from pymatgen.core import Structure

from ssefw.documents import (
    Barrier,
    Candidate,
    Gate,
    LearnedPotential,
    Lesson,
    Outcome,
    RelaxResult,
)
from ssefw.engines.tuning import TunedEngine
from ssefw.makers.failures import LENIENT, failures_recorded
from ssefw.makers.ladder import LadderMaker
from ssefw.makers.learn import (
    LearningDisorderedMaker,
    LearningLadderMaker,
    climbing_with,
    lesson_first,
)
from ssefw.makers.recorded import RECORDED, Recorded, lesson_of
from ssefw.makers.replacement import replaced_by
from ssefw.makers.state import CandidateState
from ssefw.makers.tune.maker import TuneMaker

__all__ = ["TuningDisorderedMaker", "TuningLadderMaker"]


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
            return self.following(potential).start(state)

    def following(self, potential: LearnedPotential) -> LadderMaker:
        """Return the ladder that a potential climbs, or that on which it teaches a student."""
        engine = TunedEngine(potential=potential.potential)
        if self.student is not None:
            return self.student.of_teacher(engine)
        return climbing_with(self, engine)

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


@dataclass
class TuningDisorderedMaker(LearningDisorderedMaker):
    """Tune one potential to all arrangements of a disordered crystal, and climb with it."""

    def lesson(self, structures: Sequence[Structure]) -> Job:
        """Return the job that tunes to relaxed arrangements; its output is the potential."""
        return self._tuning().learn.make(structures)

    def after_lesson(
        self,
        potential: LearnedPotential | None,
        gates: list[Gate],
        first: Lesson | None,  # noqa: ARG002  nothing teaches before
        **crystal: Any,
    ) -> Outcome | Response[Outcome]:
        """Climb with the potential, or have it teach a student, if it was accepted.

        Parameters
        ----------
        potential, gates, first, crystal
            As in `LearningDisorderedMaker`.
        """
        ladder, lesson = self._tuning(), lesson_of(potential)
        gates = [*gates, ladder.gate(potential)]
        if potential is None or not potential.accepted:
            relaxed, candidate = crystal["relaxed"], crystal["candidate"]
            return self._conclude(candidate, gates=gates, relaxed=relaxed, lesson=lesson)
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        climber = LearningDisorderedMaker(**parts)
        climber.study = replace(self.study, ladder=ladder.following(potential))
        if ladder.student is not None:
            after = climber.teach(**crystal, gates=gates, first=lesson)
        else:
            after = climber.climb(**crystal, gates=gates, stage="relaxed", lesson=lesson)
        return replaced_by([], after)

    def _tuning(self) -> TuningLadderMaker:
        ladder = self.study.ladder
        assert isinstance(ladder, TuningLadderMaker)
        return ladder
