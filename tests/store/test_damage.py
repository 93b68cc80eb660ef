"""What was damaged after it was stored is noticed and named, and computed again where it can be."""

import json
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssefw.documents import Estimate, Outcome, Provenance
from ssefw.errors import StoreError
from ssefw.store import connect
from ssefw.store.checksum import sealed, unsealed
from ssefw.store.decoding import decoded_json, decoded_record
from ssefw.store.frames.blobs import BlobError, FileBlobs
from ssefw.store.frames.stages import StageStore

KEY = "trajectories/ab12/000012"


@pytest.fixture
def blobs(tmp_path):
    return FileBlobs(tmp_path / "blobs")


def path_of(blobs, key=KEY):
    return blobs.folder / key


@given(payload=st.binary(max_size=80), position=st.integers(0, 10**6), change=st.integers(1, 255))
def test_any_byte_that_changes_is_noticed(payload, position, change):
    stored = bytearray(sealed(KEY, payload))
    stored[position % len(stored)] ^= change
    with pytest.raises(ValueError, match=r"damaged|checksum|are there"):
        unsealed(KEY, bytes(stored))


@given(payload=st.binary(max_size=80), length=st.integers(0, 10**6))
def test_any_end_that_is_missing_is_noticed(payload, length):
    stored = sealed(KEY, payload)
    with pytest.raises(ValueError, match=r"damaged|are there"):
        unsealed(KEY, stored[: length % len(stored)])


def test_a_blob_in_the_place_of_another_is_noticed(blobs):
    blobs.put(KEY, b"frames of one run")
    blobs.put("trajectories/cd34/000012", b"frames of another")
    path_of(blobs).replace(path_of(blobs, "trajectories/cd34/000012"))
    with pytest.raises(BlobError, match="does not fit its checksum"):
        blobs.get("trajectories/cd34/000012")


def test_blobs_of_before_there_were_checksums_are_read(blobs):
    path_of(blobs).parent.mkdir(parents=True)
    path_of(blobs).write_bytes(b"PK\x03\x04 frames")
    assert blobs.get(KEY) == b"PK\x03\x04 frames"


def test_a_damaged_blob_is_named_with_a_remedy(blobs):
    blobs.put(KEY, b"frames")
    path_of(blobs).write_bytes(path_of(blobs).read_bytes()[:-2])
    with pytest.raises(
        BlobError, match=rf"Blob '{KEY}' in .*blobs is damaged \(4 bytes of 6 .*store check"
    ) as caught:
        blobs.get(KEY)
    assert caught.value.key == KEY
    assert "\n" not in str(caught.value)


def flipped(text):
    """Return what is stored with one digit another."""
    place = text.rindex(b"3.596")
    return text[:place] + b"3.996" + text[place + 5 :]


def cut(text):
    return text[: len(text) // 2]


@pytest.mark.parametrize("damage", [flipped, cut])
@pytest.mark.parametrize("is_old", [False, True])
def test_a_kept_stage_that_is_damaged_counts_as_not_there(blobs, caplog, damage, is_old):
    stages = StageStore(blobs)
    length = Estimate(value=3.596, lower=3.5, upper=3.7, unit="angstrom")
    stages.put("k", length)
    assert stages.get("k", Estimate) == length
    path = path_of(blobs, "stages/k")
    content = blobs.get("stages/k") if is_old else path.read_bytes()
    path.write_bytes(damage(content))
    if is_old and damage is flipped:
        return  # nothing tells
    assert stages.get("k", Estimate) is None
    assert "'stages/k'" in caplog.text
    stages.put("k", length)
    assert stages.get("k", Estimate) == length


@pytest.mark.parametrize(
    "record",
    [
        {"@module": "this", "@class": "X"},
        {"@module": "os", "@callable": "system"},
        {"@module": "pymatgen.core", "@callable": "Structure"},
        {"output": [{"deep": {"@module": "ssefw.cli.campaign.run", "@class": "X"}}]},
        {"@module": "pymatgen_of_somebody", "@class": "X"},
        {"@module": ["this"], "@class": "X"},
    ],
)
def test_a_record_does_not_choose_what_is_imported(record, capsys):
    with pytest.raises(StoreError, match="which ssefw does not store, and nothing of it was load"):
        decoded_record(record)
    assert capsys.readouterr().out == ""  # the module `this` prints when it is imported


def test_a_setting_names_other_packages_whose_objects_records_hold(monkeypatch):
    record = {"@module": "fractions", "@class": "Fraction", "numerator": 1}
    with pytest.raises(StoreError, match="document_modules"):
        decoded_record(record)
    monkeypatch.setenv("SSEFW_DOCUMENT_MODULES", "another, fractions")
    decoded_record(record)


def test_a_hostile_output_or_blob_is_an_error_of_one_line(tmp_path):
    hostile = {
        "@module": "ssefw.documents", "@class": "Outcome", "structure": {"@module": "this",
        "@class": "X"},
    }  # fmt: skip
    with connect(tmp_path) as connection:
        connection.job_store.docs_store.update(
            {"uuid": "u", "index": 1, "output": hostile, "metadata": {}}, key=["uuid", "index"]
        )
        with pytest.raises(StoreError, match="an object 'X' of 'this'"):
            list(connection.results.find(Outcome))
        connection.blobs.put("stages/k", json.dumps(hostile).encode())
        with pytest.raises(StoreError, match="an object 'X' of 'this'"):
            StageStore(connection.blobs).get("k", Provenance)


def test_what_is_decoded_is_what_was_stored():
    value = Estimate.below(3.0, unit="eV", reason="because")
    assert decoded_json(json.dumps(value.as_dict())) == value


def modes(folder):
    return {
        path.relative_to(folder).as_posix(): oct(stat.S_IMODE(path.stat().st_mode))
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize(
    ("folder_mode", "umask", "files", "folders"),
    [
        (0o755, 0o022, 0o644, 0o755),
        (0o2770, 0o022, 0o660, 0o2770),
        (0o700, 0o022, 0o600, 0o700),
        (0o755, 0o077, 0o644, 0o755),
        (0o775, 0o002, 0o664, 0o775),
    ],
)
def test_all_of_a_store_has_the_mode_of_its_folder(tmp_path, folder_mode, umask, files, folders):
    store = tmp_path / "store"
    store.mkdir()
    store.chmod(folder_mode)
    before = os.umask(umask)
    try:
        with connect(store) as connection:
            connection.blobs.put(KEY, b"frames")
            found = modes(store)
    finally:
        os.umask(before)
    assert {"store.sqlite", "store.sqlite-wal", "store.sqlite-shm", f"blobs/{KEY}"} < set(found)
    for name, mode in found.items():
        assert mode == oct(folders if (store / name).is_dir() else files), name


def test_an_empty_database_file_beside_full_blobs_is_no_new_store(tmp_path):
    with connect(tmp_path) as connection:
        connection.blobs.put(KEY, b"frames")
    for spoil in (lambda path: path.write_bytes(b""), lambda path: path.unlink()):
        spoil(tmp_path / "store.sqlite")
        for options in ({}, {"create": False}, {"read_only": True}):
            with pytest.raises(StoreError) as caught:
                connect(tmp_path, **options)
            assert "\n" not in str(caught.value)
            if not options:
                assert "1 blobs lie beside it" in str(caught.value)
                assert "store check" in str(caught.value)
        assert sorted(path.name for path in tmp_path.iterdir() if path.stat().st_size)[0] == "blobs"


def test_an_emptied_database_does_not_cost_its_log(tmp_path):
    connection = connect(tmp_path)
    connection.database.things.insert_one({"n": 1})
    log = (tmp_path / "store.sqlite-wal").read_bytes()
    assert log
    elsewhere = tmp_path / "copy"
    elsewhere.mkdir()
    (elsewhere / "store.sqlite").touch()
    (elsewhere / "store.sqlite-wal").write_bytes(log)
    with pytest.raises(StoreError, match="is empty"):
        connect(elsewhere)
    assert (elsewhere / "store.sqlite-wal").read_bytes() == log
    connection.close()
