"""Going on where a MongoDB server stopped answering: operations are tried again until it is back.

Between the first and the last write of FireWorks' operations a workflow is locked, or a job taken
that nobody runs yet. Who gives up there leaves it so; hence each single operation is tried again
in place. Where the connection broke after an operation was sent, nobody knows whether it was done:
most may be done twice without harm, insertions skip what has arrived, and what takes or locks a
document leaves a mark on it by which it is found again.

pymongo's own retries need a replica set, and last for one attempt.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, TypeVar

from bson import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, DuplicateKeyError

__all__ = ["MARK", "NO_PATIENCE", "Patience", "PatientDatabase"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

MARK = "_taken_by"
PAUSE_SECONDS = 0.5
REMINDER_SECONDS = 60.0
LAST_SECONDS = 20.0
"""How much longer who was asked to stop tries to write down what it has."""

_Collection: Any = Collection
_Cursor: Any = Cursor
_Database: Any = Database


@dataclass(frozen=True)
class Patience:
    """For how long a server may stay away.

    Attributes
    ----------
    seconds
        Of one outage.
    stop
        Set when this process is asked to end.
    """

    seconds: float
    stop: threading.Event | None = None

    def keep_trying(self, attempt: Callable[[], T], *, again: Callable[[], T] | None = None) -> T:
        """Return what an attempt returns, repeated while the server does not answer.

        Parameters
        ----------
        again
            What to do instead from the second time on, when the first may have arrived.
        """
        began, reminded, asked = time.monotonic(), 0.0, None
        is_first = True
        while True:
            try:
                result = attempt() if is_first or again is None else again()
            except ConnectionFailure as error:
                now = time.monotonic()
                if asked is None and self.stop is not None and self.stop.is_set():
                    asked = now
                end = began + self.seconds
                if asked is not None:
                    end = min(end, asked + LAST_SECONDS)
                if now >= end:
                    raise
                if not reminded or now - reminded > REMINDER_SECONDS:
                    reminded = now
                    reason = str(error).partition(", Timeout")[0].partition(" (configured")[0]
                    logger.warning(
                        "The database does not answer (%s); trying for another %.0f s.",
                        reason,
                        end - now,
                    )
                is_first = False
                time.sleep(min(PAUSE_SECONDS, self.seconds))
            else:
                if reminded:
                    logger.warning(
                        "The database answers again after %.0f s.", time.monotonic() - began
                    )
                return result


NO_PATIENCE = Patience(0.0)


class PatientDatabase(_Database):  # type: ignore[misc]
    """A database whose collections try again while the server does not answer."""

    def __init__(self, client: MongoClient[dict[str, Any]], name: str, patience: Patience) -> None:
        super().__init__(client, name)
        self.patience = patience

    def __getitem__(self, name: str) -> "PatientCollection":
        return PatientCollection(self, name)

    def get_collection(self, name: str, *args: Any, **options: Any) -> "PatientCollection":
        """Return a collection."""
        return PatientCollection(self, name, False, *args, **options)  # noqa: FBT003 -- pymongo's


class PatientCursor(_Cursor):  # type: ignore[misc]
    """A cursor that asks again as long as nothing of the answer has been handed out."""

    def next(self) -> Any:
        """Return the next document."""
        patience: Patience = self.collection.database.patience
        if self.retrieved:
            return super().next()
        return patience.keep_trying(super().next, again=self._anew)

    __next__ = next  # noqa: A003 -- the method above

    def _anew(self) -> Any:
        self.rewind()
        return super().next()


class PatientCollection(_Collection):  # type: ignore[misc]
    """A collection that tries again while the server does not answer."""

    def __getitem__(self, name: str) -> "PatientCollection":
        return PatientCollection(self.database, f"{self.name}.{name}")

    def find(self, *args: Any, **options: Any) -> PatientCursor:
        """Return a cursor over the documents that match."""
        return PatientCursor(self, *args, **options)

    def insert_one(self, document: Any, *args: Any, **options: Any) -> Any:
        """Insert a document once."""
        document.setdefault("_id", ObjectId())
        insert = partial(super().insert_one, document, *args, **options)

        def again() -> Any:
            try:
                return insert()
            except DuplicateKeyError:
                if self.find_one({"_id": document["_id"]}, {"_id": True}) is None:
                    raise
                return None

        return self.database.patience.keep_trying(insert, again=again)

    def insert_many(self, documents: Iterable[Any], *args: Any, **options: Any) -> Any:
        """Insert documents once each."""
        documents = list(documents)
        for document in documents:
            document.setdefault("_id", ObjectId())
        insert = partial(super().insert_many, *args, **options)

        def again() -> Any:
            wanted = [document["_id"] for document in documents]
            there = set(self.distinct("_id", {"_id": {"$in": wanted}}))
            rest = [document for document in documents if document["_id"] not in there]
            return insert(rest) if rest else None

        return self.database.patience.keep_trying(partial(insert, documents), again=again)

    def find_one_and_update(
        self,
        filter: Mapping[str, Any],  # noqa: A002 -- pymongo's name
        update: Any,
        *args: Any,
        **options: Any,
    ) -> Any:
        """Change a document and return it; a document that this took is found by its mark."""
        if not (isinstance(update, Mapping) and "$set" in update):
            change = partial(super().find_one_and_update, filter, update, *args, **options)
            return self.database.patience.keep_trying(change)
        mark = ObjectId()
        marked = {**update, "$set": {**update["$set"], MARK: mark}}
        change = partial(super().find_one_and_update, filter, marked, *args, **options)

        def again() -> Any:
            taken = self.find_one({MARK: mark})
            return change() if taken is None else taken

        return self.database.patience.keep_trying(change, again=again)


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of pymongo's Collection that may be done twice without harm."""

    @wraps(method)
    def tried_again(self: PatientCollection, *args: Any, **options: Any) -> Any:
        return self.database.patience.keep_trying(partial(method, self, *args, **options))

    return tried_again


for _name in (  # noqa: SIM905 -- a list of quoted words hides the words
    "aggregate bulk_write count_documents create_index delete_many delete_one distinct drop "
    "drop_index estimated_document_count find_one_and_delete find_one_and_replace "
    "index_information replace_one update_many update_one"
).split():
    setattr(PatientCollection, _name, _patient(getattr(Collection, _name)))
