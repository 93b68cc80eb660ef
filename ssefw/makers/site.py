"""Where a job runs: the scratch folder and blob store of this process's settings."""

from functools import cache
from pathlib import Path

from ssefw.settings import load_settings
from ssefw.store import open_blobs
from ssefw.store.trajectories import TrajectoryStore

__all__ = ["run_folder", "trajectories"]


def trajectories() -> TrajectoryStore:
    """Return the trajectory store of the settings."""
    return _trajectories(load_settings().settings.store)


@cache
def _trajectories(address: str) -> TrajectoryStore:
    return TrajectoryStore(open_blobs(address))


def run_folder(key: str) -> Path:
    """Return the folder of a run, the same for every process that may continue it."""
    return load_settings().settings.scratch_folder() / "runs" / key
