"""What it costs to teach a student: the teacher's evaluations, and the students' own work."""

import math
from typing import TYPE_CHECKING

from ssefw.data.defects import supercell_size
from ssefw.documents import Candidate
from ssefw.makers import LadderMaker

if TYPE_CHECKING:
    from ssefw.makers.learn import LearnMaker

__all__ = ["lesson_hours", "lesson_of"]

FIT_SECONDS = 25e-6
"""Of a fit for each step, frame of its batch and atom: 1.2 ms for a frame of fifty atoms."""

STUDENTS = 2
WINDOWS = 8
"""Runs of the student beside each of the teacher's."""

USUAL_ROUNDS = 4
"""Of a conductor of four elements; of fewer elements fewer."""


def lesson_of(ladder: LadderMaker | None) -> "LearnMaker | None":
    """Return who teaches before a ladder is climbed, if anybody does.

    Asked by name: plans without a lesson do not load its compiled kernels.
    """
    return getattr(ladder, "learn", None)


def lesson_hours(
    lesson: "LearnMaker", candidate: Candidate, *, n_atoms: int | None, replicas: int
) -> tuple[float, float] | None:
    """Return core-hours, about and at most; None where the teacher's pace is not known.

    Parameters
    ----------
    n_atoms
        Atoms in the ordered cells of a disordered candidate.
    replicas
        How many such cells there are.
    """
    structure, settings = candidate.structure, lesson.settings
    composition, volume = structure.composition, structure.volume
    if n_atoms is None:
        repeats = float(math.prod(supercell_size(structure, min_length=lesson.min_length)))
    else:
        repeats = n_atoms / composition.num_atoms
    atoms = composition.num_atoms * repeats
    seconds = lesson.teacher.step_core_seconds(
        composition * repeats, volume=volume * repeats, is_dynamics=True
    )
    if seconds is None:
        return None
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
