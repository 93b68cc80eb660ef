"""Trajectories in the blob store: a ledger and the frames it speaks of.

Frames are put first and the ledger last, so a ledger never names frames that are not there. Blobs
that no ledger names (their writer was killed between the two) are overwritten by the next writer,
since a key says which frames it holds.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from monty.json import MontyDecoder

from ssefw.data import Chunk, decode_chunk, decode_series, encode_chunk, join_chunks
from ssefw.documents import Segment, Trajectory
from ssefw.errors import StoreError
from ssefw.store.frames.blobs import BlobStore

__all__ = ["TrajectoryStore"]

FloatArray = npt.NDArray[np.float64]

FRAMES_PER_BLOB = 500


class TrajectoryStore:
    """Ledgers and frames by trajectory key."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def ledger(self, key: str) -> Trajectory | None:
        """Return the ledger of a key, or None if nothing was stored under it."""
        name = _ledger_key(key)
        if not self._blobs.exists(name):
            return None
        found = MontyDecoder().process_decoded(json.loads(self._blobs.get(name)))
        if not isinstance(found, Trajectory):
            raise StoreError(f"The blob {name} is not the ledger of a trajectory; restore it.")
        return found

    def save(self, ledger: Trajectory) -> None:
        """Store a ledger; the frames of its segments must be there."""
        self._blobs.put(_ledger_key(ledger.key), json.dumps(ledger.as_dict()).encode())

    def put_frames(self, key: str, segment: Segment, chunks: Sequence[Chunk]) -> Segment:
        """Store the frames of a segment, and return the segment with the keys of its blobs."""
        names = []
        for group in _groups(chunks):
            joined = join_chunks(group)
            name = f"trajectories/{key}/{joined.first_frame:09d}"
            self._blobs.put(name, encode_chunk(joined))
            names.append(name)
        return segment.model_copy(update={"blobs": tuple(names)})

    def last_blob(self, ledger: Trajectory) -> bytes | None:
        """Return the newest frames with the state to continue from."""
        for segment in reversed(ledger.segments):
            if segment.blobs:
                return self._blobs.get(segment.blobs[-1])
        return None

    def chunks(
        self, ledger: Trajectory, *, first: int = 0, last: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the stored chunks that hold frames `first` to `last` (exclusive), whole.

        One blob is read at a time, so memory does not grow with the length of the trajectory.
        """
        end = ledger.n_frames if last is None else min(last, ledger.n_frames)
        for start, stop, name in _spans(ledger):
            if stop > first and start < end:
                yield decode_chunk(self._blobs.get(name))

    def positions(
        self,
        ledger: Trajectory,
        *,
        first: int = 0,
        last: int | None = None,
        stride: int = 1,
        species: Collection[str] | None = None,
    ) -> FloatArray:
        """Return the positions of some frames, and of the atoms of some elements.

        One blob is in memory beside what is returned.

        Parameters
        ----------
        first, last, stride
            Frames `first` to `last` (exclusive), each `stride`-th of them.
        species
            Element symbols; None for all atoms.

        Returns
        -------
        Unwrapped, angstrom, shape (n_frames, n_chosen, 3), in the order of the ledger's structure.

        Raises
        ------
        StoreError
            If an element is not in the structure.
        """
        symbols = [site.specie.symbol for site in ledger.structure]
        if species is not None and (missing := sorted(set(species) - set(symbols))):
            raise StoreError(
                f"Trajectory {ledger.key} has no {missing[0]}; it has "
                f"{', '.join(sorted(set(symbols)))}."
            )
        chosen = np.array([species is None or symbol in species for symbol in symbols])
        wanted = _wanted(ledger, first, last, stride)
        found = np.empty((len(wanted), int(chosen.sum()), 3))
        for here, rows, name in _overlaps(ledger, wanted):
            found[here] = decode_chunk(self._blobs.get(name)).positions[rows][:, chosen]
        return found

    def series(
        self,
        ledger: Trajectory,
        name: Literal["energies", "temperatures"],
        *,
        first: int = 0,
        last: int | None = None,
        stride: int = 1,
    ) -> FloatArray:
        """Return potential energies (eV) or temperatures (K) of some frames; see `positions`.

        Positions are not unpacked for it.
        """
        wanted = _wanted(ledger, first, last, stride)
        found = np.empty(len(wanted))
        for here, rows, blob in _overlaps(ledger, wanted):
            found[here] = decode_series(self._blobs.get(blob), name)[rows]
        return found


def _wanted(ledger: Trajectory, first: int, last: int | None, stride: int) -> range:
    if first < 0 or stride < 1 or (last is not None and last < 0):
        raise ValueError(f"frames {first} to {last} by {stride} count from the start, forward")
    return range(first, ledger.n_frames if last is None else min(last, ledger.n_frames), stride)


def _overlaps(ledger: Trajectory, wanted: range) -> Iterator[tuple[slice, slice, str]]:
    """Yield where the wanted frames of each blob go, where they are in it, and its key."""
    for start, stop, name in _spans(ledger):
        before = len(range(wanted.start, min(start, wanted.stop), wanted.step))
        after = len(range(wanted.start, min(stop, wanted.stop), wanted.step))
        if after > before:
            offset = wanted[before] - start
            end = min(stop, wanted.stop) - start
            yield slice(before, after), slice(offset, end, wanted.step), name


def _ledger_key(key: str) -> str:
    return f"trajectories/{key}/ledger.json"


def _groups(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    group: list[Chunk] = []
    for chunk in chunks:
        if group and sum(part.n_frames for part in group) + chunk.n_frames > FRAMES_PER_BLOB:
            yield group
            group = []
        group.append(chunk)
    if group:
        yield group


def _spans(ledger: Trajectory) -> Iterator[tuple[int, int, str]]:
    """Yield first frame, last frame + 1 and key of every blob."""
    for segment in ledger.segments:
        starts = [int(name.rpartition("/")[2]) for name in segment.blobs]
        ends = [*starts[1:], segment.first_frame + segment.n_frames]
        yield from zip(starts, ends, segment.blobs, strict=True)
