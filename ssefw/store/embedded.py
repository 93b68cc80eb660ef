"""An embedded store: FireWorks' LaunchPad and jobflow's documents in one folder, without a server.

The folder has ``store.sqlite`` (documents) and ``blobs`` (frames of trajectories).
"""

from pathlib import Path
from typing import Any, Self

import mongomock
from fireworks import LaunchPad
from fireworks.utilities.fw_utilities import get_fw_logger
from maggma.stores import MemoryStore

from ssefw.errors import StoreError
from ssefw.store.collection import EmbeddedCollection
from ssefw.store.sqlite import DocumentFile

__all__ = ["EmbeddedDatabase", "EmbeddedLaunchPad", "EmbeddedStore", "open_folder"]

DATABASE = "ssefw"
FILE = "store.sqlite"


class EmbeddedDatabase(mongomock.Database):  # type: ignore[misc]
    """The collections of one embedded store."""

    def __init__(self, file: DocumentFile) -> None:
        super().__init__(mongomock.MongoClient(), DATABASE, None)
        self.file = file

    def get_collection(self, name: str, *args: Any, **kwargs: Any) -> EmbeddedCollection:
        """Return a collection; it begins to exist with its first document or index."""
        if name not in self._collection_accesses:
            self._ensure_valid_collection_name(name)
            self._collection_accesses[name] = EmbeddedCollection(self, name, self.file)
        return self._collection_accesses[name]

    def list_collection_names(self, *args: Any, **kwargs: Any) -> list[str]:
        """Return the names of the collections that exist."""
        with self.file.transaction():
            return sorted(self.file.tables())

    def drop_collection(self, name_or_collection: Any, session: Any = None) -> None:
        """Forget a collection and its indices."""
        if isinstance(name_or_collection, str):
            name_or_collection = self[name_or_collection]
        name_or_collection.drop()

    def create_collection(self, name: str, **kwargs: Any) -> EmbeddedCollection:
        """Make an empty collection."""
        with self.file.transaction(write=True):
            if self.file.table(name) is not None:
                raise mongomock.CollectionInvalid(f"collection {name} already exists")
            self.file.make_table(name)
        return self[name]

    def rename_collection(self, name: str, new_name: str, **kwargs: Any) -> None:
        """Refuse: nothing that uses this store renames collections."""
        raise NotImplementedError("an embedded store does not rename collections")

    def with_options(self, *args: Any, **kwargs: Any) -> Self:
        """Return the database itself: there are no read or write concerns to choose."""
        return self


class EmbeddedLaunchPad(LaunchPad):  # type: ignore[misc]
    """FireWorks' LaunchPad over an embedded store.

    There is no GridFS fallback since there is no limit of 16 MB a document.
    """

    def __init__(self, database: EmbeddedDatabase, *, strm_lvl: str = "ERROR") -> None:
        # LaunchPad's own constructor can do nothing but dial a server: it is left out.
        self.folder = str(database.file.path.parent)
        self.host, self.port, self.name = self.folder, None, DATABASE
        self.username = self.password = self.authsource = None
        self.uri_mode = False
        self.mongoclient_kwargs: dict[str, Any] = {}
        self.logdir = None
        self.strm_lvl = strm_lvl
        self.m_logger = get_fw_logger("launchpad", l_dir=None, stream_level=strm_lvl)
        self.user_indices: list[str] = []
        self.wf_user_indices: list[str] = []
        self.connection = database.client
        self.db = database
        self.fireworks = database.fireworks
        self.launches = database.launches
        self.offline_runs = database.offline_runs
        self.fw_id_assigner = database.fw_id_assigner
        self.workflows = database.workflows
        self.gridfs_fallback = None
        self.backup_launch_data: dict[int, Any] = {}
        self.backup_fw_data: dict[int, Any] = {}

    def tuneup(self, bkground: bool = True) -> None:  # noqa: FBT001, FBT002 -- FireWorks' signature
        """Make the indices that FireWorks' questions use."""
        super().tuneup(bkground)
        # "The next to run" is the READY one of the highest priority.
        self.fireworks.create_index([("state", 1), ("spec._priority", -1)])
        self.fireworks.create_index([("state", 1), ("spec._priority", -1), ("created_on", 1)])
        self.fireworks.create_index([("state", 1), ("spec._priority", -1), ("created_on", -1)])
        self.workflows.create_index("state")
        self.offline_runs.create_index("launch_id")

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` needs to open the same store."""
        return {"folder": self.folder, "strm_lvl": self.strm_lvl}

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Self:
        """Open the store of `to_dict`."""
        return cls(open_folder(Path(d["folder"])), strm_lvl=d["strm_lvl"])


class EmbeddedStore(MemoryStore):  # type: ignore[misc]
    """A maggma store over one collection of an embedded store.

    Parameters
    ----------
    folder
        Folder of the embedded store.
    collection_name
        The collection.
    """

    def __init__(self, folder: str, collection_name: str, **kwargs: Any) -> None:
        super().__init__(collection_name, **kwargs)
        self.folder = folder
        self._database: EmbeddedDatabase | None = None

    @classmethod
    def from_database(cls, database: EmbeddedDatabase, collection_name: str) -> Self:
        """Return a store that shares the connection of a database."""
        store = cls(str(database.file.path.parent), collection_name)
        store._database = database
        return store

    @property
    def name(self) -> str:
        """Where the store is."""
        return f"{self.folder}/{self.collection_name}"

    def connect(self, force_reset: bool = False) -> None:  # noqa: FBT001, FBT002 -- maggma's
        """Open the folder unless it is open."""
        if self._database is None:
            self._database = open_folder(Path(self.folder))
        self._coll = self._database[self.collection_name]

    def close(self) -> None:
        """Let go of the collection; the folder stays open for those who share it."""
        self._coll = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EmbeddedStore) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def open_folder(folder: Path, *, read_only: bool = False, create: bool = False) -> EmbeddedDatabase:
    """Open the embedded store of a folder.

    Raises
    ------
    StoreError
        If the folder is missing and is not to be made, is somebody else's, or cannot be used.
    """
    path = folder / FILE
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file: a store needs a folder, give another path.")
    if not path.exists():
        if read_only or not create:
            raise StoreError(f"There is no store in {folder}: check the path, or run a campaign.")
        _make(folder)
    file = DocumentFile(path, read_only=read_only)
    try:
        file.open(create=create)
    except BaseException:
        file.close()
        raise
    return EmbeddedDatabase(file)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} cannot be made ({error.strerror}): choose one you may write to."
        ) from error
