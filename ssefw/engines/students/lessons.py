"""Labelled frames and students on disk: each file is there whole or not at all."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssefw.engines.potentials.tuned import TunedPotential
from ssefw.errors import DataError
from ssefw.files import read_bytes, replacing
from ssefw.files.arrays import unpack_npz
from ssefw.nep import NEP, LabelledFrame

__all__ = [
    "frames_bytes",
    "frames_hash",
    "read_frames",
    "read_student",
    "read_weights",
    "write_frames",
    "write_student",
    "write_weights",
]


def frames_hash(frames: Sequence[LabelledFrame]) -> str:
    """Return the content hash of labelled frames in their order."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(" ".join(frame.symbols).encode())
        stress = np.full((3, 3), np.nan) if frame.stress is None else frame.stress
        for array in (frame.positions, frame.cell, frame.energy, frame.forces, stress):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()


def write_frames(path: Path, frames: Sequence[LabelledFrame]) -> None:
    """Write labelled frames, which may differ in size and composition."""
    with replacing(path) as draft:
        draft.write_bytes(frames_bytes(frames))


def frames_bytes(frames: Sequence[LabelledFrame]) -> bytes:
    """Return labelled frames as the content of a file."""
    arrays: dict[str, Any] = {"n_frames": np.array(len(frames))}
    for k, frame in enumerate(frames):
        arrays[f"{k}.symbols"] = np.array(frame.symbols)
        arrays[f"{k}.positions"], arrays[f"{k}.cell"] = frame.positions, frame.cell
        arrays[f"{k}.energy"], arrays[f"{k}.forces"] = np.array(frame.energy), frame.forces
        if frame.stress is not None:
            arrays[f"{k}.stress"] = frame.stress
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def read_frames(path: Path) -> list[LabelledFrame]:
    """Read what `write_frames` wrote.

    Raises
    ------
    DataError
        If the file is something else.
    """
    try:
        arrays = unpack_npz(path.read_bytes())
        return [
            LabelledFrame(
                symbols=tuple(str(symbol) for symbol in arrays[f"{k}.symbols"]),
                positions=arrays[f"{k}.positions"],
                cell=arrays[f"{k}.cell"],
                energy=float(arrays[f"{k}.energy"]),
                forces=arrays[f"{k}.forces"],
                stress=arrays.get(f"{k}.stress"),
            )
            for k in range(int(arrays["n_frames"]))
        ]
    except (DataError, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} holds no labelled frames: {error}") from error


def write_student(path: Path, model: NEP) -> None:
    """Write a student with the range it was trained on."""
    write_weights(path, model)


def write_weights(path: Path, model: NEP | TunedPotential) -> None:
    """Write a potential with the range it was trained on."""
    with replacing(path) as draft:
        draft.write_bytes(model.to_bytes())


def read_student(path: Path) -> NEP:
    """Read what `write_student` wrote.

    Raises
    ------
    DataError
        If the file is no student.
    """
    content = read_bytes(path)
    try:
        return NEP.from_bytes(content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_weights(path: Path) -> NEP | TunedPotential:
    """Read what `write_weights` wrote, by the end of its name.

    Raises
    ------
    DataError
        If the file is no potential.
    """
    if path.suffix != ".tuned":
        return read_student(path)
    content = read_bytes(path)
    try:
        return TunedPotential.from_bytes(content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
