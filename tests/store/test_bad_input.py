"""What can be wrong with a place for a store is said in one line, with a remedy."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssefw.errors import StoreError
from ssefw.store import Address, connect
from ssefw.store.embedded import disk, sqlite
from ssefw.store.embedded.database import open_database

REPOSITORY = Path(__file__).parent.parent.parent


def refused(address, match, **options):
    with pytest.raises(StoreError, match=match) as caught:
        connect(address, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("options", [{"read_only": True}, {"create": False}])
def test_a_missing_store_is_not_made_by_looking_at_it(tmp_path, options):
    refused(tmp_path / "nowhere", "There is no store in .*nowhere", **options)
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_without_a_store_is_no_store(tmp_path):
    (tmp_path / "notes.txt").touch()
    refused(tmp_path, "There is no store", read_only=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_is_no_store(tmp_path):
    (tmp_path / "store").touch()
    refused(tmp_path / "store", "is a file: a store needs a folder")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    refused(tmp_path / "file" / "store", "cannot be made .*choose one you may write to")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(tmp_path / "locked" / "store", "cannot be made")
    refused(tmp_path / "locked", "Make the folder .* writable")


def test_a_file_that_cannot_be_opened_has_a_remedy(tmp_path):
    (tmp_path / "store.sqlite").mkdir()
    refused(tmp_path, "unable to open database file. Make the folder .* writable")


def test_a_text_file_in_its_place_is_left_alone(tmp_path):
    (tmp_path / "store.sqlite").write_text("My notes on the conductors of 2026. " * 40)
    refused(tmp_path, "file is not a database")
    assert (tmp_path / "store.sqlite").read_text().startswith("My notes")


def test_the_database_of_another_program_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "store.sqlite") as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = (tmp_path / "store.sqlite").read_bytes()
    refused(tmp_path, "is not an ssefw store")
    assert (tmp_path / "store.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("version", "remedy"), [(sqlite.FORMAT + 1, "Upgrade ssefw"), (0, "the ssefw that wrote it")]
)
def test_a_store_of_another_format_is_refused(tmp_path, version, remedy):
    connect(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.sqlite") as file:
        file.execute("UPDATE format SET version = ?", (version,))
    file.close()
    refused(tmp_path, f"has format {version}, this ssefw reads format 2.*{remedy}")
    refused(tmp_path, f"has format {version}", read_only=True)


def test_a_store_cut_short_at_its_birth_is_completed(tmp_path):
    sqlite3.connect(tmp_path / "store.sqlite").close()
    (tmp_path / "store.sqlite").touch()
    with connect(tmp_path) as connection:
        assert connection.launchpad.get_fw_ids() == []


def test_a_dead_server_is_given_up_in_time():
    start = time.monotonic()
    message = refused(
        "mongodb://user:secret@127.0.0.1:9/db", r"cannot be used .*start the server", timeout=0.5
    )
    assert time.monotonic() - start < 3
    assert "secret" not in message
    assert "user:***@127.0.0.1:9" in message


@pytest.mark.parametrize(
    "address", ["mongodb://", "mongodb://host:port/db", "mongodb://u:p:@@h/db", "mongodb://h/a b"]
)
def test_a_malformed_server_address_is_refused(address):
    refused(address, r"is not a MongoDB address|cannot be used", timeout=0.2)


def test_a_closed_connection_says_so(tmp_path):
    connection = connect(tmp_path)
    connection.close()
    connection.close()
    with pytest.raises(StoreError, match="is closed: connect again"):
        connection.launchpad.get_fw_ids()


def test_who_waits_too_long_for_a_lock_is_told_why(tmp_path, monkeypatch):
    connect(tmp_path).close()
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.2)
    holder = open_database(Address(tmp_path))
    other = open_database(Address(tmp_path))
    with holder.file.transaction(write=True):
        holder.things.insert_one({})
        with pytest.raises(StoreError, match=r"database is locked\. Another process"):
            other.things.insert_one({})
        assert other.things.count_documents({}) == 0
    other.things.insert_one({})
    assert holder.things.count_documents({}) == 2
    holder.file.close()
    other.file.close()


def test_readers_do_not_wait_for_a_writer(tmp_path):
    with connect(tmp_path) as writer, connect(tmp_path, read_only=True) as reader:
        with writer.database.file.transaction(write=True):
            writer.database.things.insert_one({"n": 1})
            start = time.monotonic()
            assert reader.database.things.count_documents({}) == 0
            assert time.monotonic() - start < 1
        assert reader.database.things.count_documents({}) == 1


def test_a_full_disk_costs_only_the_operation_that_met_it(tmp_path):
    code = """
import resource, sys
from ssefw.errors import StoreError
from ssefw.store import Address
from ssefw.store.embedded.database import open_database
database = open_database(Address(sys.argv[1]), create=True)
database.things.insert_many({"_id": n} for n in range(10))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    for n in range(10, 10_000):
        database.things.insert_one({"_id": n, "pad": "x" * 10_000})
except StoreError as error:
    print(n, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
database.things.insert_one({"_id": "after"})
database.file.check()
database.file.close()
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    n, _, message = run.stdout.strip().partition(" ")
    assert "Check the disk" in message or "free space" in message
    database = open_database(Address(tmp_path))
    assert [d["_id"] for d in database.things.find()] == [*range(int(n)), "after"]
    database.file.close()


def test_a_full_disk_costs_only_the_blob_that_met_it(tmp_path):
    connection = connect(tmp_path)
    connection.blobs.put("a", b"whole")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"Blob 'a' \(\d+ bytes\) was not written"):
            connection.blobs.put("a", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert connection.blobs.get("a") == b"whole"
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == ["a"]
    connection.close()


def test_a_damaged_file_is_noticed(tmp_path):
    database = open_database(Address(tmp_path), create=True)
    database.things.insert_many({"pad": "x" * 500} for _ in range(500))
    database.file.close()
    path = tmp_path / "store.sqlite"
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\xa5" * (40960 - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged|malformed"):
        open_database(Address(tmp_path)).file.check()


MOUNTS = """
21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
33 21 0:30 / /home rw - nfs4 server:/home rw
34 33 0:31 / /home/me/my\\040disk rw - xfs /dev/sdb rw
35 21 0:32 / /scratch rw master:2 - lustre mds:/scratch rw
36 35 0:33 / /scratch/local rw - tmpfs none rw
""".strip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/opt/store", None),
        ("/home/me/store", "nfs4"),
        ("/home/me/my disk/store", None),
        ("/homes/store", None),
        ("/scratch/campaign", "lustre"),
        ("/scratch/local/campaign", None),
    ],
)
def test_a_network_file_system_is_recognized(tmp_path, monkeypatch, path, kind):
    (tmp_path / "mountinfo").write_text(MOUNTS)
    monkeypatch.setattr(disk, "MOUNTS", tmp_path / "mountinfo")
    assert disk.network_file_system(Path(path)) == kind


def test_without_a_list_of_mounts_a_disk_counts_as_local(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "MOUNTS", tmp_path / "nothing")
    assert disk.network_file_system(tmp_path) is None


def journal(folder):
    file = sqlite3.connect(folder / "store.sqlite")
    try:
        return file.execute("PRAGMA journal_mode").fetchone()[0]
    finally:
        file.close()


def test_on_a_network_file_system_a_store_has_a_journal_and_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "network_file_system", lambda _: "nfs4")
    with pytest.warns(UserWarning, match=r"network file system \(nfs4\).*MongoDB server"):
        connection = connect(tmp_path)
    connection.database.things.insert_one({"n": 1})
    with (
        pytest.warns(UserWarning, match="network"),
        connect(tmp_path, read_only=True) as reader,
    ):
        assert reader.database.things.count_documents({"n": 1}) == 1
    connection.close()
    assert journal(tmp_path) == "delete"
    assert not list(tmp_path.glob("store.sqlite-*"))


def test_a_store_moved_to_a_network_file_system_is_refused_until_converted(tmp_path, monkeypatch):
    connect(tmp_path).close()
    assert journal(tmp_path) == "wal"
    monkeypatch.setattr(sqlite, "network_file_system", lambda _: "lustre")
    message = refused(tmp_path, r"made on a local disk .* network file system \(lustre\)")
    if shutil.which("sqlite3") is None:
        assert "PRAGMA journal_mode=DELETE" in message
        file = sqlite3.connect(tmp_path / "store.sqlite")
        file.execute("PRAGMA journal_mode=DELETE")
        file.close()
    else:
        subprocess.run(message.split("`")[1], shell=True, check=True, capture_output=True)
    with pytest.warns(UserWarning, match="lustre"):
        connect(tmp_path).close()


def test_a_store_that_may_only_be_read_is_read_without_a_file_beside_it(tmp_path, monkeypatch):
    with connect(tmp_path) as connection:
        connection.database.things.insert_one({"n": 1})
    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.setattr(sqlite.os, "access", lambda *_: False)
    with connect(tmp_path, read_only=True) as connection:
        assert connection.database.things.count_documents({}) == 1
        assert {path.name for path in tmp_path.iterdir()} == before


def test_a_log_that_was_left_behind_is_not_overlooked_in_a_folder_that_may_only_be_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sqlite.os, "access", lambda *_: False)
    with connect(tmp_path) as writer:
        writer.database.things.insert_one({"n": 1})
        with connect(tmp_path, read_only=True) as reader:
            assert reader.database.things.count_documents({}) == 1
