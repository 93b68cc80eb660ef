"""LSF."""

import re
from collections.abc import Sequence
from pathlib import Path

from ssefw.schedulers.base import JobEnding, QueueJob, Resources, Scheduler

__all__ = ["LSF"]


class LSF(Scheduler):
    """``bsub``, ``bjobs`` and ``bkill``."""

    name = "lsf"
    submit_program = "bsub"
    prefix = "#BSUB"
    job_variable = "LSB_JOBID"
    full = re.compile(r"pending job (threshold|limit)|job limit reached|too many jobs", re.I)
    unknown = re.compile(r"is not found|no matching job|no unfinished job", re.IGNORECASE)
    pending = frozenset({"PEND", "PSUSP", "WAIT", "PROV"})
    running = frozenset({"RUN", "USUSP", "SSUSP", "UNKWN", "ZOMBI"})

    def fixed_options(self, name: str, log: str) -> list[str]:
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
            hours, minutes = resources.hours_and_minutes
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
        fields = (line.strip().partition("|") for line in listing.splitlines())
        return [
            QueueJob(job_id, self.state(word), word)
            for job_id, bar, word in fields
            if bar and job_id.isdigit()
        ]

    def _find_command(self, name: str) -> list[str]:
        return ["bjobs", "-noheader", "-J", name, "-o", "jobid"]

    def ending(self, job_id: str) -> JobEnding:
        """Ask bjobs, which remembers about an hour."""
        command = ("bjobs", "-a", "-noheader", "-o", "stat exit_code exit_reason delimiter='|'")
        fields = self._ask(*command, job_id).out.strip().split("|")
        if len(fields) < 3:
            return JobEnding("no longer known to the queue", failed=False)
        reason = " ".join(field for field in fields if field not in {"", "-"})
        return JobEnding(reason, failed=fields[0] == "EXIT" and "TERM_" not in fields[2])

    def _cancel_command(self, job_id: str) -> list[str]:
        return ["bkill", job_id]

    def _signal_command(self, job_id: str) -> list[str]:
        return ["bkill", "-s", "USR1", job_id]
