"""One worker: takes jobs off the launch pad and runs them, the one place that drives FireWorks."""

import contextlib
import json
import logging
import math
import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jobflow
from fireworks import FWorker
from fireworks.core.rocket_launcher import launch_rocket

from ssefw.campaigns.running.fireworker import FireWorker
from ssefw.campaigns.running.heartbeat import beating
from ssefw.campaigns.running.jobs import RUN_FOLDER
from ssefw.campaigns.running.upkeep import LAUNCHES, Upkeep
from ssefw.campaigns.running.watch import latest_record
from ssefw.campaigns.running.worker_names import Worker, this_worker
from ssefw.campaigns.steering.budget import hold_if_spent
from ssefw.campaigns.steering.holds import add_spending, without_held
from ssefw.engines import noted_folder, noting_folder
from ssefw.engines.stopping import stop_check
from ssefw.errors import DiskFullError, StoreError
from ssefw.settings import Settings
from ssefw.store import Address, Connection, outages_reported
from ssefw.store.launchpad import PutOff
from ssefw.store.tenure import tenure

__all__ = ["Worked", "work"]

logger = logging.getLogger(__name__)

ACTIVE = ("READY", "RUNNING", "RESERVED")
POLL_SECONDS = 0.5
UPKEEP_SECONDS = 15.0
"""Between two looks for dead workers of one that waits; half as much to half as much again."""
BUDGET_SECONDS = 15.0
OUTAGE_SECONDS = 600.0
"""How long a worker without a job waits for a store that does not answer."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
"""Seconds until a job is tried again that could not be done; each pause is twice the one before."""


@dataclass(frozen=True)
class Worked:
    """How many jobs a worker has run, and how many of these failed."""

    jobs: int = 0
    failed: int = 0


def work(
    connection: Connection,
    settings: Settings,
    *,
    stop: threading.Event,
    campaign: str | None = None,
    idle: float = math.inf,
    only: FireWorker | None = None,
) -> Worked:
    """Run what is ready, until nothing is or `stop` is set.

    Parameters
    ----------
    connection
        The store, which jobs use too.
    settings
        Where calculations run, and which stages are taken.
    stop
        Set when this process is asked to end.
    campaign
        Work for this campaign only.
    idle
        Seconds to stay without a job while other workers run some, since these may bring forth
        new ones.
    only
        What the worker takes, in FireWorks' terms; its category goes before that of the settings.

    Raises
    ------
    DiskFullError
        If a job found no space left; it is ready again.
    """
    me = this_worker()
    base = settings.scratch_folder() / LAUNCHES / me.name
    only = only or FireWorker()
    ours: dict[str, Any] = {"spec.campaign": campaign} if campaign else {}
    if only.query:
        ours["$and"] = [dict(only.query)]
    record = {**me.record, "fworker": only.name} if only.name else me.record
    budgets, pauses = _Budgets(connection), _Pauses()
    # Hundreds of workers that ask would be a load for a queue: that is for launchers.
    upkeep = Upkeep(connection, settings.scratch_folder(), ask_queue=False)
    done, busy = Worked(), time.monotonic()
    answered = busy
    with _on_duty(connection, me, base, settings):
        time_is_up = stop_check()
        while not stop.is_set() and time_is_up() is None:
            try:
                with outages_reported(connection.address):
                    query = without_held(connection, ours)
                    fireworker = FWorker(
                        name=me.name,
                        category=_categories(only.category or settings.category),
                        query=pauses.leave_out(query),
                        env=record,
                    )
                    is_ready = connection.launchpad.run_exists(fireworker)
                    is_active = is_ready or _is_active(connection, query)
                    if not is_ready:
                        upkeep.look(every=UPKEEP_SECONDS * random.uniform(0.5, 1.5))
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
                pauses.note(connection.launchpad.put_off)
            elif time.monotonic() - busy < idle and is_active:
                stop.wait(POLL_SECONDS)
            else:
                break
    return done


@contextlib.contextmanager
def _on_duty(connection: Connection, me: Worker, base: Path, settings: Settings) -> Iterator[None]:
    """Give signs of life, ask before anything is stored, and leave no folder behind."""
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, Path.cwd())
        stack.callback(_remove_if_empty, base)
        stack.enter_context(_surroundings(connection, settings))
        stack.enter_context(beating(connection, me.name, lease=settings.lease))
        stack.enter_context(tenure(connection.launchpad.holds_its_job))
        yield


@contextlib.contextmanager
def _surroundings(connection: Connection, settings: Settings) -> Iterator[None]:
    """Let jobs find a store and a scratch folder, and leave this process as it was.

    FireWorks and jobflow call a job with what the launch pad says and nothing else: what is the
    worker's own reaches it, and programs that it starts, by jobflow's settings and the environment.
    """
    # Jobs run in folders of their own, where a relative address would mean another store.
    ours: dict[str, str] = {
        "SSEFW_STORE": Address(settings.store),
        "SSEFW_SCRATCH": str(settings.scratch_folder()),
    }
    before = {name: os.environ.get(name) for name in ours}
    theirs = jobflow.SETTINGS.JOB_STORE
    os.environ.update(ours)
    jobflow.SETTINGS.JOB_STORE = connection.job_store
    try:
        yield
    finally:
        jobflow.SETTINGS.JOB_STORE = theirs
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _categories(text: str) -> str | list[str]:
    """Return what FireWorks calls categories; none means all."""
    return [word.strip() for word in text.split(",") if word.strip()] or ""


@dataclass
class _Pauses:
    """Jobs that could not be done, each left alone for a while."""

    _until: dict[int, float] = field(default_factory=dict)
    _length: dict[int, float] = field(default_factory=dict)

    def note(self, put_off: PutOff | None) -> None:
        """Leave a job alone that was put off.

        Raises
        ------
        DiskFullError
            If that was for want of space, which no pause brings.
        """
        if put_off is None:
            return
        if put_off.kind == DiskFullError.__name__:
            raise DiskFullError(put_off.reason)
        key = put_off.firework_id
        length = self._length[key] = min(
            LONGEST_PAUSE, 2.0 * self._length.get(key, FIRST_PAUSE / 2)
        )
        self._until[key] = time.monotonic() + length
        logger.warning("job %d waits for %.0f s: %s", key, length, put_off.reason)

    def leave_out(self, query: dict[str, Any]) -> dict[str, Any]:
        """Return a filter of jobs without those that are left alone now."""
        now = time.monotonic()
        paused = [key for key, until in self._until.items() if until > now]
        return {**query, "fw_id": {"$nin": paused}} if paused else query


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
    launchpad = connection.launchpad
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    whereabouts = folder / RUN_FOLDER
    has_failed = False
    try:
        with noting_folder(whereabouts):
            was_run = launch_rocket(launchpad, fireworker, strm_lvl="CRITICAL")
        held = launchpad.held
        if held is not None and launchpad.is_ours(held.launch_id):
            job = _job_in(folder)
            if campaign := job["spec"].get("campaign"):
                hours = (time.monotonic() - held.since) * me.cores / 3600.0
                add_spending(connection, campaign, core_hours=hours)
                budgets.keep(campaign)
            failed = {"fw_id": held.firework_id, "state": "FIZZLED"}
            has_failed = launchpad.fireworks.find_one(failed, {"_id": True}) is not None
            if has_failed:
                logger.warning(
                    "%s of %s failed", job["name"], job["spec"].get("candidate", "a flow")
                )
    finally:
        launchpad.held = None
        # It is gone where this worker was frozen, counted as dead, and was tidied up after.
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.chdir(folder.parent)
        with contextlib.suppress(OSError):
            if noted_folder(whereabouts) is None:  # all that was in it is in the store
                whereabouts.unlink(missing_ok=True)
            (folder / "FW.json").unlink(missing_ok=True)
        _remove_if_empty(folder)
    return Worked(int(bool(was_run)), int(has_failed))


def _job_in(folder: Path) -> dict[str, Any]:
    """Return the job that was run in a folder."""
    try:
        job: dict[str, Any] = json.loads((folder / "FW.json").read_text())
    except (OSError, json.JSONDecodeError):
        return {"name": "a job", "spec": {}}
    return job


def _is_active(connection: Connection, query: dict[str, Any]) -> bool:
    states = {"state": {"$in": list(ACTIVE)}}
    return connection.launchpad.fireworks.find_one({**query, **states}, {"_id": True}) is not None


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
