"""Backups, copies, archives and deletions are whole or done again, whenever they are killed."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from ssefw.cli import ssefw
from ssefw.documents import Outcome, Trajectory
from ssefw.errors import StoreError
from ssefw.store import Address, connect
from ssefw.store.frames.trajectories import TrajectoryStore
from ssefw.store.upkeep.checking import check_store
from ssefw.store.upkeep.copying import copy_between
from ssefw.store.upkeep.packing import archive_campaign, back_up, unpack
from ssefw.store.upkeep.part import campaign_part, campaigns_of
from ssefw.store.upkeep.removal import delete_campaign, finish_deletions
from tests.conftest import CAMPAIGN, work_here

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run two campaigns into one store; the second uses a trajectory of the first."""
    folder = tmp_path_factory.mktemp("ran")
    text = CAMPAIGN.replace("length: 1.0", "length: 0.5").replace("[300, 600]", "[600]")
    (folder / "a.yaml").write_text(text)
    work_here(submit="a.yaml", folder=folder)
    with connect(folder / "st") as connection:
        outcome = next(connection.results.find(Outcome))
        run = next(connection.results.find(Trajectory, candidate=outcome.candidate_id))
        connection.results.add(run, candidate=run.candidate_id, campaign="other")
    return folder / "st"


@pytest.fixture
def store(ran, tmp_path):
    shutil.copytree(ran, tmp_path / "store")
    return tmp_path / "store"


def contents(folder, campaign="small"):
    """Return what is known of a campaign: outcomes, states, links by name, frames."""
    with connect(folder, read_only=True, create=False) as connection:
        outcomes = sorted(
            (o.as_dict() for o in connection.results.find(Outcome, campaign=campaign)), key=str
        )
        fireworks = {f["fw_id"]: f for f in connection.launchpad.fireworks.find()}
        launches = {item["launch_id"] for item in connection.launchpad.launches.find()}
        flows = []
        for workflow in connection.launchpad.workflows.find({"metadata.campaign": campaign}):
            names = {number: fireworks[number]["name"] for number in workflow["nodes"]}
            assert set(workflow["fw_states"]) == set(map(str, names))
            links = {
                names[int(one)]: sorted(names[other] for other in others)
                for one, others in workflow["links"].items()
            }
            for number in workflow["nodes"]:
                assert set(fireworks[number]["launches"]) <= launches
            flows.append((sorted(names.values()), sorted(links.items()), workflow["state"]))
        store = TrajectoryStore(connection.blobs)
        runs = {
            run.key: store.positions(store.ledger(run.key)).sum()
            for run in connection.results.find(Trajectory, campaign=campaign)
        }
    return outcomes, sorted(flows, key=str), runs


def sound(folder):
    return list(check_store(Address(folder))) == []


def test_a_backup_becomes_the_same_store(store, tmp_path):
    with connect(store, read_only=True) as connection:
        note = back_up(connection, tmp_path / "b")
    assert (note["kind"], note["bytes"]) == ("backup", (tmp_path / "b").stat().st_size)
    copy_between(Address(tmp_path / "b"), Address(tmp_path / "again"), campaign=None)
    assert contents(tmp_path / "again") == contents(store)
    assert sound(tmp_path / "again")
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_an_archive_goes_into_a_store_with_other_campaigns(store, tmp_path):
    before = contents(store)
    with connect(store, read_only=True) as connection:
        archive_campaign(connection, "small", tmp_path / "a")
    target = tmp_path / "target"
    with connect(target) as connection:
        connection.launchpad.fw_id_assigner.update_one({}, {"$set": {"next_fw_id": 50}})
        connection.database.things.insert_one({"n": 1})
    copied = copy_between(Address(tmp_path / "a"), Address(target), campaign=None)
    assert copied["workflows"] == 2
    assert contents(target) == before
    assert sound(target)
    with connect(target) as connection:
        assert min(connection.launchpad.get_fw_ids()) == 50
        assert connection.database.things.count_documents({}) == 1
        highest = max(connection.launchpad.get_fw_ids())
        assert connection.launchpad.fw_id_assigner.find_one()["next_fw_id"] == highest + 1
    with pytest.raises(StoreError, match="has a campaign 'small' already: delete that one first"):
        copy_between(Address(tmp_path / "a"), Address(target), campaign=None)


def test_a_deleted_campaign_leaves_others_what_they_use_and_comes_back(store, tmp_path):
    before = contents(store)
    with connect(store) as connection:
        archive_campaign(connection, "small", tmp_path / "a")
        part = campaign_part(connection, "small")
        records, blobs, size = part.size(connection)
        assert (len(part.shared), blobs) == (2, 2)
        assert size > 10_000
        n_before = sum(
            connection.database[name].count_documents({})
            for name in connection.database.list_collection_names()
        )
        delete_campaign(connection, part)
        n_after = sum(
            connection.database[name].count_documents({})
            for name in connection.database.list_collection_names()
        )
        assert n_before - n_after == records
        assert campaigns_of(connection) == ["other"]
        other = next(connection.results.find(Trajectory, campaign="other"))
        assert TrajectoryStore(connection.blobs).ledger(other.key) is not None
    assert sound(store)
    copy_between(Address(tmp_path / "a"), Address(store), campaign=None)
    assert contents(store) == before


def test_a_campaign_that_runs_is_not_deleted(store):
    with connect(store) as connection:
        connection.launchpad.fireworks.update_one({}, {"$set": {"state": "RUNNING"}})
        with pytest.raises(StoreError, match="1 jobs of small run: `ssefw cancel small` first"):
            delete_campaign(connection, campaign_part(connection, "small"))
        assert campaigns_of(connection) == ["other", "small"]


def test_a_whole_copy_goes_to_a_new_folder_or_none(store, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    (tmp_path / "empty").mkdir(mode=0o770)
    (tmp_path / "empty").chmod(0o770)
    for target, match in [
        ("full", "is not empty and no store"),
        ("store", "is not copied to itself"),
    ]:
        with pytest.raises(StoreError, match=match):
            copy_between(Address(store), Address(tmp_path / target), campaign=None)
    copy_between(Address(store), Address(tmp_path / "empty"), campaign=None)
    assert contents(tmp_path / "empty") == contents(store)
    with pytest.raises(StoreError, match="is not empty: give a new folder"):
        copy_between(Address(store), Address(tmp_path / "empty"), campaign=None)
    with pytest.raises(StoreError, match="holds no campaign 'nosuch': it holds other, small"):
        copy_between(Address(store), Address(tmp_path / "new"), campaign="nosuch")
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_no_pack_or_not_whole_or_hostile_is_refused(store, tmp_path):
    with connect(store, read_only=True) as connection:
        back_up(connection, tmp_path / "b")
    content = (tmp_path / "b").read_bytes()
    for spoiled in (b"", b"words", content[: len(content) // 2]):
        (tmp_path / "bad").write_bytes(spoiled)
        with pytest.raises(StoreError, match="is no whole backup or archive"):
            copy_between(Address(tmp_path / "bad"), Address(tmp_path / "new"), campaign=None)
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    (tmp_path / "bad").write_bytes(flipped)
    with pytest.raises(StoreError, match="is no whole backup or archive"):
        copy_between(Address(tmp_path / "bad"), Address(tmp_path / "new"), campaign=None)
    with zipfile.ZipFile(tmp_path / "b", "a") as pack:
        pack.writestr("blobs/../../outside", b"x")
    with pytest.raises(StoreError, match="which is none of a store"):
        copy_between(Address(tmp_path / "b"), Address(tmp_path / "new"), campaign=None)
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "new").exists()


def test_a_pack_that_is_damaged_in_its_table_is_one_line_and_no_store(store, tmp_path):
    backed_up(store, tmp_path / "b")
    whole, seed = (tmp_path / "b").read_bytes(), os.environ.get("SSEFW_TEST_SEED", "7")
    chance = random.Random(seed)
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[-chance.randint(1, 400)] = chance.randrange(256)
        (tmp_path / "damaged").write_bytes(damaged)
        target = tmp_path / "target"
        with contextlib.suppress(StoreError):
            copy_between(Address(tmp_path / "damaged"), Address(target), campaign=None)
            shutil.rmtree(target)
        assert not target.exists(), f"SSEFW_TEST_SEED={seed}"
    assert not list(tmp_path.glob(".*"))


def test_a_store_goes_to_a_server_and_a_campaign_of_it_back(mongo, store, tmp_path):
    server = Address(f"{mongo}/copies_{os.getpid()}_{random.randrange(10**6)}")
    try:
        copy_between(Address(store), server, campaign=None)
        assert list(check_store(server)) == []
        copy_between(server, Address(tmp_path / "back"), campaign="small")
        assert contents(tmp_path / "back") == contents(store)
        with connect(server) as connection:
            delete_campaign(connection, campaign_part(connection, "small"))
        copy_between(Address(tmp_path / "back"), server, campaign="small")
        assert list(check_store(server)) == []
    finally:
        with connect(server) as connection:
            connection.database.client.drop_database(connection.database.name)


def n_calls(function):
    """Return how many calls a function is made of; killed at any of them, it was somewhere."""
    count = 0

    def see(_frame, event, _argument):
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(see)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def killed_at(call, function):
    """Run a function in a process that is killed at its n-th call, as by `kill -9`."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)
    count = 0

    def see(_frame, event, _argument):
        nonlocal count
        count += event in {"call", "c_call"}
        if count >= call:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(see)
    try:
        function()
    finally:
        os._exit(0)


def backed_up(store, target):
    with connect(store, read_only=True) as connection:
        back_up(connection, target)


def archived(store, target):
    with connect(store, read_only=True) as connection:
        archive_campaign(connection, "small", target)


def copied(store, target):
    copy_between(Address(store), Address(target), campaign=None)


def copied_campaign(store, target):
    copy_between(Address(store), Address(target), campaign="small")


def deleted(store, _target):
    with connect(store) as connection:
        finish_deletions(connection)
        if "small" in campaigns_of(connection):
            delete_campaign(connection, campaign_part(connection, "small"))


@pytest.mark.parametrize("action", [backed_up, archived, copied, copied_campaign, deleted])
@pytest.mark.parametrize("is_there", [False, True])
def test_what_is_killed_at_any_moment_is_done_whole_the_next_time(
    store, tmp_path, action, is_there, monkeypatch
):
    seed = int(os.environ.get("SSEFW_TEST_SEED", random.randrange(10**9)))
    print(f"SSEFW_TEST_SEED={seed}")  # noqa: T201 -- shown where the test fails
    draw = random.Random(seed)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    before = contents(store)
    work = tmp_path / "work"
    target = work / "target"

    def prepared():
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        shutil.copytree(store, work / "store")
        if is_there and action in {copied, copied_campaign}:
            with connect(target) as connection:
                connection.database.client  # noqa: B018
        elif is_there and action in {backed_up, archived}:
            target.write_bytes(b"the backup of yesterday")

    prepared()
    total = n_calls(lambda: action(work / "store", target))
    for _ in range(3):
        prepared()
        killed_at(draw.randrange(1, total), lambda: action(work / "store", target))
        if is_there and action in {backed_up, archived} and target.stat().st_size < 100:
            assert target.read_bytes() == b"the backup of yesterday"
        if action is not deleted or "small" in names(work / "store"):
            assert contents(work / "store") == before
        done = contents_if_there(target) if action in {copied, copied_campaign} else None
        if done == before:
            continue
        action(work / "store", target)
        assert [path.name for path in work.iterdir() if path.name.startswith(".")] == []
        if action is deleted:
            assert names(work / "store") == ["other"]
            assert sound(work / "store")
            continue
        if action in {backed_up, archived}:
            copy_between(Address(target), Address(work / "again"), campaign=None)
            target_store = work / "again"
        else:
            target_store = target
        assert contents(target_store) == before
        assert sound(target_store)


def names(folder):
    with connect(folder, read_only=True) as connection:
        return campaigns_of(connection)


def contents_if_there(folder):
    return contents(folder) if (folder / "store.sqlite").exists() else None


def test_backups_are_made_while_others_write(tmp_path):
    code = """
import sys
from ssefw.store import connect
from ssefw.store.frames.trajectories import TrajectoryStore
from tests.store.upkeep.test_check import BLOBS, RUN, _encoded, ledger_of
with connect(sys.argv[1]) as connection:
    accounts, blobs = connection.database.accounts, connection.blobs
    accounts.insert_many({"_id": i, "balance": 100} for i in range(4))
    for n in range(1_000_000):
        with connection.database.file.transaction(write=True):
            accounts.update_one({"_id": n % 4}, {"$inc": {"balance": -1}})
            accounts.update_one({"_id": (n + 1) % 4}, {"$inc": {"balance": 1}})
        first = 10 * (n % 3)
        blobs.put(BLOBS[n % 3], _encoded(first))
        TrajectoryStore(blobs).save(ledger_of(range(0, first + 1, 10)))
        if n == 3:
            print("ready", flush=True)
"""
    store = tmp_path / "store"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout.readline() == "ready\n"
        for attempt in range(5):
            with connect(store, read_only=True) as connection:
                back_up(connection, tmp_path / f"b{attempt}")
        assert writer.poll() is None
        writer.kill()
    for attempt in range(5):
        folder = tmp_path / f"from-{attempt}"
        folder.mkdir()
        unpack(tmp_path / f"b{attempt}", folder)
        with connect(folder, read_only=True) as connection:
            assert sum(a["balance"] for a in connection.database.accounts.find()) == 400
        kinds = {item.kind for item in check_store(Address(folder))}
        assert kinds <= {"orphan"}, kinds


def test_the_commands_say_how_much(store, tmp_path, monkeypatch):
    def said(*arguments):
        done = CliRunner().invoke(ssefw, ["store", *map(str, arguments)])
        return done.output.strip()

    monkeypatch.setenv("SSEFW_STORE", str(store))
    assert "4 blobs" in said("archive", "small", tmp_path / "a")
    dry = said("delete", "small", "--dry-run")
    assert "2 blobs of small" in dry
    assert dry.endswith("would be deleted.")
    assert "Aborted" in said("delete", "small")
    assert said("delete", "small", "-y").endswith("MB: deleted.")
    assert "records and 4 blobs copied to" in said("copy", tmp_path / "a", store)
    assert '"kind": "backup"' in said("backup", tmp_path / "b", "--json")
