"""Which fields of a document are given out, where a question names those that it wants.

mongomock copies what it gives out value by value; a document that was just read from the file needs
no copy, and thousands of them no plan each.
"""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["included", "wanted_fields"]

Wanted = dict[str, Any]
"""Fields by name: True for all of it, or the fields within it."""


def wanted_fields(projection: Any) -> Wanted | None:
    """Return the fields that a projection includes; None if it says anything else."""
    if isinstance(projection, Sequence) and not isinstance(projection, str):
        projection = dict.fromkeys(projection, True)
    if not isinstance(projection, Mapping):
        return None
    names = dict(projection)
    has_id = names.pop("_id", True)
    if not names or not all(value in (1, True) for value in (*names.values(), has_id or True)):
        return None
    wanted: Wanted = {"_id": True} if has_id else {}
    for name in names:
        *parents, last = name.split(".")
        place: Any = wanted
        for parent in parents:
            place = place.setdefault(parent, {})
            if place is True:
                return None  # of which all is wanted by another name: mongomock says what is wrong
        if last in place or "$" in name:
            return None
        place[last] = True
    return wanted


def included(document: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Return the wanted fields of a document, in its order."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        part = wanted.get(name)
        if part is True:
            found[name] = value
        elif part is not None and isinstance(value, dict):
            found[name] = included(value, part)
        elif part is not None and isinstance(value, list):
            found[name] = [included(item, part) for item in value if isinstance(item, dict)]
    return found
