"""What whoever waits for jobs does at each look, so that nobody waits for what will not come.

A supervisor, a launcher and a worker without a job look alike: jobs of dead workers are given
back, interrupted operations are brought to their end, and what dead workers have left behind is
cleared away. Never that of a live one.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ssefw.campaigns.running.heartbeat import HeartbeatWatch
from ssefw.campaigns.running.jobs import RUN_FOLDER
from ssefw.campaigns.running.lost import release_lost
from ssefw.campaigns.running.unfinished_writes import UnfinishedWrites
from ssefw.campaigns.running.worker_names import worker_of
from ssefw.campaigns.steering.holds import WORKERS
from ssefw.engines import noted_folder
from ssefw.store import Connection

__all__ = ["LAUNCHES", "Upkeep"]

logger = logging.getLogger(__name__)

LAUNCHES = "launches"
"""Below the scratch folder, where each worker has a folder with one for each job."""
TIDY_SECONDS = 60.0
"""Between two rounds of clearing away, which reads folders."""


@dataclass
class Upkeep:
    """Looks after jobs and unfinished writes; keep one for as long as you wait.

    Attributes
    ----------
    scratch
        Where workers have their folders.
    ask_queue
        Whether to ask the queue about its jobs.
    """

    connection: Connection
    scratch: Path
    ask_queue: bool = True
    _lookout: HeartbeatWatch = field(default_factory=HeartbeatWatch)
    _departed: HeartbeatWatch = field(default_factory=HeartbeatWatch)
    _unfinished: UnfinishedWrites = field(default_factory=UnfinishedWrites)
    _looked: float | None = None
    _tidied: float | None = None

    def look(self, *, every: float = 0.0) -> list[int]:
        """Do what is due, and return the ids of the jobs that were given back.

        Parameters
        ----------
        every
            Do nothing if the last look is not so many seconds ago.
        """
        now = time.monotonic()
        if self._looked is not None and now - self._looked < every:
            return []
        self._looked = now
        self._unfinished.mend(self.connection)
        released = release_lost(self.connection, lookout=self._lookout, ask_queue=self.ask_queue)
        if released or self._tidied is None or now - self._tidied >= TIDY_SECONDS:
            self._tidied = now
            self.tidy()
        return released

    def tidy(self) -> None:
        """Forget workers that are gone, and remove what they left in the scratch folder."""
        workers = self.connection.database[WORKERS]
        known = {record["_id"] for record in workers.find({}, {"_id": True})}
        folders = {path.name: path for path in _subfolders(self.scratch / LAUNCHES)}
        busy = self._busy()
        idle = {name for name in known | folders.keys() if name not in busy and worker_of(name)}
        silent = self._departed.silent(self.connection, idle) | self._lookout.fallen
        for name in sorted(idle):
            worker = worker_of(name)
            if worker is None or not (worker.is_gone or (name in silent and not worker.is_here)):
                continue
            if name in known:
                workers.delete_one({"_id": name})
            if name in folders:
                _clear(folders[name])
        self._close_launches()

    def _busy(self) -> set[str]:
        """Return the workers whose jobs count as running."""
        launchpad = self.connection.launchpad
        jobs = launchpad.fireworks.find({"state": "RUNNING"}, {"launches": True})
        ids = sorted(job["launches"][-1] for job in jobs if job["launches"])
        found = launchpad.launches.find({"launch_id": {"$in": ids}}, {"launch_dir": True})
        return {Path(launch["launch_dir"]).parent.name for launch in found}

    def _close_launches(self) -> None:
        """Let launches that were given up no longer count as running."""
        launchpad = self.connection.launchpad
        for launch in list(launchpad.launches.find({"state": "RUNNING"}, {"launch_id": True})):
            given_up = {"archived_launches": launch["launch_id"]}
            if launchpad.fireworks.find_one(given_up, {"_id": True}) is not None:
                launchpad.launches.update_one(
                    {"launch_id": launch["launch_id"], "state": "RUNNING"},
                    {"$set": {"state": "FIZZLED"}},
                )


def _subfolders(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (path for path in folder.iterdir() if path.is_dir())


def _clear(folder: Path) -> None:
    """Remove the launch folders of a worker, but those in which an engine has left files."""
    for path in _subfolders(folder):
        with contextlib.suppress(OSError):
            job, whereabouts = path / "FW.json", path / RUN_FOLDER
            # Where a failed job calculated stays on record; what was killed runs elsewhere now.
            if job.exists() or noted_folder(whereabouts) is None:
                whereabouts.unlink(missing_ok=True)
            job.unlink(missing_ok=True)
            path.rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()
