"""The documents of one collection with their index keys, read and written in a transaction.

Documents are kept as BSON in the order of their insertion. Every write keeps documents and keys
together, so that an index never disagrees with what it points to.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import bson
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from ssefw.errors import StoreError
from ssefw.store.checksum import with_tail, without_tail
from ssefw.store.embedded.cutting import Cutter
from ssefw.store.embedded.indices import Index, Values
from ssefw.store.embedded.keys import OUTSIDE, encode_key
from ssefw.store.embedded.sqlite import CollectionTable, DocumentFile

__all__ = ["CollectionRecords", "Record"]


class Record(NamedTuple):
    """A document as it is stored: its place in the order, its bytes and its content."""

    seq: int
    body: bytes
    document: dict[str, Any]


class CollectionRecords:
    """The documents of one collection, for as long as a transaction lasts."""

    def __init__(self, file: DocumentFile, name: str, table: CollectionTable) -> None:
        self.table = table
        self.connection = file.connection
        self._file = file
        self._name = name

    @classmethod
    def existing(cls, file: DocumentFile, name: str) -> "CollectionRecords | None":
        """Return the documents of a collection if there is such a collection."""
        table = file.tables().get(name)
        return None if table is None else cls(file, name, table)

    @classmethod
    def writable(cls, file: DocumentFile, name: str) -> "CollectionRecords":
        """Return the documents of a collection, made if need be."""
        return cls(file, name, file.make_table(name))

    def read(self, seq: int, cut: Cutter | None = None) -> Record | None:
        """Return the document at a place, with all fields or some; None if it was deleted."""
        query = f"SELECT body FROM {self.table.name} WHERE seq = ?"
        row = self.connection.execute(query, (seq,)).fetchone()
        return None if row is None else self.decode(row[0], seq, cut)

    def insert(self, data: dict[str, Any]) -> None:
        """Add a document; it gets an ``_id`` if it has none, as pymongo does it."""
        data.setdefault("_id", ObjectId())
        body = bson.encode(data)
        document = self._indexed(body)
        values = Values(document)
        keys = [(index, index.keys_of(values)) for index in self.table.indices.values()]
        for index, new in keys:
            self._check_unique(index, new, None, document)
        try:
            cursor = self.connection.execute(
                f"INSERT INTO {self.table.name} (id, body) VALUES (?, ?)",
                (encode_key(document["_id"]), with_tail(body)),
            )
        except sqlite3.IntegrityError as error:
            raise self._duplicate("_id_", document) from error
        for index, new in keys:
            self._add_keys(index, new, cursor.lastrowid)

    def replace(self, old: Record, document: dict[str, Any]) -> bool:
        """Put a document in the place of another; False if nothing of it changed."""
        body = bson.encode(document)
        if body == old.body:
            return False
        before, after = Values(self._indexed(old.body)), Values(self._indexed(body))
        changes = {
            index: (index.keys_of(before), index.keys_of(after))
            for index in self.table.indices.values()
        }
        for index, (_, new) in changes.items():
            self._check_unique(index, new, old.seq, document)
        query = f"UPDATE {self.table.name} SET body = ? WHERE seq = ?"
        self.connection.execute(query, (with_tail(body), old.seq))
        for index, (known, new) in changes.items():
            self._remove_keys(index, known - new, old.seq)
            self._add_keys(index, new - known, old.seq)
        return True

    def remove(self, record: Record) -> None:
        """Forget a document."""
        query = f"DELETE FROM {self.table.name} WHERE seq = ?"
        self.connection.execute(query, (record.seq,))
        values = Values(record.document)
        for index in self.table.indices.values():
            self._remove_keys(index, index.keys_of(values), record.seq)

    def build(
        self, name: str, fields: Sequence[tuple[str, int]], *, is_unique: bool, is_sparse: bool
    ) -> None:
        """Make an index over what is stored.

        Parameters
        ----------
        name
            Of the index.
        fields
            With 1 for ascending, -1 for descending.
        is_unique
            Whether a value may be there once only.
        is_sparse
            Whether documents without the fields are left out.
        """
        numbers = [
            index.number
            for table in self._file.tables().values()
            for index in table.indices.values()
        ]
        index = Index(max(numbers, default=0) + 1, name, tuple(fields), is_unique, is_sparse)
        self.connection.execute(
            f"CREATE TABLE {index.table} (key BLOB NOT NULL, seq INTEGER NOT NULL, "
            "PRIMARY KEY (key, seq)) WITHOUT ROWID"
        )
        try:
            places = self.connection.execute(f"SELECT seq FROM {self.table.name}").fetchall()
            for record in map(self.read, [seq for (seq,) in places]):
                if record is not None:
                    keys = index.keys(record.document)
                    self._check_unique(index, keys, record.seq, record.document)
                    self._add_keys(index, keys, record.seq)
        except DuplicateKeyError:
            self.connection.execute(f"DROP TABLE {index.table}")
            raise
        self._file.save_indices(self._name, [*self.table.indices.values(), index])

    def has_outsiders(self, table: str) -> bool:
        """Return whether an index's keys do not say the order, or content, of some document."""
        query = f"SELECT 1 FROM {table} WHERE key >= ?"
        return self.connection.execute(query, (OUTSIDE,)).fetchone() is not None

    def decode(self, stored: bytes, seq: int, cut: Cutter | None = None) -> Record:
        """Return the document of what is stored at a place, with all fields or some.

        Raises
        ------
        StoreError
            If it is damaged.
        """
        try:
            body = without_tail(stored)
            return Record(seq, body, bson.decode(cut(body) if cut else body))
        except (ValueError, bson.InvalidBSON) as error:
            raise StoreError(
                f"Record {seq} of collection {self._name!r} in {self._file.path} is damaged "
                f"({error}): `ssefw store check --repair` with its folder takes it out, or restore "
                "the folder from a backup."
            ) from error

    def _indexed(self, body: bytes) -> dict[str, Any]:
        """Return the id of a document and its fields that have an index, as they will be read."""
        found: dict[str, Any] = bson.decode(self.table.cutter(body))
        return found

    def _check_unique(
        self, index: Index, keys: frozenset[bytes], seq: int | None, document: dict[str, Any]
    ) -> None:
        keys -= {OUTSIDE}
        if not index.is_unique or (index.is_sparse and keys == index.keys({})):
            return
        query = f"SELECT 1 FROM {index.table} WHERE key = ? AND seq IS NOT ?"
        for key in keys:
            if self.connection.execute(query, (key, seq)).fetchone():
                raise self._duplicate(index.name, document)

    def _add_keys(self, index: Index, keys: frozenset[bytes], seq: int | None) -> None:
        query = f"INSERT INTO {index.table} (key, seq) VALUES (?, ?)"
        for key in keys:
            self.connection.execute(query, (key, seq))

    def _remove_keys(self, index: Index, keys: frozenset[bytes], seq: int) -> None:
        query = f"DELETE FROM {index.table} WHERE key = ? AND seq = ?"
        self.connection.executemany(query, [(key, seq) for key in keys])

    def _duplicate(self, index: str, document: dict[str, Any]) -> DuplicateKeyError:
        return DuplicateKeyError(
            f"E11000 Duplicate Key Error in {self._name!r}, index {index!r}, "
            f"_id {document.get('_id')!r}",
            11000,
        )
