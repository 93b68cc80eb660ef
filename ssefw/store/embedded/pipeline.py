"""Which fields of a document an aggregation looks at, so that the rest need not be held."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["fields_read"]

Stage = Mapping[str, Any]


def fields_read(stages: Sequence[Stage]) -> set[str] | None:
    """Return the top-level fields that the stages look at, or None if it may be all of them."""
    if "$$" in repr(stages) or any(len(stage) != 1 for stage in stages):
        return None  # a variable, as $$ROOT, which is the whole document; or not a stage
    fields: set[str] = set()
    for stage in stages:
        ((name, content),) = stage.items()
        if name == "$count":
            return fields
        if name == "$group":
            return fields | set(_referred(content))
        if name == "$project" and _is_inclusion(content):
            return fields | set(_referred(content)) | _tops(content)
        if name in {"$set", "$addFields"}:
            fields |= set(_referred(content)) | _tops(content)
        elif name == "$sort":
            fields |= _tops(content)
        elif name not in {"$limit", "$skip"}:
            return None
    return None


def _is_inclusion(projection: Mapping[str, Any]) -> bool:
    return any(bool(value) for name, value in projection.items() if name != "_id")


def _tops(names: Mapping[str, Any]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def _referred(expression: Any) -> Iterator[str]:
    """Yield the top-level fields that an expression names, as in ``"$spec._priority"``."""
    if isinstance(expression, str) and expression.startswith("$"):
        yield expression[1:].partition(".")[0]
    elif isinstance(expression, Mapping):
        for part in expression.values():
            yield from _referred(part)
    elif isinstance(expression, list | tuple):
        for part in expression:
            yield from _referred(part)
