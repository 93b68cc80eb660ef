"""Copies between folders, servers and files, whole or one campaign of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssefw.errors import StoreError
from ssefw.store.address import Address
from ssefw.store.connection import Connection, connect
from ssefw.store.upkeep.packing import is_pack, unpacked, workspace
from ssefw.store.upkeep.transfer import copy_campaign, copy_store

__all__ = ["check_copy", "copy_between", "opened_source"]

FOLDER_MODE = 0o777
"""Of a new folder, before the umask."""


def copy_between(source: Address, target: Address, *, campaign: str | None) -> dict[str, int]:
    """Copy a store, a backup or an archive to an address; return how many records and blobs.

    A whole store goes to a new folder or an empty database. A folder is there whole or not at all;
    a database in which a copy was killed is filled again.

    Parameters
    ----------
    campaign
        Copy this one only, into a store that may hold others; an archive is one of itself.

    Raises
    ------
    StoreError
        If there is no store at the source, or the target has what would be copied.
    """
    is_new = check_copy(source, target)
    with opened_source(source, near=target) as (opened, only):
        if campaign and only and campaign != only:
            raise StoreError(f"{source} is the archive of {only}, not of {campaign}.")
        named = campaign or only
        if named and is_new:
            with _new_folder(target) as folder, connect(folder) as connection:
                return copy_campaign(opened, connection, named)
        if named:
            with connect(target) as connection:
                return copy_campaign(opened, connection, named)
        if is_new:
            with _new_folder(target) as folder, connect(folder) as connection:
                return copy_store(opened, connection)
        with connect(target) as connection:
            return copy_store(opened, connection)


def check_copy(source: Address, target: Address) -> bool:
    """Return whether a copy would make the target anew.

    Raises
    ------
    StoreError
        If it would go to itself, or over something else.
    """
    if not target.is_server:
        if not source.is_server and source.folder.resolve() == target.folder.resolve():
            raise StoreError("A store is not copied to itself: give another address.")
        if target.folder.exists() and not target.folder.is_dir():
            raise StoreError(f"{target} is no folder: give a new one, or that of a store.")
    is_new = not target.is_server and not target.file.exists()
    if is_new and target.folder.is_dir() and any(target.folder.iterdir()):
        raise StoreError(f"{target} is not empty and no store: give a new folder.")
    return is_new


@contextmanager
def opened_source(source: Address, *, near: Address) -> Iterator[tuple[Connection, str | None]]:
    """Give the source, and its campaign if it is an archive."""
    if source.is_server or not is_pack(source.folder):
        with connect(source, read_only=True, create=False) as connection:
            yield connection, None
        return
    place = source.folder if near.is_server else near.folder
    with (
        unpacked(source.folder, near=place.with_name(f"{place.name}.unpacked")) as (address, note),
        connect(address, read_only=True, create=False) as connection,
    ):
        yield connection, note.get("campaign")


@contextmanager
def _new_folder(target: Address) -> Iterator[Path]:
    """Give a folder that becomes the target when the block ends well."""
    folder = target.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    mode = folder.stat().st_mode & FOLDER_MODE if folder.is_dir() else FOLDER_MODE
    with workspace(folder, mode=mode) as draft:
        yield draft
        draft.rename(folder)
