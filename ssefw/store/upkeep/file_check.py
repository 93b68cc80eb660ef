"""Whether the database file of an embedded store is sound: pages, catalog, documents, indices."""

from collections.abc import Iterator
from pathlib import Path

import bson

from ssefw.errors import StoreError
from ssefw.store.address import Address
from ssefw.store.checksum import without_tail
from ssefw.store.embedded.indices import Values
from ssefw.store.embedded.keys import encode_key
from ssefw.store.embedded.pages import Pages
from ssefw.store.embedded.rescue import in_use
from ssefw.store.embedded.sqlite import CollectionTable, DocumentFile, fits_catalog
from ssefw.store.upkeep.findings import Finding

__all__ = ["check_file"]

MOST = 20
"""Of what SQLite says is wrong with its pages: behind the first few it is the same again."""
_HASHES = 1 << 64


def check_file(address: Address) -> Iterator[Finding]:
    """Yield what is wrong with a store's database file; nothing is changed.

    The process must not have the store open.
    """
    path = address.file
    if not in_use(path) and (log := _log_problem(path)) is not None:
        yield Finding("log", f"{path}-wal", log)
    file = DocumentFile(path, read_only=True)
    try:
        file.open(create=False)
        with file.transaction():
            yield from _check_pages(file)
            yield from _check_catalog(file)
            for name, table in file.tables().items():
                yield from _check_collection(file, name, table)
    except (StoreError, bson.InvalidBSON, KeyError, TypeError, ValueError) as error:
        yield Finding("file", str(path), " ".join(str(error).split()))
    finally:
        file.close()


def _log_problem(path: Path) -> str | None:
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or log.stat().st_size == 0:
        return None
    problem = Pages(path).log.problem
    return problem and f"{problem}: what was written last, from there on, is lost"


def _check_pages(file: DocumentFile) -> Iterator[Finding]:
    answers = file.connection.execute(f"PRAGMA integrity_check({MOST})").fetchall()
    for (answer,) in answers:
        if answer != "ok":
            yield Finding("file", str(file.path), " ".join(str(answer).split()))


def _check_catalog(file: DocumentFile) -> Iterator[Finding]:
    query = "SELECT number, name, indices FROM collections"
    known = set()
    for number, name, entry in file.connection.execute(query).fetchall():
        known.add(f"documents_{number}")
        if not fits_catalog(number, name, entry):
            yield Finding("file", str(file.path), f"the entry of collection {name!r} is damaged")
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'documents%'"
    there = {name for (name,) in file.connection.execute(query)}
    for table in sorted(there ^ known):
        what = "belongs to no collection" if table in there else "is not there"
        yield Finding("file", str(file.path), f"the table {table} {what}")


def _check_collection(file: DocumentFile, name: str, table: CollectionTable) -> Iterator[Finding]:
    """Yield the documents that are damaged, and the indices that do not say what these say."""
    indices = list(table.indices.values())
    expected = [[0, 0] for _ in indices]
    are_all_read = True
    for seq, identity, stored in file.connection.execute(f"SELECT seq, id, body FROM {table.name}"):
        where = f"{name}/{seq}"
        try:
            document = bson.decode(without_tail(stored))
        except (ValueError, TypeError, bson.InvalidBSON) as error:
            yield Finding("record", where, f"is damaged ({error})")
            are_all_read = False
            continue
        if encode_key(document.get("_id")) != identity:
            yield Finding("record", where, "is kept under the key of another")
        values = Values(document)
        for sums, index in zip(expected, indices, strict=True):
            for key in index.keys_of(values):
                sums[0] += 1
                sums[1] = (sums[1] + hash((key, seq))) % _HASHES
    if not are_all_read:
        return  # what the indices should say is not known
    for sums, index in zip(expected, indices, strict=True):
        found = [0, 0]
        for key, seq in file.connection.execute(f"SELECT key, seq FROM {index.table}"):
            found[0] += 1
            found[1] = (found[1] + hash((key, seq))) % _HASHES
        if found != sums:
            yield Finding("index", f"{name}/{index.name}", "does not say what the records say")
