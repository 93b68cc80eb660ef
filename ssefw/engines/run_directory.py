"""The folder of one molecular dynamics run: its chunks, its segments and its lock.

The folder alone tells where a run stands, whatever killed the process that wrote it: every file is
complete or absent, chunks carry the state to continue from, and a segment whose process never said
how it ended was killed.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from ssefw.data import Chunk, decode_chunk, encode_chunk
from ssefw.documents import EndReason, Segment
from ssefw.errors import BusyError, DataError, DiskFullError, EngineError
from ssefw.files import disk_full
from ssefw.processes import this_process
from ssefw.settings import load_settings

__all__ = ["RunDirectory", "read_progress", "write_atomically"]

MARKER = "run.json"
DRAFT_SECONDS = 3600.0
"""A draft of the marker is written in an instant, by a process that has not locked the folder yet;
one that is so old was left by a process that was killed."""


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


def _cores() -> int:
    """Return the cores of this process: those of its queue job, or its threads."""
    return int(os.environ.get("SSEFW_QUEUE_CORES") or load_settings().settings.threads)


def read_progress(path: Path) -> dict[str, Any] | None:
    """Return what the run in folder `path` says of itself and how far it is, if it does."""
    try:
        about: dict[str, Any] = json.loads((path / MARKER).read_text())
        about |= json.loads((path / "progress.json").read_text())
    except (OSError, json.JSONDecodeError):
        return None
    return about


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
        self._about = {**(about or {}), "key": key}
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
        with self._locked_file() as file:
            self._locked = True
            try:
                self._claim()  # who had it before may have emptied it
                self._sweep(Path(file.name))
                yield
            finally:
                self._locked = False

    def _claim(self) -> None:
        """Make the folder and say whose it is; refuse one that belongs to another run."""
        marker = self.path / MARKER
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            found = json.loads(marker.read_text())["key"]
        except FileNotFoundError:
            write_atomically(marker, json.dumps(self._about).encode())
        except OSError as error:
            raise EngineError(
                f"Cannot make the run folder {self.path}: {error.strerror}. Set SSEFW_SCRATCH to a "
                "folder that can be written."
            ) from error
        else:
            if found != self.key:
                raise EngineError(
                    f"{self.path} holds the run {found}, not {self.key}; move it away to start "
                    "anew.",
                    directory=self.path,
                )

    def _locked_file(self) -> IO[str]:
        path = self.path / "lock"
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:
                file = stack.enter_context(path.open("w"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise BusyError(
                        f"Another process is working in {self.path}; wait for it or stop it."
                    ) from error
                except OSError as error:
                    raise EngineError(
                        f"{path} cannot be locked ({error.strerror}): two processes could work in "
                        "one folder. Point SSEFW_SCRATCH to a file system that has locks.",
                        directory=self.path,
                    ) from error
                # Who had it before may have removed the file that we have just locked.
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    stack.pop_all()
                    return file

    def _sweep(self, lock: Path) -> None:
        """Remove the drafts of files whose writer was killed; only who holds the folder writes."""
        now = lock.stat().st_mtime
        for draft in self.path.glob(".*.[0-9]*"):
            with contextlib.suppress(FileNotFoundError):
                is_marker = draft.name.startswith(f".{MARKER}.")
                is_old = now - draft.stat().st_mtime > DRAFT_SECONDS
                if draft.suffix[1:].isdigit() and (is_old or not is_marker):
                    draft.unlink()

    def chunk_files(self) -> list[Path]:
        """Return the chunk files in order of time."""
        return sorted(self.path.glob("chunk-*.npz"))

    def last_chunk(self) -> Chunk | None:
        """Return the newest readable chunk; a damaged one is set aside and recomputed."""
        for file in reversed(self.chunk_files()):
            try:
                return decode_chunk(file.read_bytes())
            except DataError:
                file.rename(file.with_suffix(".damaged"))
        return None

    def append(self, chunk: Chunk) -> None:
        """Add a chunk durably."""
        write_atomically(self.path / f"chunk-{chunk.first_frame:09d}.npz", encode_chunk(chunk))

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
        exists = self._segment_file(index).exists()
        self._keep_seconds()
        self._clock = (index, time.monotonic())
        self._write_segment(
            index,
            {
                "velocities": velocities,
                "started": datetime.now(UTC).isoformat(),
                "job_id": job_id,
                "cores": _cores(),
                "events": self._read_segment(index)["events"] if exists else [],
            },
        )

    def end_segment(self, index: int, *, reason: EndReason, events: tuple[str, ...] = ()) -> None:
        """Record how and when the segment ended."""
        record = self._read_segment(index)
        record |= {
            "end_reason": reason,
            "ended": datetime.now(UTC).isoformat(),
            "events": [*record["events"], *events],
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
        return {name: note[name] for name in ("segment", "seconds") if name in note}

    def _keep_seconds(self) -> None:
        """Write down how long a segment took whose process was killed, before its note goes."""
        note = self._noted()
        if note and self._segment_file(note["segment"]).exists():
            record = self._read_segment(note["segment"])
            if "seconds" not in record:
                self._write_segment(note["segment"], record | {"seconds": note["seconds"]})

    def segments(self, *, after: int = 0) -> list[Segment]:
        """Return the segments that added something beyond step `after`, as the folder tells."""
        by_segment: dict[int, list[tuple[Path, Chunk]]] = {}
        for file in self.chunk_files():
            chunk = decode_chunk(file.read_bytes())
            index = chunk.notes.get("segment")
            if index is None or not self._segment_file(index).exists():
                continue  # frames that were restored, not computed here
            if chunk.first_step >= after:
                by_segment.setdefault(index, []).append((file, chunk))
        return [self._segment(index, parts) for index, parts in sorted(by_segment.items())]

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
        chunks = ("chunk-*.npz", "chunk-*.damaged")
        notes = ("progress.json", ".progress")
        for pattern in (*chunks, "segment-*.json", *notes, MARKER, "lock"):
            for file in self.path.glob(pattern):
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: the engine left files of its own
            self.path.rmdir()

    def _segment(self, index: int, parts: list[tuple[Path, Chunk]]) -> Segment:
        record = self._read_segment(index)
        first, last = parts[0][1], parts[-1][1]
        started = datetime.fromisoformat(record["started"])
        note = self._noted()
        if "seconds" in record:
            seconds = float(record["seconds"])
        elif note.get("segment") == index:  # killed: its last sign of life is its last chunk
            seconds = float(note["seconds"])
        elif "ended" in record:
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
            velocities=record["velocities"],
            end_reason=record.get("end_reason", "killed"),
            settings_hash=self.key,
            wall_time=max(0.0, seconds),
            mean_temperature=warm / n_frames,
            events=tuple(record["events"]),
            started=started,
            job_id=record["job_id"],
            cores=record.get("cores"),
        )

    def _read_segment(self, index: int) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self._segment_file(index).read_text())
        return record

    def _write_segment(self, index: int, record: dict[str, Any]) -> None:
        write_atomically(self._segment_file(index), json.dumps(record).encode())

    def _segment_file(self, index: int) -> Path:
        return self.path / f"segment-{index:04d}.json"
