"""What dead workers leave is cleared away, and never what a live one has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fireworks import FWAction

from ssefw.campaigns.running import heartbeat
from ssefw.campaigns.running.heartbeat import beating
from ssefw.campaigns.running.lost import release_lost
from ssefw.campaigns.running.supervise import WorkerProcesses
from ssefw.campaigns.running.upkeep import Upkeep
from ssefw.campaigns.running.worker_names import Worker, this_worker, worker_of
from ssefw.campaigns.steering.holds import WORKERS, spent
from ssefw.errors import BusyError, TakenError
from ssefw.settings import Settings
from ssefw.store import connect
from ssefw.store.tenure import ensure_tenure, tenure
from tests.campaigns.steering.test_control import start_elsewhere, states
from tests.conftest import REPOSITORY


@pytest.fixture
def connection(tmp_path, ssefw, campaign_file):
    ssefw("submit", campaign_file, "--store", tmp_path / "st")
    with connect(tmp_path / "st") as found:
        yield found


def leave(scratch, worker, *, files=()):
    """Leave what a worker has while it runs a job."""
    folder = scratch / "launches" / worker.name / "000003"
    folder.mkdir(parents=True)
    (folder / "FW.json").write_text("{}")
    for name in files:
        (folder / name).write_text("")
    return folder


def dead_worker():
    here = this_worker()
    return Worker(here.host, here.pid, "0", place=here.place)


# Names


def test_the_name_of_a_worker_tells_where_its_pid_counts():
    worker = Worker("node7", 12, "345", "pbs", "17.server-1.site", place="a1.b2.0")
    assert worker_of(worker.name) == worker
    assert worker_of("node7+12+345") == Worker("node7", 12, "345")  # of an earlier version


def test_a_pid_of_another_container_of_this_host_tells_nothing():
    here = this_worker()
    machine, boot, _ = here.place.split(".")
    other = Worker(here.host, here.pid, "0", place=f"{machine}.{boot}.abc")
    assert not other.is_here
    assert not other.is_gone


def test_a_renamed_machine_knows_its_processes():
    here = this_worker()
    assert Worker("old-name", here.pid, here.started, place=here.place).is_here
    assert Worker("old-name", here.pid, "0", place=here.place).is_gone


def test_what_ran_before_this_machine_was_started_anew_is_gone(monkeypatch):
    here = this_worker()
    monkeypatch.setattr("ssefw.processes._place", lambda: "machine.today.0")
    assert Worker(here.host, 5, "9", place="machine.yesterday.0").is_gone
    assert not Worker(here.host, 5, "9", place="another.yesterday.0").is_gone
    assert not Worker(here.host, 5, "9", place="machine.yesterday.abc").is_gone


# Unfinished writes


def test_what_a_dead_worker_left_is_removed(connection, tmp_path):
    worker = dead_worker()
    empty = leave(tmp_path, worker)
    connection.database[WORKERS].insert_one({"_id": worker.name, "beats": 3})
    Upkeep(connection, tmp_path).look()
    assert not empty.parent.exists()
    assert connection.database[WORKERS].count_documents({}) == 0


def test_files_of_an_engine_stay(connection, tmp_path):
    folder = leave(tmp_path, dead_worker(), files=("OUTCAR",))
    Upkeep(connection, tmp_path).look()
    assert [path.name for path in folder.iterdir()] == ["OUTCAR"]


def test_what_live_workers_have_stays(connection, tmp_path):
    here = this_worker()
    ours, far = leave(tmp_path, here), leave(tmp_path, Worker("far", 1, "1", place="m.b.n"))
    connection.database[WORKERS].insert_one({"_id": here.name, "beats": 3})
    Upkeep(connection, tmp_path).look()
    assert (ours / "FW.json").exists()
    assert (far / "FW.json").exists()
    assert connection.database[WORKERS].count_documents({}) == 1


def test_what_a_worker_elsewhere_left_is_removed_when_it_is_silent(
    connection, tmp_path, monkeypatch
):
    now = [1000.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    folder = leave(tmp_path, Worker("far", 1, "1", place="m.b.n"))
    upkeep = Upkeep(connection, tmp_path)
    for _ in range(8):
        upkeep.look()
        now[0] += 61
    assert not folder.parent.exists()


def test_a_launch_that_was_given_up_does_not_count_as_running(connection, slurm):
    _, launch_id = start_elsewhere(connection)
    assert len(release_lost(connection)) == 1
    launch = connection.launchpad.launches.find_one({"launch_id": launch_id})
    assert launch["state"] == "FIZZLED"


def test_a_loss_that_was_put_on_record_by_one_who_was_killed_is_completed(connection, slurm):
    firework_id, launch_id = start_elsewhere(connection)
    connection.database["incidents"].insert_one({"_id": f"{launch_id}-killed", "fw_id": 0})
    assert release_lost(connection) == [firework_id]


def test_a_worker_does_not_ask_the_queue(connection, slurm, tmp_path):
    firework_id, _ = start_elsewhere(connection, job_id="41")
    assert Upkeep(connection, tmp_path, ask_queue=False).look() == []
    assert Upkeep(connection, tmp_path).look() == [firework_id]


def test_such_a_launch_of_an_earlier_version_is_closed(connection, slurm, tmp_path):
    _, launch_id = start_elsewhere(connection)
    release_lost(connection)
    chosen = {"launch_id": launch_id}
    connection.launchpad.launches.update_one(chosen, {"$set": {"state": "RUNNING"}})
    Upkeep(connection, tmp_path).look()
    assert connection.launchpad.launches.find_one(chosen)["state"] == "FIZZLED"


def test_a_worker_that_never_gave_a_sign_of_life_loses_its_job_too(
    connection, tmp_path, monkeypatch
):
    now = [1000.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    firework_id, _ = start_elsewhere(connection, queue="", job_id="")
    upkeep = Upkeep(connection, tmp_path)
    released = []
    for _ in range(8):
        released += upkeep.look()
        now[0] += 20
    assert released == [firework_id]


# Whose a job is


def ended(error):
    """Return how FireWorks says that a job ended with an error."""
    exception = {"_stacktrace": f"{type(error).__name__}: {error}", "_details": error.to_dict()}
    return FWAction(stored_data={"_exception": exception}, exit=True)


def test_a_job_whose_folder_another_process_has_is_ready_again(connection):
    firework_id, launch_id = start_elsewhere(connection)
    connection.launchpad.complete_launch(launch_id, ended(BusyError("later")), "FIZZLED")
    job = connection.launchpad.fireworks.find_one({"fw_id": firework_id})
    assert (job["state"], job["launches"], job["archived_launches"]) == ("READY", [], [])
    assert connection.launchpad.put_off.firework_id == firework_id
    assert sorted(states(connection)) == ["READY", "READY", "WAITING", "WAITING"]


def test_a_worker_that_comes_late_completes_nothing(connection, slurm):
    firework_id, launch_id = start_elsewhere(connection)
    assert release_lost(connection) == [firework_id]
    connection.launchpad.complete_launch(launch_id, FWAction(), "COMPLETED")
    connection.launchpad.restore_backup_data(launch_id, firework_id)
    assert sorted(states(connection)) == ["READY", "READY", "WAITING", "WAITING"]


def test_a_worker_that_comes_late_stores_nothing(connection, slurm):
    start_elsewhere(connection)
    release_lost(connection)
    output = {"uuid": "u", "index": 1, "output": 1}
    with tenure(connection.launchpad.holds_its_job):
        with pytest.raises(TakenError):
            ensure_tenure()
        with pytest.raises(TakenError):
            connection.job_store.update(output, key=["uuid", "index"])
    assert connection.job_store.query_one({"uuid": "u"}) is None


# What a job took, by a clock that nobody sets


def test_a_worker_that_died_long_ago_spent_what_it_ran(connection, slurm, monkeypatch):
    _, launch_id = start_elsewhere(connection)
    worker = worker_of("far+7+1+slurm.1")
    with beating(connection, worker.name, lease=0.05):
        seen = 0.0
        while not seen:
            record = connection.database[WORKERS].find_one({"_id": worker.name}) or {}
            seen = record.get("seconds", 0.0)
    long_ago = "2020-01-01T00:00:00"
    history = [{"state": "RUNNING", "created_on": long_ago, "updated_on": long_ago}]
    connection.launchpad.launches.update_one(
        {"launch_id": launch_id}, {"$set": {"state_history": history}}
    )
    connection.database[WORKERS].insert_one(record)
    assert 0.0 < spent(connection, "small") < 1.0
    release_lost(connection)
    assert 0.0 < spent(connection, "small", running=False) < 1.0


# Where workers look for modules


def test_a_module_in_the_folder_is_not_taken_for_that_of_python(tmp_path, monkeypatch):
    for name in ("queue", "random", "click"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken for the one of Python')\n")
    connect(tmp_path / "st").close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    crew = WorkerProcesses(Settings(store=str(tmp_path / "st")), "none")
    crew.start(1, log=tmp_path / "log")
    assert crew.processes[0].wait(120) == 1
    # Its own last words, which it comes to with everything imported.
    assert "has no campaign 'none'" in (tmp_path / "log").read_text()


# The end of a process


STUCK = """
import sys, threading, time
from ssefw.processes import drop_what_cannot_be_written, end_with_main_thread
drop_what_cannot_be_written()
end_with_main_thread(grace=0.2)
threading.Thread(target=time.sleep, args=(3600,)).start()
sys.stdout.write("said\\n")
print("and said", file=sys.stderr)
"""


SLOW = """
import atexit, time
atexit.register(time.sleep, 0.5)
from ssefw.processes import end_with_main_thread
end_with_main_thread(grace=0.1)
"""


def test_a_process_that_takes_long_to_end_has_not_failed():
    done = subprocess.run(
        [sys.executable, "-c", SLOW], timeout=60, check=False,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == 0


@pytest.mark.parametrize("target", ["/dev/full", os.devnull])
def test_a_process_ends_whatever_threads_are_left_and_whatever_its_log_takes(target):
    with Path(target).open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", STUCK], stdout=log, stderr=log, timeout=60, check=False,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
    assert done.returncode == 1
