"""How many MPI ranks a command starts, and how many cores a calculation holds."""

import itertools
import os
from collections.abc import Sequence

from ssefw.settings import load_settings

__all__ = ["cores_held", "rank_count"]

RANK_OPTIONS = ("-np", "-n", "--ntasks", "-c")
RANK_VARIABLES = ("SLURM_NTASKS", "PBS_NP", "LSB_DJOB_NUMPROC")


def cores_held(ranks: int = 1) -> int:
    """Return the cores a calculation holds: those of its queue job, or its threads on each rank.

    A core-hour is an hour of one of them, whether it was busy or not: what a queue accounts.
    """
    queue = os.environ.get("SSEFW_QUEUE_CORES")
    return int(queue) if queue else ranks * load_settings().settings.threads


def rank_count(words: Sequence[str]) -> int:
    """Return the number of MPI ranks a command starts: what it says, else the allocation's."""
    for option, value in itertools.pairwise(words):
        if option in RANK_OPTIONS and value.isdigit():
            return int(value)
    for word in words:
        if word.startswith("--ntasks=") and word.partition("=")[2].isdigit():
            return int(word.partition("=")[2])
    if words and os.path.basename(words[0]) in ("mpirun", "mpiexec", "srun"):  # noqa: PTH119
        for name in RANK_VARIABLES:
            if os.environ.get(name, "").isdigit():
                return int(os.environ[name])
    return 1
