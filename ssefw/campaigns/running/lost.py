"""Jobs whose worker is gone are found and given back, a limited number of times."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssefw.campaigns.running.heartbeat import HeartbeatWatch
from ssefw.campaigns.running.worker_names import Worker, worker_of
from ssefw.campaigns.steering.holds import add_spending, running_seconds
from ssefw.schedulers import SCHEDULERS, QueueSilentError
from ssefw.store import Connection

__all__ = ["INCIDENTS", "MAX_LOSSES", "Lost", "give_back", "release_lost"]

logger = logging.getLogger(__name__)

INCIDENTS = "incidents"
MAX_LOSSES = 10
"""How often one job may lose its worker before it counts as failed."""
CLAIM_SECONDS = 120.0


@dataclass(frozen=True)
class Lost:
    """A running job and the launch whose worker is gone.

    Attributes
    ----------
    core_hours
        What it had used when its worker gave the last sign of life.
    """

    firework: dict[str, Any]
    launch_id: int
    worker: Worker
    core_hours: float


def release_lost(
    connection: Connection,
    *,
    lookout: HeartbeatWatch | None = None,
    ask_queue: bool = True,
    max_losses: int = MAX_LOSSES,
) -> list[int]:
    """Give back the jobs of workers that are gone, and return their ids.

    FireWorks learns of a dead worker only after hours without a ping. Here the launch folder names
    the process and the queue job: where its pid can be looked up the process is looked for,
    elsewhere the queue is asked. Where there is neither, a `lookout` that was there for a while
    knows which workers fell silent. A job that lost its worker `max_losses` times is marked as
    failed. Any number of processes may do this at a time.

    Parameters
    ----------
    connection
        The store.
    lookout
        Who is asked about workers that cannot be looked up; without one these keep their jobs.
    ask_queue
        Whether to ask the queue about its jobs, which many workers at a time should not.
    max_losses
        How often a job may lose its worker.
    """
    released = [
        lost.firework["fw_id"]
        for lost in _lost(connection, lookout, ask_queue=ask_queue)
        if not _is_locked(connection, lost)
        and _claim(connection, lost)
        and give_back(connection, lost, max_losses=max_losses)
    ]
    if released:
        logger.warning("%d jobs of dead workers are ready again: %s", len(released), released)
    return released


def give_back(connection: Connection, lost: Lost, *, max_losses: int = MAX_LOSSES) -> bool:
    """Put a loss on record and make the job ready again; False if it has failed for good."""
    firework_id = lost.firework["fw_id"]
    incidents = connection.database[INCIDENTS]
    # Who did this before may have been killed after it was put on record.
    record = {"_id": f"{lost.launch_id}-killed"}
    others = {"fw_id": firework_id, "cause": "killed", "_id": {"$ne": record["_id"]}}
    n_before = incidents.count_documents(others)
    campaign = lost.firework["spec"].get("campaign", "")
    loss = {
        "cause": "killed",
        "fw_id": firework_id,
        "name": lost.firework["name"],
        "campaign": campaign,
        "candidate": lost.firework["spec"].get("candidate", ""),
        "worker": lost.worker.name,
        "detail": _ending(lost.worker),
        "time": time.time(),
    }
    incidents.update_one(record, {"$setOnInsert": loss}, upsert=True)
    if campaign:
        add_spending(connection, campaign, core_hours=lost.core_hours)
    if n_before + 1 >= max_losses:
        connection.launchpad.mark_fizzled(lost.launch_id)
        logger.warning("job %d lost its worker %d times: given up", firework_id, n_before + 1)
        return False
    connection.launchpad.rerun_fw(firework_id)
    # What never said how it ended is not to be taken for what runs.
    connection.launchpad.launches.update_one(
        {"launch_id": lost.launch_id, "state": "RUNNING"}, {"$set": {"state": "FIZZLED"}}
    )
    return True


def _lost(
    connection: Connection, lookout: HeartbeatWatch | None = None, *, ask_queue: bool = True
) -> Iterator[Lost]:
    elsewhere = defaultdict(list)
    out_of_reach = []
    for lost in _running(connection):
        if lost.worker.is_gone:
            yield lost
        elif lost.worker.is_here:
            continue
        elif lost.worker.queue in SCHEDULERS and SCHEDULERS[lost.worker.queue].is_here:
            elsewhere[lost.worker.queue].append(lost)
        else:
            out_of_reach.append(lost)
    for name, group in elsewhere.items() if ask_queue else ():
        try:
            jobs = SCHEDULERS[name].jobs(sorted({lost.worker.job_id for lost in group}))
        except QueueSilentError as error:
            logger.warning("%s", error)
            continue
        for lost in group:
            job = jobs.get(lost.worker.job_id)
            # A job that waits again was started again by the queue: its worker is gone as well.
            if job is None or job.state != "running":
                yield lost
    if lookout is not None:
        silent = lookout.silent(connection, [lost.worker.name for lost in out_of_reach])
        yield from (lost for lost in out_of_reach if lost.worker.name in silent)


def _running(connection: Connection) -> Iterator[Lost]:
    wanted = ("fw_id", "name", "launches", "spec.campaign", "spec.candidate")
    launchpad = connection.launchpad
    jobs = list(launchpad.fireworks.find({"state": "RUNNING"}, dict.fromkeys(wanted, True)))
    last = {job["launches"][-1]: job for job in jobs if job["launches"]}
    if not last:
        return
    seconds = running_seconds(connection)
    launches = launchpad.launches.find(
        {"launch_id": {"$in": sorted(last)}},
        {"launch_id": True, "launch_dir": True, "fworker": True},
    )
    for launch in list(launches):
        worker = worker_of(Path(launch["launch_dir"]).parent.name)
        if worker is not None:
            cores = ((launch.get("fworker") or {}).get("env") or {}).get("cores", 1)
            launch_id = launch["launch_id"]
            hours = seconds.get(launch_id, 0.0) / 3600.0
            yield Lost(last[launch_id], launch_id, worker, hours * float(cores))


def _is_locked(connection: Connection, lost: Lost) -> bool:
    """Whether somebody changes the workflow, or died while changing it; waiting would be long."""
    query = {"nodes": lost.firework["fw_id"], "locked": {"$exists": True}}
    return connection.launchpad.workflows.find_one(query, {"_id": True}) is not None


def _claim(connection: Connection, lost: Lost) -> bool:
    """Take on the release of a launch, which only one process may do at a time.

    Otherwise one would release a job that another has released and a new worker taken up.
    """
    now = time.time()
    untouched = {"released": {"$exists": False}}
    forgotten = {"released": {"$lt": now - CLAIM_SECONDS}}
    claimed = connection.launchpad.launches.update_one(
        {"launch_id": lost.launch_id, "state": "RUNNING", "$or": [untouched, forgotten]},
        {"$set": {"released": now}},
    )
    if claimed.modified_count != 1:
        return False
    current = connection.launchpad.fireworks.find_one(
        {"fw_id": lost.firework["fw_id"], "state": "RUNNING"}, {"launches": True}
    )
    return current is not None and current["launches"][-1] == lost.launch_id


def _ending(worker: Worker) -> str:
    queue = SCHEDULERS.get(worker.queue)
    if queue is None or not queue.is_here:
        return "the process is gone" if worker.is_gone else "no sign of life"
    try:
        return queue.ending(worker.job_id).reason
    except QueueSilentError as error:
        return str(error)
