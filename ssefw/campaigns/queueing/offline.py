"""Jobs for compute nodes that reach no database: handed out and taken in through folders.

Each queue job has a folder. The launcher, which reaches the database, reserves jobs for it and puts
each into a folder of its own, with the outputs it refers to. The worker runs one job folder after
the other; what a job puts out lies beside it as files. The launcher takes these into the
store and completes the job, which makes those after it ready.

FireWorks has an offline mode with the same idea. Its worker does not run with current versions of
monty, its files lose dates within documents, and its jobs would still look for jobflow's store.

A job is taken by renaming its folder, which on any file system only one process can do: the
worker to run it, or the launcher to take it back.
"""

import json
import logging
import os
import shutil
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jobflow
from fireworks import Firework, FWAction, FWorker
from jobflow import Job

from ssefw.campaigns.running.jobs import RUN_FOLDER
from ssefw.campaigns.running.lost import MAX_LOSSES, Lost, give_back
from ssefw.campaigns.running.worker_names import Worker
from ssefw.campaigns.steering.holds import add_spending, without_held
from ssefw.engines import noting_folder
from ssefw.engines.stopping import stop_check
from ssefw.errors import NotNowError
from ssefw.store import Connection
from ssefw.store.offline_jobs import open_offline_job, pack, unpack

__all__ = ["OfflineLauncher", "job_folders_of", "work_offline_jobs"]

logger = logging.getLogger(__name__)

JOB, STATUS = "job.json", "status.json"
READY = "ready-"
AHEAD = 8
"""Most jobs that lie ready for a worker whose jobs are short, for it not to wait for more."""
SETTLE_SECONDS = 15.0
"""After the end of a queue job, for its last files to appear on another machine."""
POLL_SECONDS = 1.0


def job_folders_of(folder: Path) -> Path:
    """Return the folder with the job folders of a queue job."""
    return folder / "parcels"  # as launchers and nodes of other versions know it


@dataclass(frozen=True)
class OfflineLauncher:
    """The launcher's side."""

    connection: Connection
    max_losses: int = MAX_LOSSES
    _ahead: dict[str, int] = field(default_factory=dict)

    def collect(self, jobs: Mapping[str, Mapping[str, Any]]) -> tuple[int, int]:
        """Take in what is done, and give back what was lost.

        Parameters
        ----------
        jobs
            The records of all queue jobs by name.

        Returns
        -------
        How many jobs were completed, and how many given back.
        """
        done = lost = 0
        self._forget_half_reserved()
        for launch_id, job_folder, launch in self._open():
            job = jobs.get(job_folder.parent.parent.name, {})
            status = _status(job_folder)
            if status and "fwaction" in status:
                self._complete(launch_id, job_folder, status, launch)
                done += 1
            elif status and "started_on" in status and launch["state"] == "RESERVED":
                self._begin(launch_id, status)
            elif _is_over(job) and self._take_back(launch_id, job_folder):
                lost += 1
            elif status is None and self._is_held(launch):
                self._take_back(launch_id, job_folder)
        return done, lost

    def deliver(self, jobs: Sequence[Mapping[str, Any]], query: Mapping[str, Any]) -> int:
        """Hand out ready jobs to queue jobs, and return how many.

        Those that have nothing come first. A worker that was found without work gets more ahead
        the next time, one that is busy with a long job only one; where nothing is left to hand out,
        what lies ready for a busy worker goes to an idle one.
        """
        jobs = sorted(jobs, key=lambda job: len(_lying(job)))
        count = 0
        for job in jobs:
            is_idle = job["state"] == "running" and not _lying(job)
            before = self._ahead.get(job["_id"], 1)
            self._ahead[job["_id"]] = min(AHEAD, 2 * before) if is_idle else max(1, before // 2)
        for round_ in range(1, AHEAD + 1):
            for job in jobs:
                wanted = self._ahead[job["_id"]] if job["state"] == "running" else 1
                if round_ <= wanted and len(_ready(job)) < round_:
                    count += self._reserve(job, query)
        is_idle = bool(jobs) and jobs[0]["state"] == "running" and not _lying(jobs[0])
        if not count and is_idle and self._reclaim(jobs[-1]):
            count += self._reserve(jobs[0], query)
        return count

    def note_job_id(self, name: str, job_id: str) -> None:
        """Complete the record of what was handed out to a queue job before it had its id."""
        for launch_id, job_folder, _ in self._open():
            if job_folder.parent.parent.name == name:
                self.connection.launchpad.launches.update_one(
                    {"launch_id": launch_id}, {"$set": {"fworker.env.job_id": job_id}}
                )

    def _reclaim(self, job: Mapping[str, Any]) -> bool:
        """Take back one that lies ready for a busy worker."""
        waiting = _ready(job)
        if not waiting or len(_lying(job)) < 2:
            return False
        try:
            status = json.loads((waiting[-1] / STATUS).read_text())
        except FileNotFoundError:  # the worker has just taken it
            return False
        name = waiting[-1].name.removeprefix(READY)
        self._take_back(status["launch_id"], waiting[-1].with_name(name))
        return True

    def _reserve(self, job: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
        launchpad = self.connection.launchpad
        folder = job_folders_of(Path(job["log"]).parent)
        folder.mkdir(exist_ok=True)
        name = f"{time.time_ns() // 1000:x}"
        env = {"queue": job["scheduler"], "job_id": job["job_id"], "cores": job["cores"]}
        worker = FWorker(job["_id"], category="", query=dict(query), env=env)
        firework, launch_id = launchpad.checkout_fw(worker, str(folder / name), state="RESERVED")
        if firework is None:
            return False
        launchpad.add_offline_run(launch_id, firework.fw_id, firework.name)
        draft = folder / f".{name}"
        draft.mkdir()
        _write(draft / JOB, firework.to_dict())
        _write(draft / STATUS, {"launch_id": launch_id})
        pack(_job(firework), draft, self.connection.job_store)
        draft.rename(folder / f"{READY}{name}")
        return True

    def _open(self) -> Iterator[tuple[int, Path, dict[str, Any]]]:
        launchpad = self.connection.launchpad
        unfinished = launchpad.offline_runs.find({"completed": False}, {"launch_id": True})
        for run in list(unfinished):
            wanted = ("launch_dir", "state", "fworker", "fw_id")
            launch = launchpad.launches.find_one(
                {"launch_id": run["launch_id"]}, dict.fromkeys(wanted, True)
            )
            if launch is not None:
                yield run["launch_id"], Path(launch["launch_dir"]), launch

    def _forget_half_reserved(self) -> None:
        """Make jobs ready again whose launcher died between reservation and record."""
        launchpad = self.connection.launchpad
        reserved = {
            firework["launches"][-1]
            for firework in launchpad.fireworks.find({"state": "RESERVED"}, {"launches": True})
            if firework["launches"]
        }
        known = launchpad.offline_runs.find({"launch_id": {"$in": sorted(reserved)}})
        for launch_id in reserved - {run["launch_id"] for run in known}:
            ours = {"launch_id": launch_id, "fworker.name": {"$regex": "^ssefw-"}}
            if launchpad.launches.find_one(ours, {"_id": True}):
                launchpad.cancel_reservation(launch_id)

    def _begin(self, launch_id: int, status: Mapping[str, Any]) -> None:
        """Note that a job runs, since when its worker says."""
        launchpad = self.connection.launchpad
        launch = launchpad.get_launch_by_id(launch_id)
        launch.state = "RUNNING"
        for entry in launch.state_history:
            if entry["state"] == "RUNNING":
                entry["created_on"] = datetime.fromisoformat(status["started_on"])
        launchpad.launches.find_one_and_replace({"launch_id": launch_id}, launch.to_db_dict())
        launchpad.fireworks.update_one({"fw_id": launch.fw_id}, {"$set": {"state": "RUNNING"}})
        launchpad._refresh_wf(launch.fw_id)  # noqa: SLF001 - as FireWorks' own offline mode

    def _complete(
        self, launch_id: int, job_folder: Path, status: Mapping[str, Any], launch: Mapping[str, Any]
    ) -> None:
        launchpad = self.connection.launchpad
        unpack(job_folder, self.connection.job_store)
        # A launcher that was killed may have done the rest already.
        if launch["state"] in {"RESERVED", "RUNNING"}:
            self._begin(launch_id, status)
            action = FWAction.from_dict(status["fwaction"])
            launchpad.complete_launch(launch_id, action, status["state"])
            if campaign := self._firework(launch)["spec"].get("campaign"):
                hours = _hours(status) * float(launch["fworker"]["env"].get("cores", 1))
                add_spending(self.connection, campaign, core_hours=hours)
        self._close(launch_id)
        shutil.rmtree(job_folder, ignore_errors=True)

    def _take_back(self, launch_id: int, job_folder: Path) -> bool:
        """Make a job ready again; True if it had been running."""
        launchpad = self.connection.launchpad
        waiting = job_folder.with_name(f"{READY}{job_folder.name}")
        recalled = job_folder.with_name(f".recalled-{job_folder.name}")
        try:
            waiting.rename(recalled)
        except FileNotFoundError:
            if not job_folder.exists():  # the launcher died before it was complete
                recalled = job_folder.with_name(f".{job_folder.name}")
            else:
                status = _status(job_folder) or {}
                if "started_on" in status:
                    return self._lose(launch_id, job_folder, status)
                recalled = job_folder  # taken, but killed before it was begun
        self._close(launch_id)
        launchpad.cancel_reservation(launch_id)
        shutil.rmtree(recalled, ignore_errors=True)
        return False

    def _lose(self, launch_id: int, job_folder: Path, status: Mapping[str, Any]) -> bool:
        launchpad = self.connection.launchpad
        self._begin(launch_id, status)
        launch = launchpad.launches.find_one({"launch_id": launch_id}, {"fworker": 1, "fw_id": 1})
        env = launch["fworker"]["env"]
        worker = Worker("", 0, "", env["queue"], str(env["job_id"]), int(env["cores"]))
        seconds = max(0.0, _last_sign(job_folder) - _began(status))
        lost = Lost(self._firework(launch), launch_id, worker, seconds / 3600.0 * worker.cores)
        self._close(launch_id)
        return give_back(self.connection, lost, max_losses=self.max_losses)

    def _close(self, launch_id: int) -> None:
        self.connection.launchpad.offline_runs.update_one(
            {"launch_id": launch_id}, {"$set": {"completed": True}}
        )

    def _firework(self, launch: Mapping[str, Any]) -> dict[str, Any]:
        wanted = ("fw_id", "name", "spec.campaign", "spec.candidate")
        found = self.connection.launchpad.fireworks.find_one(
            {"fw_id": launch["fw_id"]}, dict.fromkeys(wanted, True)
        )
        return dict(found or {"fw_id": launch["fw_id"], "name": "?", "spec": {}})

    def _is_held(self, launch: Mapping[str, Any]) -> bool:
        campaign = self._firework(launch)["spec"].get("campaign")
        query = without_held(self.connection, {"spec.campaign": campaign})
        query["fw_id"] = launch["fw_id"]
        return self.connection.launchpad.fireworks.find_one(query, {"_id": True}) is None


def work_offline_jobs(folder: Path, *, stop: threading.Event, idle: float) -> int:
    """Run the jobs in the folders of a queue job; return how many.

    It ends when none has come for `idle` seconds. No database is needed, and none is looked for.
    """
    count, busy = 0, time.monotonic()
    time_is_up = stop_check()
    home = Path.cwd()
    while not stop.is_set() and time_is_up() is None:
        job_folder = _taken(folder)
        if job_folder is not None:
            store = open_offline_job(job_folder)
            jobflow.SETTINGS.JOB_STORE = store
            os.chdir(job_folder)
            _run(job_folder)
            os.chdir(home)
            count, busy = count + 1, time.monotonic()
        elif time.monotonic() - busy < idle:
            stop.wait(POLL_SECONDS)
        else:
            break
    return count


def _run(job_folder: Path) -> None:
    """Run a job and say in its folder how that ended."""
    firework = Firework.from_dict(json.loads((job_folder / JOB).read_text()))
    status = _status(job_folder) or {}
    status["started_on"] = datetime.now(UTC).isoformat()
    began = time.monotonic()
    _write(job_folder / STATUS, status)
    (task,) = firework.tasks
    task.fw_id = firework.fw_id
    try:
        with noting_folder(job_folder / RUN_FOLDER):
            action, state = task.run_task(dict(firework.spec)), "COMPLETED"
    except Exception as error:  # noqa: BLE001 - whatever the reason, the worker goes on
        details = error.to_dict() if isinstance(error, NotNowError) else None
        trace = {"_stacktrace": traceback.format_exc(), "_details": details}
        action, state = FWAction(stored_data={"_exception": trace}, exit=True), "FIZZLED"
    status |= {"fwaction": action.to_dict(), "state": state}
    status["completed_on"] = datetime.now(UTC).isoformat()
    status["seconds"] = time.monotonic() - began
    _write(job_folder / STATUS, status)


def _write(path: Path, record: Mapping[str, Any]) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(json.dumps(record, default=str))
    draft.replace(path)


def _lying(job: Mapping[str, Any]) -> list[Path]:
    """Return the job folders of a queue job: those that lie ready, and that which is run."""
    return sorted(job_folders_of(Path(job["log"]).parent).glob("[!.]*"))


def _ready(job: Mapping[str, Any]) -> list[Path]:
    return [path for path in _lying(job) if path.name.startswith(READY)]


def _taken(folder: Path) -> Path | None:
    """Return the oldest job folder that lies ready, now taken."""
    for waiting in sorted(folder.glob(f"{READY}*")):
        job_folder = waiting.with_name(waiting.name.removeprefix(READY))
        try:
            return waiting.rename(job_folder)
        except FileNotFoundError:  # the launcher took it back
            continue
    return None


def _job(firework: Firework) -> Job:
    job: Any = firework.tasks[0]["job"]
    found: Any = job if isinstance(job, Job) else Job.from_dict(job)
    return found  # type: ignore[no-any-return]  # monty leaves the type open


def _status(job_folder: Path) -> dict[str, Any] | None:
    """Return what the worker says of a job; None of one that was not begun."""
    try:
        found: dict[str, Any] = json.loads((job_folder / STATUS).read_text())
    except FileNotFoundError:
        return None
    return found


def _is_over(job: Mapping[str, Any]) -> bool:
    return job.get("state") == "ended" and time.time() - job.get("ended", 0.0) > SETTLE_SECONDS


def _began(status: Mapping[str, Any]) -> float:
    text = status.get("started_on")
    return datetime.fromisoformat(text).timestamp() if text else time.time()


def _hours(status: Mapping[str, Any]) -> float:
    if "seconds" in status:  # an earlier version has the dates only, which somebody may set
        return float(status["seconds"]) / 3600.0
    ended = datetime.fromisoformat(status["completed_on"]).timestamp()
    return max(0.0, ended - _began(status)) / 3600.0


def _last_sign(job_folder: Path) -> float:
    return max((path.stat().st_mtime for path in job_folder.iterdir()), default=0.0)
