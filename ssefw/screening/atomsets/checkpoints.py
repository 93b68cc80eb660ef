"""Finished pieces of a long training on disk, found again by what they were made from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.files import replacing
from ssefw.files.arrays import read_npz
from ssefw.screening.atomsets.sources import WeightedSet

__all__ = ["fingerprint", "read_arrays", "write_arrays"]

Arrays = Mapping[str, npt.NDArray[Any]]


def fingerprint(settings: Any, sets: Sequence[WeightedSet], arrays: Arrays) -> str:
    """Return a hash of JSON values, materials and arrays: 24 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for one in sets:
        digest.update(one.vectors.tobytes() + one.weight.tobytes())
    for name, array in sorted(arrays.items()):
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()[:24]


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays to an .npz that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file that was cut off must never be taken for a result.
    with replacing(path) as draft, draft.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]] | None:
    """Return what `write_arrays` wrote; None where there is no such file, or not a whole one."""
    try:
        return read_npz(path)
    except DataError:
        return None
