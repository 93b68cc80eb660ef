"""A universal potential tuned for one candidate to an engine whose forces are dear.

    relax --> explore --> label, label, ... --> learn --> explore --> ... --> md ... --> outcome

Labels are single points, several to an ordinary job: restarted and counted as any other. A
generation of the potential is on record, and no run that one made is continued by the next.
"""

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from jobflow import Maker, Response, job
from pymatgen.core import Structure

from ssefw.data import expand_to_length
from ssefw.documents import (
    AskedFrame,
    FitError,
    Labels,
    LearnedPotential,
    LessonRound,
    PhysicsCheck,
)
from ssefw.engines import Engine, settings_hash
from ssefw.engines.ase import AseEngine
from ssefw.engines.folder_lock import held
from ssefw.engines.stopping import InterruptionError, stop_check
from ssefw.engines.students.clock import Clock
from ssefw.engines.students.frame_files import LabelledRun
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
from ssefw.makers.learn import LabelMaker, keep_potential, labels_of
from ssefw.makers.learn.given import check_level, given_runs, to_check
from ssefw.makers.replacement import continued_by, replaced_by
from ssefw.makers.site import computed_once, equip, require_store, run_folder

__all__ = ["FEWEST", "TuneMaker"]


FEWEST = 10
"""Labels, of which a fifth are held out; of fewer not even two."""

Crystal = Structure | Sequence[Structure]
"""What is tuned to: a crystal, or the arrangements of a disordered one together."""

PACK = 8
"""Frames of a job: the first forty keep five queue jobs busy, and what starting one takes, a minute
or some of a large allocation, is shared by eight."""


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
    pack
        Frames that are labelled by one job, one after the other.
    given
        Key of frames with which it begins, see `ssefw.makers.learn.given`; empty without.
    """

    teacher: Engine
    base: AseEngine
    settings: ActiveSettings = field(default_factory=ActiveSettings)
    min_length: float = 8.0
    max_atoms: int = 200
    specie: str = "Li"
    pack: int = PACK
    given: str = ""
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
        given = (self.given,) if self.given else ()
        return settings_hash("tune", *how, *given, *what)

    @job(output_schema=LearnedPotential, config=WATCHED)
    def make(self, structure: Crystal) -> LearnedPotential | Response[LearnedPotential]:
        """Begin: return the job of the first generation, in the place of this one."""
        with failures_recorded():
            require_store("Frames that are labelled keep their forces")
            cells = [
                expand_to_length(one, min_length=self.min_length, max_atoms=self.max_atoms)
                for one in _each(structure)
            ]
            is_one = isinstance(structure, Structure)
            return replaced_by([], self.explore(cells[0] if is_one else cells))

    @job(output_schema=LearnedPotential, config=WATCHED)
    def explore(
        self,
        cell: Crystal,
        potential: LearnedPotential | None = None,
        labels: Sequence[str] = (),
        before: Sequence[tuple[float, float] | None] = (),
    ) -> LearnedPotential | Response[LearnedPotential]:
        """Run the potential so far; have labelled what it does not know, or end with it.

        Parameters
        ----------
        cell
            The crystal, or its arrangements.
        potential
            Of the generation before; None at first.
        labels
            Keys of all that were asked for so far; empty where one failed, which is paid for, too.
        before
            Diffusivities that the generation before showed.
        """
        with failures_recorded():
            generation = 0 if potential is None else len(potential.rounds)
            room = self._room(generation, len(labels))
            try:
                seen, hours = self._explored(cell, potential, generation, room)
            except InterruptionError:
                return continued_by(self.explore(cell, potential, labels, before))
            if potential is not None:
                runs = self.settings.runs(len(_each(cell)))
                potential, is_done = self._looked_at(potential, seen, before, hours, runs)
                if is_done or not room or not seen.frames:
                    return potential
            starts = range(0, len(seen.frames), self.pack)
            packs = [list(seen.frames[start : start + self.pack]) for start in starts]
            maker = LabelMaker(engine=self.teacher)
            asked = [maker.make(part) for part in packs]
            for number, one in enumerate(asked, 1):
                one.name = f"label {generation + 1}.{number}"
            after = self.learn(
                cell,
                potential,
                list(labels),
                [one.output for one in asked],
                sizes=[len(part) for part in packs],
                spent=hours if potential is None else potential.core_hours,
                why=list(seen.why),
                seen=list(seen.diffusivities),
                ran=list(seen.ran),
                lost=list(seen.lost),
            )
            return replaced_by(asked, after)

    def _given(self, cell: Crystal) -> list[LabelledRun]:
        return given_runs(self.given, _each(cell)[0]) if self.given else []

    def _room(self, generation: int, n_labels: int) -> int:
        """Return how many frames may be asked about now."""
        settings = self.settings
        if generation >= settings.generations:
            return 0
        wanted = settings.first if generation == 0 else settings.labels
        left = wanted if settings.budget is None else settings.budget - n_labels
        return max(0, min(wanted, left))

    def _explored(
        self, cell: Crystal, potential: LearnedPotential | None, generation: int, room: int
    ) -> tuple[Explored, float]:
        """Return what the runs of a generation show, and the core-hours that took.

        Where frames are given nothing has to run before the first fit: the engine is asked about
        some of them.
        """
        engine = self.base
        if potential is None and (runs := self._given(cell)):
            asked = [
                Structure(frame.cell, frame.symbols, frame.positions, coords_are_cartesian=True)
                for frame in to_check(runs)
            ]
            n = len(self.settings.runs(len(_each(cell))))
            return Explored(tuple(asked), (), (0.0,) * n, (False,) * n, (None,) * n), 0.0
        if potential is not None:
            engine = TunedEngine(potential=potential.potential)
            equip(engine)
        folder = run_folder(f"explore-{self.key(cell, engine, generation)}")
        with held(folder):
            clock = Clock(folder)
            try:
                found = explored(
                    engine,
                    _each(cell),
                    self.settings,
                    folder / "runs",
                    generation=generation,
                    most=max(1, room),
                    specie=self.specie,
                    stop=stop_check(),
                )
            finally:
                clock.write()
        shutil.rmtree(folder, ignore_errors=True)
        return found, clock.core_hours()

    def _looked_at(
        self,
        potential: LearnedPotential,
        seen: Explored,
        before: Sequence[tuple[float, float] | None],
        hours: float,
        runs: Sequence[str],
    ) -> tuple[LearnedPotential, bool]:
        """Return a potential with what its runs showed, and whether there is nothing to ask."""
        moves = motion_check(before, seen.diffusivities, runs)
        stays = PhysicsCheck(
            name="its own dynamics",
            passed=not any(seen.lost),
            words=", ".join(
                f"{run}: {ran:.4g} ps{' (lost)' if lost else ''}"
                for run, ran, lost in zip(runs, seen.ran, seen.lost, strict=True)
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
                "core_hours": potential.core_hours + hours,
            }
        )
        return found, not failed

    @job(output_schema=LearnedPotential, config=LENIENT)
    def learn(
        self,
        cell: Crystal,
        potential: LearnedPotential | None,
        labels: Sequence[str],
        new: Sequence[Labels | None],
        *,
        sizes: Sequence[int],
        spent: float,
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
            What the jobs for the labels of this generation gave; None where one failed.
        sizes
            Frames that each of them was asked for.
        spent
            Core-hours before these labels.
        why
            They were asked for.
        seen, ran, lost
            What the runs showed that they were chosen from.
        """
        with failures_recorded():
            given = [
                key
                for pack, size in zip(new, sizes, strict=True)
                for key in (pack.keys if pack is not None else ("",) * size)
            ]
            together = [*labels, *given]
            rounds = potential.rounds if potential is not None else ()
            key = self.key(cell, together, len(rounds))
            try:
                found = computed_once(
                    key,
                    LearnedPotential,
                    lambda: self._tuned(cell, [*(r.labels for r in rounds)], together, key),
                )
            except InterruptionError:
                return continued_by(
                    self.learn(
                        cell,
                        potential,
                        labels,
                        new,
                        sizes=sizes,
                        spent=spent,
                        why=why,
                        seen=seen,
                        ran=ran,
                        lost=lost,
                    )
                )
            this = LessonRound(
                ran=tuple(ran),
                lost=tuple(lost),
                labels=sum(map(bool, given)),
                errors=FitError(
                    force=found.errors[0].force,
                    energy=found.errors[0].energy,
                    stress=found.errors[0].stress,
                ),
                potential=found.potential,
                asked=tuple(why),
            )
            lineage = () if potential is None else (*potential.lineage, potential.potential)
            hours = sum(pack.core_hours for pack in new if pack is not None)
            before = (0.0, 0.0)
            if potential is not None:
                before = (potential.wall_time, potential.teacher_core_hours)
            found = found.model_copy(
                update={
                    "rounds": (*rounds, this),
                    "lineage": lineage,
                    "n_labels": sum(map(bool, together)),
                    "n_evaluations": len(together),
                    "wall_time": before[0] + found.wall_time,
                    "core_hours": spent + found.core_hours + hours,
                    "teacher_core_hours": before[1] + hours,
                }
            )
            return replaced_by([], self.explore(cell, found, together, list(seen)))

    def _tuned(
        self, cell: Crystal, before: Sequence[int], keys: Sequence[str], key: str
    ) -> LearnedPotential:
        """Return the record of the potential that is tuned to labels.

        Parameters
        ----------
        cell
            The crystal, or its arrangements.
        before
            How many labels each generation before this one had.
        keys, key
            Of all labels, and of what is computed here.
        """
        given, frames = labels_of(keys), self._given(cell)
        check_level(frames, keys, self.teacher.name)
        if len(given) + sum(len(run.frames) for run in frames) < FEWEST:
            raise DataError(
                f"{self.teacher.name} gave {len(given)} labels, too few to learn from. See "
                "the failures of its outcome for what became of the others."
            )
        folder = run_folder(f"tune-{key}")
        theory = f"{self.teacher.name} ({settings_hash(self.teacher)})"
        # Each generation is a run of its own, since the end of each run is held out: of all labels
        # together that would be most of those that were asked for last.
        ends = [*itertools.accumulate(before), len(given)]
        runs = [
            run
            for number, (first, last) in enumerate(itertools.pairwise([0, *ends]), 1)
            if (run := as_run(given[first:last], f"labels {number}", theory)).frames
        ]
        with held(folder):
            tuned, found = tuned_to_frames(
                [*runs, *frames],
                self.base,
                folder / "fits",
                self.settings.tune,
                specie=self.specie,
                hottest=max(self.settings.temperatures),
                stop=stop_check(),
            )
        found = found.model_copy(update={"teacher": self.teacher.name})
        found = keep_potential(tuned.potential, found, tuned.frames)
        shutil.rmtree(folder, ignore_errors=True)
        return found


def _each(crystal: Crystal) -> list[Structure]:
    return [crystal] if isinstance(crystal, Structure) else list(crystal)
