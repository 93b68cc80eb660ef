"""What a campaign asks of a queue, and what it may take in all."""

import re
from typing import Any

from pydantic import Field, field_validator

from ssefw.campaigns.file.block import Block
from ssefw.units import AskedCoreHours, AskedCount, AskedCountOrNone

__all__ = ["BudgetSpec", "ResourcesSpec"]

WALLTIME = r"^(\d+-)?\d+:\d\d:\d\d$"


class ResourcesSpec(Block):
    """What the queue jobs of a stage ask for; what is left out is the site's.

    Attributes
    ----------
    tasks_per_node, cpus_per_task
        MPI ranks, and threads of each.
    memory
        Of each node, in MB.
    walltime
        ``H:MM:SS`` or ``D-HH:MM:SS``.
    directives
        Further options of the queue, as its manual writes them.
    """

    nodes: AskedCount | None = None
    tasks_per_node: AskedCount | None = None
    cpus_per_task: AskedCount | None = None
    gpus_per_node: AskedCountOrNone | None = None
    memory: AskedCount | None = None
    walltime: str | None = Field(None, pattern=WALLTIME)
    queue: str | None = None
    account: str | None = None
    directives: tuple[str, ...] | None = None

    @field_validator("walltime", mode="before")
    @classmethod
    def _clock(cls, walltime: Any) -> Any:
        # Without quotes YAML takes 24:00:00 for the number 86400.
        if walltime is not None and not re.match(WALLTIME, str(walltime)):
            raise ValueError('write it as "H:MM:SS" or "D-HH:MM:SS", with the quotes')
        if walltime is not None and not re.search("[1-9]", str(walltime)):
            raise ValueError("must be longer than nothing")
        return walltime

    @field_validator("queue", "account")
    @classmethod
    def _name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[\w.@:+,/=-]+", name):
            raise ValueError("is one word of letters, digits and . _ - + : , / = @")
        return name

    @field_validator("directives")
    @classmethod
    def _lines(cls, directives: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for line in directives or ():
            if not line.isprintable() or not line.strip():
                raise ValueError(f"each is one line of the job script's head, got {line!r}")
        return directives

    @property
    def minutes(self) -> int | None:
        """The walltime, rounded up to minutes."""
        if self.walltime is None:
            return None
        days, _, clock = self.walltime.rpartition("-")
        hours, minutes, seconds = map(int, clock.split(":"))
        return (int(days or 0) * 24 + hours) * 60 + minutes + (seconds > 0)


class BudgetSpec(Block):
    """What a campaign may take.

    Attributes
    ----------
    core_hours
        When they are spent, running jobs store what they have, and no new ones start.
    queue_jobs
        Most jobs in the queue at a time.
    """

    core_hours: AskedCoreHours | None = None
    queue_jobs: AskedCount | None = None
