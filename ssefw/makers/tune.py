"""A universal potential tuned for one candidate to an engine whose forces are dear.

    relax --> explore --> label, label, ... --> learn --> explore --> ... --> md ... --> outcome

Labels are single points, each an ordinary job: packed, restarted and counted as any other. A
generation of the potential is on record, and no run that one made is continued by the next.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from jobflow import CURRENT_JOB, Maker, Response, job
from pymatgen.core import Structure

from ssefw.data import expand_to_length
from ssefw.documents import (
    AskedFrame,
    Barrier,
    Candidate,
    FitError,
    Gate,
    LearnedPotential,
    LessonRound,
    Outcome,
    PhysicsCheck,
    RelaxResult,
    StaticResult,
)
from ssefw.engines import Engine, settings_hash
from ssefw.engines.ase import AseEngine
from ssefw.engines.folder_lock import held
from ssefw.engines.potentials.tuned import TunedPotential
from ssefw.engines.stopping import InterruptionError, stop_check
from ssefw.engines.students import frames_bytes, take_in, weights_key, write_card
from ssefw.engines.tuning import TunedEngine, tuned_to_frames
from ssefw.engines.tuning.active import (
    ActiveSettings,
    Explored,
    as_run,
    explored,
    motion_check,
)
from ssefw.errors import DataError
from ssefw.makers.failures import LENIENT, WATCHED, failures_recorded
from ssefw.makers.ladder import LadderMaker
from ssefw.makers.recorded import RECORDED, Recorded, lesson_of
from ssefw.makers.replacement import continued_by, replaced_by
from ssefw.makers.site import computed_once, equip, keep_blob, run_folder
from ssefw.makers.state import CandidateState
from ssefw.settings import load_settings

__all__ = ["LabelMaker", "TuneMaker", "TuningLadderMaker"]


@dataclass
class LabelMaker(Maker):
    """Compute energy and forces of a structure as it is."""

    engine: Engine
    name: str = "label"

    def key(self, structure: Structure) -> str:
        """Return the key of the label of a structure; one that exists is not computed again."""
        return settings_hash("label", structure, self.engine)

    @job(output_schema=StaticResult, config=WATCHED)
    def make(self, structure: Structure) -> StaticResult | Response[StaticResult]:
        """Return the label; a job for it where time ran out first."""
        with failures_recorded():
            equip(self.engine)
            try:
                return computed_once(
                    self.key(structure), StaticResult, lambda: self.engine.static(structure)
                )
            except InterruptionError:
                return continued_by(self.make(structure))


FEWEST = 10
"""Labels, of which a fifth are held out; of fewer not even two."""


@dataclass
class TuneMaker(Maker):
    """Tune a universal potential to an engine, generation after generation.

    Attributes
    ----------
    teacher
        The engine that is asked for energies and forces.
    base
        The universal potential.
    settings
        How many labels, and how they are chosen and learned.
    min_length, max_atoms
        The cell: least distance between opposite faces (angstrom), most atoms.
    specie
        The mobile ion.
    """

    teacher: Engine
    base: AseEngine
    settings: ActiveSettings = field(default_factory=ActiveSettings)
    min_length: float = 8.0
    max_atoms: int = 200
    specie: str = "Li"
    name: str = "learn"

    @property
    def words(self) -> str:
        """What is to be done, for a plan."""
        how = self.settings
        return (
            f"tune {self.base.name} to {self.teacher.name}: {how.first} to {how.most_labels} "
            f"single points in up to {how.generations} generations"
        )

    def key(self, *what: object) -> str:
        """Return a key of something computed on the way, by what it depends on."""
        how = (self.teacher, self.base, asdict(self.settings), self.specie)
        return settings_hash("tune", *how, *what)

    @job(output_schema=LearnedPotential, config=WATCHED)
    def make(self, structure: Structure) -> LearnedPotential | Response[LearnedPotential]:
        """Begin: return the job of the first generation, in the place of this one."""
        with failures_recorded():
            cell = expand_to_length(structure, min_length=self.min_length, max_atoms=self.max_atoms)
            return replaced_by([], self.explore(cell))

    @job(output_schema=LearnedPotential, config=WATCHED)
    def explore(
        self,
        cell: Structure,
        potential: LearnedPotential | None = None,
        labels: Sequence[StaticResult | None] = (),
        before: Sequence[tuple[float, float] | None] = (),
    ) -> LearnedPotential | Response[LearnedPotential]:
        """Run the potential so far; have labelled what it does not know, or end with it.

        Parameters
        ----------
        cell
            The crystal.
        potential
            Of the generation before; None at first.
        labels
            All so far; None where a job failed, which is paid for, too.
        before
            Diffusivities that the generation before showed.
        """
        with failures_recorded():
            generation = 0 if potential is None else len(potential.rounds)
            room = self._room(generation, len(labels))
            try:
                seen = self._explored(cell, potential, generation, room)
            except InterruptionError:
                return continued_by(self.explore(cell, potential, labels, before))
            if potential is not None:
                potential, is_done = self._looked_at(potential, seen, before)
                if is_done or not room or not seen.frames:
                    return potential
            maker = LabelMaker(engine=self.teacher)
            asked = [maker.make(frame) for frame in seen.frames]
            for number, one in enumerate(asked, 1):
                one.name = f"label {generation + 1}.{number}"
            after = self.learn(
                cell,
                potential,
                list(labels),
                [one.output for one in asked],
                why=list(seen.why),
                seen=list(seen.diffusivities),
                ran=list(seen.ran),
                lost=list(seen.lost),
            )
            return replaced_by(asked, after)

    def _room(self, generation: int, n_labels: int) -> int:
        """Return how many frames may be asked about now."""
        settings = self.settings
        if generation >= settings.generations:
            return 0
        wanted = settings.first if generation == 0 else settings.labels
        left = wanted if settings.budget is None else settings.budget - n_labels
        return max(0, min(wanted, left))

    def _explored(
        self, cell: Structure, potential: LearnedPotential | None, generation: int, room: int
    ) -> Explored:
        engine = self.base
        if potential is not None:
            engine = TunedEngine(potential=potential.potential)
            equip(engine)
        folder = run_folder(f"explore-{self.key(cell, engine, generation)}")
        with held(folder):
            found = explored(
                engine,
                cell,
                self.settings,
                folder / "runs",
                generation=generation,
                most=max(1, room),
                specie=self.specie,
                stop=stop_check(),
            )
        shutil.rmtree(folder, ignore_errors=True)
        return found

    def _looked_at(
        self,
        potential: LearnedPotential,
        seen: Explored,
        before: Sequence[tuple[float, float] | None],
    ) -> tuple[LearnedPotential, bool]:
        """Return a potential with what its runs showed, and whether there is nothing to ask."""
        moves = motion_check(before, seen.diffusivities, self.settings.temperatures)
        stays = PhysicsCheck(
            name="its own dynamics",
            passed=not any(seen.lost),
            words=", ".join(
                f"{ran:.2g} ps at {temperature:g} K{' (lost)' if lost else ''}"
                for ran, temperature, lost in zip(
                    seen.ran, self.settings.temperatures, seen.lost, strict=True
                )
            ),
        )
        checks = (*potential.checks, moves, stays)
        failed = [check for check in checks if not check.passed]
        reason = f"{failed[0].name}: {failed[0].words}" if failed else ""
        found = potential.model_copy(
            update={
                "checks": checks,
                "stable": stays.passed,
                "accepted": not failed,
                "reason": reason,
            }
        )
        return found, not failed

    @job(output_schema=LearnedPotential, config=LENIENT)
    def learn(
        self,
        cell: Structure,
        potential: LearnedPotential | None,
        labels: Sequence[StaticResult | None],
        new: Sequence[StaticResult | None],
        *,
        why: Sequence[AskedFrame],
        seen: Sequence[tuple[float, float] | None],
        ran: Sequence[float],
        lost: Sequence[bool],
    ) -> LearnedPotential | Response[LearnedPotential]:
        """Tune the potential to all labels, and explore with it.

        Parameters
        ----------
        cell, potential, labels
            As in `explore`.
        new
            Labels of this generation; None where a job failed.
        why
            They were asked for.
        seen, ran, lost
            What the runs showed that they were chosen from.
        """
        with failures_recorded():
            together = [*labels, *new]
            rounds = potential.rounds if potential is not None else ()
            key = self.key(cell, [one.energy for one in together if one], len(rounds))
            try:
                found = computed_once(
                    key, LearnedPotential, lambda: self._tuned(cell, together, key)
                )
            except InterruptionError:
                return continued_by(
                    self.learn(cell, potential, labels, new, why=why, seen=seen, ran=ran, lost=lost)
                )
            this = LessonRound(
                ran=tuple(ran),
                lost=tuple(lost),
                labels=len([one for one in new if one is not None]),
                errors=FitError(
                    force=found.errors[0].force,
                    energy=found.errors[0].energy,
                    stress=found.errors[0].stress,
                ),
                potential=found.potential,
                asked=tuple(why),
            )
            lineage = () if potential is None else (*potential.lineage, potential.potential)
            hours = self._hours(new)
            before = (0.0, 0.0)
            if potential is not None:
                before = (potential.core_hours, potential.teacher_core_hours)
            found = found.model_copy(
                update={
                    "rounds": (*rounds, this),
                    "lineage": lineage,
                    "n_labels": sum(one is not None for one in together),
                    "n_evaluations": len(together),
                    "core_hours": before[0] + found.core_hours + hours,
                    "teacher_core_hours": before[1] + hours,
                }
            )
            return replaced_by([], self.explore(cell, found, together, list(seen)))

    def _hours(self, labels: Sequence[StaticResult | None]) -> float:
        """Return the core-hours of labels."""
        threads = load_settings().settings.threads
        given = [one for one in labels if one is not None]
        return sum(one.wall_time * (one.cores or threads) for one in given) / 3600.0

    def _tuned(
        self, cell: Structure, labels: Sequence[StaticResult | None], key: str
    ) -> LearnedPotential:
        given = [one for one in labels if one is not None]
        if len(given) < FEWEST:
            raise DataError(
                f"{self.teacher.name} gave {len(given)} labels, too few to learn from. See "
                "`ssefw failures` for what became of the others."
            )
        folder = run_folder(f"tune-{key}")
        theory = f"{self.teacher.name} ({settings_hash(self.teacher)})"
        run = as_run(given, f"labels-{cell.composition.reduced_formula}", theory)
        with held(folder):
            model, found = tuned_to_frames(
                [run],
                self.base,
                folder / "fits",
                self.settings.tune,
                specie=self.specie,
                hottest=max(self.settings.temperatures),
                stop=stop_check(),
            )
        provenance = found.provenance.model_copy(update={"job_id": CURRENT_JOB.job.uuid})
        hours = found.wall_time * load_settings().settings.threads / 3600.0
        found = found.model_copy(
            update={"provenance": provenance, "teacher": self.teacher.name, "core_hours": hours}
        )
        keep_blob(weights_key(model.digest, TunedPotential), model.to_bytes())
        keep_blob(f"potentials/{found.training_set}.npz", frames_bytes(run.frames))
        take_in(model)
        write_card(found)
        shutil.rmtree(folder, ignore_errors=True)
        return found


@dataclass
class TuningLadderMaker(LadderMaker):
    """Climb the ladder with a universal potential that is tuned first.

    Attributes
    ----------
    learn
        To what it is tuned, and how.
    """

    learn: TuneMaker = field(kw_only=True)

    def _begin(self, state: CandidateState, structure: Structure) -> Outcome | Response[Outcome]:
        """Tune to the structure, which is fit for dynamics."""
        lesson = self.learn.make(structure)
        after = self.tuned(
            lesson.output,
            relaxed=state.relaxed,
            candidate=state.candidate,
            gates=list(state.gates),
            barrier=state.barrier,
        )
        return replaced_by([lesson], after)

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
            plain = LadderMaker(
                **{part.name: getattr(self, part.name) for part in fields(LadderMaker)}
            )
            engine = TunedEngine(potential=potential.potential)
            return replace(plain, md=replace(self.md, engine=engine)).start(state)

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
