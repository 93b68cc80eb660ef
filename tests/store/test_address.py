"""An address opens the same store everywhere and keeps its password to itself."""

import json
from pathlib import Path

import pytest

from ssefw.errors import StoreError
from ssefw.store import Address

SECRET = "mongodb://reader:p@ss:w/rd@host.example:27017/screening?replicaSet=rs&blobs=/shared/b%20c"


def test_a_folder_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Address("store") == str(tmp_path / "store")
    assert Address(Path("store")).file == tmp_path / "store" / "store.sqlite"
    assert Address("~/store").folder == Path.home() / "store"
    assert Address("store").blob_folder == tmp_path / "store" / "blobs"


@pytest.mark.parametrize("show", [str, repr, format, "{}".format, "{!r}".format, "%s".__mod__])
def test_a_password_is_never_shown(show):
    shown = show(Address(SECRET))
    assert "p@ss" not in shown
    assert "reader:***@host.example:27017/screening" in shown


def test_an_address_passes_through_other_hands_whole():
    address = Address(SECRET)
    assert Address(address) == address == SECRET
    assert Address(json.loads(json.dumps(address))) == address
    assert address.encode() == SECRET.encode()


def test_a_folder_for_blobs_is_no_business_of_the_driver():
    address = Address(SECRET)
    assert address.blob_folder == Path("/shared/b c")
    assert address.uri == "mongodb://reader:p@ss:w/rd@host.example:27017/screening?replicaSet=rs"
    assert Address("mongodb://host/db?blobs=/b").uri == "mongodb://host/db"
    assert Address("mongodb://host/db?blobs=/b&w=1").uri == "mongodb://host/db?w=1"
    assert Address("mongodb://host/db").blob_folder is None


@pytest.mark.parametrize("wrong", ["", "  ", "http://host/db", "postgresql://host"])
def test_another_kind_of_address_is_refused(wrong):
    with pytest.raises(StoreError, match="a folder or a mongodb:// URI"):
        Address(wrong)
