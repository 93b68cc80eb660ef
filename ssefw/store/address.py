"""Where a store is: a folder, or a MongoDB URI."""

import re
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from ssefw.errors import StoreError

__all__ = ["Address"]

_SCHEMES = ("mongodb://", "mongodb+srv://")
_BLOBS = re.compile(r"(?<=[?&])blobs=([^&]*)(?:&|$)")


class Address(str):
    """The address of a store; it opens the same store again in another process.

    A folder is made absolute, since a job runs in another directory than its launcher. A MongoDB
    URI may say in ``?blobs=/shared/folder`` that blobs are files there instead of GridFS pieces.

    Raises
    ------
    StoreError
        If it is neither a folder nor a MongoDB URI.
    """

    __slots__ = ()

    def __new__(cls, address: str | Path) -> Self:
        """Check and complete an address."""
        text = str(address).strip()
        if text.startswith(_SCHEMES):
            return super().__new__(cls, text)
        scheme, colon, _ = text.partition("://")
        if colon or not text:
            raise StoreError(
                f"A store address is a folder or a mongodb:// URI, not {scheme!r}: give one of "
                "these."
            )
        return super().__new__(cls, Path(text).expanduser().absolute())

    @property
    def is_server(self) -> bool:
        """Whether a server must be asked."""
        return self.startswith(_SCHEMES)

    @property
    def masked(self) -> str:
        """The address to show, without the password."""
        return re.sub(r"(://[^:@/]*):.*@", r"\1:***@", self)

    @property
    def folder(self) -> Path:
        """The folder of an embedded store."""
        return Path(self)

    @property
    def file(self) -> Path:
        """The file with the documents of an embedded store."""
        return self.folder / "store.sqlite"

    @property
    def uri(self) -> str:
        """What MongoDB's driver is given."""
        return _BLOBS.sub("", self).rstrip("?&")

    @property
    def blob_folder(self) -> Path | None:
        """Where blobs are files, or None where they are on the server."""
        if not self.is_server:
            return self.folder / "blobs"
        found = _BLOBS.search(self)
        return Path(unquote(found.group(1))).expanduser() if found else None
