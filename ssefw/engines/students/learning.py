"""Teach students until they no longer leave what they know.

A student fitted once to a teacher's frames can run away after a hundred picoseconds with perfect
errors on held-out frames. So two students, alike but for their seeds, run dynamics, hot and cold;
frames on which they disagree, or that lie outside the range of training, are labelled by the
teacher, and both are fitted again, until every run comes to its end without a doubt worth a label,
one of them as long as what an accepted student must survive.

All that is computed lies in one folder as whole files named by what they are, every step is the
same for the same seeds, and a step whose file is there is not done again. Killed anywhere, the loop
goes on and ends with the same potential.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

from ssefw.engines.ase import AseEngine
from ssefw.engines.base import MDSettings, settings_hash
from ssefw.engines.stopping import InterruptionError, StopCheck, never_stop
from ssefw.engines.students.acceptance import TeacherRun
from ssefw.engines.students.clock import Clock
from ssefw.engines.students.exploration import choose, explore
from ssefw.engines.students.lesson_records import (
    TIMESTEP,
    LabelReason,
    LearnedStudent,
    LearnSettings,
    Round,
)
from ssefw.engines.students.lessons import read_frames, read_student, write_frames, write_student
from ssefw.engines.students.teacher import Snapshot, Teacher, ase_teacher, rattled, teacher_run
from ssefw.errors import DataError
from ssefw.files import replacing
from ssefw.nep import NEP, FitErrors, LabelledFrame, TrainingSettings, errors_on, fit

__all__ = ["HELD_OUT", "evaluations_of", "fitted_pair", "learn", "run_of_teacher"]

logger = logging.getLogger(__name__)

Say = Callable[[str], None]

HELD_OUT = 0.2
"""Share of each teacher's run, its end, that no fit sees: errors on it are those of later times."""

STEPS_PER_FRAME = 10

HARDEST = 25.0
"""Force (eV/A) beyond which ions overlap."""


def learn(
    structures: Sequence[Structure],
    engine: AseEngine,
    folder: Path,
    settings: LearnSettings | None = None,
    *,
    rounds: int = 0,
    stop: StopCheck = never_stop,
    say: Say = logger.info,
) -> LearnedStudent:
    """Teach a student the crystals of one compound.

    Parameters
    ----------
    structures
        Relaxed cells of at least 8 A: one, or several arrangements of a disordered crystal.
    engine
        The teacher.
    folder
        Where the loop keeps what it has; a folder of other structures or settings is refused.
    settings
        How it is taught.
    rounds
        That are taken at least, of those that the settings allow, though students stay before.
    stop
        Asked between steps.
    say
        Told of each step as it ends.

    Raises
    ------
    InterruptionError
        If `stop` asked to stop; call again to go on.
    DataError
        If the folder belongs to another lesson.
    """
    settings = settings or LearnSettings()
    if not structures:
        raise DataError("There is no structure to learn.")
    return _Lesson(folder, structures, engine, settings, stop=stop, say=say).take(rounds)


class _Lesson:
    """The loop over one folder."""

    def __init__(
        self,
        folder: Path,
        structures: Sequence[Structure],
        engine: AseEngine,
        settings: LearnSettings,
        *,
        stop: StopCheck,
        say: Say,
    ) -> None:
        self._folder = folder
        self._structures = structures
        self._engine = engine
        self._settings = settings
        self._stop = stop
        self._say = say
        self._teacher: Teacher = ase_teacher(engine)
        folder.mkdir(parents=True, exist_ok=True)
        self._clock = Clock(folder)
        key = settings_hash(engine, asdict(settings), list(structures))
        marker = folder / "lesson.json"
        if marker.exists():
            found = json.loads(marker.read_text()).get("key")
            if found != key:
                raise DataError(
                    f"{folder} holds another lesson (other structures, teacher or settings). "
                    "Name another folder, or move it away."
                )
        else:
            self._write_json(marker, {"key": key, "teacher": engine.name})

    def take(self, fewest: int) -> LearnedStudent:
        """Do what is not done yet, so many rounds at the fewest."""
        settings = self._settings
        runs = self._teacher_runs()
        kept, held_out = self._first_frames(runs)
        unseen = [frame for _, part in held_out for frame in part]
        starts = [frames[0] for frames in self._by_structure(kept)]
        frames = [*kept, *self._labels("rattled.npz", lambda: self._rattled(kept))]
        students = self._students(0, frames, None)
        first, first_errors = students[0].digest, errors_on(students[0], unseen)
        self._tell(f"first fit: {_words(first_errors)} on held-out frames")
        rounds: list[Round] = []
        stable = is_long = False
        evaluations = self._first_evaluations(runs, len(kept) + len(unseen))
        for number in range(1, settings.rounds + 1):
            if settings.budget is not None and evaluations + settings.labels > settings.budget:
                self._tell(f"the {settings.budget} evaluations of the teacher are spent")
                break
            is_long = is_long or stable
            survived, asked = self._explore(number, students, starts, is_long=is_long)
            stable = all(duration > 0 for duration in survived)
            new = self._labels(f"round-{number:02d}.npz", lambda asked=asked: asked)  # type: ignore[misc]
            evaluations += len(self._asked(number))
            if new:
                frames += new
                students = self._students(number, frames, students)
            errors = errors_on(students[0], unseen)
            why = self._asked(number)
            rounds.append(Round(survived, len(new), errors, students[0].digest, why))
            self._tell(
                f"round {number}: ran {_ran(survived)}, {len(new)} new labels, {_words(errors)}"
            )
            # Some frames are asked for even then: of rare surroundings in hot dynamics there are
            # always more.
            if stable and is_long and number >= fewest:
                break
        self._clock.write()
        return LearnedStudent(
            student=students[0],
            second=students[1],
            teacher_runs=tuple(runs),
            first_errors=first_errors,
            rounds=tuple(rounds),
            stable=stable,
            frames=tuple(frames),
            held_out=tuple((temperature, tuple(part)) for temperature, part in held_out),
            first=first,
            n_evaluations=evaluations,
            seconds=self._clock.seconds(),
            core_hours=self._clock.core_hours(),
        )

    def _first_evaluations(self, runs: Sequence[TeacherRun], n_labels: int) -> int:
        """Return how often the teacher computed forces before the loop."""
        return sum(map(evaluations_of, runs)) + n_labels + self._settings.rattled

    def _asked(self, number: int) -> tuple[LabelReason, ...]:
        """Return why frames of a round were labelled, those that were left out included."""
        return tuple(
            LabelReason(*one) for one in json.loads(self._record(number).read_text())["asked"]
        )

    def _record(self, number: int) -> Path:
        return self._folder / f"round-{number:02d}.json"

    def _tell(self, text: str) -> None:
        self._clock.write()
        self._say(text)

    def _teacher_runs(self) -> list[TeacherRun]:
        """Return the teacher's own dynamics of each structure at each temperature."""
        settings, runs = self._settings, []
        for s, structure in enumerate(self._structures):
            for temperature in settings.temperatures:
                run = run_of_teacher(
                    self._engine,
                    structure,
                    self._folder / f"teacher-{s}-{temperature:g}K",
                    temperature=temperature,
                    duration=settings.teacher_time,
                    seed=settings.seed + 1,
                    stop=self._stop,
                )
                runs.append(run)
        return runs

    def _first_frames(
        self, runs: Sequence[TeacherRun]
    ) -> tuple[list[LabelledFrame], list[tuple[float, list[LabelledFrame]]]]:
        """Return labelled frames of the teacher's own runs, to learn from and held out.

        Those that are held out come with the temperature of their run.
        """
        each = max(5, self._settings.frames // len(runs))
        chosen = [_spread(run.frames, each) for run in runs]
        labelled = self._labels(
            "teacher.npz", lambda: [frame for run in chosen for frame in run], hardest=np.inf
        )
        kept, first = [], 0
        held_out: dict[float, list[LabelledFrame]] = {}
        for run, part in zip(runs, chosen, strict=True):
            n_kept, last = round(len(part) * (1.0 - HELD_OUT)), first + len(part)
            kept += labelled[first : first + n_kept]
            held_out.setdefault(run.temperature, []).extend(labelled[first + n_kept : last])
            first = last
        self._tell(f"teacher: {len(runs)} runs, {len(labelled)} frames labelled")
        return kept, list(held_out.items())

    def _by_structure(self, kept: Sequence[LabelledFrame]) -> list[list[Snapshot]]:
        """Return the teacher's frames of each structure, the start of the first run first."""
        per_run = len(kept) // (len(self._structures) * len(self._settings.temperatures))
        step = per_run * len(self._settings.temperatures)
        return [
            [(f.symbols, f.positions, f.cell) for f in kept[s * step : (s + 1) * step]]
            for s in range(len(self._structures))
        ]

    def _rattled(self, kept: Sequence[LabelledFrame]) -> list[Snapshot]:
        snapshots = [(frame.symbols, frame.positions, frame.cell) for frame in kept]
        return rattled(snapshots, self._settings.rattled, seed=self._settings.seed)

    def _explore(
        self,
        number: int,
        students: tuple[NEP, NEP],
        starts: Sequence[Snapshot],
        *,
        is_long: bool,
    ) -> tuple[tuple[float, ...], list[Snapshot]]:
        """Run the students and return how long each run lasted, and what wants a label."""
        settings = self._settings
        record = self._record(number)
        if record.exists() and (self._folder / f"round-{number:02d}.npz").exists():
            return tuple(json.loads(record.read_text())["survived"]), []
        survived, asked, why = [], [], []
        share = max(1, settings.labels // len(settings.explore_temperatures))
        runs = [
            # Each of the two drives in turn, so that a fault of either comes to light.
            (students if (number + k) % 2 else students[::-1], temperature, settings.explore_time)
            for k, temperature in enumerate(settings.explore_temperatures)
        ]
        if is_long:
            runs.append((students, max(settings.temperatures), settings.long_time))
        for k, (pair, temperature, duration) in enumerate(runs):
            self._check()
            seen = explore(
                pair,
                starts[(number + k) % len(starts)],
                temperature=temperature,
                duration=duration,
                seed=1000 * (settings.seed + 1) + 100 * number + k,
            )
            survived.append(seen.duration if seen.survived else -max(seen.duration, 1e-3))
            for frame in choose(seen, share):
                asked.append(seen.frames[frame])
                apart, beyond = float(seen.disagreement[frame]), float(seen.excess[frame])
                why.append(LabelReason(temperature, seen.time(frame), apart, beyond))
        self._write_json(record, {"survived": survived, "asked": why})
        return tuple(survived), asked

    def _labels(
        self, name: str, wanted: Callable[[], list[Snapshot]], *, hardest: float = HARDEST
    ) -> list[LabelledFrame]:
        """Return the frames of a file, or have them labelled and write it.

        A frame with a force beyond `hardest` is left out: it teaches nothing that dynamics visit.
        """
        path = self._folder / name
        if not path.exists():
            frames: list[LabelledFrame] = []
            for snapshot in wanted():
                self._check()
                frames += self._teacher([snapshot])
            write_frames(path, [frame for frame in frames if abs(frame.forces).max() < hardest])
        return read_frames(path)

    def _students(
        self, number: int, frames: Sequence[LabelledFrame], before: tuple[NEP, NEP] | None
    ) -> tuple[NEP, NEP]:
        return fitted_pair(
            self._folder, number, frames, self._settings, before=before, check=self._check
        )

    def _check(self) -> None:
        reason = self._stop()
        if reason is not None:
            raise InterruptionError(
                f"Learning was stopped ({reason}); run it again to go on.", directory=self._folder
            )

    @staticmethod
    def _write_json(path: Path, content: object) -> None:
        with replacing(path) as draft:
            draft.write_text(json.dumps(content))


def run_of_teacher(
    engine: AseEngine,
    structure: Structure,
    folder: Path,
    *,
    temperature: float,
    duration: float,
    seed: int,
    stop: StopCheck = never_stop,
) -> TeacherRun:
    """Return dynamics of the teacher that a student can be compared with.

    Parameters
    ----------
    engine, structure
        The teacher, and the cell.
    folder
        Of the run, which goes on where it stands.
    temperature, duration
        K and ps.
    seed
        Of the velocities.
    stop
        Asked whether to stop.

    Raises
    ------
    InterruptionError
        If `stop` asked to stop before the run was complete.
    """
    settings = MDSettings(
        temperature=temperature, timestep=TIMESTEP, steps_per_frame=STEPS_PER_FRAME, seed=seed
    )
    steps = round(1000.0 * duration / TIMESTEP / STEPS_PER_FRAME) * STEPS_PER_FRAME
    frames = teacher_run(engine, structure, settings, steps=steps, folder=folder, stop=stop)
    return TeacherRun(temperature, frames, STEPS_PER_FRAME * TIMESTEP)


def evaluations_of(run: TeacherRun) -> int:
    """Return how often the teacher computed forces for a run."""
    return (len(run.frames) - 1) * STEPS_PER_FRAME + 1


def fitted_pair(
    folder: Path,
    number: int,
    frames: Sequence[LabelledFrame],
    settings: LearnSettings,
    *,
    before: tuple[NEP, NEP] | None,
    check: Callable[[], None],
) -> tuple[NEP, NEP]:
    """Return the two students of a round, fitted unless their files are there.

    Parameters
    ----------
    folder, number
        Where their files are, and the round.
    frames, settings
        What they learn, and how.
    before
        Those of the round before, from which they go on.
    check
        Called before each fit; raises where that is not to begin.
    """
    found = []
    for k in range(2):
        path = folder / f"student-{number:02d}-{k}.nep"
        if not path.exists():
            check()
            seed = settings.seed + k
            start = None if before is None else before[k]
            form = (
                TrainingSettings(**{**asdict(settings.fit), "seed": seed})
                if start is None
                else settings.fit.refit(steps=settings.refit_steps, seed=100 * number + seed)
            )
            write_student(path, fit(frames, form, start=start))
        found.append(read_student(path))
    return found[0], found[1]


def _spread(run: Sequence[Snapshot], number: int) -> list[Snapshot]:
    """Return frames evenly spread over a run, without its first tenth, which still heats up."""
    first = len(run) // 10
    number = min(number, len(run) - first)
    return [run[first + (len(run) - 1 - first) * k // max(1, number - 1)] for k in range(number)]


def _ran(survived: Sequence[float]) -> str:
    """Return how long explorations ran (ps); of those that were lost the time is negative."""
    times = ", ".join(f"{abs(duration):.4g}" for duration in survived)
    return f"{times} ps{'' if all(duration > 0 for duration in survived) else ' (lost)'}"


def _words(errors: FitErrors) -> str:
    return f"{1e3 * errors.force:.0f} meV/A, {1e3 * errors.energy:.1f} meV/atom"
