"""A store in one file and back: backups and archives.

The file is a zip, uncompressed, of the database file, the blobs as they are stored and a note of
what it is. It is there whole or not at all.
"""

import errno
import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from ssefw.errors import StoreError
from ssefw.store.address import Address
from ssefw.store.connection import Connection, connect
from ssefw.store.sharing import file_mode, make_folders
from ssefw.store.upkeep.transfer import copy_campaign

__all__ = ["archive_campaign", "back_up", "is_pack", "unpack", "unpacked", "workspace"]

NOTE, DATABASE, BLOBS = "ssefw-store.json", "store.sqlite", "blobs"


def back_up(connection: Connection, path: Path) -> dict[str, Any]:
    """Write all of a store in a folder to one file, while workers write to it.

    The documents are those of one moment, by SQLite's own backup. The frames that they name were
    stored before, and ledgers before the frames behind them, so that all that is named is there.

    Returns
    -------
    dict
        What the file says of itself.

    Raises
    ------
    StoreError
        If the store is on a server.
    """
    if connection.address.is_server:
        raise StoreError(
            f"{connection.address} is on a server: use `mongodump --oplog` there, or `ssefw store "
            "copy` it to a folder when no worker is at work."
        )
    _refuse_special(path)
    with workspace(path) as folder:
        snapshot = sqlite3.connect(folder / DATABASE)
        try:
            connection.database.file.connection.backup(snapshot)
        finally:
            snapshot.close()
        blobs: Any = connection.blobs
        return _packed(path, folder, blobs.folder, kind="backup")


def archive_campaign(source: Connection, campaign: str, path: Path) -> dict[str, Any]:
    """Write the records and blobs of a campaign to one file; they stay where they are.

    Returns
    -------
    dict
        What the file says of itself.
    """
    _refuse_special(path)
    with workspace(path) as folder:
        with connect(folder) as target:
            copy_campaign(source, target, campaign)
        return _packed(path, folder, folder / BLOBS, kind="archive", campaign=campaign)


def _refuse_special(path: Path) -> None:
    """Refuse a pipe or device, whose place the file would take."""
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is no regular file: give the name of a new one.")


def _packed(path: Path, folder: Path, blobs: Path, **about: str) -> dict[str, Any]:
    """Write a file of the database in a workspace and of some blobs, and return its note."""
    ledgers_first = sorted(
        (file for file in blobs.rglob("*") if file.is_file() and file.suffix != ".part"),
        key=lambda file: file.name != "ledger.json",
    )
    named = {file.parent for file in ledgers_first if file.name == "ledger.json"}
    note = {
        **about,
        "format": 1,
        "ssefw": version("ssefw"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    draft = folder / "pack"  # goes with the workspace of a killed process
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as pack:
        pack.write(folder / DATABASE, DATABASE)
        done: set[Path] = set()
        for file in ledgers_first:
            _add(pack, file, blobs, done)
        for run in sorted(named):  # what has come meanwhile, and a ledger may name already
            for file in sorted(run.glob("*")):
                if file.suffix != ".part":
                    _add(pack, file, blobs, done)
        note["blobs"] = len(done)
        pack.writestr(NOTE, json.dumps(note))
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    draft.replace(path)
    return {**note, "bytes": path.stat().st_size}


def _add(pack: zipfile.ZipFile, file: Path, blobs: Path, done: set[Path]) -> None:
    if file in done:
        return
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return  # deleted meanwhile: nothing names it
    name = PurePosixPath(BLOBS, *file.relative_to(blobs).parts)
    pack.writestr(zipfile.ZipInfo(str(name), date_time=(1980, 1, 1, 0, 0, 0)), content)
    done.add(file)


def is_pack(path: Path) -> bool:
    """Whether a path is a file, as backups and archives are, and no store."""
    return path.is_file()


DAMAGE = (
    zipfile.BadZipFile, KeyError, IndexError, TypeError, ValueError, EOFError, RuntimeError,
    OverflowError,
)  # fmt: skip
"""What reading a damaged zip raises, which may look encrypted or of another version."""


def unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Make a folder of a backup or archive, and return what that says of itself.

    Raises
    ------
    StoreError
        If it is none, is damaged, or would write elsewhere.
    """
    try:
        with zipfile.ZipFile(path) as pack:
            packed = [item for item in pack.infolist() if item.compress_type != zipfile.ZIP_STORED]
            if packed:  # which could unpack to anything
                raise StoreError(f"{path} is compressed, as no backup or archive of ssefw is.")
            note: dict[str, Any] = dict(json.loads(pack.read(NOTE)))
            for member in pack.infolist():
                name = PurePosixPath(member.filename)
                is_ours = name.parts[0] in {DATABASE, BLOBS, NOTE} and ".." not in name.parts
                if not is_ours or name.is_absolute():
                    raise StoreError(f"{path} holds {member.filename!r}, which is none of a store.")
                if member.filename != NOTE:
                    target = folder / name
                    make_folders(target.parent, like=folder)
                    with pack.open(member) as source, target.open("wb") as file:
                        shutil.copyfileobj(source, file)
                    target.chmod(file_mode(folder))
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a place before the file
            raise
        reason = " ".join(str(error).split())
        raise StoreError(
            f"{path} is no whole backup or archive of ssefw ({reason}): copy it again."
        ) from error
    return note


@contextmanager
def unpacked(path: Path, *, near: Path) -> Iterator[tuple[Address, dict[str, Any]]]:
    """Give a store made of a backup or archive for as long as a block lasts, and its note."""
    with workspace(near) as folder:
        yield Address(folder), unpack(path, folder)


@contextmanager
def workspace(path: Path, *, mode: int = 0o700) -> Iterator[Path]:
    """Give an empty folder beside a path; those of processes that were killed are removed."""
    path = path.absolute()
    for left in path.parent.glob(f".{path.name}.*.work"):
        number = left.name.split(".")[-2]
        if number.isdigit() and not _is_alive(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    folder = path.with_name(f".{path.name}.{os.getpid()}.work")
    try:
        folder.mkdir(mode=mode)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
