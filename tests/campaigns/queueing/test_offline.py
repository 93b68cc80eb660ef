"""Workers that reach no database get their jobs as files and give results back as files."""

import json
import shutil
import threading
from pathlib import Path

import pytest

from ssefw.campaigns.queueing import offline
from ssefw.campaigns.queueing.launcher import Launcher
from ssefw.campaigns.queueing.offline import job_folders_of, work_offline_jobs
from ssefw.campaigns.queueing.site import QueueLimits, Site, write_settings
from ssefw.documents import Failure, Outcome
from ssefw.errors import StoreError
from ssefw.settings import Settings, load_settings
from ssefw.store import Address, connect
from tests.conftest import CAMPAIGN


@pytest.fixture
def submitted(tmp_path, ssefw):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    ssefw("submit", "c.yaml", "--store", tmp_path / "st")
    with connect(tmp_path / "st") as connection:
        yield connection


@pytest.fixture
def launcher(submitted, slurm, tmp_path, monkeypatch):
    monkeypatch.setattr("ssefw.campaigns.queueing.offline.SETTLE_SECONDS", 0.0)
    site = Site(scheduler="slurm", offline=True)
    return Launcher(submitted, site, tmp_path / "jobs", QueueLimits())


@pytest.fixture
def node(tmp_path, monkeypatch):
    """What a compute node sees: the folders of queue jobs, and where frames go."""
    settings = Settings(store=str(tmp_path / "st"), scratch=tmp_path / "scratch")
    path = write_settings(tmp_path / "jobs", settings, offline=True)
    monkeypatch.setenv("SSEFW_SETTINGS", str(path))
    monkeypatch.delenv("SSEFW_STORE", raising=False)
    assert Address(load_settings().settings.store).is_offline

    def work(*, at_most=None):
        count = 0
        for folder in sorted((tmp_path / "jobs").glob("ssefw-*")):
            if at_most is None or count < at_most:
                count += work_offline_jobs(job_folders_of(folder), stop=threading.Event(), idle=0.0)
        return count

    return work


def states(connection):
    return sorted(f["state"] for f in connection.launchpad.fireworks.find({}, {"state": True}))


def start_all(slurm):
    for job in slurm.iterdir():
        job.write_text("RUNNING")


def test_a_campaign_is_finished_without_a_database(launcher, submitted, node, slurm):
    assert launcher.round().submitted == 2
    assert states(submitted) == ["RESERVED", "RESERVED", "WAITING", "WAITING"]
    start_all(slurm)
    for _ in range(20):
        node()
        if not launcher.round().left:
            break
    assert set(states(submitted)) == {"COMPLETED"}
    outcomes = list(submitted.results.find(Outcome))
    assert [len(outcome.diffusivities) for outcome in outcomes] == [2, 2]
    assert submitted.database["spending"].find_one({})["jobs"] == len(states(submitted))
    assert not list(Path(launcher.folder).glob("ssefw-*/parcels/*"))


def test_what_a_killed_worker_had_is_given_back(launcher, submitted, node, slurm):
    launcher.round()
    first, second = sorted(launcher.folder.glob("ssefw-*/parcels/ready-*"))
    # One had begun, the other not.
    begun = first.rename(first.with_name(first.name.removeprefix("ready-")))
    status = json.loads((begun / "status.json").read_text())
    started = {"started_on": "2026-01-01T00:00:00+00:00"}
    (begun / "status.json").write_text(json.dumps(status | started))
    start_all(slurm)
    launcher.round()
    assert "RUNNING" in states(submitted)
    for job in slurm.iterdir():
        job.unlink()
    now = launcher.round()
    assert now.released == 1
    (incident,) = submitted.database["incidents"].find()
    assert "slurm." in incident["worker"]
    assert not second.exists()
    start_all(slurm)
    assert node() == 2


def test_what_a_job_took_does_not_follow_the_date_of_its_node():
    dates = {"started_on": "2026-01-01T00:00:00+00:00", "completed_on": "2026-01-11T00:00:00+00:00"}
    assert offline._hours(dates | {"seconds": 36.0}) == pytest.approx(0.01)


def test_a_failed_job_is_a_failed_job_of_the_launch_pad(launcher, submitted, node, slurm):
    launcher.round()
    start_all(slurm)
    for path in launcher.folder.glob("ssefw-*/parcels/*/job.json"):
        path.write_text(path.read_text().replace("emt.EMT", "emt.NoSuch"))
    node()
    launcher.round()
    assert states(submitted).count("FIZZLED") == 2
    assert submitted.results.count(Failure) == 2


def test_what_is_paused_is_taken_back_before_it_runs(launcher, submitted, node, ssefw, tmp_path):
    launcher.round()
    ssefw("pause", "small", "--store", tmp_path / "st")
    launcher.round()
    assert node() == 0
    assert states(submitted) == ["READY", "READY", "WAITING", "WAITING"]


def test_a_job_whose_launcher_died_while_it_was_handed_out_is_ready_again(
    launcher, submitted, node
):
    launcher.round()
    one, _ = launcher.folder.glob("ssefw-*/parcels/ready-*")
    shutil.rmtree(one)
    launch = submitted.launchpad.offline_runs.find_one({})["launch_id"]
    submitted.launchpad.offline_runs.delete_one({"launch_id": launch})
    launcher.round()
    launcher.round()
    assert states(submitted) == ["RESERVED", "RESERVED", "WAITING", "WAITING"]
    assert node() >= 1


def test_an_idle_worker_gets_what_lies_ready_for_a_busy_one(launcher, submitted, slurm):
    launcher.round()
    start_all(slurm)
    first, second = sorted(launcher.folder.glob("ssefw-*/parcels"))
    (taken,) = first.glob("ready-*")
    taken.rename(taken.with_name(taken.name.removeprefix("ready-")))
    (waiting,) = second.glob("ready-*")
    busy = waiting.rename(first / waiting.name)
    submitted.launchpad.launches.update_one(
        {"launch_dir": {"$regex": waiting.name.removeprefix("ready-")}},
        {"$set": {"launch_dir": str(busy.with_name(busy.name.removeprefix("ready-")))}},
    )
    assert launcher.round().submitted == 0
    assert len(list(first.glob("ready-*"))) == 0
    assert len(list(second.glob("ready-*"))) == 1


def test_frames_in_a_database_are_refused(tmp_path):
    settings = Settings(store="mongodb://u:secret@host/db", scratch=tmp_path)
    with pytest.raises(StoreError, match="blobs="):
        write_settings(tmp_path, settings, offline=True)
    with_files = Settings(
        store=f"mongodb://u:secret@host/db?blobs={tmp_path}/frames", scratch=tmp_path
    )
    assert "secret" not in write_settings(tmp_path, with_files, offline=True).read_text()
