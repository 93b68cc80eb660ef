"""Slurm."""

import re
from collections.abc import Sequence
from pathlib import Path

from ssefw.schedulers.base import JobEnding, QueueJob, Resources, Scheduler

__all__ = ["Slurm"]


class Slurm(Scheduler):
    """``sbatch``, ``squeue``, ``scontrol`` and ``scancel``."""

    name = "slurm"
    submit_program = "sbatch"
    prefix = "#SBATCH"
    job_variable = "SLURM_JOB_ID"
    full = re.compile(r"submit limit|MaxSubmit|MaxJobs|queue is full|too many jobs", re.IGNORECASE)
    unknown = re.compile(r"invalid job id", re.IGNORECASE)
    pending = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD",
               "SPECIAL_EXIT")  # fmt: skip
    running = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT",
               "RESIZING")  # fmt: skip

    def fixed_options(self, name: str, log: str) -> list[str]:
        """Return name, log file, and no requeueing."""
        return [f"--job-name={name}", f"--output={log.replace('%', '%%')}", "--no-requeue"]

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
        return [QueueJob(f[0], self.state(f[1]), f[2]) for f in fields]

    def _find_command(self, name: str) -> list[str]:
        return ["squeue", "--noheader", "--name", name, "--format", "%A"]

    def ending(self, job_id: str) -> JobEnding:
        """Ask scontrol, which remembers some minutes."""
        said = self._ask("scontrol", "--oneliner", "show", "job", job_id).out
        fields = dict(word.split("=", 1) for word in said.split() if "=" in word)
        state = fields.get("JobState", "")
        if not state:
            return JobEnding("no longer known to the queue", failed=False)
        code = fields.get("ExitCode", "")
        failed = state in {"FAILED", "BOOT_FAIL", "OUT_OF_MEMORY"}
        return JobEnding(f"{state} {code}" if failed else state, failed=failed)

    def _cancel_command(self, job_id: str) -> list[str]:
        return ["scancel", job_id]

    def _signal_command(self, job_id: str) -> list[str]:
        return ["scancel", "--batch", "--signal=USR1", job_id]
