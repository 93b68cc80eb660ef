"""A collection of an embedded store: mongomock's query language over documents in SQLite.

mongomock decides what a filter, an update, a projection or a sort means; this module decides which
documents are looked at. Documents are kept as BSON, in the order of their insertion, and are read
one by one, so that a process holds no more of the store than it is working on.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import bson
import mongomock
import pymongo
from bson import ObjectId
from mongomock import aggregate, helpers
from mongomock import collection as rules
from mongomock.filtering import filter_applies, resolve_sort_key
from mongomock.results import BulkWriteResult

from ssefw.errors import StoreError
from ssefw.store.indices import Condition, Index, conditions
from ssefw.store.keys import OUTSIDE, encode_key
from ssefw.store.sqlite import DocumentFile, Table

__all__ = ["EmbeddedCollection", "EmbeddedCursor"]

FEW = 32
"""A condition met by fewer documents than this is not worth narrowing down further."""

Sort = Sequence[tuple[str, int]]


class Found(NamedTuple):
    """A document as it is stored: its place in the order, its bytes and its content."""

    seq: int
    body: bytes
    document: dict[str, Any]


class EmbeddedCollection(mongomock.Collection):  # type: ignore[misc]
    """A MongoDB-like collection in an SQLite file, safe to use from several processes."""

    def __init__(self, database: Any, name: str, file: DocumentFile) -> None:
        super().__init__(database, name, _db_store=None)
        self._file = file

    # Reading

    def find(
        self,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 -- pymongo's name
        projection: Any = None,
        skip: int = 0,
        limit: int = 0,
        *args: Any,
        sort: Any = None,
        **kwargs: Any,
    ) -> "EmbeddedCursor":
        """Return a cursor over the documents that match, as pymongo does."""
        super().find(filter, projection, skip, limit, *args, sort=sort, **kwargs)
        spec = {} if filter is None else filter
        return EmbeddedCursor(self, spec, _sort_list(sort), projection, skip, limit)

    def count_documents(self, filter: Mapping[str, Any], **kwargs: Any) -> int:  # noqa: A002
        """Return how many documents match."""
        spec = helpers.patch_datetime_awareness_in_document(filter)
        if not kwargs:
            with self._file.transaction() as connection:
                table = self._file.table(self.name)
                plan = _Plan(connection, table, spec) if table else None
                if table is None:
                    filter_applies(spec, {})
                    return 0
                if plan is not None and plan.is_exact:
                    return plan.count()
        return int(super().count_documents(filter, **kwargs))

    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any) -> Any:
        """Run an aggregation; a leading ``$match`` uses the indices."""
        session = args[0] if args else kwargs.get("session")
        stages = list(pipeline)
        first = stages[0] if stages else {}
        match: Mapping[str, Any] = {}
        if set(first) == {"$match"}:
            match = first["$match"]
            stages = stages[1:]
        documents = list(self.find(match))
        return aggregate.process_pipeline(documents, self.database, stages, session)

    def _iter_documents(self, filter: Mapping[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: A002
        with self._file.transaction() as connection:
            return iter([found.document for found in self._matches(connection, filter)])

    def _matches(
        self, connection: sqlite3.Connection, spec: Mapping[str, Any], sort: Sort = ()
    ) -> Iterator[Found]:
        """Yield what matches, in order; the caller's transaction outlives the iteration."""
        table = self._file.table(self.name)
        plan = _Plan(connection, table, spec, sort) if table else None
        if table is None or plan is None or plan.is_empty:
            filter_applies(spec, {})  # a wrong filter is an error, whatever is stored
            return
        found = (
            match
            for seq in plan.sequence()
            if (match := self._read(connection, table, seq)) is not None
            and (plan.is_exact or filter_applies(spec, match.document))
        )
        yield from found if plan.is_ordered else _sorted(found, sort)

    def _sequence(self, spec: Mapping[str, Any], sort: Sort) -> list[int]:
        """Return where everything lies that may match, or what matches if it must be sorted."""
        with self._file.transaction() as connection:
            if sort:
                return [found.seq for found in self._matches(connection, spec, sort)]
            table = self._file.table(self.name)
            plan = _Plan(connection, table, spec) if table else None
            if plan is None or plan.is_empty:
                filter_applies(spec, {})
                return []
            return list(plan.sequence())

    def _at(self, seq: int) -> Found | None:
        with self._file.transaction() as connection:
            table = self._file.table(self.name)
            return self._read(connection, table, seq) if table else None

    def _read(self, connection: sqlite3.Connection, table: Table, seq: int) -> Found | None:
        row = connection.execute(f"SELECT body FROM {table.name} WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            return None
        return Found(seq, row[0], self._decode(row[0], seq))

    def _decode(self, body: bytes, seq: int) -> dict[str, Any]:
        try:
            return bson.decode(body)
        except bson.InvalidBSON as error:
            raise StoreError(
                f"Record {seq} of collection {self.name!r} in {self._file.path} cannot be decoded "
                f"({error}): restore the folder from a backup, or delete that record."
            ) from error

    # Writing

    def _insert(
        self,
        data: Any,
        session: Any = None,
        ordered: bool = True,  # noqa: FBT001, FBT002
    ) -> Any:
        if session:
            raise NotImplementedError("an embedded store has no sessions")
        with self._file.transaction(write=True) as connection:
            if isinstance(data, Mapping):
                return self._insert_one(connection, data)
            inserted, errors = [], []
            for position, item in enumerate(data):
                try:
                    inserted.append(self._insert_one(connection, item))
                except mongomock.WriteError as error:
                    errors.append(
                        {"index": position, "code": error.code, "errmsg": str(error), "op": item}
                    )
                    if ordered:
                        break
            if errors:
                raise mongomock.BulkWriteError({"writeErrors": errors, "nInserted": len(inserted)})
            return inserted

    def _insert_one(self, connection: sqlite3.Connection, data: Any) -> Any:
        if not all(isinstance(key, str) for key in data):
            raise ValueError("Document keys must be strings")
        rules._validate_data_fields(data)  # noqa: SLF001
        if "_id" not in data:
            data["_id"] = ObjectId()  # pymongo fills it in, too
        body = bson.encode(data)
        document = bson.decode(body)
        table = self._file.make_table(self.name)
        try:
            cursor = connection.execute(
                f"INSERT INTO {table.name} (id, body) VALUES (?, ?)",
                (encode_key(document["_id"]), body),
            )
        except sqlite3.IntegrityError as error:
            raise _duplicate(self.name, "_id_", document["_id"]) from error
        seq = cursor.lastrowid or 0
        try:
            for index in table.indices.values():
                self._check_unique(connection, index, document, seq)
        except mongomock.DuplicateKeyError:
            connection.execute(f"DELETE FROM {table.name} WHERE seq = ?", (seq,))
            raise
        for index in table.indices.values():
            _add_keys(connection, index, index.keys(document), seq)
        return data["_id"]

    def _update(
        self,
        spec: Any,
        document: Any,
        upsert: bool = False,  # noqa: FBT001, FBT002 -- mongomock's signature
        manipulate: bool = False,  # noqa: FBT001, FBT002
        multi: bool = False,  # noqa: FBT001, FBT002
        **options: Any,
    ) -> dict[str, Any]:
        _refuse(options)
        spec, document = self._checked(spec, document)
        upserted = None
        with self._file.transaction(write=True) as connection:
            matches = self._matches(connection, spec)
            found = list(matches) if multi else list(islice(matches, 1))
            modified = sum(self._modify(connection, match, spec, document)[0] for match in found)
            if not found and upsert:
                upserted = self._upsert(connection, spec, document)
        return {
            "err": None,
            "n": len(found) or int(upserted is not None),
            "nModified": modified,
            "ok": 1,
            "upserted": upserted,
            "updatedExisting": bool(found),
        }

    def _find_and_modify(
        self,
        query: Mapping[str, Any],
        projection: Any = None,
        update: Any = None,
        upsert: bool = False,  # noqa: FBT001, FBT002
        sort: Any = None,
        return_document: bool = pymongo.ReturnDocument.BEFORE,  # noqa: FBT001
        session: Any = None,
        **kwargs: Any,
    ) -> Any:
        remove = kwargs.pop("remove", False)
        after = return_document is pymongo.ReturnDocument.AFTER
        _refuse({"session": session, **kwargs})
        if not (remove or update):
            raise ValueError("Must either update or remove")
        with self._file.transaction(write=True) as connection:
            spec, update = self._checked(query, {} if remove else update)
            found = next(self._matches(connection, spec, _sort_list(sort)), None)
            if found is None:
                if not upsert:
                    return None
                identity = self._upsert(connection, spec, update)
                if not after:
                    return None
                document = next(self._matches(connection, {"_id": identity})).document
            elif remove:
                document = found.document
                self._remove(connection, found)
            else:
                before = bson.decode(found.body)
                _, document = self._modify(connection, found, spec, update)
                document = document if after else before
        return self._copy_only_fields(document, projection, dict)

    def _delete(
        self,
        filter: Any,
        multi: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        _refuse(options)
        spec = helpers.patch_datetime_awareness_in_document(filter)
        with self._file.transaction(write=True) as connection:
            matches = self._matches(connection, spec)
            found = list(matches) if multi else list(islice(matches, 1))
            for match in found:
                self._remove(connection, match)
        return {"n": len(found), "ok": 1.0, "err": None}

    def bulk_write(self, requests: Iterable[Any], *, ordered: bool = True, **options: Any) -> Any:
        """Do pymongo's InsertOne, ReplaceOne, UpdateOne ... as one transaction."""
        _refuse(options)
        bulk = _Bulk(self, ordered=ordered)
        for request in requests:
            request._add_to_bulk(bulk)  # noqa: SLF001 -- the protocol between pymongo and its bulk
        with self._file.transaction(write=True):
            return BulkWriteResult(bulk.execute(), acknowledged=True)

    def drop(self, session: Any = None) -> None:
        """Forget the collection and its indices."""
        _refuse({"session": session})
        with self._file.transaction(write=True):
            self._file.drop_table(self.name)

    def _checked(self, spec: Any, document: Any) -> tuple[Any, Any]:
        spec = helpers.patch_datetime_awareness_in_document(spec)
        document = helpers.patch_datetime_awareness_in_document(document)
        rules.validate_is_mapping("spec", spec)
        rules.validate_list_or_mapping("document", document)
        if isinstance(document, list):
            rules._validate_document_stages(document)  # noqa: SLF001
        return spec, document

    def _apply(self, existing: Any, spec: Any, document: Any, *, was_insert: bool) -> None:
        if isinstance(document, list):
            self._apply_update_pipeline(existing, document, None)
        else:
            self._apply_update_document(existing, spec, document, was_insert)

    def _internalize_dict(self, d: dict[str, Any]) -> dict[str, Any]:
        return d  # what is stored is encoded, never the caller's objects

    def _modify(
        self, connection: sqlite3.Connection, found: Found, spec: Any, document: Any
    ) -> tuple[int, dict[str, Any]]:
        table = self._file.make_table(self.name)
        indices = table.indices.values()
        identity = found.document.get("_id")
        before = [index.keys(found.document) for index in indices]
        self._apply(found.document, spec, document, was_insert=False)
        if found.document.get("_id") != identity:
            raise mongomock.WriteError(
                "After applying the update, the (immutable) field '_id' was found to have been "
                f"altered to _id: {found.document.get('_id')}"
            )
        body = bson.encode(found.document)
        if body == found.body:
            return 0, found.document
        stored = bson.decode(body)
        for index in indices:
            self._check_unique(connection, index, stored, found.seq)
        connection.execute(f"UPDATE {table.name} SET body = ? WHERE seq = ?", (body, found.seq))
        for index, old in zip(indices, before, strict=True):
            new = index.keys(stored)
            _remove_keys(connection, index, old - new, found.seq)
            _add_keys(connection, index, new - old, found.seq)
        return 1, stored

    def _upsert(self, connection: sqlite3.Connection, spec: Any, document: Any) -> Any:
        identity = spec.get("_id")
        if identity is None and not isinstance(document, list):
            identity = document.get("_id")
        if identity is None:
            identity = ObjectId()
        fresh, _ = self._discard_operators(self._expand_dots(dict(spec, _id=identity)))
        self._apply(fresh, spec, document, was_insert=True)
        return self._insert_one(connection, fresh)

    def _remove(self, connection: sqlite3.Connection, found: Found) -> None:
        table = self._file.make_table(self.name)
        connection.execute(f"DELETE FROM {table.name} WHERE seq = ?", (found.seq,))
        for index in table.indices.values():
            _remove_keys(connection, index, index.keys(found.document), found.seq)

    # Indices

    def create_index(
        self, key_or_list: Any, cache_for: int = 300, session: Any = None, **kwargs: Any
    ) -> str:
        """Keep keys of one or several fields, as pymongo's `create_index` with unique, sparse."""
        fields = [tuple(pair) for pair in helpers.create_index_list(key_or_list)]
        name = kwargs.pop("name", None) or helpers.gen_index_name(fields)
        is_unique = bool(kwargs.pop("unique", False))
        is_sparse = bool(kwargs.pop("sparse", False))
        kwargs.pop("background", None)
        _refuse({"session": session, **kwargs})
        with self._file.transaction() as connection:
            table = self._file.table(self.name)
            if table and (known := table.indices.get(name)):
                wanted = Index(known.number, name, fields, is_unique, is_sparse)
                if wanted.description() != known.description():
                    raise mongomock.OperationFailure(
                        f"Index with name: {name} already exists with different options"
                    )
                return name
        with self._file.transaction(write=True) as connection:
            table = self._file.make_table(self.name)
            if name in table.indices:
                return name
            numbers = [
                index.number for t in self._file.tables().values() for index in t.indices.values()
            ]
            index = Index(max(numbers, default=0) + 1, name, fields, is_unique, is_sparse)
            self._build(connection, table, index)
            self._file.save_indices(self.name, [*table.indices.values(), index])
        return name

    def _build(self, connection: sqlite3.Connection, table: Table, index: Index) -> None:
        connection.execute(
            f"CREATE TABLE {index.table} (key BLOB NOT NULL, seq INTEGER NOT NULL, "
            "PRIMARY KEY (key, seq)) WITHOUT ROWID"
        )
        rows = connection.execute(f"SELECT seq, body FROM {table.name} ORDER BY seq")
        try:
            for seq, body in rows:
                document = self._decode(body, seq)
                self._check_unique(connection, index, document, seq)
                _add_keys(connection, index, index.keys(document), seq)
        except mongomock.DuplicateKeyError:
            rows.close()
            connection.execute(f"DROP TABLE {index.table}")
            raise

    def _check_unique(
        self, connection: sqlite3.Connection, index: Index, document: Any, seq: int
    ) -> None:
        if not index.is_unique:
            return
        keys = index.keys(document) - {OUTSIDE}
        if index.is_sparse and keys == index.keys({}):
            return
        for key in keys:
            query = f"SELECT 1 FROM {index.table} WHERE key = ? AND seq != ?"
            if connection.execute(query, (key, seq)).fetchone():
                raise _duplicate(self.name, index.name, document.get("_id"))

    def drop_index(self, index_or_name: Any, session: Any = None) -> None:
        """Forget an index."""
        name = index_or_name
        if isinstance(index_or_name, list):
            name = helpers.gen_index_name(index_or_name)
        with self._file.transaction(write=True) as connection:
            table = self._file.table(self.name)
            if table is None or name not in table.indices:
                raise mongomock.OperationFailure(f"index not found with name [{name}]")
            connection.execute(f"DROP TABLE {table.indices[name].table}")
            kept = [index for index in table.indices.values() if index.name != name]
            self._file.save_indices(self.name, kept)

    def drop_indexes(self, session: Any = None) -> None:
        """Forget all indices."""
        for name in list(self.index_information()):
            if name != "_id_":
                self.drop_index(name)

    def _list_all_indexes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        with self._file.transaction():
            table = self._file.table(self.name)
        if table is not None:
            yield "_id_", {"key": [("_id", 1)]}
            for index in table.indices.values():
                yield index.name, index.description()

    def with_options(self, *args: Any, **kwargs: Any) -> "EmbeddedCollection":
        """Return the collection itself: there are no read or write concerns to choose."""
        return self


class EmbeddedCursor(mongomock.collection.Cursor):  # type: ignore[misc]
    """What `find` returns: documents are read when they are asked for."""

    def __init__(
        self,
        collection: EmbeddedCollection,
        spec: Any,
        sort: Sort,
        projection: Any,
        skip: int,
        limit: int,
    ) -> None:
        super().__init__(collection, spec, None, projection, skip, limit)
        self._sort = sort
        self._stream: Iterator[dict[str, Any]] | None = None

    def clone(self) -> "EmbeddedCursor":
        """Return a fresh cursor with the same question."""
        limit = self._limit or 0
        return EmbeddedCursor(
            self.collection, self._spec, self._sort, self._projection, self._skip, limit
        )

    def rewind(self) -> None:
        """Start again."""
        super().rewind()
        self._stream = None

    def sort(self, key_or_list: Any, direction: int | None = None) -> "EmbeddedCursor":
        """Sort by one or several fields."""
        self._sort = _sort_list(helpers.create_index_list(key_or_list, direction))
        if not self._sort:
            raise ValueError("key_or_list must not be the empty list")
        return self

    def __next__(self) -> Any:
        if self._stream is None:
            self._stream = self._documents(self._skip, self._limit)
        document = next(self._stream)
        self._emitted += 1
        return document

    next = __next__

    @property
    def alive(self) -> bool:
        """Whether there may be more documents."""
        return bool(self._emitted != len(self._compute_results(with_limit_and_skip=True)))

    def _compute_results(
        self,
        with_limit_and_skip: bool = False,  # noqa: FBT001, FBT002 -- mongomock's signature
    ) -> list[dict[str, Any]]:
        if with_limit_and_skip:
            return list(self._documents(self._skip, self._limit))
        return list(self._documents(0, None))

    def _documents(self, skip: int, limit: int | None) -> Iterator[dict[str, Any]]:
        collection = self.collection
        copy: Callable[[Any], dict[str, Any]] = partial(
            collection._copy_only_fields,  # noqa: SLF001
            fields=_fields(self._projection),
            container=dict,
        )
        if limit:
            # The first few are found in one go, without looking at the rest.
            with collection._file.transaction() as connection:  # noqa: SLF001
                matches = collection._matches(connection, self._spec, self._sort)  # noqa: SLF001
                few = list(islice(matches, skip, skip + abs(limit)))
            yield from (copy(found.document) for found in few)
            return
        matching = 0
        for seq in collection._sequence(self._spec, self._sort):  # noqa: SLF001
            found = collection._at(seq)  # noqa: SLF001
            if found is not None and filter_applies(self._spec, found.document):
                matching += 1
                if matching > skip:
                    yield copy(found.document)


class _Plan:
    """The order in which documents are looked at for a filter and a sort."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        table: Table,
        spec: Mapping[str, Any],
        sort: Sort = (),
    ) -> None:
        self._connection = connection
        self._table = table
        demands, complete = conditions(spec) if isinstance(spec, Mapping) else ([], False)
        self._usable = [(c, s) for c in demands if (s := self._source(c)) is not None]
        self._usable.sort(key=lambda pair: self._size(*pair))
        self.is_exact = complete and len(demands) <= 1 and len(self._usable) == len(demands)
        self._in_order = self._ordered_index(demands, sort) if sort else None
        if self._in_order and self._usable and self._size(*self._usable[0]) < FEW:
            self._in_order = None
        self.is_ordered = not sort or self._in_order is not None
        self.is_empty = bool(self._usable) and self._size(*self._usable[0]) == 0

    def sequence(self) -> Iterator[int]:
        """Yield the places of the documents to look at."""
        if self._in_order is not None:
            yield from self._run(*self._in_order)
        elif not self._usable:
            rows = self._connection.execute(f"SELECT seq FROM {self._table.name} ORDER BY seq")
            yield from (seq for (seq,) in rows.fetchall())
        else:
            condition, source = self._usable[0]
            if len(condition.keys) == 1:
                yield from self._run(source, "key = ?", [condition.keys[0]], "seq")
            else:
                places: set[int] = set()
                for key in condition.keys:
                    places.update(self._run(source, "key = ?", [key], "seq"))
                yield from sorted(places)

    def count(self) -> int:
        """Return how many documents there are, for an exact plan."""
        if not self._usable:
            (n,) = self._connection.execute(f"SELECT count(*) FROM {self._table.name}").fetchone()
            return int(n)
        condition, source = self._usable[0]
        if len(condition.keys) > 1:
            return len(list(self.sequence()))
        (n,) = self._connection.execute(
            f"SELECT count(*) FROM {source} WHERE key = ?", condition.keys
        ).fetchone()
        return int(n)

    def _source(self, condition: Condition) -> str | None:
        """Return the table, or query, of (key, seq) pairs of a condition's field."""
        if condition.field == "_id":
            return f"(SELECT id AS key, seq FROM {self._table.name})"
        for index in self._table.indices.values():
            if list(map(tuple, index.fields)) == [(condition.field, 1)]:
                return index.table
        return None

    def _size(self, condition: Condition, source: str) -> int:
        size = 0
        for key in condition.keys:
            (n,) = self._connection.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE key = ? LIMIT {FEW})", (key,)
            ).fetchone()
            size += n
            if size >= FEW:
                break
        return size

    def _ordered_index(
        self, demands: list[Condition], sort: Sort
    ) -> tuple[str, str, list[bytes], str] | None:
        """Return a query for an index that has one demanded field and then the sort's, if any."""
        for index in self._table.indices.values():
            fields = [tuple(pair) for pair in index.fields]
            for demand in demands:
                if fields != [(demand.field, 1), *sort] or len(demand.keys) != 1:
                    continue
                query = f"SELECT 1 FROM {index.table} WHERE key >= ?"
                if self._connection.execute(query, (OUTSIDE,)).fetchone():
                    continue
                (key,) = demand.keys
                return index.table, "key >= ? AND key < ?", [key, key + OUTSIDE], "key, seq"
        return None

    def _run(self, source: str, where: str, values: list[bytes], order: str) -> Iterator[int]:
        values = list(values)
        clauses = [where]
        for condition, other in self._usable:
            if other == source or len(condition.keys) > FEW or self._size(condition, other) < 1:
                continue
            if self._size(*self._usable[0]) < FEW:
                break
            marks = ", ".join("?" * len(condition.keys))
            clauses.append(
                f"EXISTS (SELECT 1 FROM {other} AS o WHERE o.key IN ({marks}) AND o.seq = d.seq)"
            )
            values.extend(condition.keys)
        query = f"SELECT seq FROM {source} AS d WHERE {' AND '.join(clauses)} ORDER BY {order}"
        return (seq for (seq,) in self._connection.execute(query, values))


class _Bulk(rules.BulkOperationBuilder):  # type: ignore[misc]
    """mongomock's bulk, for requests of a pymongo that also passes a sort."""

    def add_replace(self, *args: Any, sort: Any = None, **kwargs: Any) -> None:
        _refuse({"sort": sort})
        super().add_replace(*args, **kwargs)

    def add_update(self, *args: Any, sort: Any = None, **kwargs: Any) -> None:
        _refuse({"sort": sort})
        super().add_update(*args, **kwargs)


def _sorted(found: Iterable[Found], sort: Sort) -> list[Found]:
    matches = list(found)
    for field, direction in reversed(sort):
        if field == "$natural":
            matches.sort(key=lambda match: match.seq, reverse=direction < 0)
        else:
            key = partial(resolve_sort_key, field)
            matches.sort(key=lambda match, key=key: key(match.document), reverse=direction < 0)
    return matches


def _sort_list(sort: Any) -> Sort:
    if not sort:
        return ()
    return list(sort.items()) if isinstance(sort, Mapping) else [tuple(pair) for pair in sort]


def _fields(projection: Any) -> Any:
    # mongomock takes _id out of the projection it is given and puts it back: keep it off ours
    return dict(projection) if isinstance(projection, MutableMapping) else projection


def _add_keys(
    connection: sqlite3.Connection, index: Index, keys: Iterable[bytes], seq: int
) -> None:
    for key in keys:
        connection.execute(f"INSERT INTO {index.table} (key, seq) VALUES (?, ?)", (key, seq))


def _remove_keys(
    connection: sqlite3.Connection, index: Index, keys: Iterable[bytes], seq: int
) -> None:
    for key in keys:
        connection.execute(f"DELETE FROM {index.table} WHERE key = ? AND seq = ?", (key, seq))


def _duplicate(collection: str, index: str, identity: Any) -> mongomock.DuplicateKeyError:
    return mongomock.DuplicateKeyError(
        f"E11000 Duplicate Key Error in {collection!r}, index {index!r}, _id {identity!r}", 11000
    )


def _refuse(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if value and name not in {"maxTimeMS", "check_keys", "remove"}:
            raise NotImplementedError(f"an embedded store does not know the option {name!r}")
