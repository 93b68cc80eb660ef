"""Killing a campaign with all its processes, and comparing what it found with another's."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from ssefw.documents import Outcome, RelaxResult
from ssefw.documents import Trajectory as Ledger
from ssefw.store import connect, open_blobs
from ssefw.store.frames.trajectories import TrajectoryStore


def worker_pids(folder):
    """Return the workers of a campaign: processes that work in its folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"work" in words and (process / "cwd").resolve().is_relative_to(folder):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def results(folder):
    """Return what a campaign found, without times and job ids."""
    timing = {"wall_time", "core_hours", "created", "started", "job_id", "segments", "cost"}

    def strip(record):
        if isinstance(record, dict):
            return {key: strip(value) for key, value in record.items() if key not in timing}
        return [strip(item) for item in record] if isinstance(record, list) else record

    store = TrajectoryStore(open_blobs(folder / "st"))
    with connect(folder / "st", read_only=True) as connection:
        outcomes = list(connection.results.find(Outcome))
        ledgers = list(connection.results.find(Ledger))
        n_relaxed = connection.results.count(RelaxResult)
    frames = {
        ledger.key: np.concatenate([chunk.positions for chunk in store.chunks(ledger)])
        for ledger in ledgers
    }
    stripped = {outcome.formula: strip(outcome.as_dict()) for outcome in outcomes}
    return stripped, ledgers, frames, (len(outcomes), len(ledgers), n_relaxed)


def kill_9(process, folder, *, workers_too):
    """Kill a supervisor, perhaps with its workers, wait until all are gone, and count these."""
    pids = worker_pids(folder)
    process.kill()
    with process.stderr:
        process.wait()
    if workers_too:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while worker_pids(folder) and time.monotonic() < deadline:
        time.sleep(0.05)  # workers that lost their parent stop at the next chunk
    return len(pids)
