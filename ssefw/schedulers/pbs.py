"""PBS Professional and OpenPBS."""

import re
from collections.abc import Sequence

from ssefw.schedulers.base import JobEnding, QueueJob, Resources, Scheduler

__all__ = ["PBS"]


class PBS(Scheduler):
    """``qsub``, ``qstat``, ``qselect``, ``qdel`` and ``qsig`` of PBS Professional and OpenPBS."""

    name = "pbs"
    submit_program = "qsub"
    prefix = "#PBS"
    job_variable = "PBS_JOBID"
    full = re.compile(r"would exceed|exceeds? .*limit|maximum number of jobs|queue is full", re.I)
    unknown = re.compile(r"unknown job id|has finished", re.IGNORECASE)
    pending, running = frozenset("QHWT"), frozenset("RESUB")

    def fixed_options(self, name: str, log: str) -> list[str]:
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
            hours, minutes = resources.hours_and_minutes
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
                jobs.append(QueueJob(self.bare(fields[0]), self.state(letter), letter))
        return jobs

    def _find_command(self, name: str) -> list[str]:
        return ["qselect", "-N", name]

    def ending(self, job_id: str) -> JobEnding:
        """Ask the history of finished jobs, where the server keeps one."""
        said = self._ask("qstat", "-x", "-f", job_id).out
        found = re.search(r"Exit_status\s*=\s*(-?\d+)", said)
        if found is None:
            return JobEnding("no longer known to the queue", failed=False)
        code = int(found.group(1))
        # 256 and more is a signal; -29 is the limit of time; 1 to 255 the script's own.
        return JobEnding(f"Exit_status {code}", failed=0 < code < 256)

    def _cancel_command(self, job_id: str) -> list[str]:
        return ["qdel", job_id]

    def _signal_command(self, job_id: str) -> list[str]:
        return ["qsig", "-s", "SIGUSR1", job_id]
