"""Labels and loops are the same whoever dies or races, in a folder and on a server."""

import multiprocessing
import os
import signal
import uuid

import pymongo
import pytest
import yaml

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.learning.feedback import ingest
from ssefw.campaigns.learning.loop import advance
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.running.submission import submit
from ssefw.campaigns.running.watch import latest_record
from ssefw.documents import LabelSet, Outcome
from ssefw.store import connect
from tests.outcomes import bound, outcome
from tests.rock_salts import ROCK_SALTS, poscar

FOUND = {"LiF": bound(1e-12), "LiCl": 5e-3, "LiBr": bound(1e-6), "LiI": 2e-4, "LiH": bound(1e-10)}


@pytest.fixture(params=["folder", "server"])
def address(request, tmp_path):
    """A new store: a folder, or a database of a server that speaks MongoDB's protocol."""
    if request.param == "folder":
        yield str(tmp_path / "store")
        return
    server, name = request.getfixturevalue("mongo"), f"ssefw_{uuid.uuid4().hex[:8]}"
    yield f"{server}/{name}?blobs={tmp_path / 'blobs'}"
    with pymongo.MongoClient(server) as client:
        client.drop_database(name)


CONTEXT = multiprocessing.get_context("spawn")


def started(function, *arguments):
    """Start a function in a process of its own; return when it says that it is at work."""
    at_work = CONTEXT.Event()
    process = CONTEXT.Process(target=function, args=(*arguments, at_work))
    process.start()
    assert at_work.wait(300)
    return process


def ingest_for_ever(address, go, at_work):
    with connect(address) as connection:
        at_work.set()
        go.wait()
        while True:
            ingest(connection)


def test_racing_and_killed_ingests_keep_one_label_set(address):
    with connect(address) as connection:
        for formula, sigma in FOUND.items():
            connection.results.add(outcome(formula, sigma), candidate=formula, campaign="x")
        go = CONTEXT.Event()
        crew = [started(ingest_for_ever, address, go) for _ in range(2)]
        go.set()  # nobody has kept the set before
        mine = ingest(connection)
        for process in crew:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        assert ingest(connection).key == mine.key
        assert connection.results.count(LabelSet) == 1
        assert connection.database["jobs"].count_documents({"uuid": mine.key}) == 1
        assert connection.results.get(mine.key) == mine.labels


def take_turns(connection, record):
    """Go through a loop as if each candidate that is released were computed at once."""
    names = {item.candidate_id: item.formula for item in record.candidates}
    while True:
        query = {"spec.campaign": "salts", "state": "READY", "spec._priority": {"$gt": 0}}
        for job in list(connection.launchpad.fireworks.find(query)):
            identity = job["spec"]["candidate"]
            item = outcome(names[identity], FOUND[names[identity]], candidate_id=identity,
                           campaign="salts")  # fmt: skip
            connection.results.add(item, candidate=identity, campaign="salts")
            jobs = {"spec.candidate": identity}
            connection.launchpad.fireworks.update_many(jobs, {"$set": {"state": "COMPLETED"}})
        yield advance(connection, record)


def loop_for_ever(address, at_work):
    with connect(address) as connection:
        for turn in take_turns(connection, latest_record(connection, "salts")):
            if turn.released:
                at_work.set()


def test_a_killed_loop_goes_on_where_it_stood(address, tmp_path):
    structures = [{"name": n, "poscar": poscar(n, a)} for n, a in ROCK_SALTS.items()]
    content = {
        "campaign": "salts",
        "pool": {"structures": structures},
        "engine": {"calculator": "ase.calculators.emt.EMT"},
        "md": {"temperatures": [600, 900], "length": 2},
        "feedback": {"batch": 2, "settings": {"n_splits": 2, "members": ["dt"]}},
    }
    (tmp_path / "salts.yaml").write_text(yaml.safe_dump(content))
    with connect(address) as connection:
        submit(make_plan(read_campaign(tmp_path / "salts.yaml")), connection)
        victim = started(loop_for_ever, address)
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        record = latest_record(connection, "salts")
        turns = take_turns(connection, record)
        last = next(turn for turn in turns if turn.is_over)
        assert "no candidate is left" in last.reason
        assert last.hits == 2
        outcomes = list(connection.results.find(Outcome, campaign="salts"))
        assert sorted(item.formula for item in outcomes) == sorted(FOUND)
        version = ingest(connection).labels.version
    with connect(tmp_path / "undisturbed") as connection:
        for item in outcomes:
            connection.results.add(item, candidate=item.candidate_id, campaign="salts")
        assert ingest(connection).labels.version == version
