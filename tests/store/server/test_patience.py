"""A server that goes away in the middle of an operation: each is done once all the same."""

import threading
import uuid

import pytest
from fireworks import FWAction, FWorker
from jobflow import Flow, job
from jobflow.managers.fireworks import flow_to_workflow
from pymongo.errors import AutoReconnect, DuplicateKeyError, ServerSelectionTimeoutError

from ssefw.errors import StoreError
from ssefw.store import connect, open_blobs, outages_reported
from ssefw.store.server import patience
from ssefw.store.server.patience import Patience
from tests.conftest import MongoServer


@job
def double(value):
    return 2 * value


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.05)


@pytest.fixture(scope="module")
def mongo_server(tmp_path_factory):
    server = MongoServer(tmp_path_factory.mktemp("mongo"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def connection(mongo_server):
    name = f"test_{uuid.uuid4().hex[:8]}"
    with connect(f"{mongo_server.uri}/{name}", patience=120.0, timeout=0.5, at_once=False) as found:
        yield found


@pytest.fixture
def lose(mongo_server):
    """Have the server do the next command of a kind and break the connection without a reply."""

    def ask(verb):
        (mongo_server.folder / f"lose-{verb}").touch()

    yield ask
    for note in mongo_server.folder.glob("lose-*"):
        note.unlink()


def failing(*answers):
    rest = list(answers)

    def attempt():
        answer = rest.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return attempt


def test_what_fails_for_want_of_a_server_is_tried_again():
    attempt = failing(AutoReconnect("gone"), ServerSelectionTimeoutError("gone"), 7)
    assert Patience(100.0).keep_trying(attempt) == 7


def test_patience_ends():
    with pytest.raises(AutoReconnect):
        Patience(0.0).keep_trying(failing(AutoReconnect("gone")))


def test_other_errors_are_not_tried_again():
    with pytest.raises(DuplicateKeyError):
        Patience(10.0).keep_trying(failing(DuplicateKeyError("there"), 7))


def test_who_is_asked_to_stop_does_not_wait_long(monkeypatch):
    monkeypatch.setattr(patience, "LAST_SECONDS", 0.0)
    stop = threading.Event()
    stop.set()
    with pytest.raises(AutoReconnect):
        Patience(1e6, stop).keep_trying(failing(AutoReconnect("gone"), 7))


def test_an_outage_is_logged_once_and_so_is_its_end(caplog):
    Patience(100.0).keep_trying(failing(*[AutoReconnect("gone")] * 5, 7))
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("The database does not answer")
    assert last.startswith("The database answers again")


def test_an_insertion_whose_reply_is_lost_is_done_once(connection, lose):
    things = connection.database["things"]
    lose("insert")
    things.insert_one({"_id": "a"})
    lose("insert")
    things.insert_many({"_id": number} for number in range(5))
    assert things.count_documents({}) == 6
    with pytest.raises(DuplicateKeyError):
        things.insert_one({"_id": "a"})


def test_a_part_of_an_insertion_that_arrived_is_completed(connection, lose):
    things = connection.database["things"]
    things.create_index("number", unique=True)
    documents = [{"_id": number, "number": number} for number in range(5)]
    things.insert_many(documents[:2])
    again = [dict(document) for document in documents]
    lose("insert")
    # What the server did of the first attempt ended at the duplicate.
    things.insert_many(again)
    assert things.count_documents({}) == 5


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update_one({"_id": 1}, {"$set": {"x": 1}}),
        lambda c: c.replace_one({"_id": 1}, {"x": 1}),
        lambda c: c.find_one_and_replace({"_id": 1}, {"x": 1}),
        lambda c: c.delete_many({"x": 0}),
        lambda c: c.count_documents({}),
        lambda c: c.find_one({"_id": 1}),
        lambda c: list(c.find({})),
        lambda c: c.distinct("x"),
    ],
    ids=["update", "replace", "findandmodify", "delete", "count", "find_one", "find", "distinct"],
)
def test_any_operation_survives_a_lost_reply(connection, lose, change, request):
    things = connection.database["things"]
    things.insert_one({"_id": 1, "x": 0})
    for verb in ("update", "findandmodify", "delete", "aggregate", "find", "distinct"):
        lose(verb)
    change(things)


@pytest.mark.parametrize("verb", ["findandmodify", "update", "find", "insert"])
def test_a_job_is_taken_once_and_no_workflow_stays_locked(connection, lose, verb, tmp_path):
    launchpad = connection.launchpad
    first = double(1)
    launchpad.add_wf(flow_to_workflow(Flow([first, double(first.output)]), store=None))
    lose(verb)
    firework, launch = launchpad.checkout_fw(FWorker(), str(tmp_path))
    lose(verb)
    launchpad.complete_launch(launch, FWAction(), "COMPLETED")
    assert firework.state == "RUNNING"
    assert launchpad.checkout_fw(FWorker(), str(tmp_path))[0].fw_id != firework.fw_id
    assert launchpad.checkout_fw(FWorker(), str(tmp_path)) == (None, None)
    assert launchpad.workflows.count_documents({"locked": True}) == 0
    assert launchpad.launches.count_documents({}) == 2


def test_a_server_that_is_killed_and_started_again_is_waited_for(connection, mongo_server):
    things = connection.database["things"]
    things.insert_one({"_id": 1})
    mongo_server.kill()
    back = threading.Timer(1.0, mongo_server.start)
    back.start()
    things.insert_one({"_id": 2})
    connection.blobs.put("a/b", b"frames")
    assert connection.blobs.get("a/b") == b"frames"
    assert sorted(item["_id"] for item in things.find({})) == [1, 2]
    back.join()


def test_a_server_that_freezes_is_waited_for(connection, mongo_server):
    things = connection.database["things"]
    mongo_server.freeze()
    insertion = threading.Thread(target=things.insert_one, args=({"_id": 1},))
    insertion.start()
    insertion.join(0.5)
    assert insertion.is_alive()
    mongo_server.thaw()
    insertion.join()
    assert things.count_documents({}) == 1


def test_without_patience_an_outage_is_an_error_of_one_line(mongo_server):
    with connect(f"{mongo_server.uri}/test", timeout=2.0) as connection:
        mongo_server.kill()
        with (
            pytest.raises(StoreError, match="does not answer"),
            outages_reported(connection.address),
        ):
            connection.database["things"].find_one({})
        mongo_server.start()


def test_a_server_that_is_not_there_from_the_start_is_an_error_unless_waited_for(mongo_server):
    mongo_server.kill()
    address = f"{mongo_server.uri}/test"
    with pytest.raises(StoreError, match="start the server"):
        connect(address, timeout=0.2, patience=30.0)
    back = threading.Timer(0.5, mongo_server.start)
    back.start()
    with connect(address, timeout=0.5, patience=120.0, at_once=False) as connection:
        assert connection.launchpad.get_fw_ids() == []
    assert open_blobs(address).exists("a") is False
    back.join()
