"""maggma's stores over a database on a server that is open already."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Self

from gridfs import GridFS
from maggma.stores import GridFSStore, MongoStore

from ssefw.store.server.patience import NO_PATIENCE, Patience, PatientDatabase

__all__ = ["PatientGridFSStore", "documents_over"]


def documents_over(database: PatientDatabase, name: str, *, uri: str) -> MongoStore:
    """Return the store of a collection."""
    store: MongoStore = MongoStore.from_uri(uri, name, database=database.name)
    store._coll = database[name]  # type: ignore[assignment]  # noqa: SLF001 -- as `connect` does
    return store


class PatientGridFSStore(GridFSStore):
    """Documents as files; each operation is repeated as a whole while the server is away."""

    _patience: Patience = NO_PATIENCE

    @classmethod
    def over(cls, database: PatientDatabase, name: str, *, uri: str) -> Self:
        """Return the store of a bucket."""
        store: Self = cls.from_uri(uri, name, database=database.name, compression=True)
        store._patience = database.patience
        # What `connect` would set.
        store._coll = GridFS(database, name)
        store._files_collection = database[f"{name}.files"]
        files: MongoStore = MongoStore.from_collection(store._files_collection)
        files.last_updated_field = f"metadata.{store.last_updated_field}"
        files.key = store.key
        store._fs = files  # type: ignore[assignment]  # maggma declares it as None
        store._chunks_collection = database[f"{name}.chunks"]
        return store

    def update(self, *args: Any, **options: Any) -> None:
        """Write documents; older versions go when the new ones are complete."""
        self._patience.keep_trying(partial(super().update, *args, **options))

    def query(self, *args: Any, **options: Any) -> Iterator[dict[str, Any]]:
        """Yield documents."""
        ask = super().query
        yield from self._patience.keep_trying(lambda: list(ask(*args, **options)))

    def remove_docs(self, criteria: dict[str, Any]) -> None:
        """Forget documents."""
        self._patience.keep_trying(partial(super().remove_docs, criteria))
