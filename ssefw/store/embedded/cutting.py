"""Large documents without what nobody asked for, cut out of their bytes before they are decoded.

An outcome holds some words that a table shows and thousands of numbers that it does not. BSON says
of every field how long it is, so that what is not wanted is stepped over.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ssefw.store.embedded.projection import Wanted

__all__ = ["Cutter", "fields_asked"]

Names = dict[bytes, Any]
"""Fields by name: True for all of it, or the fields within it."""

WORTH_BYTES = 1024
"""A document that is smaller is decoded whole in the time that it takes to step through it."""

DOCUMENT = 0x03
FIXED = {
    0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16,
    0x7F: 0, 0xFF: 0,
}  # fmt: skip
"""Bytes of numbers, dates and the like, by their kind (https://bsonspec.org)."""
BEHIND = {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0D: 4, 0x0E: 4, 0x0F: 0}
"""Of texts, documents and the like, bytes beside those that their first four count."""


class Cutter:
    """Cuts documents down to the fields that are given out and those that a filter looks at."""

    def __init__(self, wanted: Wanted, looked_at: Iterable[str]) -> None:
        self._names = _in_bytes(wanted)
        for field in looked_at:
            _add(self._names, field.encode().split(b"."))

    def __call__(self, body: bytes) -> bytes:
        """Return the document with these fields, whole where it is small or of unknown kinds."""
        return body if len(body) < WORTH_BYTES else _cut(body, 0, self._names)


def fields_asked(spec: Mapping[str, Any]) -> set[str] | None:
    """Return the fields that a filter looks at; None if it may be any."""
    found: set[str] = set()
    for name, condition in spec.items():
        if name in {"$and", "$or", "$nor"}:
            for part in condition:
                inner = fields_asked(part)
                if inner is None:
                    return None
                found |= inner
        elif name.startswith("$"):
            return None
        else:
            found.add(name)
    return found


def _in_bytes(wanted: Wanted) -> Names:
    return {
        name.encode(): True if part is True else _in_bytes(part) for name, part in wanted.items()
    }


def _add(names: Names, path: list[bytes]) -> None:
    first, *rest = path
    if not rest:
        names[first] = True
    elif names.get(first) is not True:
        _add(names.setdefault(first, {}), rest)


def _cut(body: bytes, begin: int, names: Names) -> bytes:
    """Return the document that begins somewhere in `body`."""
    end = begin + int.from_bytes(body[begin : begin + 4], "little") - 1
    place, missing, parts = begin + 4, len(names), []
    while place < end and missing:
        kind, stop = body[place], body.index(0, place + 1)
        start = stop + 1
        size = FIXED.get(kind)
        if size is None:
            beside = BEHIND.get(kind)
            if beside is None:  # a kind that nobody stores any more
                return body[begin : end + 1]
            size = int.from_bytes(body[start : start + 4], "little") + beside
        part = names.get(body[place + 1 : stop])
        if part is not None:
            missing -= 1
            if part is True or kind != DOCUMENT or size < WORTH_BYTES:
                parts.append(body[place : start + size])
            else:
                parts += body[place:start], _cut(body, start, part)
        place = start + size
    content = b"".join(parts)
    return (len(content) + 5).to_bytes(4, "little") + content + b"\0"
