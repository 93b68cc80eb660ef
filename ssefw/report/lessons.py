"""What a page says of the potential that a candidate was taught."""

from typing import Any

from ssefw.documents import LearnedPotential, Lesson, LessonRound

__all__ = ["asked_words", "lesson_words"]


def lesson_words(lesson: Lesson | None, *, md_steps: int) -> str:
    """Say who taught and who ran the dynamics, and what the teacher would have needed for these.

    Parameters
    ----------
    lesson
        Of the outcome; nothing is said without one.
    md_steps
        Steps of all of its dynamics.
    """
    if lesson is None:
        return ""
    name = lesson.potential[:8]
    if lesson.base:
        return _tuned_words(lesson, name, md_steps=md_steps)
    if (tuned := lesson.first) is not None:
        before = (
            f"{tuned.base} was tuned to {tuned.teacher} ({tuned.potential[:8]}), which was asked "
            f"for {tuned.n_evaluations} single points. "
        )
        alone = lesson.model_copy(update={"first": None})
        return before + lesson_words(alone, md_steps=md_steps)
    if not lesson.accepted and lesson.ran_to is None:
        return (
            f"{lesson.teacher} ran the dynamics itself: its student {name} was not accepted "
            f"({lesson.reason})."
        )
    words = (
        f"The student {name} of {lesson.teacher} ran the dynamics{_up_to(lesson)}. The teacher "
        f"computed forces {lesson.n_evaluations} times, {lesson.n_labels} of them labels"
    )
    if not md_steps:
        return f"{words}."
    times = md_steps / lesson.n_evaluations
    return (
        f"{words}; dynamics of the same length by it would have taken {md_steps} evaluations, "
        f"{times:.3g} times as many, in the larger cells."
    )


def _up_to(lesson: Lesson) -> str:
    if lesson.ran_to is None:
        return ""
    return f" up to {lesson.ran_to:g} K; it was not accepted for hotter ones ({lesson.reason})"


def _tuned_words(lesson: Lesson, name: str, *, md_steps: int) -> str:
    asked = f"It asked for {lesson.n_evaluations} single points of {lesson.teacher}"
    if not lesson.accepted:
        return (
            f"No dynamics were run: {lesson.base} tuned to {lesson.teacher} ({name}) was not "
            f"accepted ({lesson.reason}). {asked}."
        )
    words = f"{lesson.base} tuned to {lesson.teacher} ({name}) ran the dynamics. {asked}"
    if not md_steps:
        return f"{words}."
    return f"{words}; dynamics of the same length by it would have taken {md_steps}."


def asked_words(potential: LearnedPotential) -> list[str]:
    """Say of each round of a lesson how long its explorations lasted and what it asked for."""
    return [_round_words(number, one) for number, one in enumerate(potential.rounds, 1)]


def _round_words(number: int, one: LessonRound) -> str:
    ran = ", ".join(
        f"{length:.4g} ps" + (" (lost)" if lost else "")
        for length, lost in zip(one.ran, one.lost, strict=True)
    )
    return f"round {number}: explored {ran}; {one.labels} labels{_why(one)}"


def _why(one: LessonRound) -> str:
    if not one.asked:
        return ""
    parts: list[Any] = []
    for temperature in dict.fromkeys(why.temperature for why in one.asked):
        asked = [why for why in one.asked if why.temperature == temperature]
        apart = max(why.disagreement for why in asked)
        beyond = max(why.excess for why in asked)
        parts.append(
            f"{len(asked)} at {temperature:g} K (potentials up to {apart:.2g} eV/Å apart, up to "
            f"{beyond:.2g} ranges outside of training)"
        )
    return ": " + ", ".join(parts)
