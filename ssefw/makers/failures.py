"""What a failing job leaves behind, and how the jobs after it go on.

A job that fails is a failed job of the workflow, to be seen and run again with the scheduler's own
tools. But it also stores why, and the jobs after it run nevertheless, with None in the place of its
output, so that each candidate ends in an `Outcome`.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from jobflow import CURRENT_JOB, JobConfig, OnMissing

from ssefw.documents import Failure
from ssefw.errors import EngineError, SsefwError
from ssefw.masking import masked
from ssefw.store import ResultStore

__all__ = ["LENIENT", "WATCHED", "failures_recorded", "recorded_failures"]

logger = logging.getLogger(__name__)

WATCHED = JobConfig(expose_store=True)
"""For a job that records why it failed."""

LENIENT = JobConfig(expose_store=True, on_missing_references=OnMissing.NONE)
"""For a job that also runs when those before it failed."""


@contextmanager
def failures_recorded() -> Iterator[None]:
    """Store a `Failure` when the current job raises, and let it raise."""
    try:
        yield
    except Exception as error:
        _record(error)
        raise


def recorded_failures(*, candidate: str, campaign: str) -> tuple[Failure, ...]:
    """Return the failures of a candidate so far, the latest of each stage."""
    found = ResultStore(CURRENT_JOB.store).find(Failure, candidate=candidate, campaign=campaign)
    return tuple({failure.stage: failure for failure in found}.values())


def _record(error: Exception) -> None:
    job = CURRENT_JOB.job
    is_known = isinstance(error, SsefwError)
    message = str(error) if is_known else f"{type(error).__name__}: {error}"
    directory = error.directory if isinstance(error, EngineError) else None
    failure = Failure(
        stage=job.name,
        code=re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower(),
        message=masked(" ".join(message.split())),
        directory=str(directory) if directory else None,
    )
    try:
        ResultStore(CURRENT_JOB.store).add(
            failure,
            candidate=job.metadata.get("candidate", ""),
            campaign=job.metadata.get("campaign", ""),
        )
    except SsefwError:
        logger.exception("the reason of a failure could not be stored")
