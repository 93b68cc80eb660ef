"""Arrays in a zip: all of them or some, and damage in a short line."""

import io

import numpy as np
import pytest

from ssefw.errors import DataError
from ssefw.files.arrays import unpack_npz


def packed(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_only_what_is_wanted_is_unpacked():
    payload = packed(a=np.arange(3), b=np.asfortranarray(np.ones((2, 3))))
    assert set(unpack_npz(payload)) == {"a", "b"}
    assert list(unpack_npz(payload, wanted="b".__eq__)) == ["b"]
    np.testing.assert_array_equal(unpack_npz(payload)["b"], np.ones((2, 3)))


def test_a_wrong_length_of_a_name_is_not_answered_with_the_whole_file():
    payload = bytearray(packed(a=np.arange(10_000)))
    payload[26:28] = (30_000).to_bytes(2, "little")  # of the name in the first member's header
    with pytest.raises(DataError) as raised:
        unpack_npz(bytes(payload))
    assert len(str(raised.value)) < 200


def test_an_object_is_not_unpacked():
    with pytest.raises(DataError, match="array of object"):
        unpack_npz(packed(a=np.array([{}], dtype=object)))
