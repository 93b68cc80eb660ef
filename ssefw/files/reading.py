"""Input files, opened with care.

What is no regular file (a pipe, a device, a folder) is refused before anything is read, since it
may never answer or never end; what is too large is refused when the limit is reached, not when the
memory is; and an archive that unpacks to far more than data do is refused as a bomb.
"""

import bz2
import gzip
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ssefw.errors import DataError, SsefwError
from ssefw.files.plain import printable

__all__ = ["InputFile", "expand_user", "open_input", "read_bytes", "read_text"]

BLOCK_BYTES = 4 * 2**20
LARGEST_TEXT = 64 * 2**20
"""Bytes of a file that is held in memory as a whole; the largest label sets have a tenth of it."""
LONGEST_LINE = 16 * 2**20
"""Bytes of one line; a row of a pool with a CIF of 10,000 atoms has one megabyte."""
BOMB_RATIO = 200
"""Text of trajectories and tables shrinks by 3 to 30, a file of one repeated byte by 1,000."""
BOMB_BYTES = 256 * 2**20
"""Below this much unpacked text the ratio is not looked at: small files may be repetitive."""

_MAGIC: dict[bytes, tuple[str, Callable[..., Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZ": ("bzip2", bz2.open),
    b"\xfd7": ("xz", lzma.open),
}
# bz2 calls damage a plain OSError; one of the disk has a number.
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, OSError, ValueError, MemoryError)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class InputFile:
    """An open file whose bytes come in blocks or lines of bounded size, unpacked if compressed.

    Attributes
    ----------
    damage
        Why reading ended early, where the archive is cut off or damaged and that is tolerated.
    """

    def __init__(
        self, path: Path, stream: BinaryIO, *, size: int, archive: str, error: type[SsefwError]
    ) -> None:
        self.path = path
        self.size = size
        self.archive = archive
        self.damage: str | None = None
        self._stream = stream
        self._error = error
        self._given = 0

    def read(self, largest: int = LARGEST_TEXT) -> bytes:
        """Return the whole content, which may have so many bytes."""
        pieces = []
        total = 0
        while piece := self._piece():
            total += len(piece)
            if total > largest:
                what = "unpacks to" if self.archive else "has"
                raise self._error(
                    f"{self.path} {what} more than {_megabytes(largest)}, too much for such a file."
                )
            pieces.append(piece)
        return b"".join(pieces)

    def head(self, size: int) -> bytes:
        """Return the first bytes, at most `size`."""
        found = b""
        while len(found) < size and (piece := self._piece(size - len(found))):
            found += piece
        return found

    def blocks(self, size: int = BLOCK_BYTES, *, tolerant: bool = False) -> Iterator[bytes]:
        """Yield blocks of at least `size` bytes but for the last.

        A tolerant reader gets what can be unpacked of a damaged archive; `damage` then says so.
        """
        pieces: list[bytes] = []
        waiting = 0
        is_open = True
        while is_open:
            # One piece at a time: a whole read of a damaged archive would lose what came before.
            piece = self._piece(size, tolerant=tolerant)
            is_open = bool(piece)
            pieces.append(piece)
            waiting += len(piece)
            if waiting >= size or (not is_open and waiting):
                yield b"".join(pieces)
                pieces, waiting = [], 0

    def lines(
        self,
        longest: int = LONGEST_LINE,
        *,
        tolerant: bool = False,
        whole: bool = False,
    ) -> Iterator[bytes]:
        """Yield lines without their ends; the last comes also if it has none.

        Parameters
        ----------
        longest
            Bytes that a line may have.
        tolerant
            As for `blocks`.
        whole
            Leave out a last line without an end.
        """
        rest = b""
        for read in self.blocks(min(longest, BLOCK_BYTES), tolerant=tolerant):
            parts = (rest + read).split(b"\n")
            rest = parts.pop()
            yield from parts
            if len(rest) > longest:
                raise self._error(
                    f"{self.path} has a line of more than {_megabytes(longest)}: it is no text of "
                    "lines, or is damaged."
                )
        if rest and not whole:
            yield rest

    def _piece(self, size: int = BLOCK_BYTES, *, tolerant: bool = False) -> bytes:
        try:
            piece: bytes = self._stream.read1(size)  # type: ignore[attr-defined]
        except _DAMAGE as error:
            if not self.archive:
                raise self._error(f"Cannot read {self.path}: {_reason(error)}.") from error
            self.damage = f"its {self.archive} archive is cut off or damaged"
            if tolerant:
                return b""
            raise self._error(
                f"{self.path}: {self.damage} ({_reason(error)}); copy it again."
            ) from error
        self._given += len(piece)
        if self.archive and self._given > max(BOMB_BYTES, BOMB_RATIO * self.size):
            raise self._error(
                f"{self.path} unpacks to more than {BOMB_RATIO} times its size "
                f"({_megabytes(self.size)}), which no data do. Unpack it by hand if it is yours."
            )
        return piece


@contextmanager
def open_input(path: Path, *, error: type[SsefwError] = DataError) -> Iterator[InputFile]:
    """Open a regular file, unpacked if its first bytes are those of gzip, bzip2 or xz.

    Raises
    ------
    SsefwError
        Of the kind `error`: it is not there, not to be read, or no regular file.
    """
    plain = _regular(path, error)
    with plain:
        size = os.fstat(plain.fileno()).st_size
        try:
            found = _MAGIC.get(plain.peek(2)[:2])  # type: ignore[attr-defined]
        except OSError as problem:
            raise error(f"Cannot read {path}: {_reason(problem)}.") from problem
        if found is None:
            yield InputFile(path, cast("BinaryIO", plain), size=size, archive="", error=error)
            return
        archive, opener = found
        with opener(plain, "rb") as stream:
            yield InputFile(path, stream, size=size, archive=archive, error=error)


def read_bytes(
    path: Path, *, largest: int = LARGEST_TEXT, error: type[SsefwError] = DataError
) -> bytes:
    """Return what a file holds, unpacked; refuse more than `largest` bytes.

    Raises
    ------
    SsefwError
        Of the kind `error`.
    """
    with open_input(path, error=error) as file:
        return file.read(largest)


def read_text(
    path: Path, *, largest: int = LARGEST_TEXT, error: type[SsefwError] = DataError
) -> str:
    """Return the text of a file in UTF-8, without the mark that Excel puts before it.

    Raises
    ------
    SsefwError
        Of the kind `error`; also if it is not UTF-8.
    """
    try:
        return read_bytes(path, largest=largest, error=error).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(
            f"Cannot read {path}: it is not text in UTF-8 ({problem.reason} at byte "
            f"{problem.start}). Save it as UTF-8."
        ) from problem


def expand_user(path: Path | str, *, error: type[SsefwError] = DataError) -> Path:
    """Return a path whose leading ``~`` is a home folder.

    Raises
    ------
    SsefwError
        Of the kind `error`: there is no such user, or the text cannot be a path.
    """
    text = str(path)
    if printable(text) != text:
        raise error(f"{printable(text)!r} is no path: it holds a control character.")
    try:
        return Path(path).expanduser()
    except RuntimeError as problem:
        raise error(f"{text!r} is no path: there is no such user. Write it in full.") from problem


def _regular(path: Path, error: type[SsefwError]) -> IO[bytes]:
    try:
        # Opening a pipe waits for its other end unless it is told not to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as problem:
        reason = _kind(path) or _reason(problem)
        raise error(f"Cannot read {path}: {reason}.") from problem
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = _name_of(mode)
        raise error(f"Cannot read {path}: it is {kind}. Give a regular file.")
    return os.fdopen(descriptor, "rb")


def _kind(path: Path) -> str:
    """Return what a path is that cannot be opened, if it is there and no regular file."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    return "" if stat.S_ISREG(mode) else f"it is {_name_of(mode)}; give a regular file"


def _name_of(mode: int) -> str:
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")


def _reason(error: BaseException) -> str:
    stated = error.strerror if isinstance(error, OSError) else None
    return stated or str(error) or type(error).__name__


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.3g} MB"
