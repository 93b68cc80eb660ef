"""Who a worker is: a process and its queue job, in a name from which its death can be told."""

import os
from dataclasses import dataclass

from ssefw.processes import Process, process_of, this_process
from ssefw.schedulers import SCHEDULERS

__all__ = ["Worker", "this_worker", "worker_of"]


@dataclass(frozen=True)
class Worker:
    """A worker process.

    Attributes
    ----------
    started, place
        See `ssefw.processes.Process`.
    queue, job_id
        The queue job it runs in; empty outside of a queue.
    """

    host: str
    pid: int
    started: str
    queue: str = ""
    job_id: str = ""
    cores: int = 1
    place: str = ""

    @property
    def process(self) -> Process:
        """The process."""
        return Process(self.host, self.pid, self.started, self.place)

    @property
    def name(self) -> str:
        """What its launch folder is called, and what `worker_of` reads."""
        name = self.process.name
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
        """Whether its process can be looked up from here."""
        return self.process.is_here

    @property
    def is_alive(self) -> bool:
        """Whether the process lives; only where `is_here` can that be told."""
        return self.process.is_alive

    @property
    def is_gone(self) -> bool:
        """Whether it is certain that the process has ended."""
        return self.process.is_gone


def this_worker() -> Worker:
    """Return this process as a worker."""
    me = this_process()
    queue, job_id = _queue_job()
    cores = os.environ.get("SSEFW_QUEUE_CORES") or os.environ.get("SSEFW_THREADS") or "1"
    return Worker(
        host=me.host,
        pid=me.pid,
        started=me.started,
        queue=queue,
        job_id=job_id,
        cores=int(cores),
        place=me.place,
    )


def worker_of(name: str) -> Worker | None:
    """Return the worker of a name, or None if it is none of ours."""
    words = name.split("+", 3)
    process = process_of("+".join(words[:3]))
    if process is None:
        return None
    queue, _, job_id = (words[3] if len(words) > 3 else "").partition(".")
    return Worker(
        host=process.host,
        pid=process.pid,
        started=process.started,
        queue=queue,
        job_id=job_id,
        place=process.place,
    )


def _queue_job() -> tuple[str, str]:
    for name, queue in SCHEDULERS.items():
        if job_id := os.environ.get(queue.job_variable):
            return name, job_id
    return "", ""
