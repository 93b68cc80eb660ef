"""A queue: submit a script, ask what became of it, cancel or signal it.

The programs of the queue are asked about jobs by id, never about "all jobs of this user": a job
that the answer leaves out is known to be gone. A queue that does not answer says nothing about any
job, and raises.
"""

import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from ssefw.errors import LaunchError

__all__ = [
    "JobEnding",
    "JobState",
    "QueueJob",
    "QueueSilentError",
    "Rejected",
    "Resources",
    "Scheduler",
]

PATIENCE = 60.0
"""Seconds a program of the queue has to answer."""

JobState = Literal["pending", "running", "ended"]


class QueueSilentError(LaunchError):
    """The queue does not answer; nothing is known of any job."""


class Rejected(LaunchError):  # noqa: N818 -- reads as "except Rejected"
    """The queue refuses a job.

    Attributes
    ----------
    is_full
        It would take the same job later.
    """

    def __init__(self, message: str, *, is_full: bool) -> None:
        super().__init__(message)
        self.is_full = is_full


@dataclass(frozen=True)
class Resources:
    """What a job asks of the queue; None leaves it to the queue.

    Attributes
    ----------
    tasks_per_node, cpus_per_task, gpus_per_node
        MPI ranks, threads of each, and GPUs.
    memory
        Of each node, in MB.
    walltime
        In minutes.
    queue
        Slurm's partition.
    directives
        Further options of the queue as its manual writes them, such as ``--constraint=gpu``.
    """

    nodes: int = 1
    tasks_per_node: int = 1
    cpus_per_task: int = 1
    gpus_per_node: int = 0
    memory: int | None = None
    walltime: int | None = None
    queue: str | None = None
    account: str | None = None
    directives: tuple[str, ...] = ()

    @property
    def cores(self) -> int:
        """Cores of all nodes."""
        return self.nodes * self.tasks_per_node * self.cpus_per_task

    @property
    def hours_and_minutes(self) -> tuple[int, int]:
        """The time limit as most queues want it."""
        return divmod(self.walltime or 0, 60)


@dataclass(frozen=True)
class QueueJob:
    """A job that the queue knows, and why it waits if it does."""

    job_id: str
    state: JobState
    reason: str = ""


@dataclass(frozen=True)
class JobEnding:
    """How a job ended, in the queue's own words.

    Attributes
    ----------
    failed
        It ended with an error of its own, rather than by a limit or a cancellation.
    """

    reason: str
    failed: bool


@dataclass(frozen=True)
class QueueAnswer:
    """What a program of the queue said."""

    out: str
    error: str
    code: int


class Scheduler(ABC):
    """A queue, through its command-line programs."""

    name: ClassVar[str]
    submit_program: ClassVar[str]
    prefix: ClassVar[str]
    job_variable: ClassVar[str]
    """Environment variable that has the id inside a job."""
    full: ClassVar[re.Pattern[str]]
    """What it says when it would take the job later."""
    unknown: ClassVar[re.Pattern[str]]
    """What it says of a job that it has forgotten."""
    pending: ClassVar[Collection[str]]
    running: ClassVar[Collection[str]]
    """Its words for jobs that wait and that run; any other is of a job that has ended."""

    @property
    def is_here(self) -> bool:
        """Whether its programs are on the PATH."""
        return shutil.which(self.submit_program) is not None

    def header(self, resources: Resources, *, name: str, log: Path) -> str:
        """Return the head of a job script.

        Raises
        ------
        LaunchError
            If an option holds a line break: the rest would be a line of the shell.
        """
        options = [*self.options(resources), *resources.directives]
        lines = [*self.fixed_options(name, _option_word(log)), *options]
        if bad := [line for line in lines if not line.isprintable()]:
            raise LaunchError(f"{bad[0]!r} is no option of a job: it has control characters.")
        return "\n".join(["#!/bin/bash", *(f"{self.prefix} {line}" for line in lines)])

    @abstractmethod
    def fixed_options(self, name: str, log: str) -> list[str]:
        """Return name, log file, and that the queue itself must not start the job again."""

    @abstractmethod
    def options(self, resources: Resources) -> list[str]:
        """Return the options that ask for resources."""

    def submit(self, script: Path) -> str:
        """Submit a script from its own folder and return the id of the job.

        Raises
        ------
        Rejected
            If the queue does not take it.
        QueueSilentError
            If the queue does not answer; the job may or may not be in it.
        """
        answer = self._ask(*self._submit_command(script), folder=script.parent)
        found = self._job_id(answer.out) if answer.code == 0 else None
        if found is not None:
            return found
        said = _one_line(answer.error or answer.out) or f"exit code {answer.code}"
        if SILENCE.search(said):
            raise QueueSilentError(f"{self.submit_program} does not reach the queue: {said}")
        raise Rejected(
            f"{self.submit_program} refuses the job: {said}. The script is {script}.",
            is_full=self.full.search(said) is not None,
        )

    def _submit_command(self, script: Path) -> list[str]:
        return [self.submit_program, str(script)]

    @abstractmethod
    def _job_id(self, said: str) -> str | None:
        """Return the id in what the submission printed."""

    def jobs(self, ids: Sequence[str]) -> dict[str, QueueJob]:
        """Return those of the jobs that wait or run; the others have ended.

        Raises
        ------
        QueueSilentError
            If the queue does not answer.
        """
        found: dict[str, QueueJob] = {}
        for start in range(0, len(ids), 200):
            answer = self._ask(*self._list_command(ids[start : start + 200]))
            if answer.code != 0 and not self._only_unknown(answer.error):
                said = _one_line(answer.error or answer.out)
                raise QueueSilentError(f"The queue does not say which jobs there are: {said}")
            listed = {job.job_id: job for job in self.parse(answer.out)}
            for job_id in ids[start : start + 200]:
                job = listed.get(self.bare(job_id))
                if job is not None and job.state != "ended":
                    found[job_id] = job
        return found

    def bare(self, job_id: str) -> str:
        """Return the id as the listing shows it."""
        return job_id

    def _only_unknown(self, said: str) -> bool:
        lines = [line for line in said.splitlines() if line.strip()]
        return bool(lines) and all(self.unknown.search(line) for line in lines)

    @abstractmethod
    def _list_command(self, ids: Sequence[str]) -> list[str]: ...

    def state(self, word: str) -> JobState:
        """Return what a word of the listing means."""
        return "pending" if word in self.pending else "running" if word in self.running else "ended"

    @abstractmethod
    def parse(self, listing: str) -> list[QueueJob]:
        """Read a listing of jobs."""

    def find(self, name: str) -> str | None:
        """Return the id of the job of a name, if it waits or runs."""
        answer = self._ask(*self._find_command(name))
        if answer.code != 0 and not self._only_unknown(answer.error):
            raise QueueSilentError(f"The queue does not answer: {_one_line(answer.error)}")
        words = answer.out.split()
        return words[0] if words else None

    @abstractmethod
    def _find_command(self, name: str) -> list[str]: ...

    @abstractmethod
    def ending(self, job_id: str) -> JobEnding:
        """Return how a job ended, as long as the queue remembers it."""

    def cancel(self, job_id: str) -> None:
        """End a job at once; one that has ended already is no error."""
        self._ask(*self._cancel_command(job_id))

    @abstractmethod
    def _cancel_command(self, job_id: str) -> list[str]: ...

    def ask_to_stop(self, job_id: str) -> None:
        """Send SIGUSR1 to the worker of a job: it stores what it has and goes."""
        self._ask(*self._signal_command(job_id))

    @abstractmethod
    def _signal_command(self, job_id: str) -> list[str]: ...

    def _ask(self, *command: str, folder: Path | None = None) -> QueueAnswer:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE, cwd=folder, check=False
            )
        except FileNotFoundError as error:
            raise LaunchError(
                f"{command[0]} is not on the PATH: start this on a node from which jobs are "
                f"submitted, or correct `scheduler` in the site's queue.yaml."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise QueueSilentError(f"{command[0]} took more than {PATIENCE:g} s.") from error
        return QueueAnswer(done.stdout, done.stderr, done.returncode)


def _option_word(path: Path) -> str:
    """Return a path as the queue's programs read it from the head of a script."""
    text = str(path)
    if re.fullmatch(r"[\w@+=:,./%-]*", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


SILENCE = re.compile(
    r"unable to contact|socket timed out|connection (refused|timed out)|communication|"
    r"cannot connect|LSF is down|temporarily unable|try later|slurm_persist_conn",
    re.IGNORECASE,
)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
