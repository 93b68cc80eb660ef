"""Values that a document can hold, and text that a terminal can show."""

import datetime as dt
import json

import pytest

from ssefw.errors import DataError
from ssefw.files import check_plain, printable, read_json


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": dt.date(2026, 1, 2)}, "kind date"),
        ({"a": {1, 2}}, "kind set"),
        ({"a": 2**63}, "64 bits"),
        ({"a": 10**5000}, "bits, more than 63"),
        ({"a\0": 1}, "control character"),
        ({"a": "\ud800"}, "control character"),
        ({"a": "\x1b[2J"}, "control character"),
        ({1: 2}, "the key 1 is int"),
        (json.loads("[" * 100 + "]" * 100), "nested more than 64"),
    ],
)
def test_what_no_document_can_hold_is_refused(value, words):
    with pytest.raises(DataError, match=words):
        check_plain(value)


def test_what_json_holds_passes():
    check_plain({"a": [1, 2.5, None, True, "é\n\t"], "b": {"c": -(2**63) + 1}})


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "{", "nul\0"])
def test_json_that_is_none_is_one_kind_of_error(text):
    with pytest.raises(DataError):
        read_json(text)


def test_control_characters_are_written_out():
    assert printable("a\x1b[31mb\ud800\x9b\n") == "a\\x1b[31mb\\ud800\\x9b\n"
