"""A MongoDB address gives what a folder gives.

Over a server of the tests that speaks MongoDB's protocol, or that of
``SSEFW_TEST_MONGO=mongodb://host``.
"""

import uuid

import jobflow
import pymongo
import pytest
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Flow, job
from jobflow.managers.fireworks import flow_to_workflow

from ssefw.documents import Estimate, Label
from ssefw.errors import StoreError
from ssefw.store import connect, copy_store, open_blobs

LABEL = Label(
    candidate_id="a",
    formula="Li2O",
    conductivity=Estimate.undetermined("no data", unit="S/cm"),
    temperature=300.0,
    kind="experiment",
)


@pytest.fixture
def address(mongo):
    name = f"ssefw_test_{uuid.uuid4().hex[:8]}"
    yield f"{mongo}/{name}"
    with pymongo.MongoClient(mongo) as client:
        client.drop_database(name)


@job
def double(value):
    return 2 * value


@job(data=["frames"])
def frames(n):
    return {"frames": [0.5] * n, "n": n}


def test_a_flow_runs_and_its_outputs_are_found_by_another_connection(
    address, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    first = double(21)
    second = double(first.output)
    large = frames(100)
    with connect(address) as connection:
        monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", connection.job_store)
        for flow in (Flow([first, second]), large):
            connection.launchpad.add_wf(flow_to_workflow(flow, store=None))
        rapidfire(connection.launchpad, FWorker(), strm_lvl="CRITICAL")
    with connect(address, read_only=True) as connection:
        assert connection.launchpad.get_fw_ids({"state": "COMPLETED"}) == [1, 2, 3]
        assert connection.job_store.get_output(second.uuid) == 84
        output = connection.job_store.get_output(large.uuid, load=True)
        assert output == {"frames": [0.5] * 100, "n": 100}


def test_results_are_added_and_found(address):
    with connect(address) as connection:
        key = connection.results.add(LABEL, candidate="a", campaign="test")
        assert connection.results.add(LABEL, candidate="a", campaign="test") == key
        assert list(connection.results.find(Label, campaign="test")) == [LABEL]
        assert connection.results.get(key) == LABEL
        assert connection.results.count(Label, where={"temperature": {"$gt": 400}}) == 0


def test_blobs_lie_on_the_server_or_in_the_folder_of_the_address(address, tmp_path):
    with connect(address) as connection:
        connection.blobs.put("a/0", b"on the server")
    assert open_blobs(address).get("a/0") == b"on the server"
    elsewhere = f"{address}?blobs={tmp_path}"
    with connect(elsewhere) as connection:
        assert not connection.blobs.exists("a/0")
        connection.blobs.put("a/1", b"in the folder")
    assert open_blobs(elsewhere).get("a/1") == b"in the folder"
    assert (tmp_path / "a" / "1").read_bytes().endswith(b"in the folder")


def test_collections_of_our_own_are_kept(address):
    with connect(address) as connection:
        connection.database["campaigns"].insert_one({"_id": "kang2022", "n": 3})
    with connect(address) as connection:
        assert connection.database["campaigns"].find_one() == {"_id": "kang2022", "n": 3}


def contents(connection):
    outputs = [
        (found["uuid"], found["index"], found["output"])
        for found in connection.job_store.query(sort={"uuid": 1}, load=True)
    ]
    states = [
        (fw["fw_id"], fw["state"], fw["spec"]["_tasks"], fw["created_on"])
        for fw in connection.launchpad.fireworks.find({}, sort=[("fw_id", 1)])
    ]
    links = [wf["links"] for wf in connection.launchpad.workflows.find({}, sort=[("nodes", 1)])]
    blobs = {key: connection.blobs.get(key) for key in connection.blobs.keys()}  # noqa: SIM118
    return outputs, states, links, blobs


def test_a_store_moves_to_a_server_and_back_and_goes_on(address, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    first = frames(50)
    second = double(first.output.n)
    with connect(tmp_path / "old") as old, connect(address) as server:
        monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", old.job_store)
        old.launchpad.add_wf(flow_to_workflow(Flow([first, second]), store=None))
        rapidfire(old.launchpad, FWorker(), nlaunches=1, strm_lvl="CRITICAL")
        old.blobs.put("trajectories/a/0", b"frames")
        old.results.add(LABEL, candidate="a", campaign="test")
        copied = copy_store(old, server)
        assert copied["fireworks"] == 2
        assert copied["jobs_data"] == copied["blobs"] == 1
        assert contents(server) == contents(old)
        with connect(tmp_path / "new") as new:
            copy_store(server, new)
            assert contents(new) == contents(old)
            monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", new.job_store)
            rapidfire(new.launchpad, FWorker(), strm_lvl="CRITICAL")
            assert new.job_store.get_output(second.uuid) == 100
            new.launchpad.add_wf(flow_to_workflow(double(1), store=None))
            assert new.launchpad.get_fw_ids() == [1, 2, 3]
        with pytest.raises(StoreError, match="is not empty"):
            copy_store(old, server)
