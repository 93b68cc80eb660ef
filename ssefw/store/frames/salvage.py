"""What is left of a trajectory of which a part was lost: a ledger of the frames that are whole.

Dynamics continue from the state at the end of any blob, so that what is missing can be computed
again from the last blob before it.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ssefw.data import Chunk
from ssefw.documents import Segment, Trajectory
from ssefw.store.frames.blobs import BlobError
from ssefw.store.frames.trajectories import TrajectoryStore, spans

__all__ = ["sound_part", "with_stored_frames"]


def sound_part(store: TrajectoryStore, new: Trajectory) -> tuple[Trajectory, list[str]]:
    """Return the ledger of a trajectory as far as its frames can be read, and what was lost.

    Parameters
    ----------
    new
        A ledger without segments: of a trajectory of which nothing is stored.

    Returns
    -------
    The ledger, and a sentence for each thing that is lost.
    """
    try:
        ledger = store.ledger(new.key)
    except BlobError as error:
        lost = f"The ledger {error.key} {error.why} and was put together again from its frames."
        return with_stored_frames(store, new), [lost]
    if ledger is None:
        return new, []
    before: Chunk | None = None
    for _, _, name in spans(ledger):
        try:
            before = store.chunk(name)
        except BlobError as error:
            left = _cut(ledger, name, before)
            why = f"Blob {error.key} {error.why}: the run went on from step {left.n_steps}."
            return left, [why]
    return ledger, []


def _cut(ledger: Trajectory, name: str, before: Chunk | None) -> Trajectory:
    """Return a ledger that ends before a blob.

    Parameters
    ----------
    before
        The frames of the blob before it, if there is one.
    """
    segments = list(ledger.segments)
    position = next(k for k, segment in enumerate(segments) if name in segment.blobs)
    segment = segments[position]
    kept = segment.blobs[: segment.blobs.index(name)]
    segments = segments[:position]
    if kept and before is not None:
        n_steps = before.last_step - segment.first_step
        share = n_steps / (segment.last_step - segment.first_step)
        segments.append(
            segment.model_copy(
                update={
                    "last_step": before.last_step,
                    "n_frames": before.first_frame + before.n_frames - segment.first_frame,
                    "wall_time": segment.wall_time * share,
                    "end_reason": "killed",
                    "blobs": kept,
                    "events": (*segment.events, f"what followed step {before.last_step} was lost"),
                }
            )
        )
    return ledger.model_copy(update={"segments": tuple(segments)})


class _Piece(NamedTuple):
    """What a ledger says of a blob of frames."""

    name: str
    segment: int
    first_step: int
    last_step: int
    first_frame: int
    temperatures: npt.NDArray[np.float64]


def with_stored_frames(store: TrajectoryStore, ledger: Trajectory) -> Trajectory:
    """Return a ledger with the frames behind its end that are stored but that it does not name.

    Their writer was killed before it could say so, or the ledger that named them was lost.
    """
    segments = list(ledger.segments)
    for _, pieces in groupby(_following(store, ledger), key=attrgetter("segment")):
        segments.append(_segment(ledger, len(segments), list(pieces)))
    return ledger.model_copy(update={"segments": tuple(segments)})


def _following(store: TrajectoryStore, ledger: Trajectory) -> Iterator[_Piece]:
    """Yield the blobs that follow a ledger and each other without a gap."""
    step, frame = ledger.n_steps, ledger.n_frames
    for name in store.frame_blobs(ledger.key):
        if int(name.rpartition("/")[2]) < frame:
            continue
        try:
            chunk = store.chunk(name)
        except BlobError:
            return
        if (chunk.first_step, chunk.first_frame) != (step, frame):
            return
        yield _Piece(
            name=name,
            segment=int(chunk.notes.get("segment", 0)),
            first_step=chunk.first_step,
            last_step=chunk.last_step,
            first_frame=chunk.first_frame,
            temperatures=chunk.temperatures,
        )
        step, frame = chunk.last_step, frame + chunk.n_frames


def _segment(ledger: Trajectory, index: int, pieces: list[_Piece]) -> Segment:
    first, last = pieces[0], pieces[-1]
    temperatures = np.concatenate([piece.temperatures for piece in pieces])
    return Segment(
        index=index,
        first_step=first.first_step,
        last_step=last.last_step,
        first_frame=first.first_frame,
        n_frames=len(temperatures),
        velocities="drawn" if first.first_step == 0 else "continued",
        end_reason="killed",
        settings_hash=ledger.key,
        wall_time=0.0,
        mean_temperature=float(temperatures.mean()),
        blobs=tuple(piece.name for piece in pieces),
        events=("put together from its frames; how long it took is not known",),
    )
