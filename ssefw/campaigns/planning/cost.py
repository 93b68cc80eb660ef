"""What a candidate of a plan would cost: about, and at most."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Composition

from ssefw.campaigns.planning.lesson_cost import lesson_hours, lessons_of, who_climbs
from ssefw.data import HeldCandidate, order_structure
from ssefw.data.defects import supercell_size
from ssefw.documents import Trajectory
from ssefw.engines import Engine
from ssefw.errors import DataError
from ssefw.makers import CandidateMaker, LadderMaker, NebMaker
from ssefw.makers.volume import STRESSES
from ssefw.store import Connection
from ssefw.store.results.query import Ask

__all__ = ["Estimated", "Pace", "estimate", "known_total", "one_run_doubt", "seen_pace"]

RELAX_STEPS = 60
"""Of a usual relaxation of a published structure; half of those of the quick start need fewer."""
JOB_SECONDS = 3.0
"""Of a worker for each job beside its calculation: looking, reading, analyzing, storing."""
LONGEST_JOB_SECONDS = 60.0
"""The same on a busy machine, with the start of Python and of an ML potential."""
JOBS_OF_BANDS = 10
"""Ends and bands of a usual crystal."""
USUAL_RUNGS = 3
"""Runs of an adaptive ladder, the fewest that it ends with: walks took as long as 2.2 to 3.5 usual
runs (docs/campaigns.md, what a number costs)."""
USUAL_VOLUMES = 2
"""Runs until a crystal has no pressure."""
FEWEST_STEPS = 50
"""A run of fewer steps says little of how long a step takes."""
RUNS_READ = 200
"""Of the store, to learn the pace of an engine."""
LEAST_DOUBT = 1.5
"""However alike the runs seen were."""
FEW_RUNS = 3


@dataclass(frozen=True)
class Pace:
    """How long steps take here, against what the engine predicts.

    Attributes
    ----------
    ratio
        Core-seconds of a step over those predicted; over the number of atoms where nothing is.
    doubt
        Factor by which another material may be slower still.
    n_runs
        In the store, from which it was learned.
    n_steps
        Steps that were run for it.
    """

    ratio: float
    doubt: float
    n_runs: int = 0
    n_steps: int = 0


@dataclass(frozen=True)
class Estimated:
    """What a candidate would take if no gate stopped it.

    Attributes
    ----------
    md_steps
        At most.
    core_hours, core_hours_most
        About, and at most; None where nobody knows how long a step takes.
    """

    n_atoms: int
    md_steps: int
    core_hours: float | None
    core_hours_most: float | None


def seen_pace(connection: Connection, engine: Engine) -> Pace | None:
    """Return the pace of an engine's dynamics in a store; None if none has run."""
    found = connection.results.ask("trajectories", Ask(engine=engine.name), limit=RUNS_READ)
    ratios = [ratio for ledger in found if (ratio := _ratio(engine, ledger)) is not None]
    if not ratios:
        return None
    logs = np.log(ratios)
    doubt = math.exp(2.0 * float(logs.std()))
    if len(ratios) < FEW_RUNS:
        doubt = max(doubt, one_run_doubt(engine))
    return Pace(float(np.exp(np.median(logs))), max(doubt, LEAST_DOUBT), len(ratios))


def one_run_doubt(engine: Engine) -> float:
    """Return the doubt of a pace that was seen once: the machine is known, other materials not."""
    return max(engine.doubt / LEAST_DOUBT, LEAST_DOUBT)


def _ratio(engine: Engine, ledger: Trajectory) -> float | None:
    steps = sum(part.last_step - part.first_step for part in ledger.segments)
    seconds = sum(part.wall_time * (part.cores or 1) for part in ledger.segments)
    if steps < FEWEST_STEPS or seconds <= 0.0:
        return None
    composition, volume = ledger.structure.composition, ledger.structure.volume
    predicted = engine.step_core_seconds(composition, volume=volume, is_dynamics=True)
    return seconds / steps / (predicted or composition.num_atoms)


@dataclass(frozen=True)
class _Cell:
    """What the cost of a step depends on; finding it takes longer than the estimate."""

    composition: Composition
    volume: float


def estimate(
    maker: CandidateMaker,
    candidate: HeldCandidate,
    *,
    pace: Pace | None = None,
    n_atoms: int | None = None,
    replicas: int = 1,
) -> Estimated:
    """Return the size and cost of a candidate: relaxation, dynamics with the triage, and bands.

    Parameters
    ----------
    pace
        Of the dynamics, where runs of the engine have been seen.
    n_atoms
        Atoms in the cells of a disordered candidate, which are relaxed and simulated as they are.
    replicas
        How many such cells there are.
    """
    ladder, bands = maker.ladder, maker.neb
    cells, lessons = n_atoms, lessons_of(ladder)
    length = ladder.min_length if ladder else bands.settings.min_length if bands else 0.0
    repeats, relaxed = float(math.prod(supercell_size(candidate, min_length=length))), 1.0
    cell = _Cell(candidate.composition, candidate.volume)
    if n_atoms is None:
        n_atoms = round(cell.composition.num_atoms * repeats)
    else:
        repeats = relaxed = n_atoms / cell.composition.num_atoms
        bands = None
    is_same = ladder is not None and ladder.md.engine == maker.relax.engine
    parts = [_relaxation(maker, cell, relaxed, pace if is_same else None)]
    n_jobs, most_steps = 4, 0
    if ladder is not None:
        usual, most_steps, rungs = _steps(ladder)
        if lessons:  # the cells of the lesson are repeated for the student
            repeats = float(math.prod(supercell_size(candidate, min_length=length)))
            n_atoms = round(cell.composition.num_atoms * repeats)
        dynamics = _dynamics(who_climbs(ladder), cell, repeats, (usual, most_steps), pace)
        if dynamics and ladder.adaptive and ladder.adaptive.max_core_hours is not None:
            each = ladder.adaptive.max_core_hours / replicas  # all arrangements have it together
            dynamics = min(dynamics[0], each), min(dynamics[1], each)
        parts.append(dynamics)
        n_jobs += 3 * rungs
        if ladder.confirm is not None:
            looks = min(ladder.confirm.arrangements, replicas)
            parts.append(_second_look(ladder, cell, repeats, pace, share=looks / replicas))
            n_jobs += 3
    parts = [None if part is None else (replicas * part[0], replicas * part[1]) for part in parts]
    n_jobs, most_steps = replicas * n_jobs, replicas * most_steps
    for lesson in lessons:
        parts.append(lesson_hours(lesson, candidate, n_atoms=cells, replicas=replicas))
        n_jobs += 2
    if bands is not None:
        parts.append(_bands(candidate, bands))
        n_jobs += JOBS_OF_BANDS
    about: float | None = n_jobs * JOB_SECONDS / 3600.0
    most: float | None = n_jobs * LONGEST_JOB_SECONDS / 3600.0
    for part in parts:
        about = None if part is None or about is None else about + part[0]
        most = None if part is None or most is None else most + part[1]
    return Estimated(n_atoms, most_steps, about, most)


def _steps(ladder: LadderMaker) -> tuple[int, int, int]:
    """Return usual and most steps of dynamics of a candidate, and the number of runs."""
    longest = ladder.policy.max_length if ladder.policy else ladder.length
    rungs = usual_rungs = len(ladder.temperatures)
    if ladder.adaptive is not None:
        rungs = min(rungs, ladder.adaptive.max_runs)
        usual_rungs = min(rungs, USUAL_RUNGS)
    # Between a run that is known at once and one that never is.
    usual = ladder.steps(math.sqrt(ladder.length * longest)) * usual_rungs
    most = ladder.steps(longest) * rungs
    triage = ladder.triage
    if triage is not None and triage.temperature not in ladder.temperatures:
        usual += ladder.steps(triage.length)
        most += ladder.steps(triage.length)
    if (volume := ladder.volume) is not None:
        each = ladder.steps(volume.length) + STRESSES
        usual += min(USUAL_VOLUMES, volume.max_rounds) * each
        most += volume.max_rounds * each
        rungs += 1  # two or three runs without a diffusivity
    return usual, most, rungs


def _relaxation(
    maker: CandidateMaker, cell: _Cell, repeats: float, pace: Pace | None
) -> tuple[float, float] | None:
    engine = maker.relax.engine
    seconds = _step_seconds(engine, cell, repeats, pace, is_dynamics=False)
    if seconds is None:
        return None
    most = 1 if maker.relax.skip else maker.relax.max_steps
    usual = min(RELAX_STEPS, most)
    return usual * seconds / 3600.0, most * seconds * engine.doubt / 3600.0


def _dynamics(
    ladder: LadderMaker,
    cell: _Cell,
    repeats: float,
    steps: tuple[int, int],
    pace: Pace | None,
) -> tuple[float, float] | None:
    engine = ladder.md.engine
    seconds = _step_seconds(engine, cell, repeats, pace, is_dynamics=True)
    if seconds is None:
        return None
    doubt = engine.doubt if pace is None else pace.doubt
    return steps[0] * seconds / 3600.0, steps[1] * seconds * doubt / 3600.0


def _second_look(
    ladder: LadderMaker, cell: _Cell, repeats: float, pace: Pace | None, *, share: float
) -> tuple[float, float] | None:
    """Return what the look at a hit takes, as if each candidate were one."""
    assert ladder.confirm is not None
    engine = ladder.confirm.engine or ladder.md.engine
    known = pace if engine == ladder.md.engine else None
    larger = repeats * (2.0 if ladder.confirm.size else 1.0)
    seconds = _step_seconds(engine, cell, larger, known, is_dynamics=True)
    if seconds is None:
        return None
    hours = share * ladder.steps(ladder.length) * seconds / 3600.0
    return hours, hours * (engine.doubt if known is None else known.doubt)


def _step_seconds(
    engine: Engine, cell: _Cell, repeats: float, pace: Pace | None, *, is_dynamics: bool
) -> float | None:
    """Return the core-seconds of a step: predicted, and corrected by what was seen."""
    composition, volume = cell.composition * repeats, cell.volume * repeats
    seconds = engine.step_core_seconds(composition, volume=volume, is_dynamics=is_dynamics)
    if pace is None:
        return seconds
    return (seconds or float(composition.num_atoms)) * pace.ratio


def _bands(candidate: HeldCandidate, bands: NebMaker) -> tuple[float, float] | None:
    """Return the core-hours of bands; None where they cannot be told before."""
    try:
        hours = bands.core_hours(order_structure(candidate.structure))
    except DataError:
        return None
    return None if hours is None else (hours, hours * bands.engine.doubt)


def known_total(hours: Iterable[float | None]) -> float | None:
    """Return the sum, if all are known."""
    values = list(hours)
    return None if None in values else sum(value for value in values if value is not None)
