"""Nobody waits for a worker that is dead, and no live one is taken for dead."""

import os
import signal
import time
import uuid

import pytest

from ssefw.documents import Outcome
from ssefw.store import connect
from tests.campaigns.killing import prepare, start, worker_pids
from tests.campaigns.running.containers import start_apart
from tests.conftest import REPOSITORY, run_ssefw

pytestmark = pytest.mark.slow

LEASE = {"SSEFW_LEASE": "3", "SSEFW_PATIENCE": "60"}


LONG = 900
"""Seconds after which something hangs, however busy the machine is."""
ON_BOTH = pytest.mark.parametrize("place", ["folder", "server"], indirect=True)
IN_FOLDER = pytest.mark.parametrize("place", ["folder"], indirect=True)
ON_SERVER = pytest.mark.parametrize("place", ["server"], indirect=True)


@pytest.fixture
def place(request, tmp_path):
    """A campaign's folder, its environment, and the address of its store."""
    folder = tmp_path / "c"
    environment = prepare(folder, min_length=7) | LEASE
    campaign = folder / "small.yaml"
    campaign.write_text(campaign.read_text().replace("length: 2.0", "length: 0.6"))
    environment["PYTHONPATH"] += f":{REPOSITORY}"
    environment["SSEFW_SCRATCH"] = str(folder / "scratch")
    address = "st"
    if request.param == "server":
        address = f"{request.getfixturevalue('mongo')}/dead_{uuid.uuid4().hex[:8]}"
    run_ssefw("submit", "small.yaml", "--store", address, folder=folder, env=environment)
    yield folder, environment, str(folder / "st") if address == "st" else address
    if address != "st":
        with connect(address) as connection:
            connection.database.client.drop_database(connection.database.name)


def at_dynamics(folder, *processes, files="chunk-*.npz", timeout=LONG):
    """Wait until a run has its first frames."""
    deadline = time.monotonic() + timeout
    while not list((folder / "scratch/runs").glob(f"*/{files}")):
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_whole(address):
    """Every candidate has both temperatures, and nothing is left over."""
    with connect(address) as connection:
        outcomes = list(connection.results.find(Outcome))
        assert [len(item.trajectory_keys) for item in outcomes] == [2, 2]
        assert not any(item.failures for item in outcomes)
        launchpad = connection.launchpad
        assert launchpad.fireworks.distinct("state") == ["COMPLETED"]
        assert launchpad.launches.count_documents({"state": "RUNNING"}) == 0
        assert connection.database["workers"].count_documents({}) == 0


@ON_BOTH
def test_a_run_goes_on_when_its_workers_are_killed(place):
    """As by the kernel where memory runs out; others take their places."""
    folder, environment, address = place
    process = start(folder, environment, "run", "small.yaml", "--workers", "2", store=address)
    at_dynamics(folder, process)
    for pid in worker_pids(folder):
        os.kill(pid, signal.SIGKILL)
    _, said = process.communicate(timeout=LONG)
    assert process.returncode == 0, said
    assert said.count("a worker ended by SIGKILL; another takes its place") == 2
    assert_whole(address)
    assert not list((folder / "scratch").glob("launches/*"))


@IN_FOLDER
def test_workers_that_died_in_another_pod_lose_their_jobs(place):
    folder, environment, address = place
    pod = start_apart(folder, environment, "work", "--store", address, host="pod-1")
    at_dynamics(folder, pod)
    pod.kill()
    pod.wait()
    run_ssefw(
        "resume", "--store", address, "--workers", "1", folder=folder, env=environment, timeout=LONG
    )
    assert_whole(address)
    assert not list((folder / "scratch").glob("launches/*"))


@IN_FOLDER
def test_a_live_worker_in_another_container_keeps_its_job(place):
    """Its host has our name, and its pid means another process to us, or none."""
    folder, environment, address = place
    pod = start_apart(folder, environment, "work", "--store", address)
    at_dynamics(folder, pod)
    done = run_ssefw(
        "resume", "--store", address, "--workers", "1", folder=folder, env=environment, timeout=LONG
    )
    assert pod.wait(timeout=LONG) == 0
    assert "go on from where they were" not in done.stderr
    with connect(address) as connection:
        assert connection.database["incidents"].count_documents({}) == 0
    assert_whole(address)


@ON_SERVER
def test_a_worker_that_was_frozen_longer_than_its_lease_writes_nothing(place):
    folder, environment, address = place
    pod = start_apart(folder, environment, "work", "--store", address, host="pod-1")
    at_dynamics(folder, pod)
    frozen = [pid for pid in worker_pids(folder) if pid != pod.pid]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    process = start(folder, environment, "resume", "--workers", "1", store=address)
    log = folder / "scratch/workers.log"
    deadline = time.monotonic() + LONG
    while "Another process is working in" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    _, said = process.communicate(timeout=LONG)
    assert process.returncode == 0, said
    assert pod.wait(timeout=LONG) == 0
    with connect(address) as connection:
        causes = [item["cause"] for item in connection.database["incidents"].find({})]
    assert causes == ["killed"]
    assert_whole(address)
