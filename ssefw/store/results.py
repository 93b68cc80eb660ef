"""A typed view of what jobs have computed, with the records that no job makes beside it.

Everything lies in jobflow's store: the output of a job with the job's uuid, index and metadata; a
record without a job (a label, a ranking) in the same shape, with its content hash as uuid.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from jobflow import JobStore
from monty.json import MontyDecoder

from ssefw.documents import CampaignRecord, Document, PlannedCandidate
from ssefw.errors import DataError, StoreError
from ssefw.store.query import KINDS, SORTS, Ask, matching_formulas

__all__ = ["ResultStore"]

D = TypeVar("D", bound=Document)

BATCH = 100
"""Records read at a time; those with arrays in the additional store are large."""


class ResultStore:
    """Documents of a campaign by type, campaign and candidate.

    A job that was run again or replaced has several outputs under one uuid: only the one with the
    highest index counts.
    """

    def __init__(self, job_store: JobStore) -> None:
        self._store = job_store

    def add(self, document: Document, *, candidate: str, campaign: str) -> str:
        """Keep a record that no job makes, and return its key.

        The key is a hash of the content, the time of its making left out: adding the same record
        twice adds nothing, and what is there stays as it is.
        """
        output = document.as_dict()
        metadata = {"campaign": campaign, "candidate": candidate, "stage": "record"}
        content = json.dumps([_timeless(output), metadata], sort_keys=True, default=str)
        key = f"record-{hashlib.sha256(content.encode()).hexdigest()[:32]}"
        if self._store.query_one({"uuid": key}, properties=["uuid"]) is not None:
            return key
        self._store.update(
            {
                "uuid": key,
                "index": 1,
                "output": output,
                "metadata": metadata,
                "completed_at": datetime.now(UTC).isoformat(),
                "hosts": [],
                "name": type(document).__name__,
            }
        )
        return key

    def get(self, key: str) -> Document:
        """Return the record of a key: what `add` returned, or a job's uuid."""
        found = self._store.query_one(
            {"uuid": key}, properties=["output"], sort={"index": -1}, load=True
        )
        if found is None:
            raise StoreError(
                f"There is no record {key!r} in the store: check the key, or list what there is "
                "with `ssefw results`."
            )
        return _decoded(found, Document)

    def find(
        self,
        kind: type[D],
        *,
        campaign: str | None = None,
        candidate: str | None = None,
        stage: str | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Iterator[D]:
        """Yield the records of a type, in the order in which they were stored first.

        Parameters
        ----------
        kind
            The class of the records; subclasses are other kinds.
        where
            A MongoDB filter on the fields of the record, for example
            ``{"temperature": {"$gt": 500}}``.

        Raises
        ------
        StoreError
            When a record cannot be read; the message has its key.
        """
        for record in self._records(kind, campaign, candidate, stage, where):
            yield _decoded(record, kind)

    def ask(
        self,
        kind: str,
        ask: Ask,
        *,
        sort: str | None = None,
        reverse: bool = False,
        skip: int = 0,
        limit: int | None = None,
    ) -> Iterator[Any]:
        """Yield the records that somebody asks for, as they are read.

        Parameters
        ----------
        kind
            One of `KINDS` (outcomes, trajectories, diffusivities, barriers, labels), or candidates:
            those that campaigns have planned, in the order of their ranking.
        sort
            One of `SORTS` of the kind; the order of storing if None. Records that lack what is
            sorted by come last where the best is first.
        reverse
            Turn the usual direction of the sort.

        Raises
        ------
        DataError
            If records of this kind do not have what is asked for.
        """
        if kind == "candidates":
            end = None if limit is None else skip + limit
            yield from islice(self._planned(ask, sort), skip, end)
            return
        if kind not in KINDS:
            known = ", ".join(("candidates", *KINDS))
            raise DataError(f"There is no kind {kind!r} of results; known: {known}.")
        order: list[tuple[str, int]] = []
        if sort is not None:
            if sort not in SORTS[kind]:
                raise DataError(
                    f"{kind.capitalize()} cannot be sorted by {sort!r}; known: "
                    f"{', '.join(SORTS[kind])}."
                )
            field, direction = SORTS[kind][sort]
            order = [(f"output.{field}", -direction if reverse else direction)]
        formulas = None
        if ask.asks_composition and ask.formula is None:
            formulas = matching_formulas(self._store.docs_store.distinct("output.formula"), ask)
            if not formulas:
                return
        where = ask.where(kind, formulas=formulas)
        criteria = _criteria(KINDS[kind], ask.campaign, ask.candidate, None, where)
        for record in self._page(criteria, order, skip=skip, limit=limit):
            yield _decoded(record, KINDS[kind])

    def _planned(self, ask: Ask, sort: str | None) -> Iterator[PlannedCandidate]:
        if sort is not None:
            raise DataError("Candidates come in the order of their ranking; leave out the sort.")
        ask.refuse_results()
        seen: set[str] = set()
        for record in self.find(CampaignRecord, campaign=ask.campaign):
            fits = set(matching_formulas((item.formula for item in record.candidates), ask))
            for item in record.candidates:
                if (
                    item.formula in fits
                    and ask.formula in {None, item.formula}
                    and ask.candidate in {None, item.candidate_id}
                    and item.candidate_id not in seen
                ):
                    seen.add(item.candidate_id)
                    yield item

    def _page(
        self,
        criteria: dict[str, Any],
        order: list[tuple[str, int]],
        *,
        skip: int,
        limit: int | None,
    ) -> Iterator[dict[str, Any]]:
        """Yield current records in order; what a job has outdated does not count."""
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

    def count(
        self,
        kind: type[Document],
        *,
        campaign: str | None = None,
        candidate: str | None = None,
        stage: str | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> int:
        """Return how many records `find` would yield."""
        criteria = _criteria(kind, campaign, candidate, stage, where)
        return sum(map(len, self._current(criteria)))

    def _records(
        self,
        kind: type[Document],
        campaign: str | None,
        candidate: str | None,
        stage: str | None,
        where: Mapping[str, Any] | None,
    ) -> Iterator[dict[str, Any]]:
        for batch in self._current(_criteria(kind, campaign, candidate, stage, where)):
            yield from self._loaded(batch)

    def _loaded(self, batch: Mapping[str, int]) -> Iterator[dict[str, Any]]:
        """Yield the records of uuids with an index, in their order."""
        wanted = {"uuid": {"$in": list(batch)}, "index": {"$in": sorted(set(batch.values()))}}
        found = {
            record["uuid"]: record
            for record in self._store.query(wanted, load=True)
            if record["index"] == batch[record["uuid"]]
        }
        yield from (found[uuid] for uuid in batch if uuid in found)

    def _matches(
        self, criteria: dict[str, Any], order: Sequence[tuple[str, int]], at_most: int | None
    ) -> Iterator[dict[str, Any]]:
        """Yield uuid and index of what matches; of a few that are wanted, not more are read."""
        fields: list[str] = ["uuid", "index"]
        sort: Any = dict(order) or None
        size, start = at_most or 0, 0
        while size:
            block = list(self._store.query(criteria, fields, sort=sort, skip=start, limit=size))
            yield from block
            if len(block) < size:
                return
            start += size
        yield from self._store.query(criteria, fields, sort=sort)

    def _current(
        self,
        criteria: dict[str, Any],
        order: Sequence[tuple[str, int]] = (),
        *,
        at_most: int | None = None,
    ) -> Iterator[dict[str, int]]:
        """Yield the indices, by uuid, of matches that no higher index of the job outdates."""
        matches = self._matches(criteria, order, at_most)
        while batch := [(match["uuid"], match["index"]) for match in islice(matches, BATCH)]:
            latest: dict[str, int] = {}
            for other in self._store.query(
                {"uuid": {"$in": [uuid for uuid, _ in batch]}}, properties=["uuid", "index"]
            ):
                latest[other["uuid"]] = max(other["index"], latest.get(other["uuid"], 0))
            yield {uuid: index for uuid, index in batch if latest.get(uuid) == index}


def _timeless(output: dict[str, Any]) -> dict[str, Any]:
    provenance = output.get("provenance")
    if not isinstance(provenance, dict):
        return output
    return {**output, "provenance": {**provenance, "created": None}}


def _criteria(
    kind: type[Document],
    campaign: str | None,
    candidate: str | None,
    stage: str | None,
    where: Mapping[str, Any] | None,
) -> dict[str, Any]:
    metadata = {"campaign": campaign, "candidate": candidate, "stage": stage}
    criteria: dict[str, Any] = {
        "output.@class": kind.__name__,
        "output.@module": kind.__module__,
        **{f"metadata.{name}": value for name, value in metadata.items() if value is not None},
    }
    if where:
        criteria["$and"] = [_below_output(where)]
    return criteria


def _below_output(where: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name if name.startswith("$") else f"output.{name}": (
            [_below_output(part) for part in demand] if name in {"$and", "$or", "$nor"} else demand
        )
        for name, demand in where.items()
    }


def _decoded(record: Mapping[str, Any], kind: type[D]) -> D:
    output = record["output"]
    try:
        document = MontyDecoder().process_decoded(output)
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
