"""Which documents a filter can match, read from index keys instead of the documents.

An index keeps, for every document, the keys of its values (of each element, for a list). A plan is
a superset of the answer: the filter itself is applied to every document it names, so that an index
changes how long a question takes and never what is answered.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Self

from mongomock.filtering import iter_key_candidates
from sentinels import NOTHING  # type: ignore[import-untyped]  # mongomock's missing value

from ssefw.store.embedded.keys import (
    NUMBER,
    OUTSIDE,
    KeyRange,
    encode_key,
    invert_key,
    is_exact,
    is_sortable,
    lookup_keys,
    range_key,
)

__all__ = ["Condition", "Index", "Values", "conditions", "values_at"]

_ENDS = {"$gt", "$gte", "$lt", "$lte"}


@dataclass(frozen=True)
class Index:
    """Keys of one or several fields of a collection, as MongoDB's `create_index` defines them.

    Attributes
    ----------
    number
        Number of its SQL table.
    fields
        Pairs of dotted field path and direction, 1 or -1.
    is_sparse
        With `is_unique`: documents that have none of the fields are not compared.
    """

    number: int
    name: str
    fields: tuple[tuple[str, int], ...]
    is_unique: bool = False
    is_sparse: bool = False

    @property
    def table(self) -> str:
        """The SQL table of the keys."""
        return f"keys_{self.number}"

    def as_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, as BSON can write it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Return the index of a record."""
        fields = tuple((name, direction) for name, direction in record["fields"])
        return cls(**{**record, "fields": fields})

    def description(self) -> dict[str, Any]:
        """Return what pymongo's `index_information` says of an index."""
        information: dict[str, Any] = {"key": list(self.fields), "v": 2}
        if self.is_unique:
            information["unique"] = True
        if self.is_sparse:
            information["sparse"] = True
        return information

    def keys(self, document: Mapping[str, Any]) -> frozenset[bytes]:
        """Return the keys under which a document is found."""
        return self.keys_of(Values(document))

    def keys_of(self, values: "Values") -> frozenset[bytes]:
        """Return the keys under which the document of some values is found."""
        if len(self.fields) == 1:
            parts, is_simple = values.keys(*self.fields[0])
            keys = frozenset(parts)
            return keys if is_simple else keys | {OUTSIDE}
        found = [values.keys(field, direction) for field, direction in self.fields]
        keys = frozenset(map(b"".join, product(*(parts for parts, _ in found))))
        return keys if all(is_simple for _, is_simple in found) else keys | {OUTSIDE}


class Values:
    """The keys of a document's fields, made once for all indices that begin or end with one."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._keys: dict[tuple[str, int], tuple[set[bytes], bool]] = {}

    def keys(self, field: str, direction: int) -> tuple[set[bytes], bool]:
        """Return the keys of a field in a direction, and whether they are one it is sorted by."""
        if (field, direction) not in self._keys:
            if direction < 0:
                keys, is_simple = self.keys(field, 1)
                self._keys[field, direction] = {invert_key(key) for key in keys}, is_simple
            else:
                values, is_simple = values_at(field, self._document)
                self._keys[field, direction] = {encode_key(value) for value in values}, is_simple
        return self._keys[field, direction]


def values_at(field: str, document: Mapping[str, Any]) -> tuple[list[Any], bool]:
    """Return the values a field is found by, and whether they are one that it is sorted by."""
    if "." in field:
        candidates = iter_key_candidates(field, document)
    else:
        candidates = [document.get(field, NOTHING)]
    values: list[Any] = []
    simple = len(candidates) <= 1
    for candidate in candidates:
        if isinstance(candidate, list | tuple):
            values.extend(candidate)
            simple = False
        else:
            values.append(None if candidate is NOTHING else candidate)
    return values or [None], simple and all(map(is_sortable, values))


@dataclass(frozen=True)
class Condition:
    """A demand that one of some fields has one of some values, or that one lies in a range.

    Attributes
    ----------
    alternatives
        Pairs of a field and the keys of the values.
    is_exact
        Whether a document found under a key meets the condition for certain.
    range
        There is one field then, without keys.
    """

    alternatives: tuple[tuple[str, tuple[bytes, ...]], ...]
    is_exact: bool
    range: KeyRange | None = None


def conditions(filter_: Mapping[str, Any]) -> tuple[list[Condition], bool]:
    """Return the conditions in a filter, and whether it is nothing but these."""
    found = []
    complete = True
    for field, demand in _conjuncts(filter_):
        condition = _either(demand) if field == "$or" else _condition(field, demand)
        if condition is not None:
            found.append(condition)
        complete = complete and condition is not None and condition.is_exact
    return found, complete


def _conjuncts(filter_: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field, demand in filter_.items():
        if field == "$and" and isinstance(demand, list | tuple):
            for part in demand:
                yield from _conjuncts(part)
        else:
            yield field, demand


def _either(branches: Any) -> Condition | None:
    """Return a condition that holds wherever one of some filters matches."""
    alternatives: list[tuple[str, tuple[bytes, ...]]] = []
    for branch in branches if isinstance(branches, list | tuple) else []:
        found = conditions(branch)[0] if isinstance(branch, Mapping) else []
        found = [condition for condition in found if condition.range is None]
        if not found:
            return None
        alternatives.extend(found[0].alternatives)
    return Condition(tuple(alternatives), is_exact=False) if alternatives else None


def _condition(field: str, demand: Any) -> Condition | None:
    values = None if field.startswith("$") else _values(demand)
    if values is None:
        ends = None if field.startswith("$") else _range(demand)
        return Condition(((field, ()),), is_exact=ends[1], range=ends[0]) if ends else None
    keys: list[bytes] = []
    for value in values:
        found = lookup_keys(value)
        if found is None:
            return None
        keys.extend(found)
    plain = not isinstance(demand, Mapping) or len(demand) == 1
    return Condition(((field, tuple(dict.fromkeys(keys))),), plain and is_exact(values))


def _values(demand: Any) -> list[Any] | None:
    if not isinstance(demand, Mapping):
        return [demand]
    if isinstance(demand.get("$in"), list | tuple):
        return list(demand["$in"])
    return [demand["$eq"]] if "$eq" in demand else None


def _range(demand: Any) -> tuple[KeyRange, bool] | None:
    """Return between which numbers or texts what meets a demand lies, and whether all there do."""
    if not isinstance(demand, Mapping):
        return None
    ends: dict[str, tuple[bytes, bool]] = {}
    n_ends = 0
    for operator, value in demand.items():
        if operator in _ENDS:
            key = range_key(value)
            if key is None:
                return None
            n_ends += 1
            ends[operator[1]] = key, operator.endswith("e")
    ranks = {key[0] for key, _ in ends.values()}
    if len(ranks) != 1:
        return None
    (rank,) = ranks
    low, has_low = ends.get("g", (None, True))
    high, has_high = ends.get("l", (None, True))
    # NaN lies before all numbers, and is not less than any.
    is_exact = n_ends == len(demand) == len(ends) and (low is not None or rank != NUMBER[0])
    return KeyRange(rank, low, high, has_low, has_high), is_exact
