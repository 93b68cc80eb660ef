"""Which documents of a collection are looked at for a filter, and in which order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ssefw.store.indices import Condition, conditions
from ssefw.store.keys import OUTSIDE, invert_span
from ssefw.store.records import Records

__all__ = ["Plan", "Sort"]

Sort = Sequence[tuple[str, int]]

COUNTED = 256
"""Up to here it is counted how many documents a condition finds; beyond, it is many."""
FEW = 8
"""So many documents are sooner read and sorted than found in an index that has the order."""
MANY_KEYS = 500
"""A condition of more keys is not used to narrow down another (SQLite limits the variables)."""


class Lookup(NamedTuple):
    """A condition whose fields all have an index: tables of (key, seq), and keys in them.

    Of a range, there is one table without keys, and the range.
    """

    sources: list[tuple[str, tuple[bytes, ...]]]
    size: int
    span: tuple[bytes, bytes] | None = None

    @property
    def n_keys(self) -> int:
        """Number of keys to look up."""
        return sum(len(keys) for _, keys in self.sources)


class Plan:
    """The places of the documents that a filter may match.

    Attributes
    ----------
    is_exact
        Whether all of them match.
    is_ordered
        Whether they come in the order asked for.
    is_empty
        Whether there is certainly none.
    """

    def __init__(self, records: Records, spec: Mapping[str, Any], sort: Sort = ()) -> None:
        self._records = records
        demands, complete = conditions(spec)
        found = [lookup for demand in demands if (lookup := self._lookup(demand)) is not None]
        if any(lookup.span for lookup in found):
            found = [self._counted(lookup) for lookup in found]
        self._lookups = sorted(found, key=lambda lookup: lookup.size)
        self.is_empty = bool(found) and self._lookups[0].size == 0
        self.is_exact = (
            complete
            and len(found) == len(demands)
            and all(lookup.n_keys <= MANY_KEYS for lookup in self._lookups[1:])
        )
        self._order = self._ordered_by(demands, sort) if sort else None
        self.is_ordered = not sort or self._order is not None

    def sequence(self) -> Iterator[int]:
        """Yield the places of the documents to look at."""
        if self._order is not None:
            table, low, high = self._order
            yield from self._places(table, "d.key >= ? AND d.key < ?", [low, high], "d.key, d.seq")
        elif not self._lookups:
            query = f"SELECT seq FROM {self._records.table.name} ORDER BY seq"
            yield from [seq for (seq,) in self._records.connection.execute(query)]
        elif self._lookups[0].n_keys == 1 and not self._lookups[0].span:
            yield from self._looked_up()
        else:
            yield from sorted(set(self._looked_up()))

    def count(self) -> int:
        """Return how many documents there are to look at."""
        if self._lookups:
            return sum(1 for _ in self.sequence())
        query = f"SELECT count(*) FROM {self._records.table.name}"
        return int(self._records.connection.execute(query).fetchone()[0])

    def _looked_up(self) -> Iterator[int]:
        first, *others = self._lookups
        for source, keys in first.sources:
            for key in keys:
                yield from self._places(source, "d.key = ?", [key], "d.seq", others)
            if first.span:
                yield from self._places(
                    source, "d.key >= ? AND d.key < ?", [*first.span], "d.seq", others
                )

    def _places(
        self,
        source: str,
        where: str,
        values: list[bytes],
        order: str,
        others: Sequence[Lookup] | None = None,
    ) -> Iterator[int]:
        for lookup in self._lookups if others is None else others:
            if lookup.n_keys > MANY_KEYS:
                continue
            if lookup.span:
                # A range has many keys for one place: its places are listed once instead.
                source_ = lookup.sources[0][0]
                where += f" AND d.seq IN (SELECT seq FROM {source_} WHERE key >= ? AND key < ?)"
                values = [*values, *lookup.span]
                continue
            alternatives = []
            for other, keys in lookup.sources:
                marks = ", ".join("?" * len(keys))
                alternatives.append(
                    f"EXISTS (SELECT 1 FROM {other} AS o WHERE o.key IN ({marks}) "
                    "AND o.seq = d.seq)"
                )
                values = [*values, *keys]
            where += f" AND ({' OR '.join(alternatives)})"
        query = f"SELECT d.seq FROM {source} AS d WHERE {where} ORDER BY {order}"
        return (seq for (seq,) in self._records.connection.execute(query, values))

    def _lookup(self, condition: Condition) -> Lookup | None:
        sources = []
        for field, keys in condition.alternatives:
            source = self._source(field)
            if source is None:
                return None
            sources.append((source, keys))
        if condition.span:
            # Of a list, one element may lie above the lower end and another below the upper one.
            if self._records.has_outsiders(sources[0][0]):
                return None
            return Lookup(sources, 0, condition.span)  # counted later
        return Lookup(sources, self._size(sources))

    def _counted(self, lookup: Lookup) -> Lookup:
        """Return a lookup with its exact size where it is a range or many."""
        if not lookup.span and lookup.size < COUNTED:
            return lookup
        size = 0
        for source, keys in lookup.sources:
            count = f"SELECT count(*) FROM {source} WHERE "
            if lookup.span:
                count += "key >= ? AND key < ?"
                size += int(self._records.connection.execute(count, lookup.span).fetchone()[0])
            for key in keys:
                found = self._records.connection.execute(count + "key = ?", (key,))
                size += int(found.fetchone()[0])
        return lookup._replace(size=size)

    def _source(self, field: str) -> str | None:
        """Return the table, or query, of (key, seq) of a field."""
        table = self._records.table
        if field == "_id":
            return f"(SELECT id AS key, seq FROM {table.name})"
        for index in table.indices.values():
            if index.fields == ((field, 1),):
                return index.table
        return None

    def _size(self, sources: list[tuple[str, tuple[bytes, ...]]]) -> int:
        size = 0
        for source, keys in sources:
            query = f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE key = ? LIMIT {COUNTED})"
            for key in keys:
                size += int(self._records.connection.execute(query, (key,)).fetchone()[0])
                if size >= COUNTED:
                    return size
        return size

    def _ordered_by(self, demands: list[Condition], sort: Sort) -> tuple[str, bytes, bytes] | None:
        """Return an index over one demanded field and then the sort's, and the range of its keys.

        A range of the first field of the sort is a part of that range.
        """
        if self._lookups and self._lookups[0].size <= FEW:
            return None
        spans = {demand.alternatives[0][0]: demand.span for demand in demands if demand.span}
        for demand in demands:
            field, keys = demand.alternatives[0]
            if len(demand.alternatives) > 1 or len(keys) != 1:
                continue
            for index in self._records.table.indices.values():
                if index.fields == ((field, 1), *sort) and not self._records.has_outsiders(
                    index.table
                ):
                    return index.table, *_bounds(keys[0], sort, spans)
        return None


def _bounds(key: bytes, sort: Sort, spans: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the first key of an index that begins with a key, and the first behind them."""
    field, direction = sort[0]
    if field not in spans:
        return key, key + OUTSIDE
    low, high = spans[field] if direction > 0 else invert_span(*spans[field])
    return key + low, key + high
