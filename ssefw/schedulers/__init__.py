"""The queues of clusters, through their own programs."""

from ssefw.schedulers.base import (
    JobEnding,
    QueueJob,
    QueueSilentError,
    Rejected,
    Resources,
    Scheduler,
)
from ssefw.schedulers.lsf import LSF
from ssefw.schedulers.pbs import PBS
from ssefw.schedulers.slurm import Slurm

__all__ = [
    "LSF",
    "PBS",
    "SCHEDULERS",
    "JobEnding",
    "QueueJob",
    "QueueSilentError",
    "Rejected",
    "Resources",
    "Scheduler",
    "Slurm",
]

SCHEDULERS: dict[str, Scheduler] = {queue.name: queue for queue in (Slurm(), PBS(), LSF())}
"""The queues by the name that a site's ``queue.yaml`` gives."""
