"""How a job grows into several without its output being stored twice."""

from collections.abc import Sequence
from typing import Any

from jobflow import CURRENT_JOB, Flow, Job, Response

from ssefw.errors import EngineError

__all__ = ["MAX_TURNS", "continued_by", "replaced_by"]

MAX_TURNS = 100
"""Jobs that take each other's place for one calculation. A hundred walltimes are months: what is
not done by then loses each time what it had computed."""


def continued_by(job: Job) -> Response[Any]:
    """Run a job for the rest in the place of the current one, which was stopped.

    Raises
    ------
    EngineError
        If that has gone on for too long.
    """
    turns = CURRENT_JOB.job.index
    if turns >= MAX_TURNS:
        raise EngineError(
            f"{CURRENT_JOB.job.name} was stopped {turns} times before it was done: give its jobs "
            "more walltime or more cores, and `ssefw rerun` it."
        )
    return Response(replace=job)


def replaced_by(jobs: Sequence[Job], last: Job) -> Response[Any]:
    """Run `jobs` and then `last` in the place of the current job, under its uuid.

    jobflow's way, a flow with an output, would store that output once more.
    """
    current = CURRENT_JOB.job
    last.set_uuid(current.uuid)
    last.index = current.index + 1
    return Response(replace=Flow([*jobs, last]))
