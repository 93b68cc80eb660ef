"""Stores and workers that fall silent: what waits, what is given back, and that nothing is lost."""

import functools
import os
import sqlite3
import threading
import uuid

import jobflow
import pymongo
import pytest
from pymongo import monitoring

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.running import heartbeat, submission, worker
from ssefw.campaigns.running.heartbeat import HeartbeatWatch, beating
from ssefw.campaigns.running.lost import release_lost
from ssefw.campaigns.running.watch import latest_record, snapshot
from ssefw.campaigns.running.worker_names import Worker
from ssefw.errors import StoreError
from ssefw.settings import Settings
from ssefw.store import connect
from ssefw.store.embedded import sqlite
from ssefw.store.server import client as server
from tests.campaigns.steering.test_control import feeder, start_elsewhere, states

CELL = """\
    - name: cell-{number}
      poscar: |
        Cu4
        1.0
        {length} 0 0
        0 {length} 0
        0 0 {length}
        Cu
        4
        direct
        0 0 0
        0.5 0.5 0
        0.5 0 0.5
        0 0.5 0.5
"""
REST = """\
engine: {calculator: ase.calculators.emt.EMT}
supercell: {min_length: 3, max_atoms: 40}
md: {temperatures: [500], length: 1.0, equilibration: 0.2}
"""


@pytest.fixture
def connection(tmp_path, ssefw, campaign_file):
    ssefw("submit", campaign_file, "--store", tmp_path / "st")
    with connect(tmp_path / "st") as found:
        yield found


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [1000.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    return now


def on_another_machine(connection, name="far"):
    far = Worker(name, 7, "1")
    start_elsewhere(connection, queue="", job_id="", host=name)
    connection.database["workers"].insert_one({"_id": far.name, "beats": 1})
    return far


def test_a_worker_that_fell_silent_loses_its_job(connection, clock):
    on_another_machine(connection)
    lookout = HeartbeatWatch()
    seconds = 0
    while not release_lost(connection, lookout=lookout):
        clock[0] += 20
        seconds += 20
        assert seconds <= 120
    assert "RUNNING" not in states(connection)
    assert connection.database["incidents"].find_one({})["detail"] == "no sign of life"


def test_a_worker_that_gives_signs_of_life_keeps_its_job(connection, clock):
    far = on_another_machine(connection)
    lookout = HeartbeatWatch()
    for _ in range(20):
        connection.database["workers"].update_one({"_id": far.name}, {"$inc": {"beats": 1}})
        clock[0] += 60
        assert release_lost(connection, lookout=lookout) == []


def test_the_time_of_an_outage_is_no_silence_of_workers(connection, clock):
    on_another_machine(connection)
    lookout = HeartbeatWatch()
    release_lost(connection, lookout=lookout)
    clock[0] += 3600
    assert release_lost(connection, lookout=lookout) == []


def test_a_worker_gives_signs_of_life_until_it_ends(connection):
    workers = connection.database["workers"]
    with beating(connection, "me", lease=0.05):
        seen = set()
        while len(seen) < 3:
            seen.add((workers.find_one({"_id": "me"}) or {}).get("beats"))
    assert workers.find_one({"_id": "me"}) is None


@pytest.fixture
def impatient(monkeypatch, connection):
    """A store whose file is given up at once where it is locked."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    connection.database.file.hold()  # the connection is opened again with this patience
    connection.database.file.release()


@pytest.mark.usefixtures("impatient")
def test_a_launcher_outlives_a_locked_store(connection, slurm, tmp_path):
    launcher = feeder(connection, tmp_path)
    other = sqlite3.connect(connection.address.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        launcher.round()
    other.execute("ROLLBACK")
    other.close()
    assert launcher.round().submitted == 2
    assert sorted(states(connection)) == ["READY", "READY", "WAITING", "WAITING"]


def test_a_worker_between_two_jobs_outlives_an_outage(connection, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.01)
    monkeypatch.setenv("SSEFW_STORE", "")
    monkeypatch.setenv("SSEFW_SCRATCH", "")
    answers = [StoreError("gone"), StoreError("still gone"), False]

    def run_exists(_):
        answer = answers.pop(0)
        if isinstance(answer, StoreError):
            raise answer
        return answer

    monkeypatch.setattr(connection.launchpad, "run_exists", run_exists)
    settings = Settings(store=str(tmp_path / "st"), scratch=tmp_path / "scratch")
    store_of_jobs = jobflow.SETTINGS.JOB_STORE
    done = worker.work(connection, settings, stop=threading.Event(), idle=0.0)
    assert (done.jobs, answers) == (0, [])
    # What it set for its jobs is gone with it.
    assert os.environ["SSEFW_STORE"] == os.environ["SSEFW_SCRATCH"] == ""
    assert jobflow.SETTINGS.JOB_STORE is store_of_jobs


def test_a_worker_gives_up_a_store_that_stays_away(connection, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "OUTAGE_SECONDS", -1.0)
    monkeypatch.setenv("SSEFW_STORE", "")
    monkeypatch.setenv("SSEFW_SCRATCH", "")

    def run_exists(_):
        raise StoreError("gone")

    monkeypatch.setattr(connection.launchpad, "run_exists", run_exists)
    settings = Settings(store=str(tmp_path / "st"), scratch=tmp_path / "scratch")
    with pytest.raises(StoreError, match="gone"):
        worker.work(connection, settings, stop=threading.Event(), idle=0.0)


class Counter(monitoring.CommandListener):
    """Counts what is asked of a server."""

    def __init__(self):
        self.commands = []

    def started(self, event):
        self.commands.append(event.command_name)

    def succeeded(self, event):
        pass

    failed = succeeded


def test_a_submission_asks_a_server_once_for_many_candidates(tmp_path, mongo, monkeypatch):
    """What a look costs does not grow either; only then do thousands of candidates work."""
    counter = Counter()
    plain = functools.partial(pymongo.MongoClient, event_listeners=[counter])
    monkeypatch.setattr(server, "MongoClient", plain)
    asked = {}
    for count in (2, 40):
        path = tmp_path / f"{count}.yaml"
        cells = "".join(
            CELL.format(number=number, length=3.6 + 0.01 * number) for number in range(count)
        )
        path.write_text(f"campaign: n{count}\nspecie: Cu\npool:\n  structures:\n{cells}{REST}")
        with connect(f"{mongo}/count_{uuid.uuid4().hex[:8]}") as connection:
            counter.commands.clear()
            submission.submit(make_plan(read_campaign(path)), connection)
            submitted = len(counter.commands)
            record = latest_record(connection, f"n{count}")
            counter.commands.clear()
            snapshot(connection, record, tmp_path)
            asked[count] = submitted, len(counter.commands)
            connection.database.client.drop_database(connection.database.name)
    assert asked[2] == asked[40]
    assert asked[40][0] < 20
