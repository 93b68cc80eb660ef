"""A typed view of what jobs have computed, with the records that no job makes beside it.

Everything lies in jobflow's store: the output of a job with the job's uuid, index and metadata; a
record without a job (a label, a ranking) in the same shape, with its content hash as uuid.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, Generic, TypeVar

from jobflow import JobStore

from ssefw.data.compositions import spellings
from ssefw.documents import (
    CampaignRecord,
    Document,
    FoundConductivity,
    LabelSet,
    Outcome,
    PlannedCandidate,
)
from ssefw.errors import DataError, StoreError
from ssefw.store.results.composed import (
    conductivities_of,
    demands_of_outcomes,
    fits,
    labels_among,
    ordered,
)
from ssefw.store.results.current import CurrentOutputs, criteria_for, decoded
from ssefw.store.results.query import KINDS, Ask, check_question, matching_formulas, order_of
from ssefw.store.results.reanalysis import newer_analyses, reanalyzed

__all__ = ["Found", "Page", "ResultStore"]

D = TypeVar("D", bound=Document)

PUT_TOGETHER = ("candidates", "labels", "conductivities")
"""Kinds of answers that are parts of records, or of several."""


@dataclass(frozen=True)
class Page:
    """Some answers, and the key that the next page follows; None where there is nothing more."""

    found: "tuple[Found[Any], ...]"
    last: str | None

    @property
    def documents(self) -> tuple[Any, ...]:
        """The answers alone."""
        return tuple(item.document for item in self.found)


@dataclass(frozen=True)
class Found(Generic[D]):
    """An answer, and whose it is as far as its job said so."""

    document: D
    campaign: str = ""
    candidate_id: str = ""


class ResultStore:
    """Documents of a campaign by type, campaign and candidate.

    A job that was run again or replaced has several outputs under one uuid: only the one with the
    highest index counts.
    """

    def __init__(self, job_store: JobStore, database: Any = None) -> None:
        self._store = job_store
        self._outputs = CurrentOutputs(job_store)
        self._database = database

    def derived(self) -> dict[str, dict[str, Any]]:
        """Return what newer analyses have made of outcomes, by campaign/candidate."""
        return {} if self._database is None else newer_analyses(self._database)

    def add(self, document: Document, *, candidate: str, campaign: str) -> str:
        """Keep a record that no job makes, and return its key.

        The key is a hash of the content, the times of its making left out: adding the same record
        twice adds nothing, and what is there stays as it is.
        """
        output = document.as_dict()
        metadata = {"campaign": campaign, "candidate": candidate, "stage": "record"}
        content = json.dumps([_timeless(output), metadata], sort_keys=True, default=str)
        key = f"record-{hashlib.sha256(content.encode()).hexdigest()[:32]}"
        if self._store.query_one({"uuid": key}, properties=["uuid"]) is not None:
            return key
        # Its own id, so that two who add it at the same moment add one.
        self._store.docs_store.update(
            {
                "_id": key,
                "uuid": key,
                "index": 1,
                "output": output,
                "metadata": metadata,
                "completed_at": datetime.now(UTC).isoformat(),
                "hosts": [],
                "name": type(document).__name__,
            },
            key="_id",
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
        return decoded(found, Document)

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
        criteria = criteria_for(kind, campaign, candidate, stage, where)
        for record in self._outputs.stream(criteria):
            yield decoded(record, kind)

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
        """Yield the records that somebody asks for, as they are read; see `found`.

        Parameters
        ----------
        kind
            Of records, such as ``outcomes``.
        ask
            What is asked of them.
        sort
            The field they are sorted by.
        reverse
            Largest first.
        skip, limit
            Which of them.
        """
        for item in self.found(kind, ask, sort=sort, reverse=reverse, skip=skip, limit=limit):
            yield item.document

    def found(
        self,
        kind: str,
        ask: Ask,
        *,
        sort: str | None = None,
        reverse: bool = False,
        skip: int = 0,
        limit: int | None = None,
    ) -> Iterator[Found[Any]]:
        """Yield the records that somebody asks for with their campaign, as they are read.

        Parameters
        ----------
        kind
            One of `KINDS` (outcomes, conductivities, trajectories, diffusivities, barriers,
            labels), or candidates: those that campaigns have planned, in the order of their
            ranking. Labels are those of all label sets that are kept.
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
        check_question(kind, sort)
        end = None if limit is None else skip + limit
        if kind == "candidates":
            ask.refuse_results()
            yield from islice(self._planned(ask), skip, end)
        elif kind == "labels":
            labels = labels_among(self.find(LabelSet), ask)
            yield from map(Found, ordered(labels, kind, sort, reverse=reverse, at_most=end)[skip:])
        elif kind == "conductivities":
            rows = self._conductivities(ask, sort, reverse=reverse, at_most=end)
            yield from map(Found, islice(rows, skip, end))
        else:
            for criteria in self._criteria(kind, ask):
                order = order_of(kind, sort, reverse=reverse)
                for record in self._outputs.page(criteria, order, skip=skip, limit=limit):
                    yield _found(record, kind)

    def page(
        self,
        kind: str,
        ask: Ask,
        *,
        sort: str,
        reverse: bool = False,
        after: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Return a page of sorted records, the first or the one behind a record's key.

        However far behind, a page costs what the first one costs.

        Parameters
        ----------
        kind
            Of records, such as ``outcomes``.
        ask
            What is asked of them.
        sort
            The field they are sorted by.
        reverse
            Largest first.
        after
            Key of the record that the page follows; the first page without.
        limit
            Records of a page.

        Raises
        ------
        DataError
            If answers of this kind are not records.
        StoreError
            If there is no record with that key.
        """
        check_question(kind, sort)
        if kind in PUT_TOGETHER:
            raise DataError(f"{kind.capitalize()} have no keys to go on behind; give a page.")
        order = order_of(kind, sort, reverse=reverse)
        records: list[dict[str, Any]] = []
        for criteria in self._criteria(kind, ask):
            parts = [criteria] if after is None else self._outputs.behind(criteria, order, after)
            for part in parts:
                left = limit - len(records)
                records += self._outputs.page(part, order, skip=0, limit=left) if left else []
        found = tuple(_found(record, kind) for record in records)
        return Page(found, records[-1]["uuid"] if len(records) == limit else None)

    def _criteria(self, kind: str, ask: Ask) -> Iterator[dict[str, Any]]:
        """Yield the filter of a question to records; nothing where no answer is possible."""
        asked, within = ask, None
        is_by_formula = ask.asks_composition or ask.formula is not None
        if is_by_formula and "formula" not in KINDS[kind].model_fields:
            # Runs know their candidate, and campaigns the candidates' formulas.
            about = ask.about_composition()
            within = sorted({item.candidate_id for item in self._planned(about)})
            asked = replace(ask, formula=None, system=None, elements=(), without=())
        formulas = None
        if asked.asks_composition and asked.formula is None:
            formulas = matching_formulas(self._store.docs_store.distinct("output.formula"), asked)
        if formulas == [] or within == []:
            return
        where = asked.where(kind, formulas=formulas)
        criteria = criteria_for(KINDS[kind], ask.campaign, None, None, where)
        asked_for = list(ask.candidates or within or ())
        if ask.candidates and within is not None:
            asked_for = sorted(set(ask.candidates) & set(within))
            if not asked_for:
                return
        if asked_for:
            only = asked_for[0] if len(asked_for) == 1 else {"$in": asked_for}
            criteria["metadata.candidate"] = only
        yield criteria

    def _conductivities(
        self, ask: Ask, sort: str | None, *, reverse: bool, at_most: int | None
    ) -> Iterator[FoundConductivity]:
        demands = demands_of_outcomes(ask)
        derived = self.derived()
        by_store = sort if ask.temperature is None and not derived else None
        found = (
            row
            for outcome in self.ask("outcomes", demands, sort=by_store, reverse=reverse)
            if reanalyzed(outcome, derived) is outcome
            for row in conductivities_of(outcome, ask)
        )
        if by_store is not None or (sort is None and not derived):
            yield from found
            return
        newer = (row for outcome in self._newer(demands, derived)
                 for row in conductivities_of(outcome, ask))  # fmt: skip
        both = chain(found, newer)
        yield from ordered(both, "conductivities", sort, reverse=reverse, at_most=at_most)

    def _newer(self, ask: Ask, derived: Mapping[str, Any]) -> Iterator[Outcome]:
        """Yield outcomes that a newer analysis has changed and that are asked for now."""
        # What the outcome said before does not count, what it is about does.
        about = replace(ask, min_sigma=None, max_sigma=None, min_ea=None, max_ea=None, status=None)
        where = ask.where("outcomes")
        for outcome in self.ask("outcomes", about):
            now = reanalyzed(outcome, derived)
            if now is not outcome and fits(now, where):
                yield now

    def _planned(self, ask: Ask) -> Iterator[Found[PlannedCandidate]]:
        seen: set[str] = set()
        called = {None} if ask.formula is None else set(spellings(ask.formula))
        for record in self.find(CampaignRecord, campaign=ask.campaign):
            fits = set(matching_formulas((item.formula for item in record.candidates), ask))
            for item in record.candidates:
                if (
                    item.formula in fits
                    and not called.isdisjoint({None, item.formula})
                    and (not ask.candidates or item.candidate_id in ask.candidates)
                    and item.candidate_id not in seen
                ):
                    seen.add(item.candidate_id)
                    yield Found(item, campaign=record.campaign, candidate_id=item.candidate_id)

    def count(
        self,
        kind: type[Document],
        *,
        campaign: str | None = None,
        candidate: str | None = None,
        stage: str | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> int:
        """Return how many records `find` would yield.

        Parameters
        ----------
        kind
            The type of the records.
        campaign, candidate, stage
            Whose they are; None means any.
        where
            A MongoDB filter on the fields of the record.
        """
        return self._outputs.count(criteria_for(kind, campaign, candidate, stage, where))


def _found(record: Mapping[str, Any], kind: str) -> Found[Any]:
    metadata = record.get("metadata") or {}
    return Found(
        decoded(record, KINDS[kind]),
        campaign=str(metadata.get("campaign") or ""),
        candidate_id=str(metadata.get("candidate") or ""),
    )


def _timeless(value: Any) -> Any:
    """Return a record without the times at which it and the records in it were made."""
    if isinstance(value, list | tuple):
        return [_timeless(item) for item in value]
    if not isinstance(value, dict):
        return value
    parts = {name: _timeless(part) for name, part in value.items()}
    if isinstance(provenance := parts.get("provenance"), dict):
        provenance["created"] = None
    return parts
