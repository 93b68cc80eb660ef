"""Which documents of a collection are looked at for a filter, and in which order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mongomock.filtering import filter_applies

from ssefw.store.embedded.bounds import Bounds, Span, bounds
from ssefw.store.embedded.indices import Condition, Index, conditions
from ssefw.store.embedded.keys import OUTSIDE
from ssefw.store.embedded.records import CollectionRecords

__all__ = ["QueryPlan", "Sort"]

Sort = Sequence[tuple[str, int]]

COUNTED = 256
"""Up to here it is counted how many documents a lookup finds; beyond, it is many."""
FEW = 8
"""So many documents are sooner read and sorted than found in an index that has the order."""
KEYS_A_DOCUMENT = 200
"""So many keys are listed in the time that it takes to read a document."""
STRAYS = 32
"""An index with more documents whose place no single key can say has no order."""


class Lookup(NamedTuple):
    """Documents that meet some conditions, by keys in one table or several.

    Attributes
    ----------
    sources
        Tables, or queries, of (key, seq) with the spans of keys in them.
    covers
        Numbers of the conditions.
    size
        Number of keys; counted up to `COUNTED` only, where nobody compares it.
    has_strays
        Whether documents come with it of which the keys do not say whether they meet a range.
    """

    sources: tuple[tuple[str, tuple[Span, ...]], ...]
    covers: frozenset[int]
    size: int = 0
    has_strays: bool = False


class Walk(NamedTuple):
    """A part of an index that is read in the order of its keys, or the other way round."""

    table: str
    within: Bounds
    is_backward: bool
    has_strays: bool

    @property
    def covers(self) -> frozenset[int]:
        """Numbers of the conditions."""
        return self.within.covers


class QueryPlan:
    """The places of the documents that a filter may match.

    An index that has the order asked for is walked along; else the narrowest lookup is listed. What
    another lookup knows leaves out places before their documents are read.

    Attributes
    ----------
    is_exact
        Whether all of them match.
    is_ordered
        Whether they come in the order asked for.
    is_empty
        Whether there is certainly none.
    """

    def __init__(
        self, records: CollectionRecords, spec: Mapping[str, Any], sort: Sort = ()
    ) -> None:
        self._records = records
        demands, complete = conditions(spec)
        lookups = self._sized(self._lookups(demands))
        self.is_empty = bool(lookups) and lookups[0].size == 0
        self._walk = None
        if sort and not (lookups and lookups[0].size <= FEW):
            self._walk = self._walked(spec, demands, sort, lookups)
        self.is_ordered = not sort or self._walk is not None
        self._first = None
        if self._walk is None and lookups:
            if lookups[0].size > FEW and len(lookups) > 1:
                lookups = self._compared(lookups)
            self._first = lookups[0]
        self._others = self._beside(lookups)
        used = [part for part in (self._walk, self._first, *self._others) if part is not None]
        covered = set().union(*(part.covers for part in used))
        self.is_exact = (
            complete
            and len(covered) == len(demands)
            and all(demand.is_exact for demand in demands)
            and not any(part.has_strays for part in used)
        )

    def sequence(self) -> Iterator[int]:
        """Yield the places of the documents to look at."""
        allowed = [set(self._listed(lookup)) for lookup in self._others]
        if self._walk is not None:
            found = self._along(self._walk)
        elif self._first is None:
            found = self._places(self._records.table.name, "", (), "seq")
        elif len(self._first.sources) == 1 and _is_one_key(self._first.sources[0][1]):
            found = self._listed(self._first)  # in their order already
        else:
            found = iter(sorted(set(self._listed(self._first))))
        for seq in found:
            if all(seq in places for places in allowed):
                yield seq

    def count(self) -> int:
        """Return how many documents there are to look at."""
        if self._walk is not None or self._first is not None:
            return sum(1 for _ in self.sequence())
        query = f"SELECT count(*) FROM {self._records.table.name}"
        return int(self._records.connection.execute(query).fetchone()[0])

    # What indices know of a filter

    def _lookups(self, demands: list[Condition]) -> list[Lookup]:
        """Return lookups none of which knows less than another one does."""
        found: dict[frozenset[int], Lookup] = {}
        for index in sorted(self._records.table.indices.values(), key=lambda i: len(i.fields)):
            lookup = self._lookup(index, demands)
            if lookup.covers:
                found.setdefault(lookup.covers, lookup)
        for number, demand in enumerate(demands):
            sources = self._sources(demand)
            if sources is not None:
                found.setdefault(frozenset({number}), Lookup(sources, frozenset({number})))
        return [
            lookup for covers, lookup in found.items() if not any(covers < other for other in found)
        ]

    def _lookup(self, index: Index, demands: list[Condition]) -> Lookup:
        """Return what an index knows; documents that have no one place in it come in addition."""
        within = bounds(index, demands)
        has_strays = False
        if any(demands[number].range for number in within.covers):
            strays = self._strays(index)
            has_strays = bool(strays)
            if len(strays) > STRAYS:
                within, has_strays = bounds(index, demands, ranges=False), False
        spans = (*within.spans, (OUTSIDE, None)) if has_strays else within.spans
        return Lookup(((index.table, spans),), within.covers, has_strays=has_strays)

    def _sources(self, demand: Condition) -> tuple[tuple[str, tuple[Span, ...]], ...] | None:
        """Return where to look for a condition on ``_id``, or on one of several fields."""
        table = self._records.table
        single = {index.fields: index.table for index in table.indices.values()}
        sources = []
        for field, keys in demand.alternatives:
            source = single.get(((field, 1),))
            if field == "_id":
                source = f"(SELECT id AS key, seq FROM {table.name})"
            if source is None or demand.range is not None:
                return None
            sources.append((source, tuple((key, None) for key in keys)))
        return tuple(sources)

    def _sized(self, lookups: list[Lookup]) -> list[Lookup]:
        """Return lookups with their sizes, as far as these are counted, the narrowest first."""
        sized = [lookup._replace(size=self._size(lookup, COUNTED)) for lookup in lookups]
        return sorted(sized, key=lambda lookup: lookup.size)

    def _compared(self, lookups: list[Lookup]) -> list[Lookup]:
        """Return sized lookups with their true sizes, the narrowest first."""
        sized = [
            lookup if lookup.size < COUNTED else lookup._replace(size=self._size(lookup))
            for lookup in lookups
        ]
        return sorted(sized, key=lambda lookup: lookup.size)

    def _beside(self, lookups: list[Lookup]) -> list[Lookup]:
        """Return the lookups that leave out places which the walk or the first one would read."""
        start = self._walk or self._first
        covered = set(start.covers) if start is not None else set()
        found = []
        for lookup in lookups:
            # Of a handful of documents, reading them is sooner done than listing many others.
            is_worth_it = self._first is None or lookup.size <= KEYS_A_DOCUMENT * self._first.size
            if not lookup.covers <= covered and is_worth_it:
                found.append(lookup)
                covered |= lookup.covers
        return found

    def _size(self, lookup: Lookup, at_most: int | None = None) -> int:
        size = 0
        for source, spans in lookup.sources:
            for span in spans:
                size += self._n_keys(source, span, at_most)
                if at_most is not None and size >= at_most:
                    return size
        return size

    def _n_keys(self, source: str, span: Span, at_most: int | None) -> int:
        where, values = _within(span)
        query = f"SELECT 1 FROM {source} WHERE {where}"
        if at_most is not None:
            query += f" LIMIT {at_most}"
        counted = self._records.connection.execute(f"SELECT count(*) FROM ({query})", values)
        return int(counted.fetchone()[0])

    # An index that has the order

    def _walked(
        self,
        spec: Mapping[str, Any],
        demands: list[Condition],
        sort: Sort,
        lookups: Sequence[Lookup],
    ) -> Walk | None:
        """Return a walk in the order asked for, unless it is longer than reading and sorting."""
        found = []
        for index in self._records.table.indices.values():
            within = bounds(index, demands, several=False)
            direction = _direction(index.fields, within.n_fixed, sort)
            strays = [] if direction is None else self._strays(index)
            if direction is not None and self._are_no_answers(strays, spec):
                found.append(Walk(index.table, within, direction < 0, has_strays=bool(strays)))
        if not found:
            return None
        walk = max(found, key=lambda walk: len(walk.covers))
        if all(lookup.covers <= walk.covers for lookup in lookups):
            return walk
        enough = KEYS_A_DOCUMENT * self._compared(list(lookups))[0].size
        is_shorter = enough >= self._n_places() or (
            self._n_keys(walk.table, walk.within.spans[0], enough) < enough
        )
        return walk if is_shorter else None

    def _n_places(self) -> int:
        """Return a number that there are not more documents than."""
        query = f"SELECT max(seq) FROM {self._records.table.name}"
        return int(self._records.connection.execute(query).fetchone()[0] or 0)

    def _strays(self, index: Index) -> list[int]:
        """Return the first documents whose place in the order of an index no single key can say."""
        query = f"SELECT seq FROM {index.table} WHERE key >= ? LIMIT {STRAYS + 1}"
        return [seq for (seq,) in self._records.connection.execute(query, (OUTSIDE,))]

    def _are_no_answers(self, places: Sequence[int], spec: Mapping[str, Any]) -> bool:
        """Return whether none of a few documents matches."""
        if len(places) > STRAYS:
            return False
        found = filter(None, map(self._records.read, places))
        return not any(filter_applies(spec, record.document) for record in found)

    # Places

    def _listed(self, lookup: Lookup) -> Iterator[int]:
        for source, spans in lookup.sources:
            for span in spans:
                where, values = _within(span)
                yield from self._places(source, where, values, "seq" if span[1] is None else "")

    def _along(self, walk: Walk) -> Iterator[int]:
        where, values = _within(walk.within.spans[0])
        order = "key DESC, seq" if walk.is_backward else "key, seq"
        return self._places(walk.table, where, values, order)

    def _places(
        self, source: str, where: str, values: Sequence[bytes], order: str
    ) -> Iterator[int]:
        query = f"SELECT seq FROM {source}"
        query += f" WHERE {where}" if where else ""
        query += f" ORDER BY {order}" if order else ""
        return (seq for (seq,) in self._records.connection.execute(query, values))


def _within(span: Span) -> tuple[str, tuple[bytes, ...]]:
    low, high = span
    return ("key = ?", (low,)) if high is None else ("key >= ? AND key < ?", (low, high))


def _is_one_key(spans: Sequence[Span]) -> bool:
    return len(spans) == 1 and spans[0][1] is None


def _direction(fields: Sequence[tuple[str, int]], n_fixed: int, sort: Sort) -> int | None:
    """Return how an index is walked for a sort: 1 forward, -1 backward; None where it has not it.

    First fields that have one value need not be in the sort, but nothing may follow it: equal
    documents come in the order in which they were stored.
    """
    for start in range(min(n_fixed, len(fields) - 1) + 1):
        rest = fields[start:]
        if list(rest) == list(sort):
            return 1
        if [(field, -direction) for field, direction in rest] == list(sort):
            return -1
    return None
