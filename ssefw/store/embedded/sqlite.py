"""One SQLite file with the collections of an embedded store: transactions, tables, errors.

A write takes the one write lock of the file before it reads, so that what it decided on still
holds when it writes, in this process and in every other. Whatever a killed process had not
committed is gone when the file is opened next, whatever it had committed is there.

On a local disk the file is in write-ahead-log mode: readers see the last committed state and never
wait. That mode needs memory shared by all who have the file open, so on a network file system the
file has a rollback journal instead, which needs nothing but file locks.
"""

import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from weakref import WeakSet

import bson
from pymongo.errors import BulkWriteError, OperationFailure, WriteError

from ssefw.errors import StoreError
from ssefw.store.checksum import tail_of
from ssefw.store.embedded.cutting import Cutter
from ssefw.store.embedded.disk import network_file_system
from ssefw.store.embedded.indices import Index
from ssefw.store.sharing import make_file

__all__ = [
    "APPLICATION_ID",
    "FORMAT",
    "CollectionTable",
    "DocumentFile",
    "catalog_entry",
    "fits_catalog",
]

APPLICATION_ID = 0x53534546  # "SSEF"
FORMAT = 2
"""Documents end with a checksum since 2."""
OLDEST = 1
"""Which is still read, and becomes the newest when it is written to."""
BUSY_SECONDS = 60.0
"""How long a write waits for another process's write; the longest is a bulk submission."""


@dataclass
class CollectionTable:
    """Where a collection lives: its number and its indices by name."""

    number: int
    indices: dict[str, Index] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The SQL table of the documents."""
        return f"documents_{self.number}"

    @cached_property
    def cutter(self) -> Cutter:
        """Cuts a document down to its id and the fields that have an index."""
        fields = {name for index in self.indices.values() for name, _ in index.fields}
        return Cutter({"_id": True}, fields)


def catalog_entry(number: int, name: str, indices: Sequence[Index]) -> bytes:
    """Return what is written down of a collection and its indices, with a checksum."""
    described = [index.as_dict() for index in indices]
    content = bson.encode({"number": number, "name": name, "indices": described})
    return bson.encode({"indices": described, "checksum": tail_of(content)})


def fits_catalog(number: int, name: str, entry: bytes) -> bool:
    """Whether what is written down of a collection is what was; that of an old store is."""
    try:
        content = bson.decode(entry)
        indices = [Index.from_dict(item) for item in content["indices"]]
    except (bson.InvalidBSON, KeyError, TypeError, ValueError):
        return False
    return "checksum" not in content or catalog_entry(number, name, indices) == entry


class DocumentFile:
    """The SQLite file behind an embedded store.

    Parameters
    ----------
    path
        The file; its folder exists.
    read_only
        Open without the possibility to write.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self._lock = threading.RLock()
        self._sqlite: sqlite3.Connection | None = None
        self._depth = 0
        self._is_writing = False
        self._catalog: dict[str, CollectionTable] = {}
        self._catalog_version = -1
        self.is_closed = False
        _open_files.add(self)

    def open(self, *, create: bool, beside_blobs: bool = False) -> None:
        """Open the file, make its tables if it is new, and check that it is ours.

        A new one is made `beside_blobs` of an old one only where that is said.
        """
        with self._lock, self._plain_errors():
            if not beside_blobs:
                self._refuse_lost_documents()
            if create and not self.read_only:
                make_file(self.path, like=self.path.parent)
                self._lay_out()
            (application_id,) = self.connection.execute("PRAGMA application_id").fetchone()
            if application_id != APPLICATION_ID:
                raise StoreError(
                    f"{self.path} is not an ssefw store (application id {application_id:#x}). "
                    "Give another folder, or move that file away."
                )
            (version,) = self.connection.execute("SELECT version FROM format").fetchone()
            if not OLDEST <= version <= FORMAT:
                remedy = (
                    "Upgrade ssefw" if version > FORMAT else "Open it with the ssefw that wrote it"
                )
                raise StoreError(
                    f"{self.path} has format {version}, this ssefw reads format {FORMAT}. "
                    f"{remedy}, or start a new store folder."
                )
            if version < FORMAT and not self.read_only:
                with self.transaction(write=True):
                    self.connection.execute("UPDATE format SET version = ?", (FORMAT,))
            self._check_disk()

    def _refuse_lost_documents(self) -> None:
        """Refuse an empty file where there was a full one, before SQLite removes its log too."""
        if self.path.exists() and self.path.stat().st_size > 0:
            return
        log = self.path.with_name(f"{self.path.name}-wal")
        blobs = self.path.parent / "blobs"
        n_blobs = sum(path.is_file() for path in blobs.rglob("*"))
        if n_blobs == 0 and not (log.exists() and log.stat().st_size > 0):
            return
        what = "is empty" if self.path.exists() else "is not there"
        raise StoreError(
            f"{self.path} {what}, though {n_blobs} blobs lie beside it: the documents of this "
            "store are lost. Put the file of a backup in its place, or let `ssefw store check "
            f"--repair {self.path.parent}` begin new documents over the same blobs: what is in "
            "them is then not computed again."
        )

    def close(self) -> None:
        """Close the file; whatever was committed stays."""
        with self._lock:
            self.is_closed = True
            self._hang_up()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection to SQLite, opened if need be."""
        if self._sqlite is None:
            if self.is_closed:
                raise StoreError(f"The connection to {self.path.parent} is closed: connect again.")
            self._sqlite = self._dial()
        return self._sqlite

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[None]:
        """Run a block as one transaction; a block inside a block belongs to the outer one.

        A block that ends in pymongo's `WriteError` (a duplicate key) keeps what it did before,
        as MongoDB does; every other exception undoes all of it.
        """
        with self._lock, self._plain_errors():
            if self._depth:
                if write and not self._is_writing:
                    raise RuntimeError("a write cannot begin inside a read transaction")
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            if write and self.read_only:
                raise StoreError(
                    f"The store {self.path.parent} was opened read-only: connect without "
                    "read_only to change it."
                )
            connection = self.connection
            try:
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                self._depth, self._is_writing = 1, write
                try:
                    yield
                except (WriteError, BulkWriteError):
                    connection.execute("COMMIT")
                    raise
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._depth, self._is_writing = 0, False

    def tables(self) -> dict[str, CollectionTable]:
        """Return the collections by name; call it inside a transaction."""
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version != self._catalog_version:
            self._catalog = {}
            for number, name, description in self.connection.execute(
                "SELECT number, name, indices FROM collections"
            ):
                indices = [Index.from_dict(item) for item in bson.decode(description)["indices"]]
                self._catalog[name] = CollectionTable(
                    number, {index.name: index for index in indices}
                )
            self._catalog_version = version
        return self._catalog

    def make_table(self, name: str) -> CollectionTable:
        """Return a collection's table, made if need be; call it inside a write transaction."""
        table = self.tables().get(name)
        if table is None:
            query = "SELECT coalesce(max(number), 0) + 1 FROM collections"
            (number,) = self.connection.execute(query).fetchone()
            table = CollectionTable(number)
            self.connection.execute(
                f"CREATE TABLE {table.name} "
                "(seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, "
                "body BLOB NOT NULL)"
            )
            self.connection.execute(
                "INSERT INTO collections (number, name, indices) VALUES (?, ?, ?)",
                (number, name, catalog_entry(number, name, [])),
            )
            self._catalog_changed()
            table = self.tables()[name]
        return table

    def drop_table(self, name: str) -> None:
        """Forget a collection and its indices; call it inside a write transaction."""
        table = self.tables().get(name)
        if table is None:
            return
        for index in table.indices.values():
            self.connection.execute(f"DROP TABLE {index.table}")
        self.connection.execute(f"DROP TABLE {table.name}")
        self.connection.execute("DELETE FROM collections WHERE name = ?", (name,))
        self._catalog_changed()

    def save_indices(self, name: str, indices: list[Index]) -> None:
        """Write down the indices of a collection; call it inside a write transaction."""
        entry = catalog_entry(self.tables()[name].number, name, indices)
        query = "UPDATE collections SET indices = ? WHERE name = ?"
        self.connection.execute(query, (entry, name))
        self._catalog_changed()

    def drop_index(self, name: str, index_name: str) -> None:
        """Forget an index of a collection; call it inside a write transaction."""
        table = self.tables().get(name)
        if table is None or index_name not in table.indices:
            raise OperationFailure(f"index not found with name [{index_name}]")
        self.connection.execute(f"DROP TABLE {table.indices[index_name].table}")
        self.save_indices(
            name, [index for index in table.indices.values() if index.name != index_name]
        )

    def check(self) -> None:
        """Read every page and raise StoreError if one is damaged."""
        with self.transaction():
            (answer,) = self.connection.execute("PRAGMA integrity_check(1)").fetchone()
        if answer != "ok":
            raise StoreError(f"{self.path} is damaged ({answer}). {_RECOVER}")

    def hold(self) -> None:
        """Let go of the file and keep every thread from it, until `release`.

        An SQLite connection must not live on in a forked child, not even unused: parent and child
        would take each other's locks for their own.
        """
        self._lock.acquire()
        if self._depth == 0:
            self._hang_up()

    def release(self) -> None:
        """End what `hold` began."""
        self._lock.release()

    def _hang_up(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()
        self._sqlite = None
        self._catalog_version = -1

    def _catalog_changed(self) -> None:
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        self.connection.execute(f"PRAGMA user_version = {version + 1}")
        self._catalog_version = -1

    def _dial(self) -> sqlite3.Connection:
        # Who only looks may still have to undo what a killed writer left half done.
        mode = "rw" if self.read_only else "rwc"
        if self.read_only and self._is_archived():
            mode = "ro&immutable=1"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
            # A power cut costs a write-ahead log its last transactions, a journal the file.
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'wal' else 'FULL'}")
            connection.execute(f"PRAGMA query_only = {self.read_only:d}")
            connection.execute("PRAGMA cache_size = -16384")
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_archived(self) -> bool:
        """Whether it lies where we may not write, and nobody left anything to be undone.

        A file with a write-ahead log is otherwise read through two more files beside it.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        has_log = log.exists() and log.stat().st_size > 0
        return not has_log and not os.access(self.path.parent, os.W_OK)

    def _lay_out(self) -> None:
        (application_id,) = self.connection.execute("PRAGMA application_id").fetchone()
        (n_tables,) = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application_id or n_tables:
            return  # ours, or somebody else's, which open() refuses untouched
        if network_file_system(self.path.parent) is None:
            self._begin_write_ahead_log()
            self._hang_up()  # the connection chooses its safety by the mode
        with self.transaction(write=True):
            # Two processes may meet here: the second finds the tables made.
            if self.connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,):
                return
            self.connection.execute("CREATE TABLE format (version INTEGER NOT NULL)")
            self.connection.execute("INSERT INTO format VALUES (?)", (FORMAT,))
            self.connection.execute(
                "CREATE TABLE collections (number INTEGER PRIMARY KEY, "
                "name TEXT NOT NULL UNIQUE, indices BLOB NOT NULL)"
            )
            self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def _begin_write_ahead_log(self) -> None:
        # SQLite refuses this at once, without its usual patience, while another process does it.
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _check_disk(self) -> None:
        kind = network_file_system(self.path.parent)
        if kind is None:
            return
        (journal,) = self.connection.execute("PRAGMA journal_mode").fetchone()
        if journal == "wal":
            raise StoreError(
                f"{self.path} was made on a local disk and is now on a network file system "
                f"({kind}), where it could be damaged. While nobody has it open, run `sqlite3 "
                f"{self.path} 'PRAGMA journal_mode=DELETE'`, or move the folder to a local disk."
            )
        warnings.warn(
            f"{self.path.parent} is on a network file system ({kind}): the store is slow there and "
            "as safe as its file locks. Use a folder on a local disk, or a MongoDB server for "
            "workers on several machines.",
            stacklevel=2,
        )

    def _roll_back(self) -> None:
        self._catalog_version = -1
        if self._sqlite is not None and self._sqlite.in_transaction:
            self._sqlite.execute("ROLLBACK")

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}. {_remedy(error, self.path)}") from error


_RECOVER = (
    "`ssefw store check --repair` with its folder saves what can be read, or restore the folder "
    "from a backup."
)


def _remedy(error: sqlite3.Error, path: Path) -> str:
    text = str(error)
    if "full" in text:
        return (
            "Nothing of this operation was written: free space on the disk of "
            f"{path.parent} and run again."
        )
    if "locked" in text or "busy" in text:
        return f"Another process has kept it locked for {BUSY_SECONDS:.0f} s: end that one first."
    if "readonly" in text or "unable to open" in text:
        return f"Make the folder {path.parent} writable for you, or choose another."
    if "not a database" in text or "malformed" in text:
        return _RECOVER
    return f"Check the disk, the quota and the permissions of {path.parent}."


_open_files: WeakSet[DocumentFile] = WeakSet()
_held: list[DocumentFile] = []


def _before_fork() -> None:
    for file in list(_open_files):
        file.hold()
        _held.append(file)


def _after_fork() -> None:
    while _held:
        _held.pop().release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
