"""The pages of an SQLite file, read without SQLite: what is whole of a file that is not.

SQLite reads nothing behind the first damaged page of a table, and the recovery of its shell needs
an extension that distributions leave out. The format is public and frozen
(https://www.sqlite.org/fileformat2.html): pages of one size, of which those of type 13 hold rows
and those of type 5 lead to them; committed pages may lie in the write-ahead log.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Log", "Pages", "StoredRow", "read_log"]

PAGE_BYTES = 4096
"""Of stores as they are made; taken where the file's header cannot be right."""
LEAF, INTERIOR = 13, 5
LOG_HEADER, FRAME_HEADER = 32, 24
MAGIC = b"SQLite format 3\0"


class StoredRow(NamedTuple):
    """A row of a table: its key and the bytes of its columns; None for what is no text or blob."""

    key: int
    columns: list[bytes | int | None]


class Log(NamedTuple):
    """A write-ahead log: the newest committed pages, and what is wrong with it."""

    pages: dict[int, bytes]
    n_pages: int | None
    problem: str | None


class Pages:
    """The newest committed pages of an SQLite file and its write-ahead log."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes() if path.exists() else b""
        self.size = _page_size(content)
        log = path.with_name(f"{path.name}-wal")
        self.log = read_log(log.read_bytes() if log.exists() else b"", self.size)
        n_there = -(-len(content) // self.size)
        self._pages = {
            number: content[(number - 1) * self.size : number * self.size].ljust(self.size, b"\0")
            for number in range(1, n_there + 1)
        }
        self._pages |= self.log.pages
        reserved = self.page(1)[20] if self.page(1) else 0
        self._usable = self.size - (reserved if reserved < 64 else 0)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._pages))

    def page(self, number: int) -> bytes:
        """Return a page; nothing if there is none of that number."""
        return self._pages.get(number, b"")

    def kind(self, number: int) -> int:
        """Return the type of a page."""
        page = self.page(number)
        return page[_start(number)] if page else 0

    def leaves(self, root: int) -> Iterator[int]:
        """Yield the pages with the rows of a table, in order; what is damaged is left out."""
        seen: set[int] = set()
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            kind = self.kind(number)
            if kind == LEAF:
                yield number
            elif kind == INTERIOR:
                page, start = self.page(number), _start(number)
                children = [
                    int.from_bytes(page[offset : offset + 4], "big")
                    for offset in self._cells(number, header=12)
                ]
                children.append(int.from_bytes(page[start + 8 : start + 12], "big"))
                waiting.extend(reversed(children))

    def free(self) -> set[int]:
        """Return the pages that hold nothing any more, as far as the list of them can be read."""
        found: set[int] = set()
        trunk = int.from_bytes(self.page(1)[32:36], "big")
        while trunk and trunk not in found and self.page(trunk):
            found.add(trunk)
            page = self.page(trunk)
            count = min(int.from_bytes(page[4:8], "big"), self.size // 4 - 2)
            found.update(struct.unpack_from(f">{count}I", page, 8))
            trunk = int.from_bytes(page[:4], "big")
        return found

    def rows(self, number: int) -> Iterator[StoredRow]:
        """Yield the rows of a page that can be read."""
        page = self.page(number)
        for offset in self._cells(number, header=8):
            try:
                length, place = _varint(page, offset)
                key, place = _varint(page, place)
                yield StoredRow(key, _columns(self._payload(page, place, length)))
            except (IndexError, ValueError):
                continue

    def _cells(self, number: int, *, header: int) -> list[int]:
        page, start = self.page(number), _start(number)
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        count = min(count, (self.size - start - header) // 2)
        offsets = struct.unpack_from(f">{count}H", page, start + header)
        return [offset for offset in offsets if start + header <= offset < self.size - 3]

    def _payload(self, page: bytes, place: int, length: int) -> bytes:
        """Return the content of a cell, which goes on in a chain of pages if it is long."""
        usable = self._usable
        most = usable - 35
        if length <= most:
            if place + length > len(page):
                raise ValueError("a row ends behind its page")
            return page[place : place + length]
        if length > usable * len(self._pages):
            raise ValueError("a row is longer than the file")
        least = (usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (usable - 4)
        local = local if local <= most else least
        parts = [page[place : place + local]]
        following = int.from_bytes(page[place + local : place + local + 4], "big")
        missing = length - local
        while missing > 0:
            more = self.page(following)
            if not more:
                raise ValueError("the rest of a row is not there")
            parts.append(more[4 : 4 + min(missing, usable - 4)])
            missing -= usable - 4
            following = int.from_bytes(more[:4], "big")
        return b"".join(parts)


def read_log(content: bytes, page_size: int) -> Log:
    """Return the committed pages of a write-ahead log, up to the first that is damaged."""
    if len(content) < LOG_HEADER + FRAME_HEADER:
        problem = "it is cut off within its first page" if content else None
        return Log({}, None, problem)
    magic, _, size = struct.unpack_from(">3I", content)
    order = {0x377F0682: "<", 0x377F0683: ">"}.get(magic)
    if order is None or size != page_size:
        return Log({}, None, "its header is damaged")
    sums = _checksum(order, content[:24], (0, 0))
    if sums != struct.unpack_from(">2I", content, 24):
        return Log({}, None, "its header is damaged")
    committed: dict[int, bytes] = {}
    waiting: dict[int, bytes] = {}
    n_pages, problem = None, None
    salts = content[16:24]
    for start in range(LOG_HEADER, len(content), FRAME_HEADER + size):
        header = content[start : start + FRAME_HEADER]
        page = content[start + FRAME_HEADER : start + FRAME_HEADER + size]
        if len(page) < size or header[8:16] != salts:
            break  # cut off while it was written, or what an earlier round has left
        sums = _checksum(order, page, _checksum(order, header[:8], sums))
        number, n_after = struct.unpack_from(">2I", header)
        if sums != struct.unpack_from(">2I", header, 16):
            problem = f"its page at byte {start} is damaged"
            break
        waiting[number] = page
        if n_after:
            committed |= waiting
            n_pages, waiting = n_after, {}
    return Log(committed, n_pages, problem)


def _checksum(order: str, content: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    one, two = sums
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for k in range(0, len(words), 2):
        one = (one + words[k] + two) & 0xFFFFFFFF
        two = (two + words[k + 1] + one) & 0xFFFFFFFF
    return one, two


def _page_size(content: bytes) -> int:
    size = int.from_bytes(content[16:18], "big")
    size = 65536 if size == 1 else size
    is_possible = content.startswith(MAGIC) and size >= 512 and size & (size - 1) == 0
    return size if is_possible else PAGE_BYTES


def _start(number: int) -> int:
    """Return where a page begins to be one: the first begins with the file's header."""
    return 100 if number == 1 else 0


def _varint(page: bytes, place: int) -> tuple[int, int]:
    value = 0
    for k in range(9):
        byte = page[place + k]
        if k == 8:
            return (value << 8) | byte, place + 9
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, place + k + 1
    raise ValueError("no number")


INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8}
"""Bytes by kind of column."""


def _columns(payload: bytes) -> list[bytes | int | None]:
    length, place = _varint(payload, 0)
    kinds = []
    while place < length:
        kind, place = _varint(payload, place)
        kinds.append(kind)
    columns: list[bytes | int | None] = []
    for kind in kinds:
        size = (kind - 12) // 2 if kind >= 12 else INTEGERS.get(kind, 0)
        content = payload[place : place + size]
        if len(content) < size:
            raise ValueError("a column ends behind its row")
        place += size
        if kind >= 12:
            columns.append(content)
        elif 1 <= kind <= 6:
            columns.append(int.from_bytes(content, "big", signed=True))
        else:
            columns.append({8: 0, 9: 1}.get(kind))
    return columns
