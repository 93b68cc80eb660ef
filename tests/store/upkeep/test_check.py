"""`ssefw store check` finds what is wrong with a store, and mends it or says."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import bson
import numpy as np
import pytest
from click.testing import CliRunner
from pymatgen.core import Lattice, Structure

from ssefw.cli import ssefw
from ssefw.data import Chunk, encode_chunk
from ssefw.documents import Segment, Trajectory
from ssefw.errors import StoreError
from ssefw.store import Address, connect
from ssefw.store.checksum import without_tail
from ssefw.store.embedded import rescue
from ssefw.store.embedded.pages import Pages
from ssefw.store.frames.blobs import FileBlobs
from ssefw.store.frames.trajectories import TrajectoryStore
from ssefw.store.upkeep.checking import check_store

REPOSITORY = Path(__file__).parents[3]
RUN = "ab12"
ON_A_PAGE = 40
"""Documents that one page of 4096 bytes holds at most: some of its bytes lead to all of them."""
BLOBS = [f"trajectories/{RUN}/{frame:09d}" for frame in (0, 10, 20)]


def chunk(first):
    return Chunk(
        first_step=first,
        last_step=first + 10,
        first_frame=first,
        positions=np.full((10, 2, 3), float(first)),
        energies=np.zeros(10),
        temperatures=np.full(10, 300.0),
        cell=np.eye(3),
        notes={"segment": first // 10},
    )


def ledger_of(frames):
    return Trajectory(
        key=RUN,
        candidate_id="c",
        temperature=300,
        timestep=1,
        steps_per_frame=1,
        equilibration_steps=0,
        target_steps=30,
        seed=1,
        thermostat="langevin",
        structure=Structure(Lattice.cubic(4), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        segments=tuple(
            Segment(
                index=k,
                first_step=first,
                last_step=first + 10,
                first_frame=first,
                n_frames=10,
                velocities="continued" if k else "drawn",
                end_reason="complete",
                settings_hash=RUN,
                wall_time=1.0,
                blobs=(BLOBS[k],),
            )
            for k, first in enumerate(frames)
        ),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a store with documents short and long, an index, a stage and a trajectory."""
    folder = tmp_path_factory.mktemp("made") / "store"
    draw = random.Random(0)
    with connect(folder) as connection:
        things = connection.database.things
        things.create_index("n")
        for n in range(120):
            things.insert_one({"_id": n, "n": n, "pad": "x" * draw.choice([5, 80, 700, 9000])})
        for n in range(0, 120, 9):
            things.delete_one({"_id": n})
        connection.launchpad.fireworks.insert_one(
            {"fw_id": 1, "spec": {}, "state": "READY", "launches": []}
        )
        connection.launchpad.workflows.insert_one({"nodes": [1], "links": {}, "state": "READY"})
        connection.blobs.put("stages/k", b'{"a": 1}')
        store = TrajectoryStore(connection.blobs)
        for first in (0, 10, 20):
            connection.blobs.put(BLOBS[first // 10], _encoded(first))
        store.save(ledger_of((0, 10, 20)))
    return folder


def _encoded(first):
    return encode_chunk(chunk(first))


@pytest.fixture
def store(made, tmp_path):
    shutil.copytree(made, tmp_path / "store")
    return tmp_path / "store"


def contents(folder):
    with connect(folder, read_only=True, create=False) as connection:
        documents = {
            name: {str(d["_id"]): d for d in connection.database[name].find()}
            for name in ("things", "fireworks", "workflows")
        }
        keys = [key for key in connection.blobs.keys() if not key.startswith("damaged/")]  # noqa: SIM118
        return documents, {key: connection.blobs.get(key) for key in keys}


def checked(folder, *, repair=False):
    return list(check_store(Address(folder), repair=repair))


def assert_mended(folder):
    """Repair a store; all that is left to say is that jobs were lost."""
    assert {item.kind for item in checked(folder, repair=True) if not item.mended} <= {"job"}
    assert {item.kind for item in checked(folder)} <= {"job"}


def test_a_sound_store_is_sound_and_stays_as_it_is(store):
    before = (store / "store.sqlite").read_bytes()
    assert checked(store) == []
    assert (store / "store.sqlite").read_bytes() == before


def test_the_command_says_so_in_its_exit_code(store):
    runner = CliRunner()
    done = runner.invoke(ssefw, ["store", "check", str(store)], standalone_mode=False)
    assert done.return_value == 0
    assert "all is sound" in done.output
    (store / "blobs" / "stages" / "k").write_bytes(b"")
    done = runner.invoke(ssefw, ["store", "check", str(store), "--json"], standalone_mode=False)
    assert done.return_value == 1
    finding = json.loads(done.output.splitlines()[0])
    assert (finding["kind"], finding["where"], finding["mended"]) == ("blob", "stages/k", False)
    done = runner.invoke(ssefw, ["store", "check", str(store), "--repair"], standalone_mode=False)
    assert done.return_value == 0
    assert "mended  blob" in done.output
    assert checked(store) == []


@pytest.mark.parametrize("attempt", range(12))
def test_a_flipped_byte_is_found_or_harmless_and_costs_a_page_at_most(store, made, attempt):
    seed = int(os.environ.get("SSEFW_TEST_SEED", random.randrange(10**9))) + attempt
    print(f"SSEFW_TEST_SEED={seed - attempt}")  # noqa: T201 -- shown where the test fails
    draw = random.Random(seed)
    documents, blobs = contents(made)
    files = [store / "store.sqlite", *(p for p in (store / "blobs").rglob("*") if p.is_file())]
    weights = [10] + [1] * (len(files) - 1)
    (file,) = draw.choices(files, weights)
    content = bytearray(file.read_bytes())
    content[draw.randrange(len(content))] ^= draw.randrange(1, 256)
    file.write_bytes(content)
    found = checked(store)
    if not found:
        assert contents(store) == (documents, blobs)
        return
    assert_mended(store)
    now, _ = contents(store)
    lost = [
        (name, key)
        for name, known in documents.items()
        for key, document in known.items()
        if now[name].get(key) != document
    ]
    assert len(lost) <= ON_A_PAGE


@pytest.mark.parametrize("attempt", range(4))
def test_a_store_cut_short_is_found_and_what_is_there_is_saved(store, made, attempt):
    seed = int(os.environ.get("SSEFW_TEST_SEED", random.randrange(10**9))) + attempt
    print(f"SSEFW_TEST_SEED={seed - attempt}")  # noqa: T201 -- shown where the test fails
    documents, _ = contents(made)
    file = store / "store.sqlite"
    file_content = file.read_bytes()
    size = len(file_content)
    left = random.Random(seed).randrange(100, size)  # before that nothing says whose it is
    os.truncate(file, left)
    assert checked(store)
    assert_mended(store)
    now, _ = contents(store)
    assert all(documents["things"][key] == document for key, document in now["things"].items())
    there = file_content[:left]
    for key, document in documents["things"].items():
        if bson.encode(document) in there:  # a long one goes on in other pages
            assert key in now["things"]


@pytest.mark.parametrize("first_page", [1, 2, 3, 8])
def test_whole_pages_of_rubbish_cost_what_was_on_them(store, made, first_page):
    file = store / "store.sqlite"
    content = bytearray(file.read_bytes())
    content[(first_page - 1) * 4096 : first_page * 4096] = b"\xa5" * 4096
    file.write_bytes(content)
    assert checked(store)
    assert all(item.mended for item in checked(store, repair=True))
    documents, _ = contents(made)
    now, _ = contents(store)
    everything = {**now["things"]}
    with connect(store, read_only=True) as connection:
        everything |= {str(d["_id"]): d for d in connection.database.rescued.find()}
    assert len(everything) > 0.9 * len(documents["things"])
    assert all(
        documents["things"].get(key, document) == document for key, document in everything.items()
    )
    (kept,) = store.glob("damaged-*")
    assert (kept / "store.sqlite").read_bytes() == content


def test_a_bit_that_flipped_in_a_document_is_turned_back(store, made):
    file = store / "store.sqlite"
    content = bytearray(file.read_bytes())
    place = content.index(b"x" * 600) + 300
    content[place] ^= 4
    file.write_bytes(content)
    (found,) = checked(store)
    assert found.kind == "record"
    assert all(item.mended for item in checked(store, repair=True))
    assert contents(store) == contents(made)


def test_deleted_documents_do_not_come_back(store, made):
    for first_page in (1, 5):
        content = bytearray((store / "store.sqlite").read_bytes())
        content[first_page * 4096 + 8 : first_page * 4096 + 40] = bytes(32)
        (store / "store.sqlite").write_bytes(content)
    checked(store, repair=True)
    assert set(contents(store)[0]["things"]) <= set(contents(made)[0]["things"])


def test_commits_that_are_only_in_the_log_are_saved(tmp_path):
    connection = connect(tmp_path / "store")
    connection.database.things.insert_many([{"_id": n, "pad": "x" * 3000} for n in range(50)])
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("store.sqlite", "store.sqlite-wal"):
        shutil.copy(tmp_path / "store" / name, copy)
    connection.close()
    (copy / "store.sqlite").write_bytes(b"")
    assert {item.kind for item in checked(copy)} == {"file"}
    assert all(item.mended for item in checked(copy, repair=True))
    with connect(copy) as again:
        assert again.database.things.count_documents({}) == 50


def test_a_log_that_was_damaged_is_found(tmp_path):
    connection = connect(tmp_path / "store")
    connection.database.things.insert_many([{"_id": n, "pad": "x" * 3000} for n in range(50)])
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("store.sqlite", "store.sqlite-wal"):
        shutil.copy(tmp_path / "store" / name, copy)
    connection.close()
    log = bytearray((copy / "store.sqlite-wal").read_bytes())
    log[len(log) // 2] ^= 1
    (copy / "store.sqlite-wal").write_bytes(log)
    assert "log" in {item.kind for item in checked(copy)}
    assert all(item.mended for item in checked(copy, repair=True))
    assert checked(copy) == []


def test_an_empty_database_beside_blobs_is_found_and_begun_anew(store):
    (store / "store.sqlite").write_bytes(b"")
    (found,) = checked(store)
    assert "5 blobs lie beside it" in found.what
    assert all(item.mended for item in checked(store, repair=True))
    assert checked(store) == []
    assert TrajectoryStore(connect(store).blobs).ledger(RUN).n_frames == 30


def test_an_empty_folder_and_a_strange_file_are_refused(tmp_path):
    with pytest.raises(StoreError, match="There is no store in"):
        checked(tmp_path, repair=True)
    (tmp_path / "store.sqlite").write_text("My notes on the conductors of 2026. " * 400)
    with pytest.raises(StoreError, match="holds no document of ssefw"):
        checked(tmp_path, repair=True)
    assert (tmp_path / "store.sqlite").read_text().startswith("My notes")
    other = tmp_path / "other"
    other.mkdir()
    with sqlite3.connect(other / "store.sqlite") as file:
        file.execute("CREATE TABLE bookmarks (url TEXT)")
    file.close()
    with pytest.raises(StoreError, match="holds no document of ssefw"):
        checked(other, repair=True)


def test_a_store_that_is_open_elsewhere_is_not_mended(store):
    code = (
        "import sys; from ssefw.store import connect\n"
        "with connect(sys.argv[1]) as c: c.database.things.count_documents({}); "
        "print('open', flush=True); sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "open\n"
        assert checked(store) == []
        content = bytearray((store / "store.sqlite").read_bytes())
        content[content.index(b"x" * 600) + 300] ^= 4
        (store / "store.sqlite").write_bytes(content)
        with pytest.raises(StoreError, match="open in another process: end the workers"):
            checked(store, repair=True)
        holder.communicate("\n")
    assert all(item.mended for item in checked(store, repair=True))


def test_a_repair_that_was_killed_is_begun_again_from_the_same_files(store, monkeypatch):
    content = bytearray((store / "store.sqlite").read_bytes())
    content[4096:8192] = bytes(4096)
    (store / "store.sqlite").write_bytes(content)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rescue, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            checked(store, repair=True)
    assert all(item.mended for item in checked(store, repair=True))
    assert len(list(store.glob("damaged-*"))) == 1
    assert checked(store) == []


def test_frames_that_are_gone_end_the_ledger(store):
    (store / "blobs" / BLOBS[1]).unlink()
    missing, *_ = checked(store)
    assert (missing.kind, missing.where) == ("missing", BLOBS[1])
    assert "10 of 30 frames are left" in missing.remedy
    assert all(item.mended for item in checked(store, repair=True))
    with connect(store) as connection:
        trajectories = TrajectoryStore(connection.blobs)
        ledger = trajectories.ledger(RUN)
        assert (ledger.n_steps, ledger.n_frames) == (10, 10)
        assert len(trajectories.positions(ledger)) == 10


def test_frames_that_were_stored_while_a_check_ran_are_not_missing(store, monkeypatch):
    keys = FileBlobs.keys
    monkeypatch.setattr(
        FileBlobs, "keys", lambda *args: [key for key in keys(*args) if key != BLOBS[2]]
    )
    assert checked(store) == []


def old(path):
    os.utime(path, (0, 0))


def test_frames_without_a_ledger_s_word_are_taken_up_or_deleted(store):
    with connect(store) as connection:
        TrajectoryStore(connection.blobs).save(ledger_of((0,)))
        connection.blobs.put(f"trajectories/{RUN}/000000777", _encoded(777))
    for frame in (10, 20, 777):
        old(store / "blobs" / f"trajectories/{RUN}/{frame:09d}")
    (orphans,) = checked(store)
    assert orphans.kind == "orphan"
    assert "3 blobs of frames are in no ledger" in orphans.what
    assert "2 go on where it ends and are taken up, 1 can be joined to nothing" in orphans.remedy
    assert all(item.mended for item in checked(store, repair=True))
    assert checked(store) == []
    with connect(store) as connection:
        assert TrajectoryStore(connection.blobs).ledger(RUN).n_frames == 30


def test_doubled_outputs_lost_jobs_and_locks_are_found(store):
    with connect(store) as connection:
        output = {"uuid": "u", "index": 1, "output": {}, "metadata": {}}
        connection.database.jobs.insert_many(
            [{**output, "completed_at": "2026-01-02"}, {**output, "completed_at": "2026-01-01"}]
        )
        connection.launchpad.workflows.insert_one({"nodes": [7, 8], "links": {}, "state": "READY"})
        connection.launchpad.workflows.update_one({"nodes": 1}, {"$set": {"locked": True}})
    found = {item.kind: item for item in checked(store)}
    assert found["double"].where == "jobs/u"
    assert found["job"].what == "its jobs [7, 8] are gone"
    assert found["lock"].where == "workflows/1"
    left = [item.kind for item in checked(store, repair=True) if not item.mended]
    assert left == ["job"]
    with connect(store) as connection:
        (kept,) = connection.database.jobs.find({"uuid": "u"})
        assert kept["completed_at"] == "2026-01-02"


def test_files_that_only_their_writer_reads_are_found(store):
    (store / "blobs" / "stages" / "k").chmod(0o600)
    (store / "blobs" / "stages" / "x.part").write_bytes(b"half")
    old(store / "blobs" / "stages" / "x.part")
    (store / "blobs" / "stages" / "x.part").chmod((store / "store.sqlite").stat().st_mode & 0o666)
    assert {item.kind for item in checked(store)} == {"mode", "orphan"}
    assert all(item.mended for item in checked(store, repair=True))
    assert checked(store) == []


def test_a_store_of_the_format_before_is_read_checked_and_written_on(store):
    with sqlite3.connect(store / "store.sqlite") as file:
        file.execute("UPDATE format SET version = 1")
        tables = [n for (n,) in file.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE 'documents%'")]  # fmt: skip
        for table in tables:
            for seq, stored in file.execute(f"SELECT seq, body FROM {table}").fetchall():
                file.execute(
                    f"UPDATE {table} SET body = ? WHERE seq = ?", (without_tail(stored), seq)
                )
    file.close()
    assert checked(store) == []
    with connect(store) as connection:
        assert connection.database.things.find_one({"_id": 1})["n"] == 1
        connection.database.things.update_one({"_id": 1}, {"$set": {"n": 2}})
    assert checked(store) == []


def test_our_reader_of_pages_reads_what_sqlite_reads(tmp_path):
    path = tmp_path / "f.sqlite"
    draw = random.Random(1)
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE t (seq INTEGER PRIMARY KEY, id BLOB, body BLOB)")
        for n in range(500):
            body = draw.randbytes(draw.choice([0, 1, 100, 4000, 4100, 20_000]))
            file.execute("INSERT INTO t VALUES (?, ?, ?)", (n * n, b"%d" % n, body))
        expected = file.execute("SELECT seq, id, body FROM t ORDER BY seq").fetchall()
    file.close()
    pages = Pages(path)
    (root,) = (row.columns[3] for n in pages.leaves(1) for row in pages.rows(n))
    rows = [(row.key, *row.columns[1:]) for n in pages.leaves(root) for row in pages.rows(n)]
    assert rows == expected
