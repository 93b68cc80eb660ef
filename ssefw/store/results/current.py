"""The newest outputs of jobs that fit a filter, in an order and in pages.

A job that was run again or replaced has several outputs under one uuid: only the one with the
highest index counts. Which these are is asked of the uuids of a batch at a time, so that neither
the memory nor the time of a page grows with the store.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from jobflow import JobStore

from ssefw.documents import Document
from ssefw.errors import StoreError
from ssefw.store.decoding import decoded_record
from ssefw.store.results.query import behind

__all__ = ["CurrentOutputs", "Order", "criteria_for", "decoded"]

D = TypeVar("D", bound=Document)

Order = Sequence[tuple[str, int]]

MODULE = "output.@module"

BATCH = 100
"""Records read at a time; those with arrays in the additional store are large."""


class CurrentOutputs:
    """Records in jobflow's form, each the newest output of its job."""

    def __init__(self, job_store: JobStore) -> None:
        self._store = job_store

    def count(self, criteria: dict[str, Any]) -> int:
        """Return how many fit."""
        return sum(map(len, self._current(criteria)))

    def stream(self, criteria: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield all that fit, in the order of storing."""
        for batch in self._current(criteria):
            yield from self._loaded(batch)

    def page(
        self,
        criteria: dict[str, Any],
        order: Order,
        *,
        skip: int,
        limit: int | None,
    ) -> Iterator[dict[str, Any]]:
        """Yield those that fit in an order, some of them left out first, at most so many.

        Parameters
        ----------
        criteria
            MongoDB's filter.
        order
            Fields with 1 or -1.
        skip
            Of those that fit, so many are left out first.
        limit
            At most so many.
        """
        passed, given = 0, 0
        for batch in self._current(
            criteria, order, at_most=None if limit is None else skip + limit
        ):
            keys = list(batch)[max(0, skip - passed) :]
            passed += len(batch)
            if limit is not None:
                keys = keys[: limit - given]
            given += len(keys)
            yield from self._loaded({key: batch[key] for key in keys})
            if limit is not None and given >= limit:
                return

    def behind(self, criteria: dict[str, Any], order: Order, key: str) -> list[dict[str, Any]]:
        """Return the questions whose answers follow a record in an order.

        Raises
        ------
        StoreError
            If there is no record with that key.
        """
        field = order[0][0]
        last = self._store.query_one({"uuid": key}, properties=[field], sort={"index": -1})
        if last is None:
            raise StoreError(f"There is no record {key!r} to go on behind; give no key to begin.")
        value: Any = last
        for name in field.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return behind(criteria, order, value, key)

    def _loaded(self, batch: Mapping[str, int]) -> Iterator[dict[str, Any]]:
        """Yield the records of uuids with an index, in their order."""
        # Without other stores nothing of a record lies elsewhere, and it need not be gone through.
        load = bool(self._store.additional_stores)  # type: ignore[has-type]
        found = {
            record["uuid"]: record
            for record in self._store.query({"uuid": {"$in": list(batch)}}, load=load)
            if record["index"] == batch[record["uuid"]]
        }
        yield from (found[uuid] for uuid in batch if uuid in found)

    def _matches(
        self, criteria: dict[str, Any], order: Order, at_most: int | None
    ) -> Iterator[dict[str, Any]]:
        """Yield uuid and index of what matches; of a few that are wanted, not more are read."""
        # The class finds them, and an index; whether it is ours is seen then.
        asked = {name: demand for name, demand in criteria.items() if name != MODULE}
        fields: list[str] = ["uuid", "index", MODULE]
        sort: Any = dict(order) or None
        size, start = at_most or 0, 0

        def ours(found: dict[str, Any]) -> bool:
            return bool(found["output"].get("@module") == criteria[MODULE])

        while size:
            block = list(self._store.query(asked, fields, sort=sort, skip=start, limit=size))
            yield from filter(ours, block)
            if len(block) < size:
                return
            start += size
        yield from filter(ours, self._store.query(asked, fields, sort=sort))

    def _current(
        self,
        criteria: dict[str, Any],
        order: Order = (),
        *,
        at_most: int | None = None,
    ) -> Iterator[dict[str, int]]:
        """Yield the indices, by uuid, of matches that no higher index of the job outdates."""
        matches = self._matches(criteria, order, at_most)
        size = min(BATCH, at_most or BATCH)
        while batch := [(match["uuid"], match["index"]) for match in islice(matches, size)]:
            latest: dict[str, int] = {}
            for other in self._store.query(
                {"uuid": {"$in": [uuid for uuid, _ in batch]}}, properties=["uuid", "index"]
            ):
                latest[other["uuid"]] = max(other["index"], latest.get(other["uuid"], 0))
            yield {uuid: index for uuid, index in batch if latest.get(uuid) == index}


def criteria_for(
    kind: type[Document],
    campaign: str | None,
    candidate: str | None,
    stage: str | None,
    where: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return MongoDB's filter on outputs of a type; `where` is one on the fields of the record.

    Parameters
    ----------
    kind
        The type of the records.
    campaign, candidate, stage
        Whose they are; None means any.
    where
        A filter on the fields of the record.
    """
    metadata = {"campaign": campaign, "candidate": candidate, "stage": stage}
    criteria: dict[str, Any] = {
        "output.@class": kind.__name__,
        MODULE: kind.__module__,
        **{f"metadata.{name}": value for name, value in metadata.items() if value is not None},
    }
    # Side by side, so that one index may answer all of it.
    return {**criteria, **_below_output(where or {})}


def _below_output(where: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name if name.startswith("$") else f"output.{name}": (
            [_below_output(part) for part in demand] if name in {"$and", "$or", "$nor"} else demand
        )
        for name, demand in where.items()
    }


def decoded(record: Mapping[str, Any], kind: type[D]) -> D:
    """Return the document in a record.

    Raises
    ------
    StoreError
        If it cannot be read, or is another.
    """
    output = record["output"]
    try:
        document = decoded_record(output)
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise StoreError(
            f"Record {record['uuid']!r} cannot be read as {kind.__name__}: {reason}. Read it with "
            "the ssefw version that wrote it, or delete it and run its job again."
        ) from error
    if not isinstance(document, kind):
        found = output.get("@class") if isinstance(output, Mapping) else None
        raise StoreError(
            f"Record {record['uuid']!r} is {found or type(document).__name__!r}, not a "
            f"{kind.__name__}: it was not written by this ssefw, look at it with "
            "`ssefw results show`."
        )
    return document
