"""Diffusivities of runs while they grow: from the frames that there are so far, thinned to a few.

Whoever looks at a run every morning asks whether its diffusivity has settled. It is computed at
simulated times that lie evenly on a logarithmic scale, each once.
"""

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw import analysis
from ssefw.analysis.settling import find_settling
from ssefw.data import Chunk, decode_chunk
from ssefw.documents import Diffusivity, Trajectory
from ssefw.engines import read_progress
from ssefw.errors import AnalysisError, DataError, StoreError
from ssefw.serve.pace import rest_after
from ssefw.store.frames.trajectories import TrajectoryStore

__all__ = ["Growing", "GrowingRuns"]

MOST_FRAMES = 800
"""Of a run, evenly spaced: an estimate from them takes some hundredths of a second."""
STEP = 1.4
"""From one simulated time to the next."""
CLOSE = 1.15
"""A mark so close to now would stand upon it."""
RUNS_KEPT = 24
SHORTEST_SHARE = 0.02
"""Of a run, before which nothing is estimated."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class About:
    """What must be known of a run to analyze its frames."""

    temperature: float
    timestep: float
    steps_per_frame: int
    equilibration_steps: int
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, ledger: Trajectory) -> "About":
        """Return what a ledger says."""
        return cls(
            temperature=ledger.temperature,
            timestep=ledger.timestep,
            steps_per_frame=ledger.steps_per_frame,
            equilibration_steps=ledger.equilibration_steps,
            symbols=tuple(site.specie.symbol for site in ledger.structure),
        )

    @classmethod
    def noted(cls, note: dict[str, Any]) -> "About | None":
        """Return what a run says of itself; None of one that older versions began."""
        names = ("temperature", "timestep", "steps_per_frame", "equilibration_steps")
        if not {*names, "symbols"} <= note.keys():
            return None
        return cls(**{name: note[name] for name in names}, symbols=tuple(note["symbols"]))

    @property
    def first_frame(self) -> int:
        """The first frame behind the equilibration."""
        return -(-self.equilibration_steps // self.steps_per_frame)


@dataclass
class Growing:
    """A run that may grow, and its diffusivity at some simulated times.

    Attributes
    ----------
    estimates
        By the number of frames that they rest on, in order.
    """

    about: About
    specie: str
    level: float
    stride: int = 1
    next_frame: int = 0
    estimates: dict[int, Diffusivity] = field(default_factory=dict)
    _positions: list[FloatArray] = field(default_factory=list)
    _temperatures: list[float] = field(default_factory=list)
    _energies: list[float] = field(default_factory=list)  # of each frame: none is thinned away
    _cell: FloatArray | None = None
    _files: set[str] = field(default_factory=set)
    _rests_until: float = -math.inf

    def add_stored(self, ledger: Trajectory, store: TrajectoryStore) -> None:
        """Take in what is stored of the run."""
        for chunk in store.chunks(ledger, first=self.next_frame):
            self._add(chunk)

    def add_folder(self, folder: Path) -> None:
        """Take in what has come to the run's folder since."""
        for file in sorted(folder.glob("chunk-*.npz")):
            if file.name in self._files:
                continue
            try:
                self._add(decode_chunk(file.read_bytes()))
            except (OSError, DataError):
                return  # its writer will see to it
            self._files.add(file.name)

    def _add(self, chunk: Chunk) -> None:
        """Take in the frames of a chunk that come next."""
        if chunk.first_frame > self.next_frame:
            return  # frames before it are elsewhere
        first = max(self.next_frame, self.about.first_frame)
        for frame in range(first, chunk.first_frame + chunk.n_frames):
            self._energies.append(float(chunk.energies[frame - chunk.first_frame]))
            if (frame - self.about.first_frame) % self.stride == 0:
                place = frame - chunk.first_frame
                self._positions.append(chunk.positions[place])
                self._temperatures.append(float(chunk.temperatures[place]))
        self._cell = chunk.cell
        self.next_frame = max(self.next_frame, chunk.first_frame + chunk.n_frames)
        while len(self._positions) > 2 * MOST_FRAMES:
            self.stride *= 2
            self._positions = self._positions[::2]
            self._temperatures = self._temperatures[::2]

    @property
    def between_ps(self) -> float:
        """Simulated time between two of the frames that are kept."""
        return self.stride * self.about.steps_per_frame * self.about.timestep / 1000.0

    @property
    def rests(self) -> bool:
        """Whether it was looked at so lately that another look would cost too much."""
        return time.monotonic() < self._rests_until

    def rest(self, used: float) -> None:
        """Let it rest after so many seconds of processor time."""
        self._rests_until = time.monotonic() + rest_after(used)

    @property
    def is_known(self) -> bool:
        """Whether there are frames to estimate anything from."""
        return len(self._positions) > 1

    def estimate(self) -> list[Diffusivity]:
        """Return the diffusivity at simulated times up to now, the last being now."""
        n = len(self._positions)
        ends = {n * self.stride}
        wanted = n * self.stride / CLOSE
        while wanted >= SHORTEST_SHARE * n * self.stride:
            # On marks that stay where they are as the run grows, so that each is estimated once.
            mark = round(STEP ** np.floor(np.log(wanted) / np.log(STEP)))
            ends.add(mark)
            wanted = mark / STEP
        found = {
            end: self.estimates.get(end) or self._estimate(-(-end // self.stride))
            for end in sorted(ends)
        }
        self.estimates = {end: known for end, known in found.items() if known is not None}
        return list(self.estimates.values())

    def _estimate(self, n: int) -> Diffusivity | None:
        """Return the diffusivity of the first frames, what settles left out; None of too few."""
        if n < 2 or self._cell is None:
            return None
        settling = find_settling(np.array(self._energies[: n * self.stride]))
        first = -(-settling.n_frames // self.stride)
        start = (self.about.first_frame / self.stride + first) * self.between_ps
        try:
            found = analysis.estimate_diffusivity(
                analysis.Frames(
                    positions=np.stack(self._positions[first:n]),
                    lattice=self._cell,
                    species=self.about.symbols,
                    timestep=1000.0 * self.between_ps,
                    temperatures=np.array(self._temperatures[first:n]),
                    start=start,
                    is_unwrapped=True,
                ),
                specie=self.specie,
                temperature=self.about.temperature,
                level=self.level,
            )
        except AnalysisError:
            return None
        return found.model_copy(update={"equilibration": start})


class GrowingRuns:
    """The runs that people look at, kept so that each look reads only what is new."""

    def __init__(self, store: TrajectoryStore, runs_folder: Path) -> None:
        self._store = store
        self._folder = runs_folder
        self._kept: OrderedDict[str, Growing] = OrderedDict()
        self._lock = threading.Lock()

    def look(
        self, key: str, ledger: Trajectory | None, *, specie: str, level: float
    ) -> list[Diffusivity]:
        """Return the diffusivity of a run at simulated times; none where nothing can be said.

        Parameters
        ----------
        key
            Of the trajectory.
        ledger
            What is stored of it, if anything is.
        specie
            Element that diffuses.
        level
            Confidence level of intervals and bounds.
        """
        folder = self._folder / key
        with self._lock:
            if (known := self._kept.get(key)) is not None and known.rests:
                return list(known.estimates.values())
            began = time.process_time()
            if folder.is_dir():
                ledger = self._newest(key) or ledger  # of a run that was interrupted
            run = self._kept.get(key) or self._begin(folder, ledger, specie, level)
            if run is None:
                return []
            if ledger is not None and ledger.n_frames > run.next_frame:
                try:
                    run.add_stored(ledger, self._store)
                except StoreError:
                    return []  # it is being continued, or damaged, which its own page says
            run.add_folder(folder)
            self._kept[key] = run
            self._kept.move_to_end(key)
            while len(self._kept) > RUNS_KEPT:
                self._kept.popitem(last=False)
            found = run.estimate() if run.is_known else []
            run.rest(time.process_time() - began)
            return found

    def _newest(self, key: str) -> Trajectory | None:
        try:
            return self._store.ledger(key)
        except StoreError:
            return None

    def _begin(
        self, folder: Path, ledger: Trajectory | None, specie: str, level: float
    ) -> Growing | None:
        about = About.of(ledger) if ledger else About.noted(read_progress(folder) or {})
        return None if about is None else Growing(about, specie, level)
