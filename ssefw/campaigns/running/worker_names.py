"""Who a worker is: host, process and queue job, in a name from which its death can be told."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from ssefw.schedulers import SCHEDULERS

__all__ = ["Worker", "this_worker", "worker_of"]


@dataclass(frozen=True)
class Worker:
    """A worker process.

    Attributes
    ----------
    started
        When the process started, in clock ticks since the boot of its host: no two processes have
        the same pid and start.
    queue, job_id
        The queue job it runs in; empty outside of a queue.
    """

    host: str
    pid: int
    started: str
    queue: str = ""
    job_id: str = ""
    cores: int = 1

    @property
    def name(self) -> str:
        """What its launch folder is called, and what `worker_of` reads."""
        name = f"{self.host}+{self.pid}+{self.started}"
        return f"{name}+{self.queue}.{self.job_id}" if self.queue else name

    @property
    def record(self) -> dict[str, str | int]:
        """What is kept with each launch."""
        return {
            "host": self.host,
            "pid": self.pid,
            "queue": self.queue,
            "job_id": self.job_id,
            "cores": self.cores,
        }

    @property
    def is_here(self) -> bool:
        """Whether it ran on this machine."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether the process lives; only on its own machine can that be told."""
        return _started(self.pid) == self.started


def this_worker() -> Worker:
    """Return this process as a worker."""
    pid = os.getpid()
    queue, job_id = _queue_job()
    cores = os.environ.get("SSEFW_QUEUE_CORES") or os.environ.get("SSEFW_THREADS") or "1"
    return Worker(
        host=socket.gethostname(),
        pid=pid,
        started=_started(pid) or "",
        queue=queue,
        job_id=job_id,
        cores=int(cores),
    )


def worker_of(name: str) -> Worker | None:
    """Return the worker of a name, or None if it is none of ours."""
    host, _, rest = name.partition("+")
    pid, _, rest = rest.partition("+")
    started, _, rest = rest.partition("+")
    queue, _, job_id = rest.partition(".")
    if not pid.isdigit():
        return None
    return Worker(host=host, pid=int(pid), started=started, queue=queue, job_id=job_id)


def _queue_job() -> tuple[str, str]:
    for name, queue in SCHEDULERS.items():
        if job_id := os.environ.get(queue.job_variable):
            return name, job_id
    return "", ""


def _started(pid: int) -> str | None:
    """Return when a process started, or None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
