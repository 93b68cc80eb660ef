"""Put campaigns on the launch pad, and take work off it: the one place that drives FireWorks."""

import contextlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import jobflow
from fireworks import FWorker
from fireworks.core.rocket_launcher import launch_rocket

from ssefw.campaigns.learning.loop import begin_loop
from ssefw.campaigns.planning.change import Change, retire
from ssefw.campaigns.planning.cost import Pace
from ssefw.campaigns.planning.plan import Plan
from ssefw.campaigns.planning.template import Entry, entries
from ssefw.campaigns.running.heartbeat import beating
from ssefw.campaigns.running.jobs import RUN_FOLDER
from ssefw.campaigns.running.watch import latest_record
from ssefw.campaigns.running.worker_names import Worker, this_worker
from ssefw.campaigns.steering.budget import hold_if_spent, lift_budget
from ssefw.campaigns.steering.holds import add_spending, without_held
from ssefw.documents import CampaignRecord, ExcludedCandidate, PlannedCandidate
from ssefw.engines import noted_folder, noting_folder
from ssefw.engines.stopping import stop_check
from ssefw.errors import LaunchError, StoreError
from ssefw.settings import Settings
from ssefw.store import Address, Connection, outages_reported

__all__ = ["Submitted", "Worked", "campaign_record", "submit", "work"]

logger = logging.getLogger(__name__)

ACTIVE = ("READY", "RUNNING", "RESERVED")
BATCH = 100
"""Candidates that are put on the launch pad at a time."""
POLL_SECONDS = 0.5
BUDGET_SECONDS = 15.0
OUTAGE_SECONDS = 600.0
"""How long a worker without a job waits for a store that does not answer."""


@dataclass(frozen=True)
class Submitted:
    """How many candidates a submission added, and how many were there before."""

    added: int
    present: int


@dataclass(frozen=True)
class Worked:
    """How many jobs a worker has run, and how many of these failed."""

    jobs: int = 0
    failed: int = 0


def campaign_record(plan: Plan, *, pace: Pace | None = None) -> CampaignRecord:
    """Return the record of a plan, with everything a report needs.

    Parameters
    ----------
    pace
        Of the dynamics, where runs of the engine have been seen.
    """
    estimates = [plan.estimate(candidate, pace=pace) for candidate in plan.candidates]
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
                core_hours_most=estimate.core_hours_most,
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
    plan: Plan,
    connection: Connection,
    *,
    change: Change | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Submitted:
    """Add the candidates of a plan that are not on the launch pad yet.

    Parameters
    ----------
    change
        What `change_of` says, if a campaign of this name with other settings is to go on with
        these.
    progress
        Called with the number of candidates handled so far.

    Raises
    ------
    LaunchError
        If a campaign of this name exists with other settings; nothing is added.
    """
    name = plan.spec.campaign
    if change is not None:
        retire(connection, change, plan)
    known = _known(connection, name)
    if other := set(known.values()) - {plan.key}:
        raise LaunchError(
            f"The store {connection.address} holds a campaign {name!r} with other settings "
            f"({sorted(map(str, other))[0]}, these are {plan.key}). See with `ssefw plan FILE` "
            "what they change and go on with `ssefw submit FILE --yes`, or give this campaign "
            "another name."
        )
    record = campaign_record(plan)
    connection.results.add(record, candidate="", campaign=name)
    lift_budget(connection, record)
    if plan.is_loop:
        begin_loop(connection, name)
    wanted = [(item, rank) for item, rank in plan.ranked() if item.id not in known]
    count = len(plan.candidates) - len(wanted)
    rest = entries(plan, wanted)
    while batch := list(islice(rest, BATCH)):
        _add(connection, batch)
        count += len(batch)
        progress(count)
    return Submitted(added=len(wanted), present=len(plan.candidates) - len(wanted))


def _known(connection: Connection, campaign: str) -> dict[str, str]:
    """Return the candidates on the launch pad and their plans.

    A submission to a server that was killed may have left workflows some of whose jobs are missing;
    these go, and are submitted again.
    """
    launchpad = connection.launchpad
    found = {
        workflow["metadata"]["candidate"]: workflow
        for workflow in launchpad.workflows.find(
            {"metadata.campaign": campaign}, {"metadata": True, "nodes": True}
        )
    }
    nodes = [node for workflow in found.values() for node in workflow["nodes"]]
    if launchpad.fireworks.count_documents({"fw_id": {"$in": nodes}}) < len(nodes):
        for candidate, workflow in list(found.items()):
            part = {"fw_id": {"$in": workflow["nodes"]}}
            if launchpad.fireworks.count_documents(part) < len(workflow["nodes"]):
                launchpad.workflows.delete_one({"nodes": workflow["nodes"][0]})
                launchpad.fireworks.delete_many(part)
                del found[candidate]
    return {
        candidate: workflow["metadata"].get("plan", "") for candidate, workflow in found.items()
    }


def _add(connection: Connection, batch: Sequence[Entry]) -> None:
    """Put workflows on the launch pad, all or, where a server is killed, the first of them."""
    launchpad = connection.launchpad
    with connection.whole():
        first = launchpad.get_new_fw_id(quantity=sum(len(entry.fireworks) for entry in batch))
        numbered = []
        for entry in batch:
            numbered.append(entry.numbered(first))
            first += len(entry.fireworks)
        launchpad.workflows.insert_many([entry.workflow for entry in numbered])
        # Those that run first come last: a job never runs before all of its workflow is there.
        launchpad.fireworks.insert_many(
            [job for entry in numbered for job in list(entry.fireworks.values())[::-1]]
        )


def work(
    connection: Connection,
    settings: Settings,
    *,
    stop: threading.Event,
    campaign: str | None = None,
    patience: float = math.inf,
) -> Worked:
    """Run what is ready, until nothing is or `stop` is set.

    Parameters
    ----------
    campaign
        Work for this campaign only.
    patience
        Seconds to stay without a job while other workers run some, since these may bring forth
        new ones.
    """
    jobflow.SETTINGS.JOB_STORE = connection.job_store
    # Jobs run in folders of their own, where a relative address would mean another store.
    os.environ["SSEFW_STORE"] = Address(settings.store)
    os.environ["SSEFW_SCRATCH"] = str(settings.scratch_folder())
    me = this_worker()
    base = settings.scratch_folder() / "launches" / me.name
    ours: dict[str, Any] = {"spec.campaign": campaign} if campaign else {}
    budgets = _Budgets(connection)
    done, busy = Worked(), time.monotonic()
    answered = busy
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, Path.cwd())
        stack.callback(_remove_if_empty, base)
        stack.enter_context(beating(connection, me.name))
        time_is_up = stop_check()
        while not stop.is_set() and time_is_up() is None:
            try:
                with outages_reported(connection.address):
                    query = without_held(connection, ours)
                    fireworker = FWorker(
                        name=me.name,
                        category=_categories(settings.category),
                        query=query,
                        env=me.record,
                    )
                    is_ready = connection.launchpad.run_exists(fireworker)
                    is_active = is_ready or _is_active(connection, query)
            except StoreError as error:
                # Between two jobs nothing is at stake, and the store may be back soon.
                if time.monotonic() - answered > OUTAGE_SECONDS:
                    raise
                logger.warning("%s Trying again.", error)
                stop.wait(POLL_SECONDS)
                continue
            answered = time.monotonic()
            if is_ready:
                with outages_reported(connection.address):
                    folder = base / f"{done.jobs:06d}"
                    one = _launch_one(connection, fireworker, folder, me, budgets)
                done = Worked(done.jobs + one.jobs, done.failed + one.failed)
                busy = time.monotonic()
            elif time.monotonic() - busy < patience and is_active:
                stop.wait(POLL_SECONDS)
            else:
                break
    return done


def _categories(text: str) -> str | list[str]:
    """Return what FireWorks calls categories; none means all."""
    return [word.strip() for word in text.split(",") if word.strip()] or ""


@dataclass
class _Budgets:
    """Looks at budgets after jobs; not after each, since a large campaign is a large record."""

    connection: Connection
    seen: dict[str, float] = field(default_factory=dict)

    def keep(self, campaign: str) -> None:
        """Hold the campaign if its budget is spent."""
        if time.monotonic() - self.seen.get(campaign, -math.inf) < BUDGET_SECONDS:
            return
        self.seen[campaign] = time.monotonic()
        with contextlib.suppress(StoreError):  # a workflow that came without its campaign
            hold_if_spent(self.connection, latest_record(self.connection, campaign))


def _launch_one(
    connection: Connection, fireworker: FWorker, folder: Path, me: Worker, budgets: _Budgets
) -> Worked:
    """Run one job in a folder of its own, which goes if the job leaves nothing in it."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    began = time.monotonic()
    whereabouts = folder / RUN_FOLDER
    with noting_folder(whereabouts):
        was_run = launch_rocket(connection.launchpad, fireworker, strm_lvl="CRITICAL")
    os.chdir(folder.parent)
    if noted_folder(whereabouts) is None:  # all that was in it is in the store
        whereabouts.unlink(missing_ok=True)
    note = folder / "FW.json"
    has_failed = False
    if was_run and note.exists():
        job = json.loads(note.read_text())
        campaign = job["spec"].get("campaign")
        if campaign:
            seconds = time.monotonic() - began
            add_spending(connection, campaign, core_hours=seconds * me.cores / 3600.0)
            budgets.keep(campaign)
        failed = {"fw_id": job["fw_id"], "state": "FIZZLED"}
        has_failed = connection.launchpad.fireworks.find_one(failed, {"_id": True}) is not None
        if has_failed:
            logger.warning("%s of %s failed", job["name"], job["spec"].get("candidate", "a flow"))
    note.unlink(missing_ok=True)
    _remove_if_empty(folder)
    return Worked(int(bool(was_run)), int(has_failed))


def _is_active(connection: Connection, query: dict[str, Any]) -> bool:
    states = {"state": {"$in": list(ACTIVE)}}
    return connection.launchpad.fireworks.find_one({**query, **states}, {"_id": True}) is not None


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
