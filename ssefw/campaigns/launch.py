"""Put campaigns on the launch pad, and take work off it: the one place that drives FireWorks."""

import contextlib
import fcntl
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jobflow
from fireworks import FWorker
from fireworks.core.rocket_launcher import launch_rocket
from jobflow.managers.fireworks import flow_to_workflow

from ssefw.campaigns.plan import Plan
from ssefw.documents import CampaignRecord, ExcludedCandidate, PlannedCandidate
from ssefw.engines.stopping import stop_check
from ssefw.errors import LaunchError
from ssefw.settings import Settings
from ssefw.store import Address, Connection

__all__ = ["Submitted", "campaign_record", "release_lost", "submit", "work"]

logger = logging.getLogger(__name__)

ACTIVE = ("READY", "RUNNING", "RESERVED")
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Submitted:
    """How many candidates a submission added, and how many were there before."""

    added: int
    present: int


def campaign_record(plan: Plan) -> CampaignRecord:
    """Return the record of a plan, with everything a report needs."""
    estimates = [plan.estimate(candidate) for candidate in plan.candidates]
    return CampaignRecord(
        campaign=plan.spec.campaign,
        plan_key=plan.key,
        spec=plan.spec.model_dump(mode="json", exclude={"pool": {"structures"}}),
        candidates=tuple(
            PlannedCandidate(
                candidate_id=candidate.id,
                formula=candidate.formula,
                source=candidate.source,
                aliases=candidate.aliases,
                reference=candidate.reference,
                n_atoms=estimate.n_atoms,
                md_steps=estimate.md_steps,
                core_hours=estimate.core_hours,
            )
            for candidate, estimate in zip(plan.candidates, estimates, strict=True)
        ),
        excluded=(
            *(
                ExcludedCandidate(
                    source=item.source,
                    formula=item.formula,
                    candidate_id=item.candidate_id,
                    code=item.code,
                    reason=item.reason,
                )
                for item in plan.excluded
            ),
            *(
                ExcludedCandidate(source=item.source, code="unreadable", reason=item.reason)
                for item in plan.rejects
            ),
        ),
    )


def submit(
    plan: Plan, connection: Connection, *, progress: Callable[[int], None] = lambda _: None
) -> Submitted:
    """Add the candidates of a plan that are not on the launch pad yet.

    Parameters
    ----------
    progress
        Called with the number of candidates handled so far.

    Raises
    ------
    LaunchError
        If a campaign of this name exists with other settings; nothing is added.
    """
    name = plan.spec.campaign
    known = {
        workflow["metadata"]["candidate"]: workflow["metadata"].get("plan")
        for workflow in connection.launchpad.workflows.find(
            {"metadata.campaign": name}, {"metadata": True}
        )
    }
    if other := set(known.values()) - {plan.key}:
        raise LaunchError(
            f"The store {connection.address} holds a campaign {name!r} with other settings "
            f"({sorted(map(str, other))[0]}, these are {plan.key}). Give this campaign another "
            "name, or use another store."
        )
    connection.results.add(campaign_record(plan), candidate="", campaign=name)
    added = 0
    for count, (candidate, flow) in enumerate(plan.flows(), start=1):
        if candidate.id not in known:
            metadata = {"campaign": name, "candidate": candidate.id, "plan": plan.key}
            workflow = flow_to_workflow(flow, metadata=metadata)
            connection.launchpad.add_wf(workflow)
            added += 1
        progress(count)
    return Submitted(added=added, present=len(plan.candidates) - added)


def work(
    connection: Connection,
    settings: Settings,
    *,
    stop: threading.Event,
    campaign: str | None = None,
    wait: bool = True,
) -> int:
    """Run what is ready, until nothing is or `stop` is set; return how many jobs were run.

    Parameters
    ----------
    campaign
        Work for this campaign only.
    wait
        Stay while other workers run jobs, since these may bring forth new ones.
    """
    jobflow.SETTINGS.JOB_STORE = connection.job_store
    # Jobs run in folders of their own, where a relative address would mean another store.
    os.environ["SSEFW_STORE"] = Address(settings.store)
    os.environ["SSEFW_SCRATCH"] = str(settings.scratch_folder())
    query = {"spec.campaign": campaign} if campaign else {}
    worker = FWorker(name=_worker_name(), category=settings.category, query=query)
    base = settings.scratch_folder() / "launches" / worker.name
    count = 0
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, Path.cwd())
        stack.callback(_remove_if_empty, base)
        time_is_up = stop_check()
        while not stop.is_set() and time_is_up() is None:
            if connection.launchpad.run_exists(worker):
                count += _launch_one(connection, worker, base / f"{count:06d}")
            elif wait and _is_active(connection, query):
                stop.wait(POLL_SECONDS)
            else:
                break
    return count


def release_lost(connection: Connection, settings: Settings) -> list[int]:
    """Give back the jobs of workers of this machine that are no longer alive.

    FireWorks learns of a dead worker only after hours without a ping; here the launch folder names
    the process. Jobs that run on other machines, which need a server, are left to its
    ``lpad detect_lostruns``.
    """
    launchpad = connection.launchpad
    lost = []
    with _only_one(settings.scratch_folder() / "release.lock"):
        for firework in launchpad.fireworks.find(
            {"state": "RUNNING"}, {"fw_id": True, "launches": True}
        ):
            launch = launchpad.launches.find_one(
                {"launch_id": firework["launches"][-1]}, {"launch_dir": True}
            )
            if launch is not None and _is_dead(Path(launch["launch_dir"]).parent.name):
                launchpad.rerun_fw(firework["fw_id"])
                lost.append(firework["fw_id"])
    if lost:
        logger.warning("%d jobs of dead workers are ready to run again: %s", len(lost), lost)
    return lost


def _launch_one(connection: Connection, worker: FWorker, folder: Path) -> int:
    """Run one job in a folder of its own, which goes if the job leaves nothing in it."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    was_run = launch_rocket(connection.launchpad, worker, strm_lvl="CRITICAL")
    os.chdir(folder.parent)
    (folder / "FW.json").unlink(missing_ok=True)
    _remove_if_empty(folder)
    return int(bool(was_run))


def _is_active(connection: Connection, query: dict[str, str]) -> bool:
    states = {"state": {"$in": list(ACTIVE)}}
    return connection.launchpad.fireworks.find_one({**query, **states}, {"_id": True}) is not None


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _worker_name() -> str:
    """Return host, process id and start of the process, which no two workers share."""
    pid = os.getpid()
    return f"{socket.gethostname()}+{pid}+{_started(pid)}"


def _started(pid: int) -> str | None:
    """Return when a process started (clock ticks since boot), or None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _is_dead(worker: str) -> bool:
    host, _, rest = worker.partition("+")
    pid, _, started = rest.partition("+")
    return host == socket.gethostname() and pid.isdigit() and _started(int(pid)) != started


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Let one process at a time release jobs, or each would release what the other took up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
