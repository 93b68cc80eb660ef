"""Keep the queue fed: as many queue jobs as there is work for and the limits allow.

Each queue job is one worker. What is in the queue is on record in the store before it is submitted,
under a name that the queue shows, so that a launcher that dies between the two is no loss: the next
one finds the job by its name. One launcher works at a time, by a lease; others stand by.
"""

import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssefw.campaigns.file import ResourcesSpec, campaign_of
from ssefw.campaigns.queueing.offline import OfflineLauncher, job_folders_of
from ssefw.campaigns.queueing.site import QueueLimits, Site
from ssefw.campaigns.running.causes import retry_failed
from ssefw.campaigns.running.lease import Lease
from ssefw.campaigns.running.upkeep import Upkeep
from ssefw.campaigns.running.watch import campaigns_in, latest_record
from ssefw.campaigns.steering.budget import budget_of, hold_if_spent
from ssefw.campaigns.steering.holds import without_held
from ssefw.documents import CampaignRecord
from ssefw.errors import LaunchError
from ssefw.schedulers import QueueSilentError, Rejected
from ssefw.store import Connection

__all__ = ["QUEUE_JOBS", "LaunchRound", "Launcher", "QueuePool", "pools"]

logger = logging.getLogger(__name__)

QUEUE_JOBS = "queue_jobs"
ADOPTION_SECONDS = 90.0
"""How long a submission whose launcher died may take to show up in the queue."""
PATIENCE_WITH_FAILURES = 3
"""Queue jobs in a row that fail without having run anything, until the launcher gives up."""
ACTIVE = ("READY", "RUNNING", "RESERVED")


@dataclass(frozen=True)
class QueuePool:
    """The stages of a campaign that share queue jobs, and what these ask for."""

    campaign: str
    categories: tuple[str, ...]
    resources: ResourcesSpec | None
    max_jobs: int | None = None

    @property
    def label(self) -> str:
        """The categories as ``ssefw work --category`` wants them."""
        return ",".join(self.categories)

    @property
    def query(self) -> dict[str, Any]:
        """Its jobs on the launch pad."""
        return {
            "spec.campaign": self.campaign,
            "spec._category": {"$in": list(self.categories)},
        }


@dataclass(frozen=True)
class LaunchRound:
    """What one look at queue and launch pad led to."""

    submitted: int = 0
    ended: int = 0
    released: int = 0
    retried: int = 0
    waiting: int = 0
    running: int = 0
    left: int = 0
    is_standby: bool = False
    notes: tuple[str, ...] = ()


def pools(record: CampaignRecord) -> list[QueuePool]:
    """Return the pools of a campaign: each stage with resources of its own, and the rest."""
    own = campaign_of(record).resources
    limit = budget_of(record).queue_jobs
    rest = tuple(name for name in ("light", "heavy") if name not in own)
    return [
        *(QueuePool(record.campaign, (stage,), wanted, limit) for stage, wanted in own.items()),
        QueuePool(record.campaign, rest, None, limit),
    ]


@dataclass
class Launcher:
    """A launcher.

    Attributes
    ----------
    folder
        Where the workers' settings, and the scripts and logs of queue jobs are; compute nodes
        must see it.
    campaigns
        Names; empty means all that the store holds.
    """

    connection: Connection
    site: Site
    folder: Path
    limits: QueueLimits
    campaigns: Sequence[str] = ()
    _began: float = field(default_factory=time.time)
    _refused: int = 0

    def __post_init__(self) -> None:
        self._lease = Lease(self.connection, "launcher")
        self._desk = OfflineLauncher(self.connection)
        self._upkeep = Upkeep(self.connection, self.folder.parent)

    def round(self) -> LaunchRound:
        """Look once, and do what is due.

        Raises
        ------
        LaunchError
            If queue jobs are refused or fail in a way that waiting does not mend.
        """
        if not self._lease.hold():
            return LaunchRound(is_standby=True, notes=(f"{self._lease.owner()} feeds the queue",))
        notes: list[str] = []
        try:
            ended = self._follow()
        except QueueSilentError as error:
            return LaunchRound(left=self._left(), notes=(str(error),))
        released = len(self._upkeep.look())
        if self.site.offline:
            released += self._desk.collect({job["_id"]: job for job in self._jobs.find()})[1]
        names = list(self.campaigns) or campaigns_in(self.connection)
        retried = sum(retry_failed(self.connection, name) for name in names)
        self._give_up_on_failures()
        submitted = 0
        for name in names:
            record = latest_record(self.connection, name)
            notes += self._keep_budget(record)
            for pool in pools(record):
                count, note = self._feed(pool)
                submitted += count
                notes += note
                if self.site.offline:
                    ours = self._active(campaign=name, categories=pool.label)
                    self._deliver(pool, [job for job in ours if job["job_id"]])
        active = self._active()
        return LaunchRound(
            submitted=submitted,
            ended=ended,
            released=released,
            retried=retried,
            waiting=sum(job["state"] != "running" for job in active),
            running=sum(job["state"] == "running" for job in active),
            left=self._left(),
            notes=tuple(notes),
        )

    def close(self) -> None:
        """Let another launcher take over at once."""
        self._lease.release()

    @property
    def _jobs(self) -> Any:
        return self.connection.database[QUEUE_JOBS]

    def _active(self, **criteria: Any) -> list[dict[str, Any]]:
        query = {"state": {"$ne": "ended"}, "scheduler": self.site.scheduler, **criteria}
        return list(self._jobs.find(query))

    def _follow(self) -> int:
        """Note what became of the queue jobs; return how many ended."""
        queue, ended = self.site.queue, 0
        for job in self._active(job_id=None):
            if found := queue.find(job["_id"]):
                self._note(job, job_id=found, state="pending")
            elif time.time() - job["submitted"] > ADOPTION_SECONDS:
                self._note(job, state="ended", reason="never reached the queue", failed=False)
                ended += 1
        active = [job for job in self._active() if job["job_id"]]
        known = queue.jobs([job["job_id"] for job in active]) if active else {}
        for job in active:
            now = known.get(job["job_id"])
            if now is None:
                ending = queue.ending(job["job_id"])
                self._note(job, state="ended", reason=ending.reason, failed=ending.failed,
                           ended=time.time())  # fmt: skip
                ended += 1
            elif (now.state, now.reason) != (job["state"], job["reason"]):
                started = {"started": time.time()} if now.state == "running" else {}
                self._note(job, state=now.state, reason=now.reason, **started)
        return ended

    def _note(self, job: Mapping[str, Any], **fields: Any) -> None:
        self._jobs.update_one({"_id": job["_id"]}, {"$set": fields})

    def _feed(self, pool: QueuePool) -> tuple[int, list[str]]:
        """Submit what a pool needs; return how many, and what stands in the way."""
        count = 0
        for _ in range(self._wanted(pool)):
            if not self._lease.hold():
                break
            try:
                self._submit(pool)
            except Rejected as error:
                if error.is_full:
                    return count, [f"the queue is full ({error}); trying again"]
                self._refused += 1
                if self._refused >= PATIENCE_WITH_FAILURES or not self._active():
                    raise
                return count, [str(error)]
            except QueueSilentError as error:
                return count, [str(error)]
            self._refused = 0
            count += 1
        return count, []

    def _deliver(self, pool: QueuePool, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Hand out jobs to queue jobs of a pool."""
        self._desk.deliver(jobs, without_held(self.connection, pool.query))

    def _wanted(self, pool: QueuePool) -> int:
        """Return how many queue jobs to submit; those that wait for nothing are cancelled."""
        fireworks = self.connection.launchpad.fireworks
        query = without_held(self.connection, pool.query)
        ready = int(fireworks.count_documents({**query, "state": "READY"}))
        ours = self._active(campaign=pool.campaign, categories=pool.label)
        waiting = [job for job in ours if job["state"] != "running"]
        if not ready:
            busy = {**query, "state": {"$in": ["RUNNING", "RESERVED"]}}
            if waiting and fireworks.find_one(busy, {"_id": True}) is None:
                for job in waiting:
                    if job["job_id"]:
                        self.site.queue.cancel(job["job_id"])
            return 0
        everyone = self._active()
        # Offline, what waiting queue jobs are to run is reserved for them already.
        n_waiting = 0 if self.site.offline else len(waiting)
        room: list[int] = [
            math.ceil(ready / self.limits.per_job) - n_waiting,
            self.limits.jobs - len(everyone),
            self.limits.waiting - sum(job["state"] != "running" for job in everyone),
        ]
        if pool.max_jobs is not None:
            room.append(pool.max_jobs - len(self._active(campaign=pool.campaign)))
        return min(room)

    def _submit(self, pool: QueuePool) -> None:
        name = f"ssefw-{uuid.uuid4().hex[:8]}"
        folder = self.folder / name
        folder.mkdir(parents=True)
        log = folder / "job.log"
        resources = self.site.ask(pool.resources)
        script = folder / "job.sh"
        script.write_text(
            self.site.script(
                resources,
                name=name,
                log=log,
                settings=self.folder / "settings.yaml",
                arguments=self.site.worker_command(
                    pool.campaign, pool.label, job_folders=job_folders_of(folder)
                ),
            )
        )
        job = {
            "_id": name,
            "scheduler": self.site.scheduler,
            "job_id": None,
            "state": "pending",
            "reason": "",
            "campaign": pool.campaign,
            "categories": pool.label,
            "cores": resources.cores,
            "submitted": time.time(),
            "log": str(log),
        }
        self._jobs.insert_one(job)
        if self.site.offline:  # a worker that starts at once finds something to do
            self._deliver(pool, [job])
        try:
            job_id = self.site.queue.submit(script)
        except Rejected as error:
            self._note(job, state="ended", reason=str(error), failed=False, ended=time.time())
            raise
        self._note(job, job_id=job_id)
        if self.site.offline:
            self._desk.note_job_id(name, job_id)
        logger.info("submitted %s as %s for %s of %s", name, job_id, pool.label, pool.campaign)

    def _give_up_on_failures(self) -> None:
        """Stop where queue jobs fail before they run anything, as on a wrong scratch folder."""
        recent = list(
            self._jobs.find({"state": "ended", "ended": {"$gt": self._began}})
            .sort("ended", -1)
            .limit(PATIENCE_WITH_FAILURES)
        )
        fruitless = [job for job in recent if job.get("failed") and not self._has_run(job)]
        if len(fruitless) == PATIENCE_WITH_FAILURES:
            job = fruitless[0]
            raise LaunchError(
                f"The last {len(fruitless)} queue jobs failed before they ran anything "
                f"({job['reason']}){_last_words(Path(job['log']))}. See {job['log']}, mend it, and "
                "start the launcher again."
            )

    def _has_run(self, job: Mapping[str, Any]) -> bool:
        query = {
            "fworker.env.job_id": job["job_id"],
            "fworker.env.queue": job["scheduler"],
            "state": {"$nin": ["RESERVED", "READY"]},
        }
        return self.connection.launchpad.launches.find_one(query, {"_id": True}) is not None

    def _keep_budget(self, record: CampaignRecord) -> list[str]:
        """Hold a campaign that has spent its budget, and let its running jobs store and stop."""
        name = record.campaign
        reason, is_new = hold_if_spent(self.connection, record)
        if is_new:
            for job in self._active(campaign=name, state="running"):
                self.site.queue.ask_to_stop(job["job_id"])
        return [f"{name}: {reason}; it is held"] if reason else []

    def _left(self) -> int:
        """Return how many jobs could run or do."""
        names = list(self.campaigns) or campaigns_in(self.connection)
        fireworks = self.connection.launchpad.fireworks
        return sum(
            fireworks.count_documents(
                {
                    **without_held(self.connection, {"spec.campaign": name}),
                    "state": {"$in": list(ACTIVE)},
                }
            )
            for name in names
        )


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "; it left no log: is its folder visible on the compute nodes, and writable?"
    return f": {lines[-1].strip()[:300].rstrip('.')}" if lines else ""
