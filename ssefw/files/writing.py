"""Files that are there whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["disk_full", "replacing"]

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
FULL_DATABASE = "database or disk is full"
"""How SQLite says it."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a draft to write; it takes the place of `path` when the block ends well.

    A full disk or a killed process leaves what was there before.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


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
