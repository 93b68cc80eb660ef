"""When the allocation of this job ends, as its scheduler tells.

Each scheduler is known by the variable it sets, and asked by its own program. A scheduler that does
not answer is no error: the job then runs until it is told to stop.
"""

import logging
import os
import re
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache

from ssefw.schedulers.lsf import LSF
from ssefw.schedulers.pbs import PBS
from ssefw.schedulers.slurm import Slurm

__all__ = ["scheduler_end_time"]

logger = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds a scheduler has to answer."""

STARTED = time.time()
"""When this process began; for a scheduler that tells the length of a job but not its start."""


@cache
def scheduler_end_time() -> float | None:
    """Return the end of this job's allocation (seconds since the epoch), if it can be learnt."""
    for variable, ask in END_OF_JOB.items():
        if job := os.environ.get(variable):
            try:
                return ask(job)
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                logger.warning(
                    "%s=%s, but its scheduler does not tell when the job ends (%s); "
                    "set SSEFW_END_TIME",
                    variable,
                    job,
                    error,
                )
    return None


def _answer(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout


def _slurm(job: str) -> float | None:
    """Read ``2026-11-21T10:30:00``; a job without limit has NONE."""
    told = _answer("squeue", "--noheader", "--jobs", job, "--format", "%e").strip()
    if told in {"", "NONE", "N/A", "Unknown"}:
        return None
    return datetime.fromisoformat(told.split("\n", maxsplit=1)[0]).astimezone().timestamp()


def _pbs(job: str) -> float | None:
    """Add the walltime to the start; PBS calls that stime, Torque start_time."""
    told = _answer("qstat", "-f", job)
    limit = re.search(r"Resource_List\.walltime = ([\d:]+)", told)
    if limit is None:
        return None
    start = re.search(r"(?:stime|start_time) = (\w{3} \w{3} +\d+ [\d:]{8} \d{4})", told)
    began = STARTED if start is None else _local(start[1], "%a %b %d %H:%M:%S %Y")
    return began + _seconds(limit[1])


def _lsf(job: str) -> float | None:
    """Read the time left, as in ``11:35 L`` (hours and minutes); without limit it is a dash."""
    told = re.match(r"\s*(\d+):(\d+)", _answer("bjobs", "-noheader", "-o", "time_left", job))
    return None if told is None else time.time() + 3600 * int(told[1]) + 60 * int(told[2])


def _grid_engine(job: str) -> float | None:
    """Read the hard limit h_rt, which counts from the start of the job."""
    told = re.search(r"h_rt=([\d:]+)", _answer("qstat", "-j", job))
    return None if told is None else STARTED + _seconds(told[1])


def _seconds(clock: str) -> float:
    """Return the seconds of ``days:hours:minutes:seconds``, less parts being fewer units."""
    parts = [int(part) for part in clock.split(":")]
    factors = (1, 60, 3600, 86400)
    return float(sum(n * f for n, f in zip(reversed(parts), factors, strict=False)))


def _local(text: str, form: str) -> float:
    return datetime.strptime(text, form).astimezone().timestamp()


END_OF_JOB: dict[str, Callable[[str], float | None]] = {
    Slurm.job_variable: _slurm,
    PBS.job_variable: _pbs,
    LSF.job_variable: _lsf,
    "JOB_ID": _grid_engine,  # which is never submitted to, but may run a worker
}
"""Variable that a scheduler sets to the number of the job, and how it is asked for its end."""
