"""Trajectories in the blob store: a ledger and the frames it speaks of.

Frames are put first and the ledger last, so a ledger never names frames that are not there. Blobs
that no ledger names (their writer was killed between the two) are overwritten by the next writer,
since a key says which frames it holds.
"""

import json
from collections.abc import Iterator, Sequence

from monty.json import MontyDecoder

from ssefw.data import Chunk, decode_chunk, encode_chunk, join_chunks
from ssefw.documents import Segment, Trajectory
from ssefw.errors import StoreError
from ssefw.store.blobs import BlobStore

__all__ = ["TrajectoryStore"]

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
