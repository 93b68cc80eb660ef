"""Trajectories in the blob store: a ledger and the frames it speaks of.

Frames are put first and the ledger last, so a ledger never names frames that are not there. Blobs
that no ledger names (their writer was killed between the two) are taken up where the run's own
folder is lost, and else give way to the next writer's.
"""

import json
import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ssefw.data import Chunk, decode_chunk, decode_series, encode_chunk, join_chunks
from ssefw.documents import Segment, Trajectory
from ssefw.errors import DataError, StoreError
from ssefw.store.decoding import decoded_json
from ssefw.store.frames.blobs import BlobError, BlobStore

__all__ = ["TrajectoryStore", "ledger_key", "spans"]

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

FRAMES_PER_BLOB = 500


class TrajectoryStore:
    """Ledgers and frames by trajectory key."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def ledger(self, key: str) -> Trajectory | None:
        """Return the ledger of a key, or None if nothing was stored under it.

        Raises
        ------
        BlobError
            If it is damaged.
        """
        name = ledger_key(key)
        if not self._blobs.exists(name):
            return None
        stored = self._blobs.get(name)
        try:
            found = decoded_json(stored)
        except (ValueError, TypeError) as error:
            why = f"is damaged ({' '.join(str(error).split())[:200]})"
            raise BlobError(name, why, place=self._blobs.place) from error
        if not isinstance(found, Trajectory):
            raise StoreError(f"The blob {name} is not the ledger of a trajectory; restore it.")
        return found

    def newest(self, ledger: Trajectory) -> Trajectory:
        """Return the ledger that is stored for a trajectory, or the given one if none can be read.

        A damaged one is named in the log.
        """
        try:
            return self.ledger(ledger.key) or ledger
        except BlobError as error:
            logger.warning("Blob %r %s; the record of its job is taken.", error.key, error.why)
            return ledger

    def save(self, ledger: Trajectory) -> None:
        """Store a ledger; the frames of its segments must be there."""
        self._blobs.put(ledger_key(ledger.key), json.dumps(ledger.as_dict()).encode())

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

    def chunk(self, name: str) -> Chunk:
        """Return the frames of a blob.

        Raises
        ------
        BlobError
            If it is missing or damaged.
        """
        stored = self._blobs.get(name)
        try:
            return decode_chunk(stored)
        except DataError as error:
            raise self._damaged(name, error) from error

    def frame_blobs(self, key: str) -> list[str]:
        """Return the keys of the frames that are stored for a trajectory, in their order."""
        found = self._blobs.keys(f"trajectories/{key}/")
        return [name for name in found if name.rpartition("/")[2].isdigit()]

    def drop_frames_behind(self, ledger: Trajectory) -> None:
        """Forget frames behind the end of a ledger, which others take the place of."""
        for name in self.frame_blobs(ledger.key):
            if int(name.rpartition("/")[2]) >= ledger.n_frames:
                self._blobs.delete(name)

    def _damaged(self, name: str, error: Exception) -> BlobError:
        return BlobError(name, f"is damaged ({error})", place=self._blobs.place)

    def chunks(
        self, ledger: Trajectory, *, first: int = 0, last: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the stored chunks that hold frames `first` to `last` (exclusive), whole.

        One blob is read at a time, so memory does not grow with the length of the trajectory.
        """
        end = ledger.n_frames if last is None else min(last, ledger.n_frames)
        for start, stop, name in spans(ledger):
            if stop > first and start < end:
                yield self.chunk(name)

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
            found[here] = self.chunk(name).positions[rows][:, chosen]
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

        Parameters
        ----------
        ledger
            The trajectory.
        name
            Which series.
        first, last
            Frames, the last not among them.
        stride
            One of so many is taken.
        """
        wanted = _wanted(ledger, first, last, stride)
        found = np.empty(len(wanted))
        for here, rows, blob in _overlaps(ledger, wanted):
            stored = self._blobs.get(blob)
            try:
                found[here] = decode_series(stored, name)[rows]
            except DataError as error:
                raise self._damaged(blob, error) from error
        return found


def _wanted(ledger: Trajectory, first: int, last: int | None, stride: int) -> range:
    if first < 0 or stride < 1 or (last is not None and last < 0):
        raise ValueError(f"frames {first} to {last} by {stride} count from the start, forward")
    return range(first, ledger.n_frames if last is None else min(last, ledger.n_frames), stride)


def _overlaps(ledger: Trajectory, wanted: range) -> Iterator[tuple[slice, slice, str]]:
    """Yield where the wanted frames of each blob go, where they are in it, and its key."""
    for start, stop, name in spans(ledger):
        before = len(range(wanted.start, min(start, wanted.stop), wanted.step))
        after = len(range(wanted.start, min(stop, wanted.stop), wanted.step))
        if after > before:
            offset = wanted[before] - start
            end = min(stop, wanted.stop) - start
            yield slice(before, after), slice(offset, end, wanted.step), name


def ledger_key(key: str) -> str:
    """Return the key of a trajectory's ledger."""
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


def spans(ledger: Trajectory) -> Iterator[tuple[int, int, str]]:
    """Yield first frame, last frame + 1 and key of every blob."""
    for segment in ledger.segments:
        starts = [int(name.rpartition("/")[2]) for name in segment.blobs]
        ends = [*starts[1:], segment.first_frame + segment.n_frames]
        yield from zip(starts, ends, segment.blobs, strict=True)
