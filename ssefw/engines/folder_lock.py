"""One process at a time works in a folder, and sweeps up what a killed one has left there."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from ssefw.errors import BusyError, EngineError

__all__ = ["LOCK", "held", "noted_folder", "noting_folder"]

LOCK = "lock"
DRAFT_SECONDS = 3600.0
"""Age of a draft, as `ssefw.files` makes them, whose writer was killed; it takes an instant."""


_NOTE: ContextVar[Path | None] = ContextVar("file that says in which folder a job calculates")


@contextlib.contextmanager
def noting_folder(file: Path) -> Iterator[None]:
    """Write into a file which folder is worked in, so that others find what is calculated there."""
    token = _NOTE.set(file)
    try:
        yield
    finally:
        _NOTE.reset(token)


def noted_folder(file: Path) -> Path | None:
    """Return the folder that such a file names, if it is there."""
    try:
        folder = Path(file.read_text())
    except OSError:
        return None
    return folder if folder.is_dir() else None


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if need be, for this process while a block runs.

    Raises
    ------
    BusyError
        If another live process has it, on whichever machine.
    EngineError
        If its file system has no locks.
    """
    with _locked(folder) as file:
        _sweep(folder, now=os.fstat(file.fileno()).st_mtime)
        if (note := _NOTE.get(None)) is not None:
            with contextlib.suppress(OSError):
                note.write_text(str(folder.resolve()))
        yield


def _locked(folder: Path) -> IO[str]:
    path = folder / LOCK
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:
            file = stack.enter_context(path.open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    f"Another process is working in {folder}; wait for it or stop it."
                ) from error
            except OSError as error:
                raise EngineError(
                    f"{path} cannot be locked ({error.strerror}): two processes could work in one "
                    "folder. Point SSEFW_SCRATCH to a file system that has locks.",
                    directory=folder,
                ) from error
            # Who had it before may have removed the file that was locked here.
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                stack.pop_all()
                return file


def _sweep(folder: Path, *, now: float) -> None:
    """Remove drafts of files whose writer was killed.

    Only who holds the folder writes chunks and segments. Other drafts may be of those who are about
    to ask for it; these go when they are old, by the clock of the file system.
    """
    for draft in folder.glob(".*.[0-9]*"):
        if not draft.suffix[1:].isdigit():
            continue
        with contextlib.suppress(FileNotFoundError):
            is_ours = draft.name.startswith((".chunk-", ".segment-"))
            if is_ours or now - draft.stat().st_mtime > DRAFT_SECONDS:
                draft.unlink()
