"""Which graphics cards workers of this machine may use, one each."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ssefw.campaigns.file import CampaignSpec

__all__ = ["VISIBLE", "computes_on_gpus", "least_used", "own_gpu", "visible_gpus"]

VISIBLE = "CUDA_VISIBLE_DEVICES"
DEVICES = Path("/dev")
LOCAL_RANKS = ("SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PMI_LOCAL_RANK")
"""How srun and mpirun number the processes that they start on a node."""


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of the cards that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    if VISIBLE in environment:
        names = (name.strip() for name in environment[VISIBLE].split(","))
        # What is not there, such as -1 or NoDevFiles, hides itself and all that follow.
        found = []
        for name in names:
            if not (name.isdigit() or name.startswith(("GPU-", "MIG-"))):
                break
            found.append(name)
        return found
    cards = DEVICES.glob("nvidia[0-9]*")
    return sorted((card.name.removeprefix("nvidia") for card in cards), key=int)


def least_used(gpus: Sequence[str], used: Iterable[str | None]) -> str | None:
    """Return the card that fewest workers use, the first of several; None without cards."""
    counts = Counter(used)
    return min(gpus, key=counts.__getitem__, default=None)


def own_gpu(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the card of a worker that srun or mpirun started as one of several on a node.

    None where it is alone, or one card or none is to be seen anyway.
    """
    gpus = visible_gpus(environment)
    ranks = (environment.get(name, "") for name in LOCAL_RANKS)
    rank = next((int(rank) for rank in ranks if rank.isdigit()), None)
    if rank is None or len(gpus) < 2:
        return None
    return gpus[rank % len(gpus)]


def computes_on_gpus(spec: CampaignSpec) -> bool:
    """Return whether an engine of a campaign asks for a graphics card."""
    bands = [spec.neb.engine, spec.neb.first] if spec.neb else []
    options = (engine.options for engine in (spec.engine, *bands) if engine)
    return any(str(each.get("device") or "").startswith("cuda") for each in options)
