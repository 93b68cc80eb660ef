"""Jobs of a campaign one by one: what each is, where it runs or ran, and what became of it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssefw.campaigns.running.causes import failed_jobs
from ssefw.campaigns.running.watch import STATE_WORDS, latest_record
from ssefw.campaigns.running.worker_names import worker_of
from ssefw.documents import CampaignRecord
from ssefw.engines import noted_folder
from ssefw.store import Connection

__all__ = ["RUN_FOLDER", "CampaignJob", "called", "campaign_jobs", "query_of_jobs"]

RUN_FOLDER = "run-folder"
"""Name of the file, in the folder of a launch, that says in which folder a job calculates."""

LAUNCHES_AT_A_TIME = 500
ID_SHOWN = 8
"""Characters of an id that tell candidates apart, and by which they are found."""


@dataclass(frozen=True)
class CampaignJob:
    """A job on the launch pad.

    Attributes
    ----------
    name
        Stage, with the temperature or hop where it has one, as ``md 600 K``.
    state
        One of `STATE_WORDS`' values.
    worker
        Host and process; empty while no worker has it.
    queue_job
        Queue and id of the queue job that the worker runs in.
    run_folder
        Where its calculation runs, or ran and left files.
    cause, message, traceback
        Of a failed job.
    """

    job_id: int
    campaign: str
    name: str
    state: str
    candidate_id: str
    formula: str
    temperature_k: float | None = None
    worker: str = ""
    queue_job: str = ""
    started: str | None = None
    run_folder: str | None = None
    cause: str = ""
    message: str = ""
    traceback: str = ""


def campaign_jobs(
    connection: Connection,
    campaign: str,
    *,
    states: Sequence[str] = (),
    query: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
    skip: int = 0,
    limit: int | None = None,
) -> Iterator[CampaignJob]:
    """Yield the jobs of a campaign, the latest first.

    Parameters
    ----------
    states
        Only jobs in one of these, in the words of `STATE_WORDS`; none means all.
    query
        MongoDB's filter of a part of the campaign.
    names
        What to call each candidate; as `called` has it if None.
    skip, limit
        Leave so many of the latest out, and stop after so many.
    """
    formulas = called(latest_record(connection, campaign)) if names is None else names
    wanted = ("fw_id", "name", "state", "launches", "spec.candidate")
    ours = query_of_jobs(campaign, states=states, query=query)
    cursor = connection.launchpad.fireworks.find(ours, dict.fromkeys(wanted, True))
    found = list(cursor.sort("fw_id", -1).skip(skip).limit(limit or 0))
    fizzled = [firework["fw_id"] for firework in found if firework["state"] == "FIZZLED"]
    among = fizzled if limit else None
    failed = (
        {job.firework_id: job for job in failed_jobs(connection, campaign, among=among)}
        if fizzled
        else {}
    )
    for start in range(0, len(found), LAUNCHES_AT_A_TIME):
        part = found[start : start + LAUNCHES_AT_A_TIME]
        launches = _launches(connection, part)
        for firework in part:
            launch = launches.get((firework.get("launches") or [None])[-1], {})
            candidate = firework["spec"].get("candidate", "")
            why = failed.get(firework["fw_id"])
            worker, queue_job = _worker(launch)
            folder = (why.run_folder if why else None) or _noted(launch)
            yield CampaignJob(
                job_id=firework["fw_id"],
                campaign=campaign,
                name=firework["name"],
                state=STATE_WORDS[firework["state"]],
                candidate_id=candidate,
                formula=formulas.get(candidate, candidate),
                temperature_k=_temperature(firework["name"]),
                worker=worker,
                queue_job=queue_job,
                started=_started(launch),
                run_folder=folder,
                cause=why.cause.name if why else "",
                message=why.message if why else "",
                traceback=why.traceback if why else "",
            )


def query_of_jobs(
    campaign: str, *, states: Sequence[str] = (), query: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return MongoDB's filter of jobs in some states, in the words of `STATE_WORDS`."""
    theirs = [state for state, word in STATE_WORDS.items() if not states or word in states]
    in_state: Any = theirs[0] if len(theirs) == 1 else {"$in": theirs}
    return {**(query or {"spec.campaign": campaign}), "state": in_state}


def called(record: CampaignRecord) -> dict[str, str]:
    """Return what to call each candidate: its formula, and the id where several have it."""
    formulas = Counter(item.formula for item in record.candidates)
    return {
        item.candidate_id: item.formula
        if formulas[item.formula] == 1
        else f"{item.formula} ({item.candidate_id[:ID_SHOWN]})"
        for item in record.candidates
    }


def _launches(
    connection: Connection, fireworks: Sequence[Mapping[str, Any]]
) -> dict[int | None, Mapping[str, Any]]:
    ids = [firework["launches"][-1] for firework in fireworks if firework.get("launches")]
    wanted = ("launch_id", "launch_dir", "fworker.name", "fworker.env", "state_history")
    found = connection.launchpad.launches.find(
        {"launch_id": {"$in": ids}}, dict.fromkeys(wanted, True)
    )
    return {launch["launch_id"]: launch for launch in found}


def _worker(launch: Mapping[str, Any]) -> tuple[str, str]:
    """Return host and process, and queue and id of the queue job."""
    if not launch:
        return "", ""
    env = (launch.get("fworker") or {}).get("env") or {}
    queue_job = f"{env['queue']} {env['job_id']}" if env.get("job_id") else ""
    worker = worker_of(Path(launch["launch_dir"]).parent.name)
    return (f"{worker.host}:{worker.pid}" if worker else ""), queue_job


def _noted(launch: Mapping[str, Any]) -> str | None:
    folder = noted_folder(Path(launch["launch_dir"]) / RUN_FOLDER) if launch else None
    return str(folder) if folder else None


def _started(launch: Mapping[str, Any]) -> str | None:
    for entry in launch.get("state_history", ()):
        if entry.get("state") == "RUNNING":
            return str(entry["created_on"])
    return None


def _temperature(name: str) -> float | None:
    *_, number, unit = ["", "", *name.split()]
    try:
        return float(number) if unit == "K" else None
    except ValueError:
        return None
