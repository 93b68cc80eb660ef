"""One address gives launch pad, job store, database and blobs."""

import math

import jobflow
import pytest
from fireworks import Firework, FWorker, PyTask
from fireworks.core.rocket_launcher import rapidfire
from jobflow.managers.fireworks import flow_to_workflow

from ssefw.documents import Estimate, Label
from ssefw.errors import StoreError
from ssefw.store import connect, open_blobs


def two_jobs():
    first = jobflow.job(math.sqrt)(16)
    second = jobflow.job(math.sqrt)(first.output)
    return jobflow.Flow([first, second]), second.uuid


def test_a_flow_runs_to_the_end_and_is_there_after_reopening(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flow, uuid = two_jobs()
    with connect(tmp_path / "store") as connection:
        monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", connection.job_store)
        connection.launchpad.add_wf(flow_to_workflow(flow, store=None))
        rapidfire(connection.launchpad, FWorker(), strm_lvl="CRITICAL")
    with connect(tmp_path / "store", read_only=True) as connection:
        assert connection.launchpad.get_fw_ids({"state": "COMPLETED"}) == [1, 2]
        assert connection.job_store.get_output(uuid) == 2


def test_read_only_refuses_to_write(tmp_path):
    connect(tmp_path / "store").close()
    with connect(tmp_path / "store", read_only=True) as connection:
        with pytest.raises(StoreError, match="read-only"):
            connection.launchpad.add_wf(Firework([PyTask(func="time.time")]))
        with pytest.raises(StoreError, match="read-only"):
            connection.blobs.put("trajectories/a/000000", b"")


def test_adding_a_record_twice_adds_nothing(tmp_path):
    label = Label(
        candidate_id="a",
        formula="Li2O",
        conductivity=Estimate.undetermined("no data", unit="S/cm"),
        temperature=300.0,
        kind="experiment",
    )
    with connect(tmp_path / "store") as connection:
        key = connection.results.add(label, candidate="a", campaign="test")
        assert connection.results.add(label, candidate="a", campaign="test") == key
        assert list(connection.results.find(Label, campaign="test")) == [label]
        assert connection.results.get(key) == label
        assert connection.results.count(Label, where={"temperature": {"$gt": 400}}) == 0


def test_open_blobs_sees_what_the_connection_wrote(tmp_path):
    with connect(tmp_path / "store") as connection:
        connection.blobs.put("trajectories/a/000000", b"frames")
        blobs = open_blobs(connection.address)
    assert blobs.get("trajectories/a/000000") == b"frames"
    assert list(blobs.keys("trajectories/")) == ["trajectories/a/000000"]


def test_open_blobs_refuses_a_folder_without_a_store(tmp_path):
    with pytest.raises(StoreError, match="There is no store in"):
        open_blobs(tmp_path)
