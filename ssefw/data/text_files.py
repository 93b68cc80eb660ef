"""Text of files that users bring: compressed, marked or cut off, with errors of one line."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ssefw.errors import DataError

__all__ = ["read_structure_text", "text_lines"]


@contextmanager
def text_lines(path: Path) -> Iterator[TextIO]:
    """Open a table or JSON lines, plain or gzip, with or without the mark that Excel writes.

    Raises
    ------
    DataError
        While it is read: if it is not UTF-8, not gzip though it is called so, or cut off.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as lines:
                yield lines
        else:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                yield lines
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name} is not UTF-8 text ({error.reason}); save it as UTF-8."
        ) from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path.name} is cut off or damaged ({error}); copy it again.") from error
    except gzip.BadGzipFile as error:
        raise DataError(
            f"{path.name} is not compressed by gzip, though its name says so."
        ) from error


def read_structure_text(path: Path) -> str:
    """Return the text of a structure file; one that is not UTF-8 is taken for Latin-1.

    What crystallographers write beyond ASCII are names of authors, and databases serve old files
    as they were sent in.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DataError(f"{path.name}: cannot be read ({reason})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
