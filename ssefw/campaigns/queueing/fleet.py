"""What runs where: queue jobs, failures by cause, and what was lost and found again."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from ssefw.campaigns.queueing.launcher import QUEUE_JOBS
from ssefw.campaigns.running.causes import Cause, FailedJob, failed_jobs
from ssefw.campaigns.running.lost import INCIDENTS
from ssefw.store import Connection

__all__ = ["FailureGroup", "Fleet", "QueuedWorker", "fleet"]


@dataclass(frozen=True)
class QueuedWorker:
    """A queue job, and what it runs now."""

    job_id: str
    state: str
    reason: str
    categories: str
    running: str = ""


@dataclass(frozen=True)
class FailureGroup:
    """Failed jobs of one cause."""

    cause: Cause
    jobs: tuple[FailedJob, ...]


@dataclass(frozen=True)
class Fleet:
    """The queue side of a campaign.

    Attributes
    ----------
    incidents
        How often jobs were given back or tried again, by cause.
    """

    workers: tuple[QueuedWorker, ...]
    failures: tuple[FailureGroup, ...]
    incidents: dict[str, int]


def fleet(connection: Connection, campaign: str) -> Fleet:
    """Return queue jobs, failures by cause with the most frequent first, and incidents."""
    database = connection.database
    active = database[QUEUE_JOBS].find({"campaign": campaign, "state": {"$ne": "ended"}})
    running = _running(connection, campaign)
    groups: dict[str, list[FailedJob]] = {}
    for job in failed_jobs(connection, campaign):
        groups.setdefault(job.cause.name, []).append(job)
    return Fleet(
        workers=tuple(
            QueuedWorker(
                job_id=job["job_id"] or "?",
                state=job["state"],
                reason=job["reason"],
                categories=job["categories"],
                running=running.get(job["job_id"], ""),
            )
            for job in active
        ),
        failures=tuple(
            FailureGroup(jobs[0].cause, tuple(jobs))
            for jobs in sorted(groups.values(), key=len, reverse=True)
        ),
        incidents=dict(
            Counter(item["cause"] for item in database[INCIDENTS].find({"campaign": campaign}))
        ),
    )


def _running(connection: Connection, campaign: str) -> dict[str, str]:
    """Return what each queue job runs."""
    query = {"spec.campaign": campaign, "state": "RUNNING"}
    wanted = {"name": True, "launches": True}
    names = {
        firework["launches"][-1]: firework["name"]
        for firework in connection.launchpad.fireworks.find(query, wanted)
        if firework["launches"]
    }
    found: dict[str, str] = {}
    launches: Any = connection.launchpad.launches.find(
        {"launch_id": {"$in": list(names)}}, {"launch_id": True, "fworker": True}
    )
    for launch in launches:
        env = (launch.get("fworker") or {}).get("env") or {}
        if env.get("job_id"):
            found[env["job_id"]] = names[launch["launch_id"]]
    return found
