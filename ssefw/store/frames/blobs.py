"""Byte strings by key: frames of trajectories, kept outside of the documents."""

import logging
import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote
from weakref import finalize

from ssefw.errors import StoreError
from ssefw.store.address import Address
from ssefw.store.checksum import sealed, unsealed
from ssefw.store.sharing import file_mode, make_folders

if TYPE_CHECKING:
    from ssefw.store.server.patience import PatientDatabase

__all__ = ["BlobError", "BlobStore", "FileBlobs", "GridFSBlobs", "open_blobs"]

logger = logging.getLogger(__name__)

_TEMPORARY = ".part"
_GONE = "is not there"


class BlobError(StoreError):
    """A blob is not there, or is not what was stored.

    Attributes
    ----------
    key
        Which one.
    why
        In a few words.
    """

    def __init__(self, key: str, why: str, *, place: object) -> None:
        super().__init__(
            f"Blob {key!r} in {place} {why}: `ssefw store check` lists what else is, and what is "
            "computed again."
        )
        self.key = key
        self.why = why


class BlobStore(ABC):
    """Byte strings by key, for example ``trajectories/<hash>/000012``, each with a checksum."""

    place: object
    """What to call it in messages."""

    def put(self, key: str, payload: bytes) -> None:
        """Keep a byte string; afterwards all of it is there, before nothing of it."""
        _check_key(key)
        self.write_stored(key, sealed(key, payload))

    def get(self, key: str) -> bytes:
        """Return a byte string.

        Raises
        ------
        BlobError
            If there is none, or it is not what was put.
        """
        stored = self.read_stored(key)
        try:
            return unsealed(key, stored)
        except ValueError as error:
            raise BlobError(key, f"is damaged ({error})", place=self.place) from error

    def get_sound(self, key: str) -> bytes | None:
        """Return a byte string that can be computed again; None if there is none.

        One that is damaged is not there; a warning names it.
        """
        if not self.exists(key):
            return None
        try:
            return self.get(key)
        except BlobError as error:
            logger.warning("Blob %r %s; what it held is computed again.", key, error.why)
            return None

    @abstractmethod
    def write_stored(self, key: str, stored: bytes) -> None:
        """Keep bytes as they are, in the place of those before: all of them or none."""

    @abstractmethod
    def read_stored(self, key: str) -> bytes:
        """Return the bytes of a key as they are; BlobError if there are none."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is a byte string of this key."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Forget a byte string; no error if there is none."""

    @abstractmethod
    def size(self, key: str) -> int:
        """Return how many bytes are stored for a key; 0 if there is none."""

    @abstractmethod
    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with a prefix, sorted."""


class FileBlobs(BlobStore):
    """Blobs as files below a folder, one a key.

    Parameters
    ----------
    folder
        Made with the first blob.
    shared
        The folder whose mode says who may read and write them; this folder itself if None.
    """

    def __init__(
        self, folder: Path, *, read_only: bool = False, shared: Path | None = None
    ) -> None:
        self.folder = self.place = folder
        self.read_only = read_only
        self.shared = shared or folder

    def write_stored(self, key: str, stored: bytes) -> None:
        """Write to a temporary file, force it to disk, and rename it."""
        self._check_writable()
        path = self._path(key)
        try:
            make_folders(path.parent, like=self.shared)
            descriptor, name = tempfile.mkstemp(suffix=_TEMPORARY, dir=path.parent)
            temporary = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    os.fchmod(descriptor, file_mode(self.shared))
                    stream.write(stored)
                    stream.flush()
                    os.fsync(descriptor)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync(path.parent)
        except OSError as error:
            raise StoreError(
                f"Blob {key!r} ({len(stored)} bytes) was not written to {self.folder} "
                f"({error.strerror}): free space or make the folder writable, and run again."
            ) from error

    def read_stored(self, key: str) -> bytes:
        """Return the bytes of a file."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise BlobError(key, _GONE, place=self.place) from error
        except OSError as error:
            raise StoreError(
                f"Blob {key!r} in {self.folder} cannot be read ({error.strerror}): check its "
                "permissions and the disk."
            ) from error

    def exists(self, key: str) -> bool:
        """Whether there is a byte string of this key."""
        return self._path(key).is_file()

    def size(self, key: str) -> int:
        """Return how many bytes are stored for a key; 0 if there is none."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return 0

    def delete(self, key: str) -> None:
        """Forget a byte string; no error if there is none."""
        self._check_writable()
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"Blob {key!r} in {self.folder} cannot be deleted ({error.strerror}): make the "
                "folder writable."
            ) from error

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with a prefix, sorted."""
        below = self._path(prefix.rpartition("/")[0]) if "/" in prefix else self.folder
        found = (
            "/".join(unquote(part) for part in path.relative_to(self.folder).parts)
            for path in below.rglob("*")
            if path.is_file() and path.suffix != _TEMPORARY
        )
        yield from sorted(key for key in found if key.startswith(prefix))

    def _path(self, key: str) -> Path:
        _check_key(key)
        return self.folder.joinpath(*(quote(part, safe=" +=@,") for part in key.split("/")))

    def _check_writable(self) -> None:
        if self.read_only:
            raise StoreError(
                f"The store {self.folder.parent} was opened read-only: connect without read_only "
                "to change it."
            )


class GridFSBlobs(BlobStore):
    """Blobs in a MongoDB database, in pieces as GridFS keeps them."""

    def __init__(self, database: "PatientDatabase", *, read_only: bool = False) -> None:
        from gridfs import GridFS  # noqa: PLC0415 -- checks the database's type when it is made

        self._fs = GridFS(database, "blobs")
        self.place = database.name
        self._patience = database.patience
        self.read_only = read_only

    def write_stored(self, key: str, stored: bytes) -> None:
        """Write a new version, which counts from when it is complete; then drop older ones."""
        self._check_writable()

        def write() -> None:
            older = [item._id for item in self._fs.find({"filename": key})]  # noqa: SLF001
            self._fs.put(stored, filename=key)
            for identity in older:
                self._fs.delete(identity)

        self._patience.keep_trying(write)

    def read_stored(self, key: str) -> bytes:
        """Return the bytes of the last version."""
        from gridfs import NoFile  # noqa: PLC0415
        from gridfs.errors import CorruptGridFile  # noqa: PLC0415

        try:
            return self._patience.keep_trying(lambda: self._fs.get_last_version(key).read())
        except NoFile as error:
            raise BlobError(key, _GONE, place=self.place) from error
        except CorruptGridFile as error:
            raise BlobError(key, f"is damaged ({error})", place=self.place) from error

    def exists(self, key: str) -> bool:
        """Whether there is a byte string of this key."""
        return self._patience.keep_trying(lambda: self._fs.exists(filename=key))

    def size(self, key: str) -> int:
        """Return how many bytes are stored for a key; 0 if there is none."""
        found = self._patience.keep_trying(lambda: list(self._fs.find({"filename": key})))
        return int(found[-1].length) if found else 0

    def delete(self, key: str) -> None:
        """Forget a byte string; no error if there is none."""
        self._check_writable()

        def forget() -> None:
            for item in list(self._fs.find({"filename": key})):
                self._fs.delete(item._id)  # noqa: SLF001

        self._patience.keep_trying(forget)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with a prefix, sorted."""
        pattern = {"filename": {"$regex": f"^{re.escape(prefix)}"}}
        found = self._patience.keep_trying(lambda: {f.filename for f in self._fs.find(pattern)})
        yield from sorted(found)

    def _check_writable(self) -> None:
        if self.read_only:
            raise StoreError("The store was opened read-only: connect without read_only.")


def open_blobs(
    address: str | Path,
    *,
    read_only: bool = False,
    timeout: float = 5.0,
    patience: float = 0.0,
    stop: Event | None = None,
) -> BlobStore:
    """Open only the blobs of a store, which costs next to nothing for a folder.

    Parameters
    ----------
    address
        As `connect` takes it.
    timeout
        Seconds until a server that does not answer is given up.
    patience, stop
        As `connect` takes them.

    Raises
    ------
    StoreError
        If there is no store at the address.
    """
    place = Address(address)
    if place.blob_folder is not None:
        if not place.is_server and not place.file.exists():
            raise StoreError(
                f"There is no store in {place.folder}: check the path, or run a campaign."
            )
        return FileBlobs(place.blob_folder, read_only=read_only, shared=place.shared_folder)
    # pymongo is not needed for a folder
    from ssefw.store.server.client import dial  # noqa: PLC0415
    from ssefw.store.server.patience import Patience  # noqa: PLC0415

    database = dial(place, timeout=timeout, patience=Patience(patience, stop))
    blobs = GridFSBlobs(database, read_only=read_only)
    finalize(blobs, database.client.close)
    return blobs


def _check_key(key: str) -> None:
    parts = key.split("/")
    if not key or any(part in {"", ".", ".."} or part.endswith(_TEMPORARY) for part in parts):
        raise ValueError(f"a blob key is names joined by '/', got {key!r}")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
