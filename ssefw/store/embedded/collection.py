"""A collection of an embedded store, with pymongo's methods.

mongomock decides what a filter, an update or an aggregation means; this module decides which
documents it is shown and makes each call one transaction. Its base class turns pymongo's many
methods into the few that are written here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import bson
import mongomock
import pymongo
from bson import ObjectId
from mongomock import aggregate, helpers
from mongomock import collection as rules
from mongomock.filtering import filter_applies, resolve_sort_key
from pymongo.errors import BulkWriteError, OperationFailure, WriteError
from pymongo.results import BulkWriteResult

from ssefw.store.embedded.cursor import EmbeddedCursor, own_projection, sort_list
from ssefw.store.embedded.cutting import Cutter
from ssefw.store.embedded.group_counts import grouped_counts
from ssefw.store.embedded.indices import Index
from ssefw.store.embedded.keys import text_of
from ssefw.store.embedded.pipeline import fields_read
from ssefw.store.embedded.query_plan import QueryPlan, Sort
from ssefw.store.embedded.records import CollectionRecords, Record
from ssefw.store.embedded.sqlite import DocumentFile

__all__ = ["EmbeddedCollection", "SortlessBulk"]

# mongomock has no types of its own
_Collection: Any = mongomock.Collection
_Bulk: Any = rules.BulkOperationBuilder
_process: Any = aggregate.process_pipeline
_sort_key: Any = resolve_sort_key
_aware: Any = helpers.patch_datetime_awareness_in_document


class EmbeddedCollection(_Collection):  # type: ignore[misc]
    """A collection in an SQLite file, safe to use from several processes."""

    def __init__(self, database: Any, name: str, file: DocumentFile) -> None:
        super().__init__(database, name, _db_store=None)
        self.file = file

    # Reading

    def find(
        self,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 -- pymongo's name
        projection: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> EmbeddedCursor:
        """Return a cursor over the documents that match."""
        return EmbeddedCursor.asked(super().find(filter, projection, *args, **kwargs))

    def find_one(self, filter: Any = None, *args: Any, **kwargs: Any) -> dict[str, Any] | None:  # noqa: A002
        """Return the first document that matches, without looking at the rest."""
        found: dict[str, Any] | None = super().find_one(filter, *args, **{"limit": 1, **kwargs})
        return found

    def count_documents(self, filter: Mapping[str, Any], **kwargs: Any) -> int:  # noqa: A002
        """Return how many documents match."""
        if not kwargs:
            with self.file.transaction():
                plan = self._plan(_aware(filter))
                if plan is not None and plan.is_exact:
                    return plan.count()
        return int(super().count_documents(filter, **kwargs))

    def aggregate(
        self, pipeline: Sequence[Mapping[str, Any]], session: Any = None, **_: Any
    ) -> Any:
        """Run an aggregation; a leading ``$match`` uses the indices."""
        stages = list(pipeline)
        match = stages.pop(0)["$match"] if stages and set(stages[0]) == {"$match"} else {}
        if len(stages) == 1 and set(stages[0]) == {"$group"}:
            with self.file.transaction():
                records = CollectionRecords.existing(self.file, self.name)
                counts = records and grouped_counts(records, match, stages[0]["$group"])
            if counts is not None:
                return _process(counts, self.database, [], session)
        fields = fields_read(stages)
        if fields is None:
            documents = list(self.find(match))
        elif not fields:
            documents = [{} for _ in range(self.count_documents(match))]
        else:
            documents = list(self.find(match, dict.fromkeys({*fields, "_id"}, 1)))
        return _process(documents, self.database, stages, session)

    def places(self, spec: Mapping[str, Any], sort: Sort) -> list[int]:
        """Return where everything lies that may match, in the order asked for."""
        with self.file.transaction():
            plan = self._plan(spec, sort)
            if plan is None:
                return []
            if plan.is_ordered and (plan.is_exact or not sort):
                return list(plan.sequence())
            return [record.seq for record in self.matches(spec, sort)]

    def texts(self, field: str) -> set[str] | None:
        """Return the texts a field has in any document, from its index; None if it has none."""
        with self.file.transaction():
            table = self.file.tables().get(self.name)
            indices = table.indices.values() if table else ()
            index = next((item for item in indices if item.fields == ((field, 1),)), None)
            if index is None:
                return None
            keys = self.file.connection.execute(f"SELECT DISTINCT key FROM {index.table}")
            return {text for (key,) in keys if (text := text_of(key)) is not None}

    def matches(self, spec: Mapping[str, Any], sort: Sort = ()) -> Iterator[Record]:
        """Yield what matches, in the order asked for; call it inside a transaction."""
        plan = self._plan(spec, sort)
        records = CollectionRecords.existing(self.file, self.name)
        if plan is None or records is None:
            return
        found = (
            record
            for record in map(records.read, plan.sequence())
            if record is not None and (plan.is_exact or filter_applies(spec, record.document))
        )
        if plan.is_ordered:
            yield from found
        else:
            # Only what is sorted by is held: the documents may not fit into memory.
            yield from filter(None, map(records.read, _sorted(found, sort)))

    def read(self, places: Sequence[int], cut: Cutter | None = None) -> list[dict[str, Any]]:
        """Return the documents at some places, with all fields or some, but those that are gone."""
        with self.file.transaction():
            records = CollectionRecords.existing(self.file, self.name)
            found = (records.read(place, cut) for place in places) if records else ()
            return [record.document for record in found if record is not None]

    def _iter_documents(self, spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        with self.file.transaction():
            return iter([record.document for record in self.matches(spec)])

    def _plan(self, spec: Mapping[str, Any], sort: Sort = ()) -> QueryPlan | None:
        """Return how to find what matches, or None if nothing can."""
        records = CollectionRecords.existing(self.file, self.name)
        plan = QueryPlan(records, spec, sort) if records and isinstance(spec, Mapping) else None
        if plan is not None and not plan.is_empty:
            return plan
        filter_applies(spec, {})  # a wrong filter is an error, whatever is stored
        return None

    # Writing

    def _insert(self, data: Any, session: Any = None, ordered: bool = True) -> Any:  # noqa: FBT001, FBT002
        _refuse({"session": session})
        with self.file.transaction(write=True):
            records = CollectionRecords.writable(self.file, self.name)
            if isinstance(data, Mapping):
                return _insert_one(records, data)
            inserted, errors = [], []
            for position, item in enumerate(data):
                try:
                    inserted.append(_insert_one(records, item))
                except WriteError as error:
                    errors.append(
                        {"index": position, "code": error.code, "errmsg": str(error), "op": item}
                    )
                    if ordered:
                        break
            if errors:
                raise BulkWriteError({"writeErrors": errors, "nInserted": len(inserted)})
            return inserted

    def _update(
        self,
        spec: Any,
        document: Any,
        upsert: bool = False,  # noqa: FBT001, FBT002 -- mongomock's signature
        *,
        multi: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        _refuse(options)
        spec, document = _checked(spec, document)
        upserted = None
        with self.file.transaction(write=True):
            records = CollectionRecords.writable(self.file, self.name)
            found = list(islice(self.matches(spec), None if multi else 1))
            modified = sum(self._modify(records, record, spec, document) for record in found)
            if not found and upsert:
                upserted = self._upsert(records, spec, document)
        return {
            "err": None,
            "n": len(found) or int(upserted is not None),
            "nModified": modified,
            "ok": 1,
            "upserted": upserted,
            "updatedExisting": bool(found),
        }

    def _find_and_modify(  # noqa: PLR0917 -- mongomock's signature
        self,
        query: Mapping[str, Any],
        projection: Any = None,
        update: Any = None,
        upsert: bool = False,  # noqa: FBT001, FBT002
        sort: Any = None,
        return_document: Any = pymongo.ReturnDocument.BEFORE,
        **options: Any,
    ) -> Any:
        is_removal = options.pop("remove", False)
        wants_after = return_document is pymongo.ReturnDocument.AFTER
        _refuse(options)
        if not (is_removal or update):
            raise ValueError("Must either update or remove")
        spec, update = _checked(query, {} if is_removal else update)
        with self.file.transaction(write=True):
            records = CollectionRecords.writable(self.file, self.name)
            record = next(self.matches(spec, sort_list(sort)), None)
            answer = None if record is None else bson.decode(record.body)
            if record is not None and is_removal:
                records.remove(record)
            elif record is not None:
                self._modify(records, record, spec, update)
                if wants_after:
                    answer = record.document
            elif upsert:
                identity = self._upsert(records, spec, update)
                if wants_after:
                    answer = self.find_one({"_id": identity})
        if answer is None or projection is None:
            return answer
        return self._copy_only_fields(answer, own_projection(projection), dict)

    def _delete(self, filter: Any, multi: bool = False, **options: Any) -> dict[str, Any]:  # noqa: A002, FBT001, FBT002
        _refuse(options)
        with self.file.transaction(write=True):
            records = CollectionRecords.writable(self.file, self.name)
            found = list(islice(self.matches(_aware(filter)), None if multi else 1))
            for record in found:
                records.remove(record)
        return {"n": len(found), "ok": 1.0, "err": None}

    def bulk_write(self, requests: Iterable[Any], *, ordered: bool = True, **options: Any) -> Any:
        """Do pymongo's InsertOne, ReplaceOne, UpdateOne ... as one transaction."""
        _refuse(options)
        bulk = SortlessBulk(self, ordered=ordered)
        for request in requests:
            request._add_to_bulk(bulk)  # noqa: SLF001 -- the protocol between pymongo and its bulk
        with self.file.transaction(write=True):
            return BulkWriteResult(bulk.execute(), acknowledged=True)

    def drop(self, session: Any = None) -> None:
        """Forget the collection and its indices."""
        _refuse({"session": session})
        with self.file.transaction(write=True):
            self.file.drop_table(self.name)

    def _modify(self, records: CollectionRecords, record: Record, spec: Any, document: Any) -> bool:
        identity = record.document.get("_id")
        self._apply(record.document, spec, document, was_insert=False)
        if record.document.get("_id") != identity:
            raise WriteError(
                "After applying the update, the (immutable) field '_id' was found to have been "
                f"altered to _id: {record.document.get('_id')}"
            )
        return records.replace(record, record.document)

    def _upsert(self, records: CollectionRecords, spec: Any, document: Any) -> Any:
        identity = spec.get("_id")
        if identity is None and not isinstance(document, list):
            identity = document.get("_id")
        if identity is None:
            identity = ObjectId()
        fresh, _ = self._discard_operators(self._expand_dots(dict(spec, _id=identity)))
        self._apply(fresh, spec, document, was_insert=True)
        return _insert_one(records, fresh)

    def _apply(self, existing: Any, spec: Any, document: Any, *, was_insert: bool) -> None:
        if isinstance(document, list):
            self._apply_update_pipeline(existing, document, None)
        else:
            self._apply_update_document(existing, spec, document, was_insert)

    def _internalize_dict(self, document: dict[str, Any]) -> dict[str, Any]:
        return document  # what is stored is encoded, never the caller's objects

    # Indices

    def create_index(self, key_or_list: Any, *args: Any, **options: Any) -> str:
        """Keep keys of one or several fields; knows ``name``, ``unique`` and ``sparse``."""
        fields = tuple(tuple(pair) for pair in helpers.create_index_list(key_or_list))
        name: str = options.pop("name", None) or helpers.gen_index_name(fields)
        is_unique, is_sparse = (bool(options.pop(word, False)) for word in ("unique", "sparse"))
        options.pop("background", None)
        _refuse({**options, "positional": args})
        with self.file.transaction():
            table = self.file.tables().get(self.name)
            known = table.indices.get(name) if table else None
        if known is not None:
            if known != Index(known.number, name, fields, is_unique, is_sparse):
                raise OperationFailure(
                    f"Index with name: {name} already exists with different options"
                )
            return name
        with self.file.transaction(write=True):
            records = CollectionRecords.writable(self.file, self.name)
            if name not in records.table.indices:
                records.build(name, fields, is_unique=is_unique, is_sparse=is_sparse)
        return name

    def drop_index(self, index_or_name: Any, session: Any = None) -> None:
        """Forget an index."""
        _refuse({"session": session})
        name = index_or_name
        if isinstance(index_or_name, list):
            name = helpers.gen_index_name(index_or_name)
        with self.file.transaction(write=True):
            self.file.drop_index(self.name, name)

    def drop_indexes(self, session: Any = None) -> None:
        """Forget all indices but that of ``_id``."""
        for name in set(self.index_information()) - {"_id_"}:
            self.drop_index(name, session)

    def _list_all_indexes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        with self.file.transaction():
            table = self.file.tables().get(self.name)
        if table is not None:
            yield "_id_", {"key": [("_id", 1)]}
            for index in table.indices.values():
                yield index.name, index.description()

    def with_options(self, *_: Any, **__: Any) -> "EmbeddedCollection":
        """Return the collection itself: there are no read or write concerns to choose."""
        return self


class SortlessBulk(_Bulk):  # type: ignore[misc]
    """mongomock's bulk, for the requests of a pymongo that also passes a sort."""

    def add_replace(self, *args: Any, sort: Any = None, **kwargs: Any) -> None:
        """Note a replacement."""
        _refuse({"sort": sort})
        super().add_replace(*args, **kwargs)

    def add_update(self, *args: Any, sort: Any = None, **kwargs: Any) -> None:
        """Note an update."""
        _refuse({"sort": sort})
        super().add_update(*args, **kwargs)


def _insert_one(records: CollectionRecords, data: Any) -> Any:
    if not all(isinstance(key, str) for key in data):
        raise ValueError("Document keys must be strings")
    rules._validate_data_fields(data)  # noqa: SLF001 -- NUL and $ in names, as mongomock refuses
    records.insert(data)
    return data["_id"]


def _checked(spec: Any, document: Any) -> tuple[Any, Any]:
    spec, document = _aware(spec), _aware(document)
    rules.validate_is_mapping("spec", spec)
    rules.validate_list_or_mapping("document", document)
    if isinstance(document, list):
        rules._validate_document_stages(document)  # noqa: SLF001 -- as mongomock's own update
    return spec, document


def _sorted(found: Iterable[Record], sort: Sort) -> list[int]:
    """Return the places of documents, sorted by one field after the other."""
    rows = [
        (record.seq, [_sort_key(field, record.document) for field, _ in sort]) for record in found
    ]
    for position, (field, direction) in reversed(list(enumerate(sort))):
        if field == "$natural":
            rows.sort(key=lambda row: row[0], reverse=direction < 0)
        else:
            rows.sort(key=partial(_nth, position), reverse=direction < 0)
    return [seq for seq, _ in rows]


def _nth(position: int, row: tuple[int, list[Any]]) -> Any:
    return row[1][position]


def _refuse(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if value and name not in {"maxTimeMS", "check_keys", "remove"}:
            raise NotImplementedError(f"an embedded store does not know the option {name!r}")
