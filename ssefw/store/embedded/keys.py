"""Order-preserving binary keys for the values that documents are looked up and sorted by.

Two keys compare as bytes the way MongoDB compares the values: first by type, then within the type.
A key ends where its bytes say, so keys can be put one behind the other for an index over several
fields, and a key with every bit inverted sorts the other way round.
"""

import struct
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from math import isnan
from typing import Any, NamedTuple

import bson
from bson import ObjectId

__all__ = [
    "NUMBER",
    "OUTSIDE",
    "KeyRange",
    "encode_key",
    "invert_key",
    "is_exact",
    "is_sortable",
    "lookup_keys",
    "range_key",
    "split_texts",
    "text_of",
]

NULL, NUMBER, TEXT, BYTES, OBJECT_ID, BOOLEAN, DATE, OTHER = (
    bytes([rank]) for rank in (5, 10, 15, 30, 35, 40, 45, 0xF0)
)

OUTSIDE = b"\xff"
"""Sorts behind every key; marks a document whose place in the order no single key can say."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- BSON dates are naive UTC once decoded
_SIGN = 1 << 63
_INVERTED = bytes(range(255, -1, -1))


def encode_key(value: Any) -> bytes:  # noqa: PLR0911 -- one a type
    """Return the key of a decoded BSON value; absent fields have the key of None."""
    if value is None:
        return NULL
    if isinstance(value, str):
        return TEXT + value.encode().replace(b"\0", b"\0\xff") + b"\0\0"
    if isinstance(value, bool):
        return BOOLEAN + bytes([value])
    if isinstance(value, int | float):
        return NUMBER + _encode_number(value)
    if isinstance(value, ObjectId):
        return OBJECT_ID + value.binary
    if isinstance(value, datetime):
        offset = value.replace(tzinfo=None) - _EPOCH
        milliseconds = (offset.days * 86400 + offset.seconds) * 1000 + offset.microseconds // 1000
        return DATE + struct.pack(">Q", milliseconds + _SIGN)
    if isinstance(value, bytes):
        return BYTES + struct.pack(">I", len(value)) + value
    return OTHER + blake2b(bson.encode({"": value}), digest_size=16).digest()


def _encode_number(value: float) -> bytes:
    image = float(value) + 0.0  # -0.0 becomes 0.0
    if isnan(image):  # NaN sorts before every number
        return bytes(10)
    (bits,) = struct.unpack(">Q", struct.pack(">d", image))
    bits = bits ^ (2 * _SIGN - 1) if bits & _SIGN else bits | _SIGN
    # Integers beyond 2**53 share a float with their neighbors; the remainder tells them apart.
    remainder = value - int(image) if isinstance(value, int) else 0
    return struct.pack(">QH", bits, remainder + 0x8000)


def invert_key(key: bytes) -> bytes:
    """Return the key that sorts the other way round."""
    return key.translate(_INVERTED)


def split_texts(key: bytes) -> list[str] | None:
    """Return the texts that a key of one or several fields is made of; None if any is no text."""
    texts = []
    start = 0
    while start < len(key):
        end = key.find(b"\0\0", start)
        if key[start : start + 1] != TEXT or end < 0:
            return None
        texts.append(key[start + 1 : end].replace(b"\0\xff", b"\0").decode())
        start = end + 2
    return texts


def text_of(key: bytes) -> str | None:
    """Return the text that the key of one field is; None if it is no text."""
    return key[1:-2].replace(b"\0\xff", b"\0").decode() if key[:1] == TEXT else None


class KeyRange(NamedTuple):
    """Numbers, or texts, between two ends.

    Attributes
    ----------
    rank
        Of the type.
    low, high
        Keys of the ends, None where there is none.
    has_low, has_high
        Whether the end belongs to it.
    """

    rank: int
    low: bytes | None
    high: bytes | None
    has_low: bool = True
    has_high: bool = True

    def span(self, direction: int) -> tuple[bytes, bytes]:
        """Return its first key, and the first behind it, of keys that sort up (1) or down (-1).

        Behind a key comes, in an index over several fields, whatever begins with it.
        """
        ends = [(self.low, self.has_low), (self.high, self.has_high)]
        rank = self.rank
        if direction < 0:
            ends = [(key and invert_key(key), has) for key, has in reversed(ends)]
            rank = 255 - rank
        (low, has_low), (high, has_high) = ends
        first = bytes([rank]) if low is None else low if has_low else low + OUTSIDE
        last = bytes([rank + 1]) if high is None else high + OUTSIDE if has_high else high
        return first, last


def range_key(value: Any) -> bytes | None:
    """Return the key of a number or text that documents are compared with, or None for others."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int) and value.bit_length() > 63:
        return None
    return None if isinstance(value, float) and isnan(value) else encode_key(value)


def is_sortable(value: Any) -> bool:
    """Whether the order of keys is the order of the values for this one."""
    return value is None or isinstance(value, str | int | float | ObjectId | datetime | bytes)


def lookup_keys(value: Any) -> list[bytes] | None:
    """Return the keys under which documents equal to a value may be found, or None for any.

    The keys may find more documents than are equal, never fewer: Python's ``1 == True`` holds in
    mongomock's filters, and an ObjectId is also found in a list that has it as text.
    """
    if not is_sortable(value) or (isinstance(value, int) and value.bit_length() > 63):
        return None
    keys = [encode_key(value)]
    if isinstance(value, bool):
        keys.append(encode_key(int(value)))
    elif isinstance(value, int | float) and value in (0, 1):
        keys.append(encode_key(bool(value)))
    elif isinstance(value, ObjectId):
        keys.append(encode_key(str(value)))
    return keys


def is_exact(values: Sequence[Any]) -> bool:
    """Whether `lookup_keys` finds exactly the documents that are equal to one of the values."""
    return all(
        isinstance(value, str)
        or (isinstance(value, int | float) and not isinstance(value, bool) and not isnan(value))
        for value in values
    )
