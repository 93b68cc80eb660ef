"""What a question to an embedded collection returns: documents, read when they are asked for."""

from collections.abc import Iterator, Mapping, MutableMapping
from itertools import islice
from typing import Any, Self

from mongomock import collection as rules
from mongomock import helpers
from mongomock.filtering import filter_applies

from ssefw.store.embedded.cutting import Cutter, fields_asked
from ssefw.store.embedded.projection import included, wanted_fields

__all__ = ["EmbeddedCursor", "own_projection", "sort_list"]

_Cursor: Any = rules.Cursor

BATCH = 50
"""Documents read in one transaction."""


class EmbeddedCursor(_Cursor):  # type: ignore[misc]
    """pymongo's cursor over an embedded collection.

    With a limit, the answer is one moment of the store. Without, the places of the documents are
    found in one moment and the documents read in batches as the loop goes on: one that has been
    deleted or has ceased to match by then is left out. Nobody waits for a slow loop.
    """

    @classmethod
    def asked(cls, question: Any) -> Self:
        """Return a cursor for the question that mongomock has checked."""
        return cls(
            question.collection,
            question._spec,  # noqa: SLF001 -- one class with its base
            sort_list(question._sort),  # noqa: SLF001
            question._projection,  # noqa: SLF001
            question._skip,  # noqa: SLF001
            question._limit or 0,  # noqa: SLF001
        )

    def clone(self) -> Self:
        """Return a fresh cursor with the same question."""
        return self.asked(self)

    def rewind(self) -> None:
        """Start again."""
        super().rewind()
        self._stream: Iterator[dict[str, Any]] | None = None

    def sort(self, key_or_list: Any, direction: int | None = None) -> Self:
        """Sort by one or several fields."""
        self._sort = sort_list(helpers.create_index_list(key_or_list, direction))
        if not self._sort:
            raise ValueError("key_or_list must not be the empty list")
        return self

    def __next__(self) -> dict[str, Any]:
        if self._stream is None:
            self._stream = self._documents(self._skip, self._limit)
        document = next(self._stream)
        self._emitted += 1
        return document

    next = __next__

    def _compute_results(self, with_limit_and_skip: bool = False) -> list[dict[str, Any]]:  # noqa: FBT001, FBT002
        return list(
            self._documents(self._skip, self._limit)
            if with_limit_and_skip
            else self._documents(0, None)
        )

    def _documents(self, skip: int, limit: int | None) -> Iterator[dict[str, Any]]:
        projection = own_projection(self._projection)
        wanted = wanted_fields(projection)
        asked = fields_asked(self._spec) if wanted is not None else None
        cut = Cutter(wanted, asked) if wanted is not None and asked is not None else None
        for document in self._at_once(skip, abs(limit)) if limit else self._in_batches(skip, cut):
            if projection is None:
                yield document
            elif wanted is not None:
                yield included(document, wanted)
            else:
                yield self.collection._copy_only_fields(document, projection, dict)  # noqa: SLF001

    def _at_once(self, skip: int, limit: int) -> list[dict[str, Any]]:
        with self.collection.file.transaction():
            matches = self.collection.matches(self._spec, self._sort)
            return [record.document for record in islice(matches, skip, skip + limit)]

    def _in_batches(self, skip: int, cut: Cutter | None) -> Iterator[dict[str, Any]]:
        places = iter(self.collection.places(self._spec, self._sort))
        while batch := list(islice(places, BATCH)):
            for document in self.collection.read(batch, cut):
                if filter_applies(self._spec, document):
                    if skip <= 0:
                        yield document
                    skip -= 1


def sort_list(sort: Any) -> list[tuple[str, int]]:
    """Return a sort as pairs of field and direction."""
    if not sort:
        return []
    return list(sort.items()) if isinstance(sort, Mapping) else [tuple(pair) for pair in sort]


def own_projection(projection: Any) -> Any:
    """Return a projection that mongomock may change while it uses it."""
    return dict(projection) if isinstance(projection, MutableMapping) else projection
