"""What it costs to teach a student: the teacher's evaluations, and the students' own work."""

import math
from typing import TYPE_CHECKING

from ssefw.data.defects import supercell_size
from ssefw.data.held import HeldCandidate
from ssefw.makers import LadderMaker

if TYPE_CHECKING:
    from ssefw.makers.learn import LearnMaker
    from ssefw.makers.tune import TuneMaker

__all__ = ["lesson_hours", "lessons_of", "who_climbs"]

FIT_SECONDS = 25e-6
"""Of a fit for each step, frame of its batch and atom: 1.2 ms for a frame of fifty atoms."""

STUDENTS = 2
WINDOWS = 8
"""Runs of the student beside each of the teacher's."""

USUAL_ROUNDS = 4
"""Of a conductor of four elements; of fewer elements fewer."""


def lessons_of(ladder: LadderMaker | None) -> "list[LearnMaker | TuneMaker]":
    """Return the lessons before a ladder is climbed: none, one, or that of the teacher before.

    Asked by name: plans without a lesson do not load its compiled kernels.
    """
    found = [getattr(one, "learn", None) for one in (ladder, getattr(ladder, "student", None))]
    return [lesson for lesson in found if lesson is not None]


def who_climbs(ladder: LadderMaker) -> LadderMaker:
    """Return whose dynamics a ladder runs: those of the student where there is to be one."""
    return getattr(ladder, "student", None) or ladder


def lesson_hours(
    lesson: "LearnMaker | TuneMaker",
    candidate: HeldCandidate,
    *,
    n_atoms: int | None,
    replicas: int,
) -> tuple[float, float] | None:
    """Return core-hours, about and at most; None where the teacher's pace is not known.

    Parameters
    ----------
    n_atoms
        Atoms in the ordered cells of a disordered candidate.
    replicas
        How many such cells there are.
    """
    composition, volume = candidate.composition, candidate.volume
    if n_atoms is None:
        repeats = float(math.prod(supercell_size(candidate, min_length=lesson.min_length)))
    else:
        repeats = n_atoms / composition.num_atoms
    atoms = composition.num_atoms * repeats
    is_tuned = hasattr(lesson, "base")
    seconds = lesson.teacher.step_core_seconds(
        composition * repeats, volume=volume * repeats, is_dynamics=not is_tuned
    )
    if seconds is None:
        return None
    if is_tuned:
        return _tuning_hours(lesson, atoms, seconds, replicas)  # type: ignore[arg-type]
    return _student_hours(lesson, atoms, seconds, replicas)  # type: ignore[arg-type]


def _tuning_hours(
    lesson: "TuneMaker", atoms: float, seconds: float, replicas: int
) -> tuple[float, float] | None:
    settings, speed = lesson.settings, lesson.base.nominal_speed
    if speed is None:
        return None
    form = settings.tune
    fits = form.members * (form.fit.steps + form.refits * form.refit_steps)
    explored = replicas * len(settings.temperatures) * settings.length
    steps = 1000.0 * (explored + form.stable) / 2.0
    each = fits * form.fit.batch * atoms * FIT_SECONDS + steps * atoms / speed
    usual = min(settings.most_labels, settings.first + settings.labels)
    return (
        (usual * seconds + 2 * each) / 3600.0,
        (settings.most_labels * seconds + settings.generations * each)
        * lesson.teacher.doubt
        / 3600.0,
    )


def _student_hours(
    lesson: "LearnMaker", atoms: float, seconds: float, replicas: int
) -> tuple[float, float]:
    settings = lesson.settings
    labels = settings.frames + settings.rattled
    first = replicas * (settings.first_evaluations - labels) + labels
    rounds = min(USUAL_ROUNDS, settings.rounds)
    usual = first + rounds * settings.labels // 2
    most = first + settings.rounds * settings.labels
    if settings.budget is not None:
        usual, most = min(usual, settings.budget), min(most, settings.budget)
    own = [_own_seconds(lesson, atoms, n, replicas) for n in (rounds, settings.rounds)]
    return (
        (usual * seconds + own[0]) / 3600.0,
        (most * seconds + own[1]) * lesson.teacher.doubt / 3600.0,
    )


def _own_seconds(lesson: "LearnMaker", atoms: float, rounds: int, replicas: int) -> float:
    """Return what fits, explorations and the judgement take."""
    from ssefw.engines.students.engine import STUDENT_SPEED  # noqa: PLC0415  compiled kernels

    settings, fit = lesson.settings, lesson.settings.fit
    fits = STUDENTS * (fit.steps + rounds * settings.refit_steps)
    explored = rounds * len(settings.explore_temperatures) * settings.explore_time
    judged = replicas * WINDOWS * len(settings.temperatures) * settings.teacher_time + lesson.stable
    steps = 1000.0 * (explored + settings.long_time + judged) / 2.0
    return fits * fit.batch * atoms * FIT_SECONDS + steps * atoms / STUDENT_SPEED
