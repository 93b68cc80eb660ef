"""The rows of a pool that are ranked, and those that are told of instead."""

from collections.abc import Iterable, Iterator

from ssefw.data.materials import Material
from ssefw.data.pools import Reject

__all__ = ["holding_lithium", "unique"]


def holding_lithium(
    rows: Iterable[Material | Reject], without: list[str]
) -> Iterator[Material | Reject]:
    """Yield rows but those without lithium, since all labels are of lithium conductors."""
    for row in rows:
        if isinstance(row, Material) and "Li" not in row.composition:
            without.append(row.name)
        else:
            yield row


def unique(
    rows: Iterable[Material | Reject], rejects: list[Reject], repeated: list[str]
) -> Iterator[Material]:
    """Yield the first material of each name; what else there is goes to the lists."""
    seen: set[str] = set()
    for row in rows:
        if isinstance(row, Reject):
            rejects.append(row)
        elif row.name in seen:
            repeated.append(row.name)
        else:
            seen.add(row.name)
            yield row
