"""Blobs come back as they were put, whole or not at all."""

import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssefw.errors import StoreError
from ssefw.store import Address
from ssefw.store.frames.blobs import FileBlobs, GridFSBlobs, open_blobs
from ssefw.store.server.client import dial

REPOSITORY = Path(__file__).parents[3]
KEY = "trajectories/ab12/000012"


@pytest.fixture(params=["files", "GridFS"])
def blobs(request, tmp_path):
    if request.param == "files":
        yield FileBlobs(tmp_path)
        return
    uri = f"{request.getfixturevalue('mongo')}/blobs_{uuid.uuid4().hex[:8]}"
    database = dial(Address(uri), timeout=5.0)
    yield GridFSBlobs(database)
    database.client.drop_database(database.name)
    database.client.close()


def test_a_blob_comes_back(blobs):
    blobs.put(KEY, b"frames\0\xff")
    assert blobs.get(KEY) == b"frames\0\xff"
    assert blobs.exists(KEY)


def test_the_last_put_counts(blobs):
    for payload in (b"first", b"", b"last"):
        blobs.put(KEY, payload)
    assert blobs.get(KEY) == b"last"
    assert list(blobs.keys()) == [KEY]


def test_keys_are_sorted_and_begin_with_the_prefix(blobs):
    for key in ("b/2", "b/10", "a", "bb/1", "b/1"):
        blobs.put(key, b"x")
    assert list(blobs.keys()) == ["a", "b/1", "b/10", "b/2", "bb/1"]
    assert list(blobs.keys("b/")) == ["b/1", "b/10", "b/2"]
    assert list(blobs.keys("b/1")) == ["b/1", "b/10"]
    assert list(blobs.keys("b")) == ["b/1", "b/10", "b/2", "bb/1"]
    assert list(blobs.keys("c/d")) == []


def test_a_deleted_blob_is_gone(blobs):
    blobs.put(KEY, b"x")
    blobs.delete(KEY)
    blobs.delete(KEY)
    assert not blobs.exists(KEY)
    with pytest.raises(StoreError, match=r"Blob 'trajectories/ab12/000012' in .* is not there"):
        blobs.get(KEY)


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/./b", "a.part"])
def test_a_key_that_leads_astray_is_refused(blobs, key):
    with pytest.raises(ValueError, match="a blob key is names joined by '/'"):
        blobs.put(key, b"x")


def test_a_store_opened_read_only_is_not_written(blobs):
    blobs.put(KEY, b"x")
    blobs.read_only = True
    for change in (lambda: blobs.put(KEY, b"y"), lambda: blobs.delete(KEY)):
        with pytest.raises(StoreError, match="read-only"):
            change()
    assert blobs.get(KEY) == b"x"


names = st.text(
    st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=20
).filter(lambda name: name not in {".", ".."} and not name.endswith(".part"))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(key=st.lists(names, min_size=1, max_size=3).map("/".join), payload=st.binary(max_size=50))
def test_any_name_is_a_file_name(key, payload):
    with tempfile.TemporaryDirectory() as folder:
        blobs = FileBlobs(Path(folder))
        blobs.put(key, payload)
        assert blobs.get(key) == payload
        assert list(blobs.keys(key)) == [key]


def test_a_writer_that_is_killed_leaves_whole_blobs(tmp_path):
    code = (
        "import sys; from pathlib import Path; from ssefw.store.frames.blobs import FileBlobs\n"
        "blobs = FileBlobs(Path(sys.argv[1])); print('ready', flush=True)\n"
        "for n in range(10**6): blobs.put(f'a/{n % 5}', bytes([n % 256]) * 400_000)\n"
    )
    for wait in (0.05, 0.11, 0.17):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout.readline() == "ready\n"
        time.sleep(wait)
        writer.kill()
        writer.communicate()
    blobs = FileBlobs(tmp_path)
    keys = list(blobs.keys())
    assert keys
    for key in keys:
        payload = blobs.get(key)
        assert len(payload) == 400_000
        assert len(set(payload)) == 1


def test_opening_only_the_blobs_loads_no_database(tmp_path):
    code = (
        "import sys; from ssefw.store import open_blobs\n"
        "loaded = {'fireworks', 'jobflow', 'maggma', 'pymongo', 'mongomock'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True
    )


def test_blobs_of_a_dead_server_are_refused_in_time():
    start = time.monotonic()
    with pytest.raises(StoreError, match="cannot be used"):
        open_blobs("mongodb://127.0.0.1:9/db", timeout=0.3)
    assert time.monotonic() - start < 3


def test_a_file_in_the_way_of_a_blob_is_an_error_of_one_line(tmp_path):
    blobs = FileBlobs(tmp_path)
    blobs.put("a", b"x")
    with pytest.raises(StoreError, match=r"Blob 'a/b' \(\d+ bytes\) was not written") as caught:
        blobs.put("a/b", b"y")
    assert "\n" not in str(caught.value)
