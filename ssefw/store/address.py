"""Where a store is: a folder, or a MongoDB URI."""

import re
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote

from ssefw.errors import StoreError
from ssefw.files import expand_user
from ssefw.masking import masked_address

__all__ = ["Address"]

_SCHEMES = ("mongodb://", "mongodb+srv://")
_OFFLINE = "mongodb://offline.invalid/none"
_BLOBS = re.compile(r"(?<=[?&])blobs=([^&]*)(?:&|$)")


class Address(str):
    """The address of a store; it opens the same store again in another process.

    Printed or formatted it hides its password; `uri` has it. A folder is made absolute, since a job
    runs in another directory than its launcher. A MongoDB URI may say in ``?blobs=/shared/folder``
    that blobs are files there instead of GridFS pieces.

    Raises
    ------
    StoreError
        If it is neither a folder nor a MongoDB URI.
    """

    __slots__ = ()

    def __new__(cls, address: str | Path) -> Self:
        """Check and complete an address."""
        text = (str.__str__(address) if isinstance(address, str) else str(address)).strip()
        if text.startswith(_SCHEMES):
            return super().__new__(cls, text)
        scheme, colon, _ = text.partition("://")
        if colon or not text:
            raise StoreError(
                f"A store address is a folder or a mongodb:// URI, not {scheme!r}: give one of "
                "these."
            )
        return super().__new__(cls, expand_user(text, error=StoreError).absolute())

    def __str__(self) -> str:
        return self.masked

    def __repr__(self) -> str:
        return repr(self.masked)

    def __format__(self, format_spec: str) -> str:
        return format(self.masked, format_spec)

    @property
    def is_server(self) -> bool:
        """Whether a server must be asked."""
        return self.startswith(_SCHEMES)

    @property
    def masked(self) -> str:
        """The address to show, without the password and what else is secret in it."""
        return masked_address(str.__str__(self))

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
        return expand_user(unquote(found.group(1)), error=StoreError) if found else None

    @property
    def shared_folder(self) -> Path | None:
        """The folder whose mode says who may read and write blobs that are files."""
        return self.blob_folder if self.is_server else self.folder

    def without_server(self) -> "Address":
        """Return an address of the same files that leads to no database."""
        if self.blob_folder is None:
            raise StoreError(
                f"{self} keeps frames in the database, where workers that do not reach it cannot "
                "put any: add ?blobs=/a/folder/that/nodes/see to the address."
            )
        return Address(f"{_OFFLINE}?blobs={quote(str(self.blob_folder))}")

    @property
    def is_offline(self) -> bool:
        """Whether it leads to files only."""
        return self.startswith(_OFFLINE)
