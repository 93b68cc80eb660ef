"""The folder of one molecular dynamics run: its chunks, its segments and its lock.

The folder alone tells where a run stands, whatever killed the process that wrote it: every file is
complete or absent, chunks carry the state to continue from, and a segment whose process never said
how it ended was killed.
"""

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ssefw.data import Chunk, decode_chunk, encode_chunk
from ssefw.documents import EndReason, Segment
from ssefw.errors import DataError, EngineError
from ssefw.settings import load_settings

__all__ = ["RunDirectory", "noted_folder", "noting_folder", "read_progress", "write_atomically"]

_NOTE: ContextVar[Path | None] = ContextVar("file that says in which folder a job calculates")


@contextmanager
def noting_folder(file: Path) -> Iterator[None]:
    """Write into a file which folder is worked in, so that others find what is calculated there."""
    token = _NOTE.set(file)
    try:
        yield
    finally:
        _NOTE.reset(token)


def noted_folder(file: Path) -> Path | None:
    """Return the folder that such a file names, if it is there."""
    try:
        folder = Path(file.read_text())
    except OSError:
        return None
    return folder if folder.is_dir() else None


logger = logging.getLogger(__name__)


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
        raise EngineError(
            f"Cannot write {path}: {error.strerror}. Free space or point SSEFW_SCRATCH elsewhere; "
            "the run continues from its last complete chunk.",
            directory=path.parent,
        ) from error


def _cores() -> int:
    """Return the cores of this process: those of its queue job, or its threads."""
    return int(os.environ.get("SSEFW_QUEUE_CORES") or load_settings().settings.threads)


def read_progress(path: Path) -> dict[str, Any] | None:
    """Return what the run in folder `path` says of itself and how far it is, if it does."""
    try:
        about: dict[str, Any] = json.loads((path / "run.json").read_text())
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
    """

    def __init__(self, path: Path, *, key: str, about: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.key = key
        self._remarks: list[str] = []
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(
                f"Cannot make the run folder {path}: {error.strerror}. Set SSEFW_SCRATCH to a "
                "folder that can be written."
            ) from error
        marker = path / "run.json"
        found = _read_record(marker).get("key")
        if found is not None:
            if found != key:
                raise EngineError(
                    f"{path} holds the run {found}, not {key}; move it away to start anew.",
                    directory=path,
                )
        else:
            write_atomically(marker, json.dumps({**(about or {}), "key": key}).encode())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; refuse when another live process has it."""
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise EngineError(
                    f"Another process is working in {self.path}; wait for it or stop it.",
                    directory=self.path,
                ) from error
            if (note := _NOTE.get(None)) is not None:
                with contextlib.suppress(OSError):
                    note.write_text(str(self.path.resolve()))
            yield

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

    def restore(self, payload: bytes) -> None:
        """Put a stored chunk back as the point to continue from."""
        self.append(decode_chunk(payload))

    def note_progress(self, *, step: int, until: int, steps_per_second: float) -> None:
        """Leave a note of how far the run is, for whoever watches."""
        note = {"step": step, "until": until, "rate": steps_per_second, "time": time.time()}
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
        self._write_segment(
            index,
            {
                "velocities": velocities,
                "started": datetime.now(UTC).isoformat(),
                "job_id": job_id,
                "cores": _cores(),
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
        self._write_segment(index, record)

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
        for pattern in (*chunks, "segment-*.json", "progress.json", "run.json", "lock"):
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
        events = tuple(record.get("events", ()))
        if "started" in record:
            started = datetime.fromisoformat(record["started"])
        else:  # its note was purged; at least the chunks behind the first were computed since that
            started = datetime.fromtimestamp(parts[0][0].stat().st_mtime, UTC)
            events += ("the note of its start was gone: its time is that since its first chunk",)
            logger.warning("%s is gone; %s", self._segment_file(index), events[-1])
        if "ended" in record and "started" in record:
            seconds = (datetime.fromisoformat(record["ended"]) - started).total_seconds()
        else:  # killed: its last sign of life is its last chunk
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
