"""A training put aside in a file: arrays and JSON, written whole or not at all."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.errors import ConfigurationError, DataError
from ssefw.files.arrays import read_npz

__all__ = ["fingerprint", "read_checkpoint", "write_checkpoint"]

Arrays = dict[str, npt.NDArray[Any]]


def fingerprint(settings: dict[str, Any], arrays: Sequence[npt.NDArray[Any]]) -> str:
    """Return a hash of settings and data: a training may only be taken up with the same."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write_checkpoint(path: Path, arrays: Arrays, *, belongs_to: str) -> None:
    """Write arrays to a file; a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A process whose parent was killed may still write when the next run does: each has its own.
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, __belongs_to__=np.array(belongs_to), **arrays)  # type: ignore[arg-type]
    os.replace(part, path)  # noqa: PTH105 - replaces on every platform, as the name says


def read_checkpoint(path: Path, *, belongs_to: str) -> Arrays | None:
    """Return the arrays of a file, or None where there is none yet.

    Raises
    ------
    DataError
        If the file cannot be read.
    ConfigurationError
        If it was written for other data or settings.
    """
    if not path.exists():
        return None
    try:
        arrays = read_npz(path)
        owner = str(arrays.pop("__belongs_to__"))
    except (DataError, KeyError) as error:
        raise DataError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}). Delete it; that "
            "member starts anew."
        ) from error
    if owner != belongs_to:
        raise ConfigurationError(
            f"The checkpoint {path} is of a training with other data or settings. Delete it or "
            "name another folder."
        )
    return arrays
