"""What a lesson left on record for the outcome of a candidate."""

from jobflow import CURRENT_JOB

from ssefw.documents import LearnedPotential, Lesson
from ssefw.store import ResultStore

__all__ = ["recorded_lesson"]


def recorded_lesson(*, candidate: str, campaign: str) -> Lesson | None:
    """Return what is to be said of the potential that a candidate was taught, if it was."""
    store = ResultStore(CURRENT_JOB.store)
    found = list(store.find(LearnedPotential, candidate=candidate, campaign=campaign))
    if not found:
        return None
    potential = found[-1]
    return Lesson(
        potential=potential.potential,
        teacher=potential.teacher,
        accepted=potential.accepted,
        reason=potential.reason,
        n_evaluations=potential.n_evaluations,
        n_labels=potential.n_labels,
        wall_time=potential.wall_time,
        core_hours=potential.core_hours,
    )
