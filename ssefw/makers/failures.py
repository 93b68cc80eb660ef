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
from ssefw.errors import DiskFullError, EngineError, NotNowError, SsefwError
from ssefw.files import disk_full
from ssefw.masking import masked
from ssefw.store import ResultStore
from ssefw.store.tenure import ensure_tenure

__all__ = ["LENIENT", "WATCHED", "failures_recorded", "note_failure", "recorded_failures"]

logger = logging.getLogger(__name__)

WATCHED = JobConfig(expose_store=True)
"""For a job that records why it failed."""

LENIENT = JobConfig(expose_store=True, on_missing_references=OnMissing.NONE)
"""For a job that also runs when those before it failed."""


@contextmanager
def failures_recorded() -> Iterator[None]:
    """Store a `Failure` when the current job raises, and let it raise.

    What cannot be done now is no failure, and neither is a full disk.
    """
    try:
        yield
    except NotNowError:
        raise
    except Exception as error:
        if disk_full(error):
            raise DiskFullError(_line(error)) from error
        note_failure(error)
        raise


def recorded_failures(*, candidate: str, campaign: str) -> tuple[Failure, ...]:
    """Return the failures of a candidate so far, the latest of each stage."""
    found = ResultStore(CURRENT_JOB.store).find(Failure, candidate=candidate, campaign=campaign)
    return tuple({failure.stage: failure for failure in found}.values())


def note_failure(error: Exception) -> None:
    """Store why something of the current job failed, whatever becomes of the rest of it."""
    job = CURRENT_JOB.job
    directory = error.directory if isinstance(error, EngineError) else None
    failure = Failure(
        stage=job.name,
        code=re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower(),
        message=masked(_line(error)),
        directory=str(directory) if directory else None,
    )
    try:
        ensure_tenure()
        ResultStore(CURRENT_JOB.store).add(
            failure,
            candidate=job.metadata.get("candidate", ""),
            campaign=job.metadata.get("campaign", ""),
        )
    except SsefwError:
        logger.exception("the reason of a failure could not be stored")


def _line(error: Exception) -> str:
    is_known = isinstance(error, SsefwError)
    return " ".join((str(error) if is_known else f"{type(error).__name__}: {error}").split())
