"""Trajectories in files beside the page: thinned for a viewer, the best candidates first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ssefw.documents import Outcome, Trajectory
from ssefw.errors import DataError, StoreError
from ssefw.files import replacing
from ssefw.report.training_frames import frames_of, write_frame
from ssefw.store import Connection
from ssefw.store.frames.trajectories import TrajectoryStore

__all__ = ["FrameFile", "runs_of", "write_frame_files"]

MOST_FRAMES = 100
"""Of a run: a viewer plays them for some seconds."""
LARGEST_BYTES = 20_000_000
"""Of all files of a page, so that a folder of reports stays one that can be sent."""
ATOM_BYTES, FRAME_BYTES = 40, 400
"""Of an atom and of what stands above the atoms, in extended XYZ."""


@dataclass(frozen=True)
class FrameFile:
    """A file of frames, as the page links to it.

    Attributes
    ----------
    address
        Relative to the page.
    between
        Of simulated time from frame to frame, ps.
    """

    address: str
    temperature: float
    between: float


def runs_of(connection: Connection, outcome: Outcome) -> list[Trajectory]:
    """Return the ledgers of a candidate's runs; of one that was continued, the last."""
    found = connection.results.find(
        Trajectory, campaign=outcome.campaign, candidate=outcome.candidate_id
    )
    return list({item.key: item for item in found}.values())


def write_frame_files(
    connection: Connection, outcomes: Iterable[Outcome], page: Path
) -> dict[str, list[FrameFile]]:
    """Write the frames of runs into a folder beside a page; return the files by candidate.

    What lies there of an earlier page and is not written again is removed.

    Parameters
    ----------
    outcomes
        In the order in which they get a share of the room there is.
    """
    folder = page.with_name(f"{page.stem}-frames")
    store, left = TrajectoryStore(connection.blobs), LARGEST_BYTES
    found: dict[str, list[FrameFile]] = {}
    written: set[Path] = set()
    for outcome in outcomes:
        if not outcome.diffusivities:
            continue
        if left <= 0:
            break
        for ledger in sorted(runs_of(connection, outcome), key=lambda run: run.temperature):
            size = min(MOST_FRAMES, ledger.n_frames) * (
                FRAME_BYTES + ATOM_BYTES * len(ledger.structure)
            )
            left -= size
            if left <= 0:
                break
            name = f"{outcome.formula}-{ledger.temperature:g}K-{ledger.key[:8]}.extxyz"
            path = folder / name.replace("/", "-")
            stride = max(1, -(-ledger.n_frames // MOST_FRAMES))
            # Blobs may be gone, or all frames within the equilibration: such a run has no file.
            try:
                _write(ledger, store, path, stride)
            except (DataError, StoreError):
                continue
            written.add(path)
            between = stride * ledger.steps_per_frame * ledger.timestep / 1000.0
            address = quote(f"{folder.name}/{path.name}")
            found.setdefault(outcome.candidate_id, []).append(
                FrameFile(address, ledger.temperature, between)
            )
    for path in _ours(folder):
        if path not in written:
            path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    return found


def _write(ledger: Trajectory, store: TrajectoryStore, path: Path, stride: int) -> None:
    frames = frames_of(ledger, store, stride=stride)
    first = next(frames)
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as draft, draft.open("w", encoding="utf-8") as file:
        write_frame(first, file)
        for frame in frames:
            write_frame(frame, file)


def _ours(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*K-????????.extxyz")
