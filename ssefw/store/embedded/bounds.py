"""The part of an index in which all documents lie that some conditions allow.

As in MongoDB, the first fields of an index are held at the values that are asked for, and a range
of the next one may follow; behind that, an index tells nothing more about what matches. What is
left of it is in the order of the fields behind those that have one value.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from ssefw.store.embedded.indices import Condition, Index
from ssefw.store.embedded.keys import OUTSIDE, invert_key

__all__ = ["MANY_SPANS", "Bounds", "Span", "bounds"]

Span = tuple[bytes, bytes | None]
"""The first key and the first behind; or one key and None."""

MANY_SPANS = 4096
"""Conditions that ask for more combinations of values are not looked up together."""


class Bounds(NamedTuple):
    """Spans of an index's keys.

    Attributes
    ----------
    spans
        Without overlap.
    covers
        Numbers of the conditions that every document in the spans is likely to meet.
    n_fixed
        So many first fields of the index have one value.
    """

    spans: tuple[Span, ...]
    covers: frozenset[int]
    n_fixed: int = 0


def bounds(
    index: Index, conditions: Sequence[Condition], *, ranges: bool = True, several: bool = True
) -> Bounds:
    """Return the part of an index that conditions of one field each allow; perhaps all of it.

    Parameters
    ----------
    ranges
        Whether a range of a field may be used: not in an index of documents with lists, of which
        one element may lie above the lower end and another below the upper one.
    several
        Whether a field may have several values.
    """
    prefixes = [b""]
    covers: set[int] = set()
    n_fixed, n_used = 0, 0
    for field, direction in index.fields:
        number = _condition_on(field, conditions, is_range=False)
        if number is None:
            break
        keys = conditions[number].alternatives[0][1]
        if len(keys) != 1 and (not several or len(prefixes) * len(keys) > MANY_SPANS):
            break
        turned = [invert_key(key) for key in keys] if direction < 0 else keys
        prefixes = [prefix + key for prefix, key in product(prefixes, turned)]
        covers.add(number)
        n_used += 1
        n_fixed += len(keys) == 1 and n_fixed == n_used - 1
    if n_used == len(index.fields):
        spans: list[Span] = [(prefix, None) for prefix in prefixes]
        return Bounds(tuple(spans), frozenset(covers), n_fixed)
    field, direction = index.fields[n_used]
    number = _condition_on(field, conditions, is_range=True) if ranges else None
    low, high = b"", OUTSIDE
    if number is not None and (ends := conditions[number].range) is not None:
        low, high = ends.span(direction)
        covers.add(number)
    spans = [(prefix + low, prefix + high) for prefix in prefixes]
    return Bounds(tuple(spans), frozenset(covers), n_fixed)


def _condition_on(field: str, conditions: Sequence[Condition], *, is_range: bool) -> int | None:
    """Return the number of the first condition on a field and no other."""
    for number, condition in enumerate(conditions):
        if (
            len(condition.alternatives) == 1
            and condition.alternatives[0][0] == field
            and (condition.range is not None) == is_range
        ):
            return number
    return None
