"""Processes that share an embedded store, and processes that are killed while they write."""

import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from ssefw.store import Address, connect
from ssefw.store.embedded import sqlite
from ssefw.store.embedded.database import open_database
from ssefw.store.embedded.records import CollectionRecords

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path):
    for name in ("marks", "scratch"):
        (tmp_path / name).mkdir()
    return tmp_path


def started(*tasks):
    """Start workers, wait until each is ready, and send them off together."""
    processes = [
        subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), *map(str, task)],
            env={**os.environ, "PYTHONPATH": str(HERE.parent.parent), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for task in tasks
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def killed(process, after, n_lines=0):
    """Kill a worker as `kill -9` does, some seconds after its n-th line; return all its lines."""
    said = [process.stdout.readline() for _ in range(n_lines)]
    time.sleep(after)
    process.kill()
    said += process.stdout.readlines()
    assert process.wait() == -9, process.stderr.read()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    # A line without its end was cut off by the kill.
    return [line for line in said if line.endswith("\n")]


def finished(process):
    _, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints


def assert_whole(database):
    """Every page is sound and every index says exactly what the documents say."""
    file = database.file
    file.check()
    with file.transaction():
        for name, table in file.tables().items():
            records = CollectionRecords(file, name, table)
            stored = [seq for (seq,) in file.connection.execute(f"SELECT seq FROM {table.name}")]
            for index in table.indices.values():
                query = f"SELECT key, seq FROM {index.table}"
                assert set(file.connection.execute(query)) == {
                    (key, seq) for seq in stored for key in index.keys(records.read(seq).document)
                }, (name, index.name)


@pytest.fixture(params=["write-ahead log", "rollback journal"])
def bank(folder, request, monkeypatch):
    if request.param == "rollback journal":  # as on a network file system
        monkeypatch.setattr(sqlite, "network_file_system", lambda _: "nfs4")
        monkeypatch.setattr("warnings.warn", lambda *_, **__: None)
    database = open_database(Address(folder / "store"), create=True)
    database.accounts.insert_many({"_id": i, "balance": 100, "from": []} for i in range(8))
    database.accounts.create_index("balance")
    database.accounts.create_index("from")
    yield database
    database.file.close()


def test_nothing_is_torn_and_nothing_said_is_lost_when_writers_are_killed(bank):
    draw = random.Random(0)
    for attempt in range(2):
        writers = started(*[("transfer", bank.address, f"{attempt}-{i}") for i in range(2)])
        said = [killed(writer, draw.uniform(0, 0.1), n_lines=10) for writer in writers]
        looking = open_database(bank.address, read_only=True)
        assert sum(account["balance"] for account in looking.accounts.find()) == 800
        looking.file.close()
        kept = set(bank.moves.distinct("_id"))
        for lines in said:
            assert {line.strip() for line in lines} <= kept
    moved = sum(len(account["from"]) for account in bank.accounts.find())
    assert moved >= len(kept) >= 40
    assert_whole(bank)


def test_a_killed_submission_leaves_whole_workflows(folder):
    for _ in range(2):
        (process,) = started(("submit", folder / "store", folder / "marks"))
        killed(process, after=0.2)
    with connect(folder / "store") as connection:
        launchpad = connection.launchpad
        nodes = [node for wf in launchpad.workflows.find() for node in wf["nodes"]]
        assert nodes
        assert sorted(nodes) == sorted(launchpad.get_fw_ids())
        assert launchpad.workflows.count_documents({"locked": {"$exists": True}}) == 0
        assert_whole(connection.database)


def marks(folder):
    return Counter({path.name: path.stat().st_size for path in (folder / "marks").iterdir()})


def added(connection, folder, n_workflows, monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    from worker import workflow

    names = [str(n) for n in range(n_workflows)]
    for name in names:
        connection.launchpad.add_wf(workflow(folder / "marks", name))
    return {f"{name}-{part}" for name in names for part in ("first", 0, 1, 2, "last")}


def test_two_workers_run_each_job_exactly_once(folder, monkeypatch):
    with connect(folder / "store") as connection:
        jobs = added(connection, folder, 12, monkeypatch)
        for worker in started(*[("work", folder / "store", folder / "scratch")] * 2):
            finished(worker)
        assert marks(folder) == Counter(jobs)
        launchpad = connection.launchpad
        assert launchpad.get_fw_ids({"state": "COMPLETED"}, count_only=True) == len(jobs)
        assert launchpad.launches.count_documents({}) == len(jobs)
        assert connection.job_store.count() == len(jobs)
        assert {wf["state"] for wf in launchpad.workflows.find()} == {"COMPLETED"}
        shares = Counter(
            Path(launch["launch_dir"]).parent.name for launch in launchpad.launches.find()
        )
        assert len(shares) == 2, "one of the two did nothing"
        assert_whole(connection.database)


@pytest.mark.slow
def test_a_campaign_of_killed_workers_ends_as_if_nothing_had_been(folder, monkeypatch):
    draw = random.Random(1)
    with connect(folder / "store") as connection:
        launchpad = connection.launchpad
        jobs = added(connection, folder, 12, monkeypatch)
        n_lost = 0
        for _ in range(3):
            (process,) = started(("work", folder / "store", folder / "scratch"))
            killed(process, draw.uniform(0.1, 0.4))
            assert launchpad.workflows.count_documents({"locked": {"$exists": True}}) == 0
            _, lost, inconsistent = launchpad.detect_lostruns(expiration_secs=0, rerun=True)
            assert len(lost) <= 1
            assert inconsistent == []
            n_lost += len(lost)
        (process,) = started(("work", folder / "store", folder / "scratch"))
        finished(process)
        ran = marks(folder)
        assert set(ran) == jobs
        # What was cut off is run again, and nothing else.
        assert sum(ran.values()) <= len(jobs) + n_lost
        assert launchpad.get_fw_ids({"state": "COMPLETED"}, count_only=True) == len(jobs)
        assert connection.job_store.count() == len(jobs)
        assert len(connection.job_store.distinct("uuid")) == len(jobs)
        assert_whole(connection.database)


def count_in_child(database, queue):
    database.things.insert_one({"_id": os.getpid()})
    queue.put(database.things.count_documents({}))


def test_a_forked_child_opens_a_connection_of_its_own(folder):
    database = open_database(Address(folder / "store"), create=True)
    database.things.insert_one({"_id": "parent"})
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=count_in_child, args=(database, queue))
    child.start()
    assert queue.get(timeout=30) == 2
    child.join(timeout=30)
    assert child.exitcode == 0
    database.things.insert_one({"_id": "again"})
    assert database.things.count_documents({}) == 3
    assert_whole(database)
    database.file.close()


@pytest.mark.slow
def test_five_processes_make_one_store(folder):
    for attempt in range(4):
        store = folder / f"store-{attempt}"
        for process in started(*[("enter", store)] * 5):
            finished(process)
        with connect(store) as connection:
            assert connection.database.things.count_documents({}) == 5
            assert connection.launchpad.fw_id_assigner.count_documents({}) == 1
            assert_whole(connection.database)
