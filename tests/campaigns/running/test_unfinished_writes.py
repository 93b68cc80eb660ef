"""What a process that was killed between two writes leaves on a server is brought to its end."""

import uuid

import pytest
from fireworks import FWAction, FWorker
from fireworks.core.launchpad import WFLock

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.running import unfinished_writes
from ssefw.campaigns.running.lost import release_lost
from ssefw.campaigns.running.submission import submit
from ssefw.campaigns.running.unfinished_writes import UnfinishedWrites
from ssefw.store import connect
from tests.campaigns.steering.test_control import start_elsewhere


@pytest.fixture
def connection(mongo, campaign_file):
    with connect(f"{mongo}/left_{uuid.uuid4().hex[:8]}") as found:
        submit(make_plan(read_campaign(campaign_file)), found)
        yield found
        found.database.client.drop_database(found.database.name)


@pytest.fixture
def look(connection, monkeypatch):
    """Look at what is left, so many seconds after the last time."""
    now = [0.0]
    monkeypatch.setattr(unfinished_writes.time, "monotonic", lambda: now[0])
    mender = UnfinishedWrites()

    def after(seconds):
        now[0] += seconds
        return mender.mend(connection)

    return after


def state(connection, firework_id):
    return connection.launchpad.fireworks.find_one({"fw_id": firework_id})["state"]


def test_a_workflow_that_stays_locked_is_unlocked(connection, look):
    firework_id = connection.launchpad.get_fw_ids()[0]
    WFLock(connection.launchpad, firework_id).__enter__()
    assert [look(0), look(20), look(20), look(20)] == [0, 0, 0, 1]
    assert connection.launchpad.workflows.count_documents({"locked": True}) == 0


def test_one_lock_after_another_is_work(connection, look):
    firework_id = connection.launchpad.get_fw_ids()[0]
    for _ in range(6):
        with WFLock(connection.launchpad, firework_id):
            assert look(20) == 0


def test_a_job_that_was_taken_and_not_begun_is_ready_again(connection, look):
    taken = connection.launchpad._get_a_fw_to_run({})
    assert [look(0), look(30), look(30)] == [0, 0, 1]
    assert state(connection, taken.fw_id) == "READY"


class Killed(BaseException):
    """What no handler of a process that is killed gets to see."""


def test_nothing_else_frees_a_job_whose_worker_died_while_it_took_it(connection, look, tmp_path):
    launchpad = connection.launchpad
    waiting = launchpad.fireworks.count_documents({"state": "READY"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launchpad, "get_new_launch_id", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            launchpad.checkout_fw(FWorker(), str(tmp_path))
    # Neither our search for dead workers knows of it nor FireWorks' own searches: it has no launch.
    assert release_lost(connection) == []
    assert launchpad.detect_lostruns(expiration_secs=0, rerun=True) == ([], [], [])
    assert launchpad.detect_unreserved(expiration_secs=0, rerun=True) == []
    assert launchpad.fireworks.count_documents({"state": "READY"}) == waiting - 1
    assert [look(0), look(30), look(30)] == [0, 0, 1]
    assert launchpad.fireworks.count_documents({"state": "READY"}) == waiting


def test_a_launch_that_ended_completes_its_job(connection, look):
    firework_id, launch_id = start_elsewhere(connection)
    ended = {"state": "COMPLETED", "action": FWAction().to_dict()}
    connection.launchpad.launches.update_one({"launch_id": launch_id}, {"$set": ended})
    assert [look(0), look(30), look(30)] == [0, 0, 1]
    assert state(connection, firework_id) == "COMPLETED"


def test_jobs_that_run_or_are_reserved_for_a_queue_job_are_left_alone(connection, look, tmp_path):
    start_elsewhere(connection)
    connection.launchpad.checkout_fw(FWorker(), str(tmp_path), state="RESERVED")
    assert sum(look(30) for _ in range(10)) == 0


def test_the_time_of_an_outage_does_not_count(connection, look):
    connection.launchpad._get_a_fw_to_run({})
    assert [look(0), look(3600)] == [0, 0]


def test_a_lost_job_in_a_locked_workflow_waits_until_it_is_unlocked(connection, slurm, look):
    firework_id, _ = start_elsewhere(connection)
    WFLock(connection.launchpad, firework_id).__enter__()
    assert release_lost(connection) == []
    assert [look(0), look(30), look(30)] == [0, 0, 1]
    assert release_lost(connection) == [firework_id]


def test_a_folder_leaves_nothing_half_done(tmp_path, ssefw, campaign_file):
    ssefw("submit", campaign_file, "--store", tmp_path / "st")
    with connect(tmp_path / "st") as connection:
        connection.launchpad.workflows.update_many({}, {"$set": {"locked": True}})
        assert UnfinishedWrites().mend(connection) == 0
