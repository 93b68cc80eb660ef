"""A student for one candidate: taught by the engine, judged, and then what climbs the ladder.

    relax --> ladder --> learn --> ladder --> md 300 K, 400 K, ... --> ladder --> outcome

Where the student is not accepted, the teacher runs dynamics itself, shorter ones, and the outcome
says so.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from jobflow import Job, Maker, Response, job
from pymatgen.core import Structure

from ssefw.data import expand_to_length
from ssefw.documents import (
    Barrier,
    Candidate,
    Gate,
    LearnedPotential,
    Lesson,
    Ordering,
    Outcome,
    RelaxResult,
)
from ssefw.engines import settings_hash
from ssefw.engines.ase import AseEngine
from ssefw.engines.folder_lock import held
from ssefw.engines.stopping import InterruptionError, stop_check
from ssefw.engines.students import (
    STABLE,
    LearnSettings,
    StudentEngine,
    teach,
)
from ssefw.makers.disordered import DisorderedMaker
from ssefw.makers.failures import LENIENT, WATCHED, failures_recorded
from ssefw.makers.ladder import LadderMaker
from ssefw.makers.learn.lessons import climbing_with, keep_potential, lesson_first
from ssefw.makers.recorded import RECORDED, Recorded, lesson_of
from ssefw.makers.replacement import continued_by, replaced_by
from ssefw.makers.site import computed_once, equip, run_folder
from ssefw.makers.state import CandidateState

__all__ = ["LearnMaker", "LearningDisorderedMaker", "LearningLadderMaker"]


@dataclass
class LearnMaker(Maker):
    """Teach a student the crystals of a compound, and judge it beside its teacher.

    Attributes
    ----------
    teacher
        The engine whose energies and forces are learned.
    settings
        How the student is taught.
    min_length, max_atoms
        The cells of the lesson: least distance between opposite faces (angstrom), most atoms.
    specie
        The mobile ion.
    stable
        ps that an accepted student has run at its hottest temperature.
    """

    teacher: AseEngine
    settings: LearnSettings = field(default_factory=LearnSettings)
    min_length: float = 8.0
    max_atoms: int = 200
    specie: str = "Li"
    stable: float = STABLE
    name: str = "learn"

    @property
    def words(self) -> str:
        """What is to be done, for a plan."""
        how = self.settings
        return (
            f"teach a student: {len(how.temperatures)} x {how.teacher_time:g} ps and "
            f"{how.frames} frames of {self.teacher.name}"
        )

    def key(self, cells: Sequence[Structure]) -> str:
        """Return the key of the potential that is taught these cells; it is taught once."""
        how = (asdict(self.settings), self.specie, self.stable)
        return settings_hash("learn", list(cells), self.teacher, *how)

    @job(output_schema=LearnedPotential, config=WATCHED)
    def make(
        self, structures: Sequence[Structure]
    ) -> LearnedPotential | Response[LearnedPotential]:
        """Return the potential; a job for the rest where time ran out first.

        Its weights and its training set lie in the store under their content hashes.
        """
        with failures_recorded():
            equip(self.teacher)
            cells = [
                expand_to_length(crystal, min_length=self.min_length, max_atoms=self.max_atoms)
                for crystal in structures
            ]
            key = self.key(cells)
            folder = run_folder(f"learn-{key}")
            try:
                found = computed_once(key, LearnedPotential, lambda: self._taught(cells, key))
            except InterruptionError:  # the folder holds what it had
                return continued_by(self.make(structures))
            shutil.rmtree(folder, ignore_errors=True)
            return found

    def _taught(self, cells: Sequence[Structure], key: str) -> LearnedPotential:
        folder = run_folder(f"learn-{key}")
        with held(folder):
            learned, found = teach(
                cells,
                self.teacher,
                folder / "lesson",
                self.settings,
                specie=self.specie,
                stable=self.stable,
                stop=stop_check(),
            )
        return keep_potential(learned.student, found, learned.frames)


@dataclass
class LearningLadderMaker(LadderMaker):
    """Climb the ladder with a student that is taught first.

    Attributes
    ----------
    learn
        Who teaches it, and how.
    otherwise
        What the teacher runs where the student is not accepted.
    """

    learn: LearnMaker = field(kw_only=True)
    otherwise: LadderMaker = field(kw_only=True)

    def _begin(self, state: CandidateState, structure: Structure) -> Outcome | Response[Outcome]:
        """Teach a student the structure, which is fit for dynamics."""
        more = {"first": state.lesson} if state.lesson else {}
        return lesson_first(self.learn.make([structure]), self.taught, state, **more)

    def of_teacher(self, teacher: AseEngine) -> Self:
        """Return it with another teacher, which also runs what the student may not."""
        otherwise = replace(self.otherwise, md=replace(self.otherwise.md, engine=teacher))
        return replace(self, learn=replace(self.learn, teacher=teacher), otherwise=otherwise)

    @job(output_schema=Outcome, config=LENIENT)
    def taught(
        self,
        potential: LearnedPotential | None,
        *,
        relaxed: RelaxResult,
        candidate: Candidate,
        gates: Sequence[Gate],
        barrier: Barrier | Recorded | None = RECORDED,
        first: Lesson | None = None,
    ) -> Outcome | Response[Outcome]:
        """Climb with the student, or with the teacher.

        Parameters
        ----------
        potential
            None where none could be taught.
        relaxed, candidate, gates, barrier
            As in `make`.
        first
            Of the teacher, where it was tuned for this candidate.
        """
        with failures_recorded():
            ladder, gate = self.climber(potential, first=first)
            state = CandidateState.handed_on(
                candidate,
                relaxed=relaxed,
                gates=[*gates, gate],
                barrier=barrier,
                lesson=lesson_of(potential, first=first, ran_to=self.ran_to(potential)),
            )
            return ladder.start(state)

    def climber(
        self, potential: LearnedPotential | None, *, first: Lesson | None = None
    ) -> tuple[LadderMaker, Gate]:
        """Return the ladder that is climbed, and what is said of it.

        Parameters
        ----------
        potential
            None where none could be taught.
        first
            Of the teacher, where it was tuned for this candidate, which has a gate of its own.
        """
        ladder, code, words = self._climber(potential)
        numbers = {}
        if potential is not None:
            numbers = {
                "n_evaluations": float(potential.n_evaluations),
                "n_labels": float(potential.n_labels),
                "core_hours": potential.core_hours,
                "force_rmse_eV_per_A": potential.errors[0].force,
            }
        name = "student" if first else "learn"
        return ladder, Gate(name=name, passed=True, code=code, message=words, numbers=numbers)

    def _climber(self, potential: LearnedPotential | None) -> tuple[LadderMaker, str, str]:
        teacher = self.learn.teacher.name
        if potential is None:
            words = f"no student could be taught: {teacher} runs the dynamics itself"
            return self.otherwise, "failed", words
        name = f"the student {potential.potential[:8]} of {teacher}"
        if not potential.accepted and self.ran_to(potential) is None:
            words = f"was not accepted ({potential.reason}): {teacher} runs the dynamics itself"
            return self.otherwise, "not_accepted", f"{name} {words}"
        words = (
            f"{name} runs the dynamics: {potential.n_evaluations} evaluations of the teacher, "
            f"{potential.n_labels} labels"
        )
        ladder = climbing_with(self, StudentEngine(potential=potential.potential))
        if potential.accepted:
            return ladder, "accepted", words
        words = f"{words}; up to {potential.holds_to:g} K, for hotter {potential.reason}"
        ladder = replace(ladder, temperatures=self._up_to(potential.holds_to))
        return ladder, "accepted_below", words

    def ran_to(self, potential: LearnedPotential | None) -> float | None:
        """Return the temperature (K) up to which a student runs that is not accepted for hotter.

        None where it is accepted, or where it may not run enough: two rungs, if there are as many,
        and the triage.
        """
        if potential is None or potential.accepted or potential.holds_to is None:
            return None
        n_rungs = len(self._up_to(potential.holds_to))
        triage = self.triage.temperature if self.triage else 0.0
        is_enough = n_rungs >= min(2, len(self.temperatures)) and triage <= potential.holds_to
        return potential.holds_to if is_enough else None

    def _up_to(self, hottest: float | None) -> tuple[float, ...]:
        return tuple(t for t in self.temperatures if hottest is not None and t <= hottest)


@dataclass
class LearningDisorderedMaker(DisorderedMaker):
    """Teach one student all arrangements of a disordered crystal, and climb with it."""

    def after_relaxations(
        self,
        *,
        candidate: Candidate,
        orderings: Sequence[Ordering],
        relaxed: Sequence[Any],
        gates: Sequence[Gate],
    ) -> Job:
        """Return the job that teaches.

        Parameters
        ----------
        candidate
            The disordered crystal.
        orderings
            Its ordered cells.
        relaxed
            References to what their relaxations give.
        gates
            That it has passed.
        """
        return self.teach(
            candidate=candidate, orderings=orderings, relaxed=relaxed, gates=list(gates)
        )

    @job(output_schema=Outcome, config=LENIENT)
    def teach(
        self,
        *,
        candidate: Candidate,
        orderings: Sequence[Ordering],
        relaxed: Sequence[RelaxResult | None],
        gates: Sequence[Gate],
        first: Lesson | None = None,
    ) -> Outcome | Response[Outcome]:
        """Teach the arrangements that stayed themselves when they were relaxed.

        Parameters
        ----------
        candidate
            The disordered crystal.
        orderings
            Its ordered cells.
        relaxed
            Of each; None where that failed.
        gates
            That it has passed.
        first
            Of the teacher, where it was tuned for this candidate.
        """
        with failures_recorded():
            reasons = self.obstacles(relaxed)
            good = [
                found
                for found, reason in zip(relaxed, reasons, strict=True)
                if found is not None and not reason
            ]
            if not good:
                return self._conclude(candidate, gates=gates, relaxed=relaxed)
            too_large = self._ladder().size_gate([found.structure for found in good])
            if too_large is not None:
                return self._conclude(candidate, gates=[*gates, too_large], relaxed=relaxed)
            lesson = self.lesson([found.structure for found in good])
            more = {"first": first} if first else {}
            after = self.taught(
                lesson.output,
                candidate=candidate,
                orderings=orderings,
                relaxed=relaxed,
                gates=list(gates),
                **more,
            )
            return replaced_by([lesson], after)

    def lesson(self, structures: Sequence[Structure]) -> Job:
        """Return the job that teaches relaxed arrangements; its output is the potential."""
        return self._learning().learn.make(structures)

    @job(output_schema=Outcome, config=LENIENT)
    def taught(
        self,
        potential: LearnedPotential | None,
        *,
        candidate: Candidate,
        orderings: Sequence[Ordering],
        relaxed: Sequence[RelaxResult | None],
        gates: Sequence[Gate],
        first: Lesson | None = None,
    ) -> Outcome | Response[Outcome]:
        """Go on with what was taught.

        Parameters
        ----------
        potential
            None where none could be taught.
        candidate
            The disordered crystal.
        orderings
            Its ordered cells.
        relaxed
            Of each; None where that failed.
        gates
            That it has passed.
        first
            Of the teacher, where it was tuned for this candidate.
        """
        with failures_recorded():
            return self.after_lesson(
                potential,
                list(gates),
                first,
                candidate=candidate,
                orderings=orderings,
                relaxed=relaxed,
            )

    def after_lesson(
        self,
        potential: LearnedPotential | None,
        gates: list[Gate],
        first: Lesson | None,
        **crystal: Any,
    ) -> Outcome | Response[Outcome]:
        """Climb with the student, or with the teacher.

        Parameters
        ----------
        potential, gates, first
            As in `taught`.
        crystal
            Its candidate, orderings and relaxed cells.
        """
        learning = self._learning()
        ladder, gate = learning.climber(potential, first=first)
        climber = replace(self, study=replace(self.study, ladder=ladder))
        lesson = lesson_of(potential, first=first, ran_to=learning.ran_to(potential))
        after = climber.climb(**crystal, gates=[*gates, gate], stage="relaxed", lesson=lesson)
        return replaced_by([], after)

    def simulated_cell(self, ladder: LadderMaker, relaxed: RelaxResult) -> Structure:
        """Return the ordered cell repeated: a student bears more atoms than its lesson had."""
        return ladder.supercell(relaxed.structure)

    def _learning(self) -> LearningLadderMaker:
        ladder = self.study.ladder
        assert isinstance(ladder, LearningLadderMaker)
        return ladder
