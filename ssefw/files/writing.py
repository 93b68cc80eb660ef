"""Files that are there whole or not at all."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["disk_full", "replacing"]

SYSTEM = (("/", "dev"), ("/", "proc"))
"""Where no path is a file that may be replaced: /dev/stdout leads to whatever stdout is."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
FULL_DATABASE = "database or disk is full"
"""How SQLite says it."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a draft to write; it takes the place of `path` when the block ends well.

    A full disk or a killed process leaves what was there before. A link stays one, to the new file;
    what is no regular file, such as a pipe or /dev/null, gets the content and stays what it is.
    """
    if _takes_a_stream(path):
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / path.name
            yield draft
            _pour(draft, path)
        return
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _takes_a_stream(path: Path) -> bool:
    """Whether a path is that of a pipe, a device, or an open file of this process."""
    return path.exists() and (path.parts[:2] in SYSTEM or not path.is_file())


def _pour(source: Path, target: Path) -> None:
    """Write a file into something that is no file; a pipe that nobody reads is an error."""
    descriptor = os.open(target, os.O_WRONLY | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    with source.open("rb") as given, os.fdopen(descriptor, "wb") as taken:
        shutil.copyfileobj(given, taken)


def disk_full(error: BaseException | None) -> bool:
    """Whether an error came of a full disk or a spent quota, at its root."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return True
        if FULL_DATABASE in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
