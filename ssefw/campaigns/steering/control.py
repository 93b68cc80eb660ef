"""Pause, cancel, rerun and reorder parts of a campaign."""

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssefw.campaigns.running.causes import FailedJob, failed_jobs
from ssefw.campaigns.running.watch import STAGES, latest_record
from ssefw.campaigns.running.worker_names import Worker, worker_of
from ssefw.campaigns.steering.holds import Hold, Kind, hold, jobs_query
from ssefw.errors import LaunchError
from ssefw.schedulers import SCHEDULERS
from ssefw.store import Connection
from ssefw.store.lookup import candidate_ids

__all__ = ["Part", "failed_in", "put_on_hold", "rerun", "set_priority", "stop_running"]

UNFINISHED = ("READY", "RUNNING", "RESERVED", "WAITING", "PAUSED")


@dataclass(frozen=True)
class Part:
    """A part of a campaign: all, some candidates, a stage, or a stage of some candidates."""

    campaign: str
    candidates: tuple[str, ...] = ()
    stage: str = ""

    @classmethod
    def named(
        cls, connection: Connection, campaign: str, *, candidates: Sequence[str], stage: str
    ) -> "Part":
        """Return a part whose candidates are given by id, formula, name, or an id's beginning.

        Parameters
        ----------
        connection
            The store.
        campaign
            Its name.
        candidates
            Words that name candidates; none means all.
        stage
            Beginning of the names of jobs, such as ``md 600 K``; empty means all.

        Raises
        ------
        StoreError
            If there is no such campaign, or it has no such candidate.
        LaunchError
            If there is no such stage.
        """
        latest_record(connection, campaign)
        ids: list[str] = []
        for word in candidates:
            ids += candidate_ids(connection, word, campaign=campaign)
        if stage and stage.partition(" ")[0] not in STAGES:
            raise LaunchError(
                f"{stage!r} is no stage: such as relax, md, or 'md 600 K'. "
                f"Known: {', '.join(STAGES)}."
            )
        return cls(campaign, tuple(dict.fromkeys(ids)), stage)

    @property
    def query(self) -> dict[str, Any]:
        """Its jobs on the launch pad."""
        return jobs_query(self.campaign, candidates=self.candidates, stage=self.stage)

    def hold(self, kind: Kind, *, reason: str = "") -> Hold:
        """Return the hold that keeps its jobs from running."""
        return Hold(self.campaign, kind, self.candidates, self.stage, reason)

    def count(self, connection: Connection, *states: str) -> int:
        """Return how many of its jobs are in any of the states."""
        query = {**self.query, "state": {"$in": list(states or UNFINISHED)}}
        return int(connection.launchpad.fireworks.count_documents(query))


def put_on_hold(connection: Connection, part: Part, kind: Kind, *, reason: str = "") -> bool:
    """Let no further job of a part start; return False if it was on hold already.

    Parameters
    ----------
    connection
        The store.
    part
        Of a campaign.
    kind
        Whether it is paused, cancelled, out of budget, or waits for a batch.
    reason
        For those who look.
    """
    return hold(connection, part.hold(kind, reason=reason))


def stop_running(connection: Connection, part: Part) -> tuple[int, int]:
    """Ask the workers that run jobs of a part to store what they have and go.

    Returns how many were asked, and how many cannot be reached from this machine.
    """
    reached: set[str] = set()
    out_of_reach: set[str] = set()
    launchpad = connection.launchpad
    for firework in launchpad.fireworks.find({**part.query, "state": "RUNNING"}, {"launches": 1}):
        launch = launchpad.launches.find_one(
            {"launch_id": firework["launches"][-1]}, {"launch_dir": True, "fworker.env": True}
        )
        worker = _worker(launch) if launch else None
        if worker is not None:
            (reached if _ask_to_stop(worker) else out_of_reach).add(worker.name)
    return len(reached), len(out_of_reach)


def _worker(launch: Mapping[str, Any]) -> Worker | None:
    worker = worker_of(Path(launch["launch_dir"]).parent.name)
    env = launch["fworker"].get("env") or {}
    if worker is None and env.get("job_id"):  # it reaches no database: only its queue job is known
        return Worker("", 0, "", env["queue"], str(env["job_id"]))
    return worker


def _ask_to_stop(worker: Worker) -> bool:
    if worker.is_here:
        if worker.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGUSR1)
        return True
    queue = SCHEDULERS.get(worker.queue)
    if queue is None or not queue.is_here:
        return False
    queue.ask_to_stop(worker.job_id)
    return True


def failed_in(connection: Connection, part: Part, *, cause: str | None = None) -> list[FailedJob]:
    """Return the failed jobs of a part, all or of one cause."""
    return [
        job
        for job in failed_jobs(connection, part.campaign)
        if (not part.candidates or job.candidate_id in part.candidates)
        and (not part.stage or job.name == part.stage or job.name.startswith(f"{part.stage} "))
        and (cause is None or job.cause.name == cause)
    ]


def rerun(connection: Connection, jobs: Sequence[FailedJob]) -> int:
    """Make failed jobs ready again; what they had computed is gone on with."""
    for job in jobs:
        connection.launchpad.rerun_fw(job.firework_id)
    return len(jobs)


def set_priority(connection: Connection, part: Part, priority: int) -> int:
    """Set the priority of the unfinished jobs of a part; those they bring forth take it from them.

    Returns how many.
    """
    query = {**part.query, "state": {"$in": list(UNFINISHED)}}
    done = connection.launchpad.fireworks.update_many(query, {"$set": {"spec._priority": priority}})
    return int(done.matched_count)
