"""Trajectory frames as compact bytes: the format of a chunk on disk and in the blob store.

A chunk is an uncompressed zip of arrays (numpy's npz), so that one array is read without the rest.
Positions are fixed-point with a step of 1e-5 A, differenced in time, byte-shuffled and deflated:
about half of float32's size, exact to 5e-6 A at any distance from the origin. Each chunk ends with
the state of the dynamics in double precision, from which the next one continues.

Where forces were dear, a chunk also holds them, packed in the same way with a step of 1e-4 eV/A,
and the stress of each frame; a chunk without them is read as one that never had any.
"""

import io
import itertools
import json
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.files.arrays import unpack_npz

__all__ = ["Chunk", "decode_chunk", "decode_series", "encode_chunk", "join_chunks"]

POSITION_STEP = 1e-5
FORCE_STEP = 1e-4
"""eV/A; forces of electrons that are converged as usual are not known better."""
FORMAT = 1

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chunk:
    """Consecutive frames of a trajectory and the state after the last of them.

    Attributes
    ----------
    first_step, last_step
        The chunk holds the dynamics from the state at `first_step` to that at `last_step`.
    first_frame
        Number of its first frame, counted over the trajectory.
    positions
        Cartesian, unwrapped, angstrom, shape (n_frames, n_atoms, 3).
    energies
        Potential energy in eV, shape (n_frames,).
    temperatures
        Instantaneous kinetic temperature in K, shape (n_frames,).
    cell
        Cell vectors in rows, angstrom, shape (3, 3).
    state
        Arrays from which the dynamics continue.
    notes
        What must be known of the chunk besides (JSON).
    forces
        On each atom of each frame, eV/A, shape of `positions`; None where they were not kept.
    stresses
        Of each frame, eV/A^3, tension positive, shape (n_frames, 3, 3); None where not kept.
    """

    first_step: int
    last_step: int
    first_frame: int
    positions: FloatArray
    energies: FloatArray
    temperatures: FloatArray
    cell: FloatArray
    state: dict[str, FloatArray] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    forces: FloatArray | None = None
    stresses: FloatArray | None = None

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.positions)


def _pack(values: FloatArray, *, step: float = POSITION_STEP) -> bytes:
    ticks = np.rint(values / step)
    if not np.all(np.abs(ticks) < 2**31 - 1):
        what = "position" if step == POSITION_STEP else "force"
        raise DataError(
            f"A {what} is not finite or larger than {2**31 * step:,.0f}: the run exploded."
        )
    whole = ticks.astype("<i4")
    moves = np.diff(whole, axis=0, prepend=np.zeros_like(whole[:1]))
    return zlib.compress(moves.reshape(-1).view("u1").reshape(-1, 4).T.tobytes(), 1)


def _unpack(packed: bytes, shape: tuple[int, ...], *, step: float = POSITION_STEP) -> FloatArray:
    planes = np.frombuffer(zlib.decompress(packed), dtype="u1").reshape(4, -1)
    moves = np.ascontiguousarray(planes.T).view("<i4").reshape(shape)
    return np.cumsum(moves, axis=0, dtype=np.int64).astype(np.float64) * step


def encode_chunk(chunk: Chunk) -> bytes:
    """Return a chunk as bytes; the same chunk always gives the same bytes."""
    header = {
        "format": FORMAT,
        "shape": list(chunk.positions.shape),
        "first_step": chunk.first_step,
        "last_step": chunk.last_step,
        "first_frame": chunk.first_frame,
        "notes": chunk.notes,
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "header": np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype="u1"),
        "positions": np.frombuffer(_pack(chunk.positions), dtype="u1"),
        "energies": np.asarray(chunk.energies, dtype="<f8"),
        "temperatures": np.asarray(chunk.temperatures, dtype="<f8"),
        "cell": np.asarray(chunk.cell, dtype="<f8"),
    }
    if chunk.forces is not None:
        arrays["forces"] = np.frombuffer(_pack(chunk.forces, step=FORCE_STEP), dtype="u1")
    if chunk.stresses is not None:
        arrays["stresses"] = np.asarray(chunk.stresses, dtype="<f4")
    arrays |= {f"state.{key}": np.asarray(value) for key, value in sorted(chunk.state.items())}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            # A fixed date, so that equal chunks are equal bytes.
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def decode_chunk(payload: bytes) -> Chunk:
    """Read what `encode_chunk` wrote.

    Raises
    ------
    DataError
        If the bytes are torn or something else.
    """
    try:
        arrays = unpack_npz(payload)
        header = json.loads(arrays["header"].tobytes())
        shape = tuple(header["shape"])
        return Chunk(
            first_step=header["first_step"],
            last_step=header["last_step"],
            first_frame=header["first_frame"],
            positions=_unpack(arrays["positions"].tobytes(), shape),
            energies=arrays["energies"],
            temperatures=arrays["temperatures"],
            cell=arrays["cell"],
            state={
                name.removeprefix("state."): array
                for name, array in arrays.items()
                if name.startswith("state.")
            },
            notes=header["notes"],
            forces=_unpack(arrays["forces"].tobytes(), shape, step=FORCE_STEP)
            if "forces" in arrays
            else None,
            stresses=arrays["stresses"].astype(np.float64) if "stresses" in arrays else None,
        )
    except (DataError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise DataError(f"These are not the bytes of a trajectory chunk: {error}") from error


def decode_series(payload: bytes, name: Literal["energies", "temperatures"]) -> FloatArray:
    """Read one number a frame from what `encode_chunk` wrote, without unpacking positions.

    Raises
    ------
    DataError
        If the bytes are torn or something else.
    """
    try:
        return unpack_npz(payload, wanted=name.__eq__)[name]
    except (DataError, KeyError) as error:
        raise DataError(f"These are not the bytes of a trajectory chunk: {error}") from error


def join_chunks(chunks: Iterable[Chunk]) -> Chunk:
    """Join consecutive chunks into one; the state is the last one's.

    Raises
    ------
    DataError
        If a step or frame is missing or doubled between two of them.
    """
    parts = list(chunks)
    if not parts:
        raise DataError("There is no chunk to join.")
    for before, after in itertools.pairwise(parts):
        frame = before.first_frame + before.n_frames
        if (after.first_step, after.first_frame) != (before.last_step, frame):
            raise DataError(
                f"A chunk that ends at step {before.last_step}, frame {frame} is followed by one "
                f"that starts at step {after.first_step}, frame {after.first_frame}."
            )
    return Chunk(
        first_step=parts[0].first_step,
        last_step=parts[-1].last_step,
        first_frame=parts[0].first_frame,
        positions=np.concatenate([part.positions for part in parts]),
        energies=np.concatenate([part.energies for part in parts]),
        temperatures=np.concatenate([part.temperatures for part in parts]),
        cell=parts[0].cell,
        state=parts[-1].state,
        notes=parts[-1].notes,
        forces=_joined([part.forces for part in parts]),
        stresses=_joined([part.stresses for part in parts]),
    )


def _joined(parts: list[FloatArray | None]) -> FloatArray | None:
    """Return arrays one after the other; None where one is missing."""
    whole = [part for part in parts if part is not None]
    return np.concatenate(whole) if len(whole) == len(parts) else None
