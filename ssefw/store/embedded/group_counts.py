"""Counts by group, read from the keys of an index without a look at any document.

How a campaign of thousands of jobs stands is a question of this kind: how many jobs of which name
are in which state. Where the keys cannot tell for certain, the answer is None, and whoever asked
reads the documents.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ssefw.store.embedded.indices import Index, conditions
from ssefw.store.embedded.keys import OUTSIDE, split_texts
from ssefw.store.embedded.records import CollectionRecords

__all__ = ["grouped_counts"]


def grouped_counts(
    records: CollectionRecords, match: Mapping[str, Any], group: Mapping[str, Any]
) -> list[dict[str, Any]] | None:
    """Return what ``[{"$match": match}, {"$group": group}]`` does, if an index knows it.

    That is the case if the match demands one text of some fields, the group counts by others, all
    are texts, and an index has first the fields of the match and then those of the group.
    """
    labels = _labels(group.get("_id"))
    counts = [name for name, what in group.items() if name != "_id" and what == {"$sum": 1}]
    prefixes = _prefixes(match)
    if labels is None or prefixes is None or len(counts) != 1 or len(group) != 2:
        return None
    fields = list(labels.values())
    index = _index(records, list(prefixes), fields)
    if index is None:
        return None
    order = [field for field, _ in index.fields]
    prefix = b"".join(prefixes[field] for field in order[: len(prefixes)])
    query = f"SELECT key, count(*) FROM {index.table} WHERE key >= ? AND key < ? GROUP BY key"
    total: Counter[tuple[str, ...]] = Counter()
    for key, count in records.connection.execute(query, (prefix, prefix + OUTSIDE)):
        texts = split_texts(key[len(prefix) :])
        if texts is None:
            return None
        at = dict(zip(order[len(prefixes) :], texts, strict=True))
        total[tuple(at[field] for field in fields)] += count
    is_plain = isinstance(group["_id"], str)
    return [
        {"_id": found[0] if is_plain else dict(zip(labels, found, strict=True)), counts[0]: count}
        for found, count in total.items()
    ]


def _labels(identity: Any) -> dict[str, str] | None:
    """Return the fields of a group's identity by their labels."""
    named = identity if isinstance(identity, Mapping) else {"": identity}
    fields = {label: field for label, field in named.items() if isinstance(field, str)}
    if len(fields) < len(named) or not all(field[:1] == "$" != field[1:2] for field in
                                           fields.values()):  # fmt: skip
        return None
    return {label: field[1:] for label, field in fields.items()}


def _prefixes(match: Mapping[str, Any]) -> dict[str, bytes] | None:
    """Return the one key that is demanded of each field, if the match says nothing else."""
    demands, is_complete = conditions(match)
    found = {}
    for demand in demands:
        field, keys = demand.alternatives[0]
        if len(demand.alternatives) > 1 or len(keys) != 1 or split_texts(keys[0]) is None:
            return None
        found[field] = keys[0]
    return found if is_complete and len(found) == len(demands) else None


def _index(records: CollectionRecords, demanded: list[str], fields: list[str]) -> Index | None:
    """Return an index over the demanded fields, these fields, and perhaps further ones."""
    for index in records.table.indices.values():
        order = [field for field, _ in index.fields]
        n = len(demanded)
        if (
            all(direction == 1 for _, direction in index.fields)
            and set(order[:n]) == set(demanded)
            and set(fields) <= set(order[n:])
            and not records.has_outsiders(index.table)
        ):
            return index
    return None
