"""The folder of one molecular dynamics run: its chunks, its segments and its lock.

The folder alone tells where a run stands, whatever killed the process that wrote it: every file is
complete or absent, chunks carry the state to continue from, and a segment whose process never said
how it ended was killed.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ssefw.data import Chunk, decode_chunk, encode_chunk
from ssefw.documents import EndReason, Segment
from ssefw.engines.folder_lock import LOCK, held
from ssefw.engines.ranks import cores_held
from ssefw.errors import DataError, DiskFullError, EngineError
from ssefw.files import disk_full
from ssefw.processes import this_process

__all__ = ["RunDirectory", "read_progress", "write_atomically"]

logger = logging.getLogger(__name__)

MARKER = "run.json"
PARTIAL = "partial.npz"


def write_atomically(path: Path, payload: bytes) -> None:
    """Write a file so that after a crash it is there whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        message = (
            f"Cannot write {path}: {error.strerror}. Free space or point SSEFW_SCRATCH elsewhere; "
            "the run continues from its last complete chunk."
        )
        if disk_full(error):
            raise DiskFullError(message) from error
        raise EngineError(message, directory=path.parent) from error


def read_progress(path: Path) -> dict[str, Any] | None:
    """Return what the run in folder `path` says of itself and how far it is, if it does."""
    try:
        about: dict[str, Any] = json.loads((path / MARKER).read_text())
        about |= json.loads((path / "progress.json").read_text())
    except (OSError, json.JSONDecodeError):
        return None
    return about


class _Stretch(NamedTuple):
    """What a chunk file holds."""

    file: Path
    first_step: int
    last_step: int
    first_frame: int
    n_frames: int


class RunDirectory:
    """The files of one run.

    Parameters
    ----------
    path
        Made if absent.
    key
        Settings hash of the run; a folder that belongs to another is refused.
    about
        What to tell those who watch the run.

    Attributes
    ----------
    ranks
        MPI ranks of the program that computes it, which an engine says; on record as cores.
    """

    def __init__(self, path: Path, *, key: str, about: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.key = key
        self.ranks = 1
        self._about = {**(about or {}), "key": key}
        self._remarks: list[str] = []
        self._locked = False
        self._clock: tuple[int, float] | None = None
        self._claim()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; within a block that holds it, nothing happens.

        Raises
        ------
        BusyError
            If another live process has it.
        EngineError
            If the file system has no locks.
        """
        if self._locked:
            yield
            return
        with held(self.path):
            self._locked = True
            try:
                self._claim()  # who had it before may have emptied it
                yield
            finally:
                self._locked = False

    def _claim(self) -> None:
        """Make the folder and say whose it is; refuse one that belongs to another run."""
        marker = self.path / MARKER
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(
                f"Cannot make the run folder {self.path}: {error.strerror}. Set SSEFW_SCRATCH to a "
                "folder that can be written."
            ) from error
        found = _read_record(marker).get("key")
        if found is None:
            write_atomically(marker, json.dumps(self._about).encode())
        elif found != self.key:
            raise EngineError(
                f"{self.path} holds the run {found}, not {self.key}; move it away to start anew.",
                directory=self.path,
            )

    def chunk_files(self) -> list[Path]:
        """Return the chunk files in order of time."""
        return sorted(self.path.glob("chunk-*.npz"))

    def last_chunk(self) -> Chunk | None:
        """Return the newest readable chunk; a damaged one is set aside and recomputed."""
        for file in reversed(self.chunk_files()):
            if (chunk := self._read_chunk(file)) is not None:
                return chunk
        return None

    def remark(self, what: str) -> None:
        """Keep for the ledger, and say in the log, what was found amiss: an event of a segment."""
        logger.warning("%s: %s", self.path, what)
        self._remarks.append(what)

    def connect(self, *, step: int, frame: int) -> bool:
        """Set aside what does not follow a step without a gap, and what is torn.

        Scratch folders are purged by age, file by file: what is left may begin or break off
        anywhere. What was set aside is computed again.

        Parameters
        ----------
        step, frame
            Where the stored ledger ends: the number of its steps and of its frames.

        Returns
        -------
        Whether dynamics can go on from what is left.
        """
        stretches = [
            _Stretch(file, chunk.first_step, chunk.last_step, chunk.first_frame, chunk.n_frames)
            for file in self.chunk_files()
            if (chunk := self._read_chunk(file)) is not None
        ]
        known = [part for part in stretches if part.last_step <= step]
        loose: list[_Stretch] = []
        end, frames = step, frame
        for part in stretches[len(known) :]:
            if not loose and (part.first_step, part.first_frame) == (end, frames):
                end, frames = part.last_step, frames + part.n_frames
            else:
                loose.append(part)
        if loose:
            self.remark(
                f"{len(loose)} chunks in the run's folder did not follow step {end}, since files "
                "before them were gone; they are computed again"
            )
        can_go_on = end > step or step == 0 or (bool(known) and known[-1].last_step == step)
        for part in loose if can_go_on else [*known, *loose]:
            part.file.replace(part.file.with_suffix(".loose"))
        return can_go_on

    def _read_chunk(self, file: Path) -> Chunk | None:
        """Return a chunk; one that cannot be read is set aside."""
        try:
            return decode_chunk(file.read_bytes())
        except DataError:
            file.replace(file.with_suffix(".damaged"))
            self.remark(f"{file.name} was damaged and is computed again")
        except FileNotFoundError:
            pass
        return None

    def append(self, chunk: Chunk) -> None:
        """Add a chunk durably."""
        write_atomically(self.path / f"chunk-{chunk.first_frame:09d}.npz", encode_chunk(chunk))

    def save_partial(self, chunk: Chunk) -> None:
        """Keep a chunk in progress, where steps are dear: `partial` gives it back after a kill."""
        write_atomically(self.path / PARTIAL, encode_chunk(chunk))

    def partial(self) -> Chunk | None:
        """Return the chunk that was in progress; None if there is none that can be read."""
        try:
            return decode_chunk((self.path / PARTIAL).read_bytes())
        except (OSError, DataError):
            return None

    def restore(self, payload: bytes) -> None:
        """Put a stored chunk back as the point to continue from."""
        self.append(decode_chunk(payload))

    def note_progress(self, *, step: int, until: int, steps_per_second: float) -> None:
        """Leave a note of how far the run is, for whoever watches."""
        note = {
            "step": step,
            "until": until,
            "rate": steps_per_second,
            "time": time.time(),
            "process": this_process().name,
            **self._lap(),
        }
        file = self.path / ".progress"
        file.write_text(json.dumps(note))
        file.replace(self.path / "progress.json")

    def begin_segment(
        self,
        index: int,
        *,
        velocities: Literal["drawn", "continued"],
        job_id: str | None = None,
    ) -> None:
        """Record that this process starts to add chunks.

        A segment of the same number that added none gives way; its events stay on the ledger.
        """
        before = _read_record(self._segment_file(index))
        self._keep_seconds()
        self._clock = (index, time.monotonic())
        self._write_segment(
            index,
            {
                "velocities": velocities,
                "started": datetime.now(UTC).isoformat(),
                "job_id": job_id,
                "cores": cores_held(self.ranks),
                "events": [*before.get("events", []), *self._remarks],
            },
        )
        self._remarks = []

    def end_segment(self, index: int, *, reason: EndReason, events: tuple[str, ...] = ()) -> None:
        """Record how and when the segment ended."""
        record = _read_record(self._segment_file(index))
        record |= {
            "end_reason": reason,
            "ended": datetime.now(UTC).isoformat(),
            "events": [*record.get("events", []), *events],
        }
        lap = self._lap() or self._noted()
        if lap.get("segment") == index:
            record["seconds"] = lap["seconds"]
        self._write_segment(index, record)

    def _lap(self) -> dict[str, Any]:
        """Return the segment that this process is at, and how long it has been at it.

        By a clock that nobody sets: what a run cost must not change with the date of a machine.
        """
        if self._clock is None:
            return {}
        index, began = self._clock
        return {"segment": index, "seconds": time.monotonic() - began}

    def _noted(self) -> dict[str, Any]:
        """Return what the process that was here last had noted of its segment."""
        note = read_progress(self.path) or {}
        if {"segment", "seconds"} <= note.keys():
            return {name: note[name] for name in ("segment", "seconds")}
        return {}

    def _keep_seconds(self) -> None:
        """Write down how long a segment took whose process was killed, before its note goes."""
        note = self._noted()
        if note:
            record = _read_record(self._segment_file(note["segment"]))
            if record and "seconds" not in record:
                self._write_segment(note["segment"], record | {"seconds": note["seconds"]})

    def segments(self, *, after: int = 0) -> list[Segment]:
        """Return the segments that added something beyond step `after`, as the folder tells."""
        by_segment: dict[int, list[tuple[Path, Chunk]]] = {}
        for file in self.chunk_files():
            chunk = decode_chunk(file.read_bytes())
            # Without a number: frames that were put here, not computed.
            if (index := chunk.notes.get("segment")) is not None:
                by_segment.setdefault(index, []).append((file, chunk))
        found = [
            self._segment(index, new, share=_n_steps(new) / _n_steps(parts))
            for index, parts in sorted(by_segment.items())
            if (new := [part for part in parts if part[1].first_step >= after])
        ]
        if found and self._remarks:  # nothing was left to compute that could have taken them
            events = (*found[0].events, *self._remarks)
            found[0] = found[0].model_copy(update={"events": events})
        return found

    def chunks_of(self, segment: Segment) -> list[Chunk]:
        """Return the chunks of one segment, in order."""
        chunks = (decode_chunk(file.read_bytes()) for file in self.chunk_files())
        return [
            chunk
            for chunk in chunks
            if segment.first_step <= chunk.first_step and chunk.last_step <= segment.last_step
        ]

    def clear(self) -> None:
        """Remove what a stored ledger has made superfluous; files of the engine stay."""
        chunks = ("chunk-*.npz", "chunk-*.damaged", "chunk-*.loose")
        notes = ("progress.json", ".progress", PARTIAL)
        for pattern in (*chunks, "segment-*.json", *notes, MARKER, LOCK):
            for file in self.path.glob(pattern):
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: the engine left files of its own
            self.path.rmdir()

    def _segment(self, index: int, parts: list[tuple[Path, Chunk]], *, share: float) -> Segment:
        """Return the segment of some chunks.

        Parameters
        ----------
        share
            How much of all that the segment computed is in them.
        """
        record = _read_record(self._segment_file(index))
        first, last = parts[0][1], parts[-1][1]
        remarks = (chunk.notes.get("remark") for _, chunk in parts)
        events = (*record.get("events", ()), *(str(remark) for remark in remarks if remark))
        if "started" in record:
            started = datetime.fromisoformat(record["started"])
        else:  # its note was purged; at least the chunks behind the first were computed since that
            started = datetime.fromtimestamp(parts[0][0].stat().st_mtime, UTC)
            events += ("the note of its start was gone: its time is that since its first chunk",)
            logger.warning("%s is gone; %s", self._segment_file(index), events[-1])
        note = self._noted()
        if "seconds" in record:
            seconds = float(record["seconds"])
        elif note.get("segment") == index:  # killed: its last sign of life is its last chunk
            seconds = float(note["seconds"])
        elif "ended" in record and "started" in record:
            seconds = (datetime.fromisoformat(record["ended"]) - started).total_seconds()
        else:
            seconds = parts[-1][0].stat().st_mtime - started.timestamp()
        n_frames = sum(chunk.n_frames for _, chunk in parts)
        warm = sum(float(chunk.temperatures.sum()) for _, chunk in parts)
        return Segment(
            index=index,
            first_step=first.first_step,
            last_step=last.last_step,
            first_frame=first.first_frame,
            n_frames=n_frames,
            velocities=record.get("velocities", "continued" if first.first_step else "drawn"),
            end_reason=record.get("end_reason", "killed"),
            settings_hash=self.key,
            wall_time=max(0.0, seconds) * share,
            mean_temperature=warm / n_frames,
            events=events,
            started=started,
            job_id=record.get("job_id"),
            cores=record.get("cores"),
        )

    def _write_segment(self, index: int, record: dict[str, Any]) -> None:
        write_atomically(self._segment_file(index), json.dumps(record).encode())

    def _segment_file(self, index: int) -> Path:
        return self.path / f"segment-{index:04d}.json"


def _n_steps(parts: list[tuple[Path, Chunk]]) -> int:
    return sum(chunk.last_step - chunk.first_step for _, chunk in parts)


def _read_record(path: Path) -> dict[str, Any]:
    """Return the record in a small file; an empty one where it is gone or torn."""
    try:
        record = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
