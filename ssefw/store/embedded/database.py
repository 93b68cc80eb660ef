"""The database of an embedded store: its collections by name, in one folder.

The folder has ``store.sqlite`` (documents) and ``blobs`` (frames of trajectories).
"""

from typing import Any, Self

import mongomock

from ssefw.errors import StoreError
from ssefw.store.address import Address
from ssefw.store.embedded.collection import EmbeddedCollection
from ssefw.store.embedded.sqlite import DocumentFile
from ssefw.store.server.client import DATABASE

__all__ = ["EmbeddedDatabase", "open_database"]

_Database: Any = mongomock.Database


class EmbeddedDatabase(_Database):  # type: ignore[misc]
    """The collections of one embedded store."""

    def __init__(self, address: Address, file: DocumentFile) -> None:
        super().__init__(mongomock.MongoClient(), DATABASE, None)
        self.address = address
        self.file = file

    def get_collection(self, name: str, *_: Any, **__: Any) -> EmbeddedCollection:
        """Return a collection; it begins to exist with its first document or index."""
        collections: dict[str, EmbeddedCollection] = self._collection_accesses
        if name not in collections:
            self._ensure_valid_collection_name(name)
            collections[name] = EmbeddedCollection(self, name, self.file)
        return collections[name]

    def list_collection_names(self, *_: Any, **__: Any) -> list[str]:
        """Return the names of the collections that exist."""
        with self.file.transaction():
            return sorted(self.file.tables())

    def drop_collection(self, name_or_collection: Any, session: Any = None) -> None:
        """Forget a collection and its indices."""
        if isinstance(name_or_collection, str):
            name_or_collection = self[name_or_collection]
        name_or_collection.drop(session)

    def create_collection(self, name: str, **_: Any) -> EmbeddedCollection:
        """Make an empty collection."""
        with self.file.transaction(write=True):
            if name in self.file.tables():
                raise mongomock.CollectionInvalid(f"collection {name} already exists")
            self.file.make_table(name)
        return self.get_collection(name)

    def rename_collection(self, name: str, *_: Any, **__: Any) -> None:
        """Refuse: nothing that uses this store renames collections."""
        raise NotImplementedError(f"an embedded store does not rename collections ({name})")

    def with_options(self, *_: Any, **__: Any) -> Self:
        """Return the database itself: there are no read or write concerns to choose."""
        return self


def open_database(
    address: Address, *, read_only: bool = False, create: bool = False
) -> EmbeddedDatabase:
    """Open the embedded store of a folder.

    Raises
    ------
    StoreError
        If the folder is missing and is not to be made, is somebody else's, or cannot be used.
    """
    folder = address.folder
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file: a store needs a folder, give another path.")
    if not address.file.exists():
        if read_only or not create:
            raise StoreError(f"There is no store in {folder}: check the path, or run a campaign.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {folder} cannot be made ({error.strerror}): choose one you may "
                "write to."
            ) from error
    file = DocumentFile(address.file, read_only=read_only)
    try:
        file.open(create=create)
    except BaseException:
        file.close()
        raise
    return EmbeddedDatabase(address, file)
