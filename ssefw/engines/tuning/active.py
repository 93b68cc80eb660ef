"""Which frames a dear engine is asked about: dynamics with the potential so far, and a choice.

The universal potential runs first, and frames spread over its runs are labelled. Once it is tuned
it runs again; now frames are labelled on which its corrections disagree, or whose surroundings lie
outside of what they were taught. The runs of each generation tell how ions move: when labels no
longer change that, there is nothing more to ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from monty.json import MSONable
from pymatgen.core import Structure

from ssefw.analysis.diffusivity import estimate_diffusivity
from ssefw.analysis.trajectory import Frames
from ssefw.data import decode_chunk
from ssefw.documents import AskedFrame, PhysicsCheck, StaticResult
from ssefw.engines.ase import AseEngine
from ssefw.engines.base import MDSettings, settings_hash
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.stopping import InterruptionError, StopCheck, never_stop
from ssefw.engines.students.frame_files import LabelledRun
from ssefw.engines.students.teacher import rattled
from ssefw.engines.students.theory import Theory
from ssefw.engines.tuning.engine import TunedEngine
from ssefw.engines.tuning.settings import TuneSettings
from ssefw.errors import EngineError, SsefwError
from ssefw.nep import LabelledFrame
from ssefw.units import (
    AskedCount,
    AskedCountOrNone,
    AskedMembers,
    AskedSeed,
    AskedTemperature,
    AskedTimePs,
)

__all__ = ["ActiveSettings", "Explored", "as_run", "explored", "motion_check"]

FloatArray = npt.NDArray[np.float64]

DOUBT_FORCE = 0.1
"""Disagreement (eV/A) of the corrections on the force of one atom from which on a frame is worth a
label: three times the error of a potential that was tuned with a hundred."""

DOUBT_EXCESS = 0.5
"""Excess over the range of training from which on it is."""

TIMESTEP = 2.0
EVERY = 10
"""Frames of a run lie 20 fs apart; ions turn around in 100."""


@dataclass(frozen=True)
class ActiveSettings(MSONable):
    """How a universal potential is tuned to an engine that is asked about single frames.

    Attributes
    ----------
    temperatures, length
        K and ps, of the runs of each generation: one at each temperature in each cell.
    first
        Frames that are labelled before the first fit, of the universal potential's own runs.
    rattled
        Some of them displaced and strained at random.
    labels
        Most frames of each generation after it.
    generations
        Most fits.
    budget
        Frames that the engine may be asked about in all.
    tune
        How each generation is tuned and judged.
    seed
        Of everything drawn.
    """

    temperatures: tuple[AskedTemperature, ...] = (1000.0, 700.0, 400.0)
    length: AskedTimePs = 2.0
    first: AskedMembers = 40
    rattled: AskedCountOrNone = 8
    labels: AskedMembers = 20
    generations: AskedMembers = 4
    budget: AskedCount | None = None
    tune: TuneSettings = field(default_factory=TuneSettings)
    seed: AskedSeed = 0

    @property
    def most_labels(self) -> int:
        """Frames that are labelled at most."""
        most = self.first + (self.generations - 1) * self.labels
        return most if self.budget is None else min(most, self.budget)

    def runs(self, n_cells: int) -> list[str]:
        """Return what the runs of a generation are called, cell after cell."""
        return [
            f"{temperature:g} K" if n_cells == 1 else f"arrangement {number}, {temperature:g} K"
            for number in range(n_cells)
            for temperature in self.temperatures
        ]


@dataclass(frozen=True)
class Explored:
    """What the runs of a generation showed.

    Attributes
    ----------
    frames
        That are to be labelled, in order of time.
    why
        Of each, where a tuned potential chose them.
    ran
        ps that each run lasted.
    lost
        Whether it ended where the potential no longer knew what it did.
    diffusivities
        Interval of the tracer diffusivity (cm2/s) of each run; None where it tells nothing.
    """

    frames: tuple[Structure, ...]
    why: tuple[AskedFrame, ...]
    ran: tuple[float, ...]
    lost: tuple[bool, ...]
    diffusivities: tuple[tuple[float, float] | None, ...]


class _Look(NamedTuple):
    """A frame of a run, and how far a tuned potential doubts it: not at all where it is another."""

    number: int
    run: int
    temperature: float
    frame: Structure
    disagreement: float = 0.0
    excess: float = 0.0

    @property
    def doubt(self) -> float:
        return max(self.disagreement / DOUBT_FORCE, self.excess / DOUBT_EXCESS)

    @property
    def when(self) -> tuple[int, float, int]:
        """By time, the hottest first."""
        return self.number, -self.temperature, self.run


def explored(
    engine: AseEngine,
    cells: Sequence[Structure],
    settings: ActiveSettings,
    folder: Path,
    *,
    generation: int,
    most: int,
    specie: str,
    stop: StopCheck = never_stop,
) -> Explored:
    """Run dynamics in each cell at each temperature and choose what is to be labelled.

    Parameters
    ----------
    engine
        The universal potential, or that tuned so far.
    cells
        The crystal, or the arrangements of a disordered one.
    settings
        How.
    folder
        Of the runs, which go on where they stand.
    generation
        Counted from zero; each has velocities of its own.
    most
        Frames that may be asked about.
    specie
        The mobile ion.
    stop
        Asked whether to stop.

    Raises
    ------
    InterruptionError
        If `stop` asked to stop; call again to go on.
    """
    ran: list[float] = []
    lost: list[bool] = []
    intervals: list[tuple[float, float] | None] = []
    looked: list[_Look] = []
    for k, (cell, temperature) in enumerate(product(cells, settings.temperatures)):
        md = MDSettings(
            temperature=temperature,
            timestep=TIMESTEP,
            steps_per_frame=EVERY,
            seed=1000 * (settings.seed + 1) + 100 * generation + k,
        )
        steps = EVERY * round(1000.0 * settings.length / TIMESTEP / EVERY)
        place = f"{temperature:g}K" if len(cells) == 1 else f"{k}-{temperature:g}K"
        run = RunDirectory(folder / place, key=settings_hash(engine, md.model_dump(), cell))
        try:
            reason = engine.md(cell, md, run, until=steps, stop=stop)
            is_lost = False
        except InterruptionError:
            raise
        except EngineError:  # it left what it knows; what it showed before is what to ask about
            reason, is_lost = "complete", True
        if reason != "complete":
            raise InterruptionError("The dynamics were stopped.", directory=folder)
        chunks = [decode_chunk(file.read_bytes()) for file in run.chunk_files()]
        places = np.concatenate([chunk.positions for chunk in chunks]) if chunks else np.empty(0)
        ran.append(len(places) * EVERY * TIMESTEP / 1000.0)
        lost.append(is_lost)
        intervals.append(_interval(places, cell, temperature=temperature, specie=specie))
        for number, positions in enumerate(places[1:], 1):
            frame = Structure(cell.lattice, cell.species, positions, coords_are_cartesian=True)
            looked.append(_Look(number, k, temperature, frame, *_doubt(engine, cell, positions)))
    if isinstance(engine, TunedEngine):
        chosen = _doubtful(looked, most)
        why = [
            AskedFrame(
                temperature=one.temperature,
                time=one.number * EVERY * TIMESTEP / 1000.0,
                disagreement=one.disagreement,
                excess=one.excess,
            )
            for one in chosen
        ]
        frames = [one.frame for one in chosen]
    else:
        why, frames = [], _spread(looked, most, settings)
    return Explored(tuple(frames), tuple(why), tuple(ran), tuple(lost), tuple(intervals))


def _doubt(engine: AseEngine, cell: Structure, positions: FloatArray) -> tuple[float, float]:
    """Return disagreement and excess of a tuned potential on a frame; zero of another."""
    if not isinstance(engine, TunedEngine):
        return 0.0, 0.0
    symbols = [site.specie.symbol for site in cell]
    added = engine.model().added(symbols, positions, cell.lattice.matrix)
    return added.disagreement, added.excess


APART = 5
"""Frames between two of one run that are chosen: 0.1 ps."""


def _doubtful(looked: Sequence[_Look], most: int) -> list[_Look]:
    """Return the frames of most doubt that lie apart in time, in order of time."""
    kept: list[_Look] = []
    for one in sorted(looked, key=lambda look: -look.doubt):
        if one.doubt < 1.0 or len(kept) == most:
            break
        if all(one.run != other.run or abs(one.number - other.number) >= APART for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda look: look.when)


def _spread(looked: Sequence[_Look], most: int, settings: ActiveSettings) -> list[Structure]:
    """Return frames spread over all runs, and some displaced and strained at random.

    The first is of a run: the potential is judged by dynamics that start there.
    """
    n_rattled = min(settings.rattled, most // 4)
    ordered = [one.frame for one in sorted(looked, key=lambda look: look.when)]
    # The first tenth still heats up.
    ordered = ordered[len(ordered) // 10 :]
    places = np.linspace(0, len(ordered) - 1, min(most - n_rattled, len(ordered))).astype(int)
    snapshots = [
        (tuple(site.specie.symbol for site in frame), frame.cart_coords, frame.lattice.matrix)
        for frame in ordered
    ]
    shaken = [
        Structure(matrix, list(names), x, coords_are_cartesian=True)
        for names, x, matrix in rattled(snapshots, n_rattled, seed=settings.seed)
    ]
    first, *others = (ordered[k] for k in places)
    return [first, *shaken, *others]


def _interval(
    places: FloatArray, cell: Structure, *, temperature: float, specie: str
) -> tuple[float, float] | None:
    """Return the interval of the diffusivity that a run shows, from zero where it is a bound."""
    if len(places) < 20:
        return None
    frames = Frames(
        positions=places,
        lattice=cell.lattice.matrix,
        species=tuple(site.specie.symbol for site in cell),
        timestep=EVERY * TIMESTEP,
        is_unwrapped=True,
    )
    length = len(places) * EVERY * TIMESTEP / 1000.0
    try:
        found = estimate_diffusivity(
            frames, specie=specie, temperature=temperature, equilibration=0.1 * length
        ).tracer
    except SsefwError:
        return None
    return None if found.upper is None else (found.lower or 0.0, found.upper)


def motion_check(
    before: Sequence[tuple[float, float] | None],
    after: Sequence[tuple[float, float] | None],
    runs: Sequence[str],
) -> PhysicsCheck:
    """Ask whether the labels of a generation changed how ions move, by 95 % intervals.

    Parameters
    ----------
    before, after
        Of two generations, of each run, cm2/s.
    runs
        What they are called.
    """
    known = [
        (run, one, other)
        for run, one, other in zip(runs, before, after, strict=True)
        if one is not None and other is not None
    ]
    words = [
        f"{run}: {one[0]:.1e} to {one[1]:.1e}, then {other[0]:.1e} to {other[1]:.1e}"
        for run, one, other in known
    ]
    return PhysicsCheck(
        name="D as before the last labels",
        passed=bool(known) and all(o[0] <= t[1] and t[0] <= o[1] for _, o, t in known),
        words="; ".join(words) + " cm2/s" if known else "no run was long enough to tell",
    )


def as_run(labels: Sequence[StaticResult], name: str, theory: str) -> LabelledRun:
    """Return single points of an engine as frames to learn, those of overlapping ions left out.

    Parameters
    ----------
    labels
        In order; those without forces are left out.
    name
        What they are called.
    theory
        Of the engine with its settings.
    """
    frames = tuple(
        LabelledFrame(
            symbols=tuple(site.specie.symbol for site in one.structure),
            positions=np.array(one.structure.cart_coords),
            cell=np.array(one.structure.lattice.matrix),
            energy=one.energy,
            forces=np.array(one.forces),
            stress=None if one.stress is None else np.array(one.stress),
        )
        for one in labels
        if one.forces is not None and one.max_force < HARDEST
    )
    return LabelledRun(Path(name), frames, Theory({"program": theory}, {}), ())


HARDEST = 25.0
"""Force (eV/A) beyond which ions overlap: such a frame teaches nothing that dynamics visit."""
