"""A new database file from what can be read of a damaged one.

The damaged file and its log are kept in a folder beside it, from which the new one is made; only
when that is whole on disk does it take the old one's place. Killed at any moment, it is begun again
from the same kept files.
"""

import contextlib
import fcntl
import os
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import bson

from ssefw.errors import StoreError
from ssefw.store.address import Address
from ssefw.store.checksum import turned_back, with_tail, without_tail
from ssefw.store.embedded.keys import encode_key
from ssefw.store.embedded.pages import LEAF, Pages, StoredRow
from ssefw.store.embedded.sqlite import APPLICATION_ID, DocumentFile, fits_catalog
from ssefw.store.sharing import file_mode

__all__ = ["Rescue", "in_use", "rescue"]

KEPT = "damaged"
UNKNOWN = "rescued"
"""The collection of documents whose own cannot be told."""

_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510
"""Where SQLite locks a file for reading (PENDING_BYTE + 2); held by whoever has a store open."""


@dataclass(frozen=True)
class Rescue:
    """What became of a damaged file.

    Attributes
    ----------
    saved
        Number of documents by collection.
    lost
        Places of rows that could be seen but not be read, by collection.
    kept
        The folder with the damaged file.
    """

    saved: dict[str, int]
    lost: dict[str, int]
    kept: Path


class _Found(NamedTuple):
    collection: str
    seq: int
    body: bytes


def in_use(path: Path) -> bool:
    """Whether a process has a database file open, as far as this machine knows.

    Not for a process that has it open itself: closing the file here would end its locks.
    """
    if not path.exists():
        return False
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except OSError:
            return True
        fcntl.lockf(file, fcntl.LOCK_UN, _SHARED_SIZE, _SHARED_FIRST)
    return False


def rescue(address: Address) -> Rescue:
    """Put a new file with all documents that can be read in the place of a damaged one.

    Raises
    ------
    StoreError
        If somebody works with the store, or the file never was one of ours.
    """
    path = address.file
    if in_use(path):
        raise StoreError(
            f"{path} is open in another process: end the workers of this store, then repair it."
        )
    kept = _keep(path)
    source = kept / path.name
    pages = Pages(source)
    draft = path.with_name(f"{path.name}.draft")
    _remove_with_logs(draft)
    saved, lost = _write(draft, pages)
    if not saved and not _may_be_ours(source):
        _remove_with_logs(draft)
        raise StoreError(f"{path} holds no document of ssefw: restore the file of a backup.")
    draft.chmod(file_mode(path.parent))
    for name in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    draft.replace(path)
    return Rescue(saved, lost, kept)


def _may_be_ours(path: Path) -> bool:
    """Whether a file without documents was a store: its header says so, or it is empty."""
    if not path.exists() or path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        return file.read(72)[68:] == APPLICATION_ID.to_bytes(4, "big")


def _remove_with_logs(path: Path) -> None:
    for name in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + name).unlink(missing_ok=True)


def _keep(path: Path) -> Path:
    """Return the folder with the damaged file and its log, made whole or not at all."""
    for folder in sorted(path.parent.glob(f"{KEPT}-*")):
        with contextlib.suppress(OSError):
            if (folder / path.name).samefile(path):
                return folder  # a repair was begun and killed
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    folder = path.with_name(f"{KEPT}-{stamp}")
    draft = folder.with_name(f".{folder.name}")
    draft.mkdir()
    for name in (path.name, f"{path.name}-wal"):
        with contextlib.suppress(FileNotFoundError):
            (draft / name).hardlink_to(path.with_name(name))
    draft.replace(folder)
    return folder


def _write(draft: Path, pages: Pages) -> tuple[dict[str, int], dict[str, int]]:
    saved: dict[str, int] = {}
    lost: dict[str, int] = {}
    file = DocumentFile(draft, read_only=False)
    try:
        file.open(create=True, beside_blobs=True)
        with file.transaction(write=True):
            for found in _documents(pages, lost):
                table = file.make_table(found.collection).name
                identity = encode_key(bson.decode(found.body).get("_id"))
                stored = with_tail(found.body)
                here = file.connection.execute(
                    f"SELECT 1 FROM {table} WHERE id = ?", (identity,)
                ).fetchone()
                if here is not None:
                    continue
                try:
                    query = f"INSERT INTO {table} (seq, id, body) VALUES (?, ?, ?)"
                    file.connection.execute(query, (found.seq, identity, stored))
                except sqlite3.IntegrityError:  # another document has its place in the order
                    query = f"INSERT INTO {table} (id, body) VALUES (?, ?)"
                    file.connection.execute(query, (identity, stored))
                saved[found.collection] = saved.get(found.collection, 0) + 1
        file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        file.close()
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return saved, lost


def _documents(pages: Pages, lost: dict[str, int]) -> Iterator[_Found]:
    """Yield what can be read: first where the tables lead to, then what they do not lead to."""
    seen: set[int] = set()
    for name, root in _tables(pages):
        for number in pages.leaves(root):
            seen.add(number)
            for row in pages.rows(number):
                body = _body(row)
                if body is not None:
                    yield _Found(name, row.key, body)
                elif len(row.columns) == 3:
                    lost[name] = lost.get(name, 0) + 1
    seen |= pages.free()
    for number in pages:
        if number in seen or pages.kind(number) != LEAF:
            continue
        for row in pages.rows(number):
            body = _body(row)
            if body is not None:
                yield _Found(_collection_of(bson.decode(body)), row.key, body)


def _body(row: StoredRow) -> bytes | None:
    """Return the document in a row if it is one, and whole."""
    if len(row.columns) != 3:
        return None
    _, identity, stored = row.columns
    if not isinstance(identity, bytes) or not isinstance(stored, bytes):
        return None
    try:
        body = without_tail(stored)
    except ValueError:
        return turned_back(stored)
    try:
        fits = encode_key(bson.decode(body).get("_id")) == identity
    except (ValueError, bson.InvalidBSON, OverflowError, struct.error):
        return None
    # A digest says that it is whole; of an old document only its key can.
    return body if fits or len(stored) > len(body) else None


def _tables(pages: Pages) -> Iterator[tuple[str, int]]:
    """Yield the collections and the first pages of their tables, where the file still says them."""
    roots: dict[str, int] = {}
    for number in pages.leaves(1):
        for row in pages.rows(number):
            match row.columns:
                case [b"table", bytes(name), _, int(root), *_]:
                    roots[name.decode(errors="replace")] = root
    names: dict[int, str] = {}
    for number in pages.leaves(roots.get("collections", 0)):
        for row in pages.rows(number):
            match row.columns:
                case [_, bytes(name), bytes(entry)]:
                    text = name.decode(errors="replace")
                    if fits_catalog(row.key, text, entry):
                        names[row.key] = text
    for table, root in roots.items():
        prefix, _, digits = table.partition("_")
        if prefix == "documents" and digits.isdigit():
            known = names.get(int(digits))
            yield known or _name_of(pages, root), root


def _name_of(pages: Pages, root: int) -> str:
    """Return the collection that the first document of a table must belong to."""
    for number in pages.leaves(root):
        for row in pages.rows(number):
            if (body := _body(row)) is not None:
                return _collection_of(bson.decode(body))
    return UNKNOWN


FIELDS = {
    "fireworks": {"fw_id", "spec", "state"},
    "workflows": {"nodes", "links", "state"},
    "launches": {"launch_id", "fworker"},
    "jobs": {"uuid", "index", "output"},
    "jobs_data": {"blob_uuid"},
    "fw_id_assigner": {"next_fw_id", "next_launch_id"},
}
"""What only documents of these collections have."""


def _collection_of(document: dict[str, Any]) -> str:
    return next((name for name, fields in FIELDS.items() if fields <= set(document)), UNKNOWN)
