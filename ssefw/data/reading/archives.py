"""Files inside a zip, read one at a time and never larger than stated."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ssefw.data.reading.structure_files import LARGEST_STRUCTURE
from ssefw.errors import DataError
from ssefw.files import open_input

__all__ = ["zip_members"]

MOST_MEMBERS = 1_000_000
"""Files of one zip; the largest collections of crystals have some hundred thousand."""


def zip_members(
    path: Path, *, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, bytes | DataError]]:
    """Yield the names in order with their content, or why one cannot be read.

    Folders within are entered; a member counts with the last part of its name.

    Raises
    ------
    DataError
        If it is no zip, or none of its files is wanted.
    """
    with open_input(path), _opened(path) as archive:
        names = sorted(
            info.filename
            for info in archive.infolist()
            if not info.is_dir() and wanted(info.filename)
        )
        if not names:
            raise DataError(f"The zip {path} holds no file of the kind that is read.")
        for name in names:
            yield name, _content(archive, name)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is no zip, or a damaged one ({error}).") from error
    if len(archive.infolist()) > MOST_MEMBERS:
        raise DataError(f"The zip {path} has more than {MOST_MEMBERS} files. Give a smaller one.")
    return archive


def _content(archive: zipfile.ZipFile, name: str) -> bytes | DataError:
    try:
        with archive.open(name) as member:
            # What the directory of a zip states of sizes need not be true.
            data = member.read(LARGEST_STRUCTURE + 1)
    except (
        OSError,
        ValueError,
        EOFError,
        RuntimeError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        return DataError(f"{name}: cannot be read from the zip ({error})")
    if len(data) > LARGEST_STRUCTURE:
        return DataError(f"{name}: unpacks to more than {LARGEST_STRUCTURE} bytes")
    return data
