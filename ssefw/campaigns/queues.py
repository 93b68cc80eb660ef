"""Slurm, PBS and LSF: submit a script, ask what became of it, cancel or signal it.

The programs of the queue are asked about jobs by id, never about "all jobs of this user": a job
that the answer leaves out is known to be gone. A queue that does not answer says nothing about any
job, and raises.
"""

import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from ssefw.errors import LaunchError

__all__ = [
    "LSF",
    "PBS",
    "SCHEDULERS",
    "Ending",
    "QueueJob",
    "QueueSilentError",
    "Rejected",
    "Resources",
    "Scheduler",
    "Slurm",
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


@dataclass(frozen=True)
class QueueJob:
    """A job that the queue knows, and why it waits if it does."""

    job_id: str
    state: JobState
    reason: str = ""


@dataclass(frozen=True)
class Ending:
    """How a job ended, in the queue's own words.

    Attributes
    ----------
    failed
        It ended with an error of its own, rather than by a limit or a cancellation.
    """

    reason: str
    failed: bool


@dataclass(frozen=True)
class Answer:
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

    @property
    def is_here(self) -> bool:
        """Whether its programs are on the PATH."""
        return shutil.which(self.submit_program) is not None

    def header(self, resources: Resources, *, name: str, log: Path) -> str:
        """Return the head of a job script."""
        options = [*self.options(resources), *resources.directives]
        lines = [*self.fixed_options(name, log), *options]
        return "\n".join(["#!/bin/bash", *(f"{self.prefix} {line}" for line in lines)])

    @abstractmethod
    def fixed_options(self, name: str, log: Path) -> list[str]:
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
    def ending(self, job_id: str) -> Ending:
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

    def _ask(self, *command: str, folder: Path | None = None) -> Answer:
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
        return Answer(done.stdout, done.stderr, done.returncode)


SILENCE = re.compile(
    r"unable to contact|socket timed out|connection (refused|timed out)|communication|"
    r"cannot connect|LSF is down|temporarily unable|try later|slurm_persist_conn",
    re.IGNORECASE,
)


class Slurm(Scheduler):
    """``sbatch``, ``squeue``, ``scontrol`` and ``scancel``."""

    name = "slurm"
    submit_program = "sbatch"
    prefix = "#SBATCH"
    job_variable = "SLURM_JOB_ID"
    full = re.compile(r"submit limit|MaxSubmit|MaxJobs|queue is full|too many jobs", re.IGNORECASE)
    unknown = re.compile(r"invalid job id", re.IGNORECASE)
    STATES: ClassVar[Mapping[str, JobState]] = {
        **dict.fromkeys(
            ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD",
             "SPECIAL_EXIT"),
            "pending",
        ),
        **dict.fromkeys(
            ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"),
            "running",
        ),
    }  # fmt: skip

    def fixed_options(self, name: str, log: Path) -> list[str]:
        """Return name, log file, and no requeueing."""
        return [f"--job-name={name}", f"--output={log}", "--no-requeue"]

    def options(self, resources: Resources) -> list[str]:
        """Return what sbatch calls them."""
        wanted = {
            "nodes": resources.nodes,
            "ntasks-per-node": resources.tasks_per_node,
            "cpus-per-task": resources.cpus_per_task,
            "gpus-per-node": resources.gpus_per_node or None,
            "mem": f"{resources.memory}M" if resources.memory else None,
            "time": resources.walltime,
            "partition": resources.queue,
            "account": resources.account,
        }
        options = [f"--{key}={value}" for key, value in wanted.items() if value is not None]
        # Time to store what there is: five minutes, or a fifth of a short job.
        lead = min(300, 12 * resources.walltime) if resources.walltime else 300
        return [*options, f"--signal=B:USR1@{lead}"]

    def _submit_command(self, script: Path) -> list[str]:
        return ["sbatch", "--parsable", str(script)]

    def _job_id(self, said: str) -> str | None:
        found = re.match(r"(\d+)(;|\s|$)", said.strip().splitlines()[-1] if said.strip() else "")
        return found.group(1) if found else None

    def _list_command(self, ids: Sequence[str]) -> list[str]:
        return ["squeue", "--noheader", "--jobs", ",".join(ids), "--format", "%A|%T|%r"]

    def parse(self, listing: str) -> list[QueueJob]:
        """Read lines of ``id|STATE|reason``."""
        fields = (line.strip().split("|") for line in listing.splitlines() if line.count("|") >= 2)
        return [QueueJob(f[0], self.STATES.get(f[1], "ended"), f[2]) for f in fields]

    def _find_command(self, name: str) -> list[str]:
        return ["squeue", "--noheader", "--name", name, "--format", "%A"]

    def ending(self, job_id: str) -> Ending:
        """Ask scontrol, which remembers some minutes."""
        said = self._ask("scontrol", "--oneliner", "show", "job", job_id).out
        fields = dict(word.split("=", 1) for word in said.split() if "=" in word)
        state = fields.get("JobState", "")
        if not state:
            return Ending("no longer known to the queue", failed=False)
        code = fields.get("ExitCode", "")
        failed = state in {"FAILED", "BOOT_FAIL", "OUT_OF_MEMORY"}
        return Ending(f"{state} {code}" if failed else state, failed=failed)

    def _cancel_command(self, job_id: str) -> list[str]:
        return ["scancel", job_id]

    def _signal_command(self, job_id: str) -> list[str]:
        return ["scancel", "--batch", "--signal=USR1", job_id]


class PBS(Scheduler):
    """``qsub``, ``qstat``, ``qselect``, ``qdel`` and ``qsig`` of PBS Professional and OpenPBS."""

    name = "pbs"
    submit_program = "qsub"
    prefix = "#PBS"
    job_variable = "PBS_JOBID"
    full = re.compile(r"would exceed|exceeds? .*limit|maximum number of jobs|queue is full", re.I)
    unknown = re.compile(r"unknown job id|has finished", re.IGNORECASE)
    PENDING, RUNNING = "QHWT", "RESUB"

    def fixed_options(self, name: str, log: Path) -> list[str]:
        """Return name, one log file, and no rerunning."""
        return [f"-N {name}", "-j oe", f"-o {log}", "-r n"]

    def options(self, resources: Resources) -> list[str]:
        """Return a select statement and the rest."""
        ranks, threads = resources.tasks_per_node, resources.cpus_per_task
        chunk = f"{resources.nodes}:ncpus={ranks * threads}:mpiprocs={ranks}:ompthreads={threads}"
        if resources.gpus_per_node:
            chunk += f":ngpus={resources.gpus_per_node}"
        if resources.memory:
            chunk += f":mem={resources.memory}mb"
        lines = [f"-l select={chunk}"]
        if resources.walltime:
            hours, minutes = divmod(resources.walltime, 60)
            lines.append(f"-l walltime={hours:02d}:{minutes:02d}:00")
        if resources.queue:
            lines.append(f"-q {resources.queue}")
        if resources.account:
            lines.append(f"-A {resources.account}")
        return lines

    def _job_id(self, said: str) -> str | None:
        found = re.match(r"\d+(\[\])?(\.\S+)?$", said.strip())
        return found.group(0) if found else None

    def bare(self, job_id: str) -> str:
        """Leave out the server's name, which qstat cuts off at the width of its column."""
        return job_id.partition(".")[0]

    def _list_command(self, ids: Sequence[str]) -> list[str]:
        return ["qstat", *ids]

    def parse(self, listing: str) -> list[QueueJob]:
        """Read the table; its last two columns are state and queue."""
        jobs = []
        for line in listing.splitlines():
            fields = line.split()
            if len(fields) >= 5 and re.match(r"\d+(\[\])?\.", fields[0]):
                letter = fields[-2]
                state: JobState = "ended"
                if letter in self.PENDING:
                    state = "pending"
                elif letter in self.RUNNING:
                    state = "running"
                jobs.append(QueueJob(self.bare(fields[0]), state, letter))
        return jobs

    def _find_command(self, name: str) -> list[str]:
        return ["qselect", "-N", name]

    def ending(self, job_id: str) -> Ending:
        """Ask the history of finished jobs, where the server keeps one."""
        said = self._ask("qstat", "-x", "-f", job_id).out
        found = re.search(r"Exit_status\s*=\s*(-?\d+)", said)
        if found is None:
            return Ending("no longer known to the queue", failed=False)
        code = int(found.group(1))
        # 256 and more is a signal; -29 is the limit of time; 1 to 255 the script's own.
        return Ending(f"Exit_status {code}", failed=0 < code < 256)

    def _cancel_command(self, job_id: str) -> list[str]:
        return ["qdel", job_id]

    def _signal_command(self, job_id: str) -> list[str]:
        return ["qsig", "-s", "SIGUSR1", job_id]


class LSF(Scheduler):
    """``bsub``, ``bjobs`` and ``bkill``."""

    name = "lsf"
    submit_program = "bsub"
    prefix = "#BSUB"
    job_variable = "LSB_JOBID"
    full = re.compile(r"pending job (threshold|limit)|job limit reached|too many jobs", re.I)
    unknown = re.compile(r"is not found|no matching job|no unfinished job", re.IGNORECASE)
    PENDING = frozenset({"PEND", "PSUSP", "WAIT", "PROV"})
    RUNNING = frozenset({"RUN", "USUSP", "SSUSP", "UNKWN", "ZOMBI"})

    def fixed_options(self, name: str, log: Path) -> list[str]:
        """Return name, log file, no rerunning, and a signal before the end."""
        return [f"-J {name}", f"-o {log}", "-rn", "-wt 2", "-wa USR1"]

    def options(self, resources: Resources) -> list[str]:
        """Return what bsub calls them."""
        per_node = resources.tasks_per_node * resources.cpus_per_task
        lines = [f"-n {resources.cores}", f'-R "span[ptile={per_node}]"']
        if resources.memory:
            lines.append(f"-M {resources.memory}MB")
        if resources.gpus_per_node:
            lines.append(f'-gpu "num={resources.gpus_per_node}"')
        if resources.walltime:
            hours, minutes = divmod(resources.walltime, 60)
            lines.append(f"-W {hours}:{minutes:02d}")
        if resources.queue:
            lines.append(f"-q {resources.queue}")
        if resources.account:
            lines.append(f"-P {resources.account}")
        return lines

    def _submit_command(self, script: Path) -> list[str]:
        # bsub reads the #BSUB lines of its standard input only.
        return ["sh", "-c", 'bsub < "$1"', "sh", str(script)]

    def _job_id(self, said: str) -> str | None:
        found = re.search(r"Job <(\d+)> is submitted", said)
        return found.group(1) if found else None

    def _list_command(self, ids: Sequence[str]) -> list[str]:
        return ["bjobs", "-noheader", "-o", "jobid stat delimiter='|'", *ids]

    def parse(self, listing: str) -> list[QueueJob]:
        """Read lines of ``id|STAT``."""
        jobs = []
        for line in listing.splitlines():
            job_id, bar, stat = line.strip().partition("|")
            if bar and job_id.isdigit():
                state: JobState = "ended"
                if stat in self.PENDING:
                    state = "pending"
                elif stat in self.RUNNING:
                    state = "running"
                jobs.append(QueueJob(job_id, state, stat))
        return jobs

    def _find_command(self, name: str) -> list[str]:
        return ["bjobs", "-noheader", "-J", name, "-o", "jobid"]

    def ending(self, job_id: str) -> Ending:
        """Ask bjobs, which remembers about an hour."""
        command = ("bjobs", "-a", "-noheader", "-o", "stat exit_code exit_reason delimiter='|'")
        fields = self._ask(*command, job_id).out.strip().split("|")
        if len(fields) < 3:
            return Ending("no longer known to the queue", failed=False)
        reason = " ".join(field for field in fields if field not in {"", "-"})
        return Ending(reason, failed=fields[0] == "EXIT" and "TERM_" not in fields[2])

    def _cancel_command(self, job_id: str) -> list[str]:
        return ["bkill", job_id]

    def _signal_command(self, job_id: str) -> list[str]:
        return ["bkill", "-s", "USR1", job_id]


SCHEDULERS: dict[str, Scheduler] = {queue.name: queue for queue in (Slurm(), PBS(), LSF())}
"""The queues by the name that a site's ``queue.yaml`` gives."""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
