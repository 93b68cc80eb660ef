"""What jobs of earlier versions do not hand on, from the store.

A job now says which barrier and which lesson it was given. One that was made by an earlier version
says nothing of them, and what the store has of its candidate takes their place.
"""

from typing import Literal

from jobflow import CURRENT_JOB

from ssefw.documents import Barrier, LearnedPotential, Lesson
from ssefw.store import ResultStore

__all__ = ["RECORDED", "Recorded", "lesson_of", "recorded_barrier", "recorded_lesson"]

Recorded = Literal["recorded"]
RECORDED: Recorded = "recorded"
"""In the place of what a job was not told: what the store has."""


def recorded_barrier(candidate: str) -> Barrier | None:
    """Return the barrier that NEB gave a candidate (its id), if it did."""
    found = ResultStore(CURRENT_JOB.store).find(
        Barrier, candidate=candidate, campaign=_campaign(), where={"method": "neb"}
    )
    return next(iter(found), None)


def recorded_lesson(candidate: str) -> Lesson | None:
    """Return what is to be said of the potential that a candidate (its id) was taught, if any."""
    store = ResultStore(CURRENT_JOB.store)
    found = list(store.find(LearnedPotential, candidate=candidate, campaign=_campaign()))
    return lesson_of(found[-1] if found else None)


def lesson_of(
    potential: LearnedPotential | None,
    *,
    first: Lesson | None = None,
    ran_to: float | None = None,
) -> Lesson | None:
    """Return what the outcome says of a potential that was taught.

    Parameters
    ----------
    potential
        None where none could be taught.
    first
        Of its teacher, where that was tuned before.
    ran_to
        Temperature (K) up to which it runs dynamics, though it was not accepted for hotter ones.
    """
    if potential is None:
        return first
    return Lesson(
        potential=potential.potential,
        base=potential.base,
        teacher=potential.teacher,
        accepted=potential.accepted,
        reason=potential.reason,
        ran_to=ran_to,
        n_evaluations=potential.n_evaluations,
        n_labels=potential.n_labels,
        wall_time=potential.wall_time,
        core_hours=potential.core_hours,
        first=first,
    )


def _campaign() -> str:
    return str(CURRENT_JOB.job.metadata.get("campaign", ""))
