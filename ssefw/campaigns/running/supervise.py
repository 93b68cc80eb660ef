"""Worker processes on this machine, started, watched and stopped together."""

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ssefw.campaigns.running.gpus import VISIBLE, least_used, visible_gpus
from ssefw.settings import Settings

__all__ = ["WorkerProcesses", "worker_count"]

logger = logging.getLogger(__name__)

MAX_REPLACED = 10
"""How many killed workers are replaced; a machine without memory would kill for ever."""
KILLERS = {-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT}
"""Exit codes of workers that did not end by themselves; SIGTERM is how they are asked to."""
SET_PARENT_DEATH_SIGNAL = 1
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def worker_count(settings: Settings, *, n_gpus: int = 0) -> int:
    """Return how many workers to start: as set, else one for each core this process may use.

    Parameters
    ----------
    n_gpus
        Graphics cards, where the campaign computes on them: then one for each.
    """
    if settings.workers:
        return settings.workers
    if n_gpus:
        return n_gpus
    return max(1, len(os.sched_getaffinity(0)) // settings.threads)


@dataclass
class WorkerProcesses:
    """Worker processes, ``ssefw work`` each, of one supervisor.

    They stop at the next chunk of frames when they are told to, or when the supervisor dies. Where
    there are graphics cards, each sees one of them only.
    """

    settings: Settings
    campaign: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    n_replaced: int = 0
    gpus: list[str] = field(default_factory=visible_gpus)
    gpu_of: dict[int, str | None] = field(default_factory=dict)

    def start(self, count: int, *, log: Path) -> None:
        """Start workers; what they say goes to a file."""
        environment = os.environ | {
            "SSEFW_STORE": self.settings.store,
            **dict.fromkeys(THREAD_VARIABLES, str(self.settings.threads)),
        }
        log.parent.mkdir(parents=True, exist_ok=True)
        # Without -P, a queue.py in this folder would take the place of Python's.
        command = [sys.executable, "-P", "-m", "ssefw", "work", "--campaign", self.campaign]
        with log.open("ab") as file:
            for _ in range(count):
                gpu = least_used(self.gpus, (self.gpu_of[p.pid] for p in self.processes))
                process = subprocess.Popen(
                    command,
                    env=environment | ({} if gpu is None else {VISIBLE: gpu}),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    preexec_fn=_stop_with_parent,  # noqa: PLW1509 - only a system call
                    start_new_session=True,
                )
                self.processes.append(process)
                self.gpu_of[process.pid] = gpu

    def goes_on(self, *, log: Path) -> bool:
        """Return whether any worker lives; one that was killed or crashed is replaced before."""
        killed = [process for process in self.processes if process.poll() in KILLERS]
        for process in killed[: MAX_REPLACED - self.n_replaced]:
            name = signal.Signals(-process.returncode).name
            logger.warning("a worker ended by %s; another takes its place", name)
            self.processes.remove(process)
            self.n_replaced += 1
            self.start(1, log=log)
        return self.is_working

    @property
    def is_working(self) -> bool:
        """Whether any worker lives."""
        return any(process.poll() is None for process in self.processes)

    @property
    def crashed(self) -> list[int]:
        """Exit codes of the workers that did not end by themselves."""
        codes = [process.poll() for process in self.processes]
        return [code for code in codes if code]

    def stop(self) -> None:
        """Ask all workers to store what they have and go, and wait for them."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait()

    @contextlib.contextmanager
    def on_duty(self) -> Iterator[None]:
        """Stop the workers when the block is left, however."""
        try:
            yield
        finally:
            if self.is_working:
                self.stop()


def _stop_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent dies (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
