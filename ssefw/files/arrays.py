"""Arrays in a zip, as numpy writes them: numbers and text only, each as large as its file says."""

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError, SsefwError
from ssefw.files.reading import open_input

__all__ = ["pack_npz", "read_npz", "unpack_npz"]

LARGEST_ARRAYS = 2 * 2**30
"""Bytes of all arrays of a file; the largest ensembles of networks have a tenth of it."""
_KINDS = "biufSU"
"""Truth values, integers, real numbers, text; nothing that runs when it is read."""
_DAMAGE = (
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz(
    path: Path, *, error: type[SsefwError] = DataError, largest: int = LARGEST_ARRAYS
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an .npz by name.

    Raises
    ------
    SsefwError
        Of the kind `error`: it is no such file, is damaged, holds objects or is too large.
    """
    with open_input(path, error=error):
        try:
            return _unpack(path, largest=largest)
        except DataError as problem:
            raise error(f"{path}: {problem}") from problem


def pack_npz(arrays: Mapping[str, Any]) -> bytes:
    """Return the bytes of an .npz of arrays by name; the same arrays always give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(arrays.items()):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            # A fixed date, so that equal arrays are equal bytes.
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def unpack_npz(
    payload: bytes, *, wanted: Callable[[str], bool] | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays by name, all or those that are wanted, from the bytes of an .npz.

    Raises
    ------
    DataError
        It is no such file, is damaged, holds objects or is too large.
    """
    return _unpack(io.BytesIO(payload), largest=LARGEST_ARRAYS, wanted=wanted)


def _unpack(
    file: Path | IO[bytes], *, largest: int, wanted: Callable[[str], bool] | None = None
) -> dict[str, npt.NDArray[Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            total = sum(info.file_size for info in members.values())
            if total <= largest:
                return {
                    name: _array(archive.read(info))
                    for name, info in members.items()
                    if wanted is None or wanted(name)
                }
    except _DAMAGE as problem:
        # zipfile quotes what stands where a name should be, perhaps the whole file.
        reason = " ".join(str(problem).split())[:120] or type(problem).__name__
        raise DataError(f"no arrays, or damaged ones ({reason})") from problem
    raise DataError(f"unpacks to {total} bytes, more than {largest}")


def _array(data: bytes) -> npt.NDArray[Any]:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(file)
    if dtype.kind not in _KINDS:
        raise ValueError(f"an array of {dtype}")
    rest = data[file.tell() :]
    # Memory is taken for what is there, not for what the header claims.
    if dtype.itemsize == 0 or min(shape, default=1) < 0:
        raise ValueError(f"an array of {dtype} and shape {shape}")
    flat = np.frombuffer(rest, dtype=dtype).copy() if rest else np.empty(0, dtype)
    made = flat.reshape(shape[::-1] if is_fortran else shape)
    return made.T if is_fortran else made
