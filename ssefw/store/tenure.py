"""Whether the job that this process runs is still its own.

A worker that was frozen for longer than its lease counts as dead, and its job is given to another.
When it wakes up, it must not write over what the other has written. So whoever stores what a job
has computed asks here first. Outside of a worker, in somebody's own flow, everything is one's own.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from jobflow import JobStore

from ssefw.errors import TakenError

__all__ = ["TenuredJobStore", "ensure_tenure", "tenure"]

_checks: list[Callable[[], bool]] = []
"""A fact about the whole process, as is the signal that asks it to stop."""


@contextlib.contextmanager
def tenure(is_ours: Callable[[], bool]) -> Iterator[None]:
    """Run a job in a block that may lose it to another worker, which `is_ours` tells."""
    _checks.append(is_ours)
    try:
        yield
    finally:
        _checks.remove(is_ours)


def ensure_tenure() -> None:
    """Do nothing if this process still holds its job.

    Raises
    ------
    TakenError
        If the job was given to another worker.
    """
    if not all(is_ours() for is_ours in _checks):
        raise TakenError(
            "This worker gave no sign of life for longer than its lease, and its job was given to "
            "another: what this one has computed is not kept."
        )


class TenuredJobStore(JobStore):
    """jobflow's JobStore, which takes no output of a job that was given to another worker."""

    def update(self, *args: Any, **options: Any) -> None:
        """Store outputs."""
        ensure_tenure()
        super().update(*args, **options)
