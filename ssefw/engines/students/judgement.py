"""Judge a student by all comparisons with its teacher, and write down what there is to know."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition, Structure

from ssefw.documents import (
    AskedFrame,
    FitError,
    LearnedPotential,
    LessonRound,
    Parity,
    PhysicsCheck,
    Provenance,
)
from ssefw.engines.ase import AseEngine
from ssefw.engines.base import settings_hash
from ssefw.engines.stopping import StopCheck, never_stop
from ssefw.engines.students.acceptance import (
    TeacherRun,
    compare_runs,
    long_run,
    moved_by,
    quiet_run,
)
from ssefw.engines.students.clock import Clock
from ssefw.engines.students.excursions import FARTHEST
from ssefw.engines.students.frame_files import LabelledRun
from ssefw.engines.students.from_frames import learn_frames
from ssefw.engines.students.learning import evaluations_of, learn, run_of_teacher
from ssefw.engines.students.lesson_records import LearnedStudent, LearnSettings
from ssefw.engines.students.lessons import frames_hash
from ssefw.engines.students.teacher import Snapshot
from ssefw.nep import NEP, FitErrors, LabelledFrame, errors_on, evaluate

__all__ = ["STABLE", "described", "judge", "teach", "teach_frames"]

logger = logging.getLogger(__name__)

LONGER = 3
"""How many times as long the teacher's run is that a doubtful comparison is repeated with.

2 ps of ions that seldom leave their sites are one draw of a few visits, and a refusal costs the
dynamics of the teacher: half an hour for a compound, where these runs take minutes.
"""

STABLE = 100.0
"""ps that an accepted student has run at the hottest of its temperatures."""


def teach(
    structures: Sequence[Structure],
    teacher: AseEngine,
    folder: Path,
    settings: LearnSettings,
    *,
    specie: str,
    stable: float = STABLE,
    stop: StopCheck = never_stop,
    say: Callable[[str], None] = logger.info,
) -> tuple[LearnedStudent, LearnedPotential]:
    """Teach a student, judge it, and return what the loop ended with and the record of it.

    Parameters
    ----------
    structures, teacher, folder, settings, stop, say
        See `ssefw.engines.students.learn`.
    specie
        The mobile ion.
    stable
        ps that an accepted student has run at its hottest temperature.
    """

    def again(number: int) -> TeacherRun:
        which, k = divmod(number, len(settings.temperatures))
        temperature = settings.temperatures[k]
        say(f"the teacher runs for longer at {temperature:g} K: a comparison did not hold")
        return run_of_teacher(
            teacher,
            structures[which],
            folder / f"again-{which}-{temperature:g}K",
            temperature=temperature,
            duration=LONGER * settings.teacher_time,
            seed=settings.seed + 2,
            stop=stop,
        )

    learned, long = _taught_to_stay(
        partial(learn, structures, teacher, folder, settings, stop=stop, say=say),
        settings,
        folder,
        stable=stable,
        say=say,
    )
    learned, checks = _judged(
        learned, settings, folder, specie=specie, stable=stable, again=again, long=long
    )
    record = described(
        learned,
        checks,
        source=Provenance(
            engine=teacher.name,
            settings_hash=settings_hash(teacher, asdict(settings)),
            versions=teacher.versions(),
        ),
        level_of_theory=f"{teacher.name} ({settings_hash(teacher)})",
        structures=[crystal.composition.reduced_formula for crystal in structures],
        settings=settings,
        specie=specie,
    )
    return learned, record


def _taught_to_stay(
    learned_in: Callable[..., LearnedStudent],
    settings: LearnSettings,
    folder: Path,
    *,
    stable: float,
    say: Callable[[str], None],
) -> tuple[LearnedStudent, PhysicsCheck]:
    """Return what a lesson ended with, and the long run of its judgement.

    Whoever stays in explorations and does not in that run has met rare surroundings, which those
    of another round may meet, too: it is taught one more, as long as rounds are left.

    Parameters
    ----------
    learned_in
        The lesson, of so many `rounds` at the fewest.
    settings, folder, stable, say
        As in `teach`.
    """
    learned = learned_in()
    while True:
        clock = Clock(folder)
        long = _long_run(learned, settings, stable)
        clock.write()
        if long.passed or not learned.stable:
            return learned, long
        n_rounds = len(learned.rounds) + 1
        say(f"it did not stay ({long.name}: {long.words}), one more round")
        further = learned_in(rounds=n_rounds)
        if len(further.rounds) < n_rounds:
            return learned, long
        learned = further


def teach_frames(
    runs: Sequence[LabelledRun],
    folder: Path,
    settings: LearnSettings,
    *,
    specie: str,
    stop: StopCheck = never_stop,
    say: Callable[[str], None] = logger.info,
) -> tuple[LearnedStudent, LearnedPotential]:
    """Teach a student frames that are there already, judge it, and return both as `teach` does.

    Parameters
    ----------
    runs, folder, settings, stop, say
        See `ssefw.engines.students.from_frames.learn_frames`.
    specie
        The mobile ion.
    """
    learned = learn_frames(runs, folder, settings, stop=stop, say=say)
    learned, checks = _judged(learned, settings, folder, specie=specie)
    formulas = {Composition("".join(run.frames[0].symbols)).reduced_formula for run in runs}
    theory = runs[0].theory
    record = described(
        learned,
        checks,
        source=Provenance(
            engine=theory.settings["program"], settings_hash=settings_hash(theory.name)
        ),
        level_of_theory=theory.name,
        structures=sorted(formulas),
        settings=settings,
        specie=specie,
    )
    return learned, record


def _judged(
    learned: LearnedStudent,
    settings: LearnSettings,
    folder: Path,
    *,
    specie: str,
    stable: float = STABLE,
    again: Callable[[int], TeacherRun] | None = None,
    long: PhysicsCheck | None = None,
) -> tuple[LearnedStudent, list[PhysicsCheck]]:
    """Return how a student is judged, and what it took with that."""
    clock = Clock(folder)
    evaluations = learned.n_evaluations

    def within_budget(number: int) -> TeacherRun | None:
        nonlocal evaluations
        takes = LONGER * evaluations_of(learned.teacher_runs[number])
        if again is None or (settings.budget is not None and evaluations + takes > settings.budget):
            return None
        run = again(number)
        evaluations += evaluations_of(run)
        return run

    checks = judge(learned, settings, specie=specie, stable=stable, again=within_budget, long=long)
    clock.write()
    learned = replace(
        learned,
        n_evaluations=evaluations,
        seconds=clock.seconds(),
        core_hours=clock.core_hours(),
    )
    return learned, checks


def judge(
    learned: LearnedStudent,
    settings: LearnSettings,
    *,
    specie: str,
    stable: float = STABLE,
    again: Callable[[int], TeacherRun | None] = lambda _: None,
    long: PhysicsCheck | None = None,
) -> list[PhysicsCheck]:
    """Compare a student with each of its teacher's runs, and see whether it stays.

    Whoever stays and moves otherwise than one run of the teacher is compared with a longer one.

    Parameters
    ----------
    learned, settings
        What the loop ended with, and how it was taught.
    specie
        The mobile ion.
    stable
        ps that it must run at the hottest of its temperatures.
    again
        Gives the longer run of the teacher in the place of the run of a number; None where there
        is none to be had.
    long
        Its run of `stable` ps, where that was made before.
    """
    move, hottest = moved_by(learned.student), _hottest(learned, settings)
    stays = [
        long or _long_run(learned, settings, stable),
        quiet_run(move, _start(learned), temperature=hottest, seed=settings.seed),
    ]
    is_worth_it = learned.stable and all(check.passed for check in stays)
    checks: list[PhysicsCheck] = []
    for number, run in enumerate(learned.teacher_runs):
        compared = compare_runs(move, run, specie=specie, seed=settings.seed)
        if is_worth_it and any(not check.passed for check in compared):
            longer = again(number)
            if longer is not None:
                repeated = compare_runs(move, longer, specie=specie, seed=settings.seed)
                compared = _with_both(repeated, compared, run)
        at = {"temperature": run.temperature}
        checks += [check.model_copy(update=at) for check in compared]
    return [*checks, *stays]


def _long_run(learned: LearnedStudent, settings: LearnSettings, stable: float) -> PhysicsCheck:
    return long_run(
        moved_by(learned.student),
        _start(learned),
        temperature=_hottest(learned, settings),
        duration=stable,
        farthest=FARTHEST,
        seed=settings.seed,
    )


def _with_both(
    repeated: Sequence[PhysicsCheck], before: Sequence[PhysicsCheck], run: TeacherRun
) -> list[PhysicsCheck]:
    """Return repeated comparisons, which say of each that had failed what was found before."""
    lasted = (len(run.frames) - 1) * run.interval / 1000.0
    failed = {k: check.words for k, check in enumerate(before) if not check.passed}
    return [
        check.model_copy(update={"words": f"{check.words}; in {lasted:g} ps: {failed[k]}"})
        if k in failed
        else check
        for k, check in enumerate(repeated)
    ]


def _start(learned: LearnedStudent) -> Snapshot:
    if learned.teacher_runs:
        return learned.teacher_runs[0].frames[0]
    first = learned.frames[0]
    return first.symbols, first.positions, first.cell


def _hottest(learned: LearnedStudent, settings: LearnSettings) -> float:
    """Return the hottest temperature that a teacher showed; of frames alone that of their runs."""
    shown = [run.temperature for run in learned.teacher_runs]
    return max(shown, default=max(settings.temperatures))


def described(
    learned: LearnedStudent,
    checks: Sequence[PhysicsCheck],
    *,
    source: Provenance,
    level_of_theory: str,
    structures: Sequence[str],
    settings: LearnSettings,
    specie: str,
) -> LearnedPotential:
    """Return the record of a student.

    Parameters
    ----------
    learned, checks
        What the loop ended with, and how it was judged.
    source, level_of_theory
        Who or what gave the labels, and at which level.
    structures
        Formulas of what was learned.
    settings, specie
        How, and which ion was compared.
    """
    student = learned.student
    unseen = [frame for _, part in learned.held_out for frame in part]
    failed = [check for check in checks if not check.passed]
    reason = ""
    if not learned.stable:
        reason = "an exploration of the last round was lost"
    elif not learned.teacher_runs:
        reason = "its motion was compared with nothing: no run tells temperature and time step"
    elif failed:
        reason = f"{failed[0].name}: {failed[0].words}"
    return LearnedPotential(
        potential=student.digest,
        species=student.species,
        specie=specie,
        structures=tuple(structures),
        teacher=source.engine,
        level_of_theory=level_of_theory,
        training_set=frames_hash(learned.frames),
        n_labels=learned.n_labels,
        n_evaluations=learned.n_evaluations,
        settings=asdict(settings),
        errors=(
            _error(student, unseen),
            *(_error(student, part, temperature=t) for t, part in learned.held_out if t),
        ),
        first_errors=_plain(learned.first_errors),
        rounds=tuple(
            LessonRound(
                ran=tuple(abs(duration) for duration in one.survived),
                lost=tuple(duration < 0 for duration in one.survived),
                labels=one.labels,
                errors=_plain(one.errors),
                potential=one.potential,
                asked=tuple(AskedFrame(**why._asdict()) for why in one.asked),
            )
            for one in learned.rounds
        ),
        parity=_parity(student, unseen),
        lineage=_lineage(learned),
        stable=learned.stable,
        checks=tuple(checks),
        accepted=not reason,
        reason=reason,
        holds_to=_holds_to(learned, checks) if reason else None,
        wall_time=learned.seconds,
        core_hours=learned.core_hours,
        provenance=source,
    )


def _holds_to(learned: LearnedStudent, checks: Sequence[PhysicsCheck]) -> float | None:
    """Return the hottest temperature (K) up to which all comparisons with the teacher hold.

    None where a student does not stay at the hottest one: that is no question of temperature alone.
    """
    failed = [check.temperature for check in checks if not check.passed]
    coldest = min((t for t in failed if t is not None), default=0.0)
    if not learned.stable or None in failed:
        return None
    held = [run.temperature for run in learned.teacher_runs if run.temperature < coldest]
    return max(held, default=None)


def _lineage(learned: LearnedStudent) -> tuple[str, ...]:
    """Return what the student grew out of, itself left out."""
    all_of_them = dict.fromkeys((learned.first, *(one.potential for one in learned.rounds)))
    return tuple(digest for digest in all_of_them if digest != learned.student.digest)


SHOWN = 300
"""Points of a parity plot: their cloud, not its density, is what is looked at."""


def _parity(student: NEP, frames: Sequence[LabelledFrame]) -> Parity:
    """Return components of forces by teacher and student, evenly spread over the frames."""
    theirs = np.concatenate([frame.forces.ravel() for frame in frames])
    ours = np.concatenate([_forces(student, frame).ravel() for frame in frames])
    which = np.linspace(0, len(theirs) - 1, min(SHOWN, len(theirs))).astype(int)
    return Parity(
        teacher=tuple(round(float(x), 4) for x in theirs[which]),
        student=tuple(round(float(x), 4) for x in ours[which]),
    )


def _forces(student: NEP, frame: LabelledFrame) -> npt.NDArray[np.float64]:
    types = student.types_of(list(frame.symbols))
    return evaluate(student, frame.positions, types, frame.cell).forces


def _plain(errors: FitErrors) -> FitError:
    return FitError(force=errors.force, energy=errors.energy, stress=errors.stress)


def _error(
    student: NEP, frames: Sequence[LabelledFrame], *, temperature: float | None = None
) -> FitError:
    """Return the errors of a student on frames, those of forces by element too."""
    squares: dict[str, list[float]] = {}
    for frame in frames:
        apart = _forces(student, frame) - frame.forces
        for symbol, force in zip(frame.symbols, apart, strict=True):
            squares.setdefault(symbol, []).append(float(force @ force) / 3.0)
    sizes = np.concatenate([frame.forces.ravel() for frame in frames])
    return _plain(errors_on(student, frames)).model_copy(
        update={
            "temperature": temperature,
            "by_element": {s: float(np.sqrt(np.mean(v))) for s, v in sorted(squares.items())},
            "size": float(np.sqrt(np.mean(sizes**2))),
        }
    )
