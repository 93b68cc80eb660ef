"""One SQLite file with the collections of an embedded store: transactions, tables, errors.

The file is in write-ahead-log mode. A write takes the one write lock of the file before it reads,
so that what it decided on still holds when it writes, in this process and in every other; readers
see the last committed state and never wait. Whatever a killed process had not committed is gone
when the file is opened next, whatever it had committed is there.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bson
from mongomock import BulkWriteError, WriteError

from ssefw.errors import StoreError
from ssefw.store.indices import Index

__all__ = ["APPLICATION_ID", "DocumentFile", "Table"]

APPLICATION_ID = 0x53534546  # "SSEF"
FORMAT = 1
BUSY_SECONDS = 60.0
"""How long a write waits for another process's write; the longest is a bulk submission."""


@dataclass
class Table:
    """Where a collection lives: its number and its indices by name."""

    number: int
    indices: dict[str, Index] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The SQL table of the documents."""
        return f"documents_{self.number}"


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
        self._process = 0
        self._depth = 0
        self._writing = False
        self._catalog: dict[str, Table] = {}
        self._catalog_version = -1
        self._closed = False

    def open(self, *, create: bool) -> None:
        """Open the file, make its tables if it is new, and check that it is ours."""
        with self._lock, self._plain_errors():
            connection = self._connected()
            if create and not self.read_only:
                self._lay_out(connection)
            (application_id,) = connection.execute("PRAGMA application_id").fetchone()
            if application_id != APPLICATION_ID:
                raise StoreError(
                    f"{self.path} is not an ssefw store (application id {application_id:#x}). "
                    "Give another folder, or move that file away."
                )
            (version,) = connection.execute("SELECT version FROM format").fetchone()
            if version != FORMAT:
                raise StoreError(
                    f"{self.path} has format {version}, this ssefw reads format {FORMAT}. "
                    "Open it with the ssefw that wrote it, or start a new store folder."
                )

    def close(self) -> None:
        """Close the file; whatever was committed stays."""
        with self._lock:
            self._closed = True
            if self._sqlite is not None and self._process == os.getpid():
                self._sqlite.close()
            self._sqlite = None

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction; a block inside a block belongs to the outer one.

        A block that ends in mongomock's `WriteError` (a duplicate key) keeps what it did before,
        as MongoDB does; every other exception undoes all of it.
        """
        with self._lock, self._plain_errors():
            if self._depth:
                if write and not self._writing:
                    raise RuntimeError("a write cannot begin inside a read transaction")
                self._depth += 1
                try:
                    yield self._connected()
                finally:
                    self._depth -= 1
                return
            connection = self._begin(write=write)
            try:
                yield connection
            except (WriteError, BulkWriteError):
                connection.execute("COMMIT")
                raise
            except BaseException:
                self._roll_back(connection)
                raise
            else:
                connection.execute("COMMIT")
            finally:
                self._depth, self._writing = 0, False

    def tables(self) -> dict[str, Table]:
        """Return the collections by name; call it inside a transaction."""
        connection = self._connected()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != self._catalog_version:
            self._catalog = {}
            for number, name, description in connection.execute(
                "SELECT number, name, indices FROM collections"
            ):
                indices = [Index(**item) for item in bson.decode(description)["indices"]]
                self._catalog[name] = Table(number, {index.name: index for index in indices})
            self._catalog_version = version
        return self._catalog

    def table(self, name: str) -> Table | None:
        """Return a collection's table if it has one."""
        return self.tables().get(name)

    def make_table(self, name: str) -> Table:
        """Return a collection's table, made if need be; call it inside a write transaction."""
        table = self.table(name)
        if table is None:
            connection = self._connected()
            (number,) = connection.execute(
                "SELECT coalesce(max(number), 0) + 1 FROM collections"
            ).fetchone()
            table = Table(number)
            connection.execute(
                f"CREATE TABLE {table.name} "
                "(seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, body BLOB NOT NULL)"
            )
            connection.execute(
                "INSERT INTO collections (number, name, indices) VALUES (?, ?, ?)",
                (number, name, bson.encode({"indices": []})),
            )
            self._catalog_changed(connection)
            table = self.tables()[name]
        return table

    def save_indices(self, name: str, indices: list[Index]) -> None:
        """Write down the indices of a collection; call it inside a write transaction."""
        connection = self._connected()
        description = bson.encode({"indices": [index.as_dict() for index in indices]})
        connection.execute("UPDATE collections SET indices = ? WHERE name = ?", (description, name))
        self._catalog_changed(connection)

    def drop_table(self, name: str) -> None:
        """Forget a collection and its indices; call it inside a write transaction."""
        table = self.table(name)
        if table is None:
            return
        connection = self._connected()
        for index in table.indices.values():
            connection.execute(f"DROP TABLE {index.table}")
        connection.execute(f"DROP TABLE {table.name}")
        connection.execute("DELETE FROM collections WHERE name = ?", (name,))
        self._catalog_changed(connection)

    def check(self) -> None:
        """Read every page and raise StoreError if one is damaged."""
        with self.transaction() as connection:
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if answer != "ok":
            raise StoreError(f"{self.path} is damaged ({answer}). {_RECOVER}")

    def _catalog_changed(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version + 1}")
        self._catalog_version = -1

    def _connected(self) -> sqlite3.Connection:
        # An SQLite connection must not be used in a forked child: the child opens its own.
        if self._sqlite is None or self._process != os.getpid():
            if self._closed:
                raise StoreError(f"The connection to {self.path.parent} is closed: connect again.")
            self._sqlite = self._dial()
            self._process = os.getpid()
            self._depth, self._writing, self._catalog_version = 0, False, -1
        return self._sqlite

    def _dial(self) -> sqlite3.Connection:
        mode = "ro" if self.read_only else "rwc"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -16384")
        except BaseException:
            connection.close()
            raise
        return connection

    def _lay_out(self, connection: sqlite3.Connection) -> None:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        if application_id == APPLICATION_ID:
            return
        (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application_id or n_tables:
            return  # somebody else's database: open() refuses it untouched
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Two processes may meet here: the second finds the tables made.
            if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
                connection.execute("CREATE TABLE format (version INTEGER NOT NULL)")
                connection.execute("INSERT INTO format VALUES (?)", (FORMAT,))
                connection.execute(
                    "CREATE TABLE collections (number INTEGER PRIMARY KEY, "
                    "name TEXT NOT NULL UNIQUE, indices BLOB NOT NULL)"
                )
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
        except BaseException:
            self._roll_back(connection)
            raise

    def _begin(self, *, write: bool) -> sqlite3.Connection:
        if write and self.read_only:
            raise StoreError(
                f"The store {self.path.parent} was opened read-only: connect without read_only "
                "to change it."
            )
        connection = self._connected()
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        self._depth, self._writing = 1, write
        return connection

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        self._catalog_version = -1
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}. {_remedy(error, self.path)}") from error


_RECOVER = (
    "Restore the folder from a backup, or save what can be read with "
    "`sqlite3 store.sqlite .recover` into a new folder."
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
    return f"Check the disk and the permissions of {path.parent}."
