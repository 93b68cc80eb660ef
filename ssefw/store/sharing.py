"""Who may read and write a store: whoever may read and write its folder.

One rule for documents, log, blobs and the folders between: they have the mode of the store's
folder. A folder made with ``mkdir -m 2770`` is a store that a group shares, whatever the umask of
those who work with it.
"""

import contextlib
import os
import stat
from pathlib import Path

__all__ = ["file_mode", "make_file", "make_folders"]

READ_WRITE = 0o666
INHERITED = 0o2777
"""Access, and the bit by which what is in a folder belongs to the folder's group."""


def file_mode(folder: Path) -> int:
    """Return the mode of a file in a store: the folder's, without the right to search."""
    return stat.S_IMODE(folder.stat().st_mode) & READ_WRITE


def make_folders(path: Path, *, like: Path) -> None:
    """Make a folder of a store and those above it, with the mode of another if that is above it."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(like.stat().st_mode) & INHERITED
    for folder in missing:
        if folder != like and folder.is_relative_to(like):
            with contextlib.suppress(PermissionError):  # somebody else has just made it
                folder.chmod(mode)


def make_file(path: Path, *, like: Path) -> None:
    """Make an empty file of a store unless it is there."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, READ_WRITE)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, file_mode(like))
    finally:
        os.close(descriptor)
