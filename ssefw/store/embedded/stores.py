"""FireWorks' launch pad and maggma's store over an embedded database."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Self

from maggma.stores import MemoryStore

from ssefw.errors import StoreError
from ssefw.store.address import Address
from ssefw.store.embedded.database import EmbeddedDatabase, open_database
from ssefw.store.launchpad import OpenLaunchPad

__all__ = ["EmbeddedLaunchPad", "EmbeddedStore"]


class EmbeddedLaunchPad(OpenLaunchPad):
    """FireWorks' LaunchPad over an embedded database.

    Every operation that writes is one transaction: a worker that is killed in the middle leaves
    neither half a workflow nor a locked one. There is no GridFS fallback since there is no limit
    of 16 MB a document.
    """

    def __init__(self, database: EmbeddedDatabase, *, strm_lvl: str = "ERROR") -> None:
        super().__init__(database, host=str(database.address), strm_lvl=strm_lvl)

    def ping_launch(self, *args: Any, **kwargs: Any) -> None:
        """Say that a launch is alive, unless the connection has been closed."""
        try:
            with self.db.file.transaction(write=True):
                super().ping_launch(*args, **kwargs)
        except StoreError:
            # FireWorks' ping thread may end after its job, when all is over.
            if not self.db.file.is_closed:
                raise

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` needs to open the same store."""
        return {"folder": str(self.db.address), "strm_lvl": self.strm_lvl}

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Self:
        """Open the store of `to_dict`."""
        return cls(open_database(Address(d["folder"])), strm_lvl=d["strm_lvl"])


def _atomic(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of LaunchPad as one transaction."""

    @wraps(method)
    def whole(self: EmbeddedLaunchPad, *args: Any, **kwargs: Any) -> Any:
        with self.db.file.transaction(write=True):
            try:
                return method(self, *args, **kwargs)
            except RuntimeError as error:
                # FireWorks' way to say that it has marked a workflow as FIZZLED: that must stay.
                failure = error
        raise failure

    return whole


for _name in (  # noqa: SIM905 -- a list of quoted words hides the words
    "add_wf append_wf archive_wf bulk_add_wfs cancel_reservation change_launch_dir checkout_fw "
    "complete_launch defuse_fw defuse_wf delete_fws delete_wf detect_lostruns detect_unreserved "
    "mark_fizzled pause_fw pause_wf reignite_fw reignite_wf rerun_fw restore_backup_data resume_fw "
    "set_reservation_id update_spec _refresh_wf"
).split():
    setattr(EmbeddedLaunchPad, _name, _atomic(getattr(OpenLaunchPad, _name)))


class EmbeddedStore(MemoryStore):
    """A maggma store over one collection of an embedded database.

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
    def over(cls, database: EmbeddedDatabase, collection_name: str) -> Self:
        """Return a store that shares the connection of a database."""
        store = cls(str(database.address), collection_name)
        store._database = database
        return store

    @property
    def name(self) -> str:
        """Where the store is."""
        return f"{self.folder}/{self.collection_name}"

    def connect(self, force_reset: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 -- maggma's
        """Open the folder unless it is open."""
        if self._database is None:
            self._database = open_database(Address(self.folder))
        self._coll: Any = self._database[self.collection_name]

    def distinct(self, field: str, criteria: Any = None, all_exist: bool = False) -> list[Any]:  # noqa: FBT001, FBT002 -- maggma's
        """Return the values of a field; those of all documents come from its index."""
        texts = self._coll.texts(field) if not criteria else None
        if texts is not None:
            return sorted(texts)
        found: list[Any] = super().distinct(field, criteria, all_exist)
        return found

    def close(self) -> None:
        """Let go of the collection; the folder stays open for those who share it."""
        self._coll = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EmbeddedStore) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)
