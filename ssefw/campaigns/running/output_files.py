"""What a calculation writes for people to read: which file that is, its end, and what follows."""

import gzip
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ssefw.errors import DataError

__all__ = ["files_of", "follow", "main_output", "tail"]

MAIN = ("OUTCAR", "pw.out", "neb.out", "vasp.out", "OSZICAR")
"""What people look at first, of each program."""
ERRORS = ("std_err.txt", "pw.out.err", "neb.out.err")
"""What a program that came to no output of its own has said."""

DEPTH = 3
"""Folders below a run's folder that may hold output, such as the legs of dynamics."""
END_BYTES = 2**18
"""An OUTCAR may have gigabytes: so much of its end is read."""
POLL_SECONDS = 0.5


def files_of(folder: Path) -> list[Path]:
    """Return the files below a run's folder, the newest first."""
    found = [path for depth in range(DEPTH) for path in folder.glob("*/" * depth + "[!.]*")]
    return sorted((path for path in found if path.is_file()), key=_age)


def main_output(folder: Path, *, name: str | None = None) -> Path | None:
    """Return the newest file of the name that is asked for, or of the first name of `MAIN`.

    A compressed file stands for itself: ``OUTCAR.gz`` is an OUTCAR. An empty one says nothing.

    Raises
    ------
    DataError
        If there is no file of the name; the message has those there are.
    """
    files = files_of(folder)
    for wanted in (name,) if name else (*MAIN, *ERRORS):
        for path in files:
            is_it = path.name in {wanted, f"{wanted}.gz"} or str(path.relative_to(folder)) == wanted
            if is_it and (name or path.stat().st_size):
                return path
    if name:
        there = ", ".join(str(path.relative_to(folder)) for path in files[:20]) or "no files"
        raise DataError(f"There is no {name} in {folder}; it holds {there}.")
    return None


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a file, decompressed if need be."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", errors="replace") as packed:
            return "\n".join(packed.read().splitlines()[-lines:])
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - END_BYTES))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def follow(
    newest: Callable[[], Path | None],
    *,
    is_running: Callable[[], bool],
    stop: threading.Event,
) -> Iterator[str]:
    """Yield what is added to a file from now on, until its job has ended.

    Parameters
    ----------
    newest
        The file to look at; dynamics begin a new one with each leg.
    """
    path, place = newest(), 0
    if path is not None:
        place = path.stat().st_size
    while not stop.is_set():
        goes_on = is_running()
        now = newest()
        if now != path:
            path, place = now, 0
        if path is not None and path.suffix != ".gz":
            size = path.stat().st_size
            place = 0 if size < place else place  # it was begun anew
            if size > place:
                with path.open("rb") as file:
                    file.seek(place)
                    added = file.read(size - place)
                place += len(added)
                yield added.decode(errors="replace")
        if not goes_on:
            return
        stop.wait(POLL_SECONDS)


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:  # just removed
        return 0.0
