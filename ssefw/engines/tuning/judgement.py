"""Judge a tuned potential by errors and by motion, and write down what there is to know."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from pymatgen.core import Composition

from ssefw.documents import FitError, LearnedPotential, Parity, PhysicsCheck, Provenance
from ssefw.engines.ase import AseEngine
from ssefw.engines.ase.dynamics import AseDriver
from ssefw.engines.base import MDSettings, settings_hash
from ssefw.engines.potentials.tuned import TunedCalculator, TunedPotential
from ssefw.engines.stopping import StopCheck, never_stop
from ssefw.engines.students import FARTHEST
from ssefw.engines.students.acceptance import (
    DAMPING,
    TIMESTEP,
    Moved,
    Mover,
    TeacherRun,
    compare_runs,
    long_run,
)
from ssefw.engines.students.clock import Clock
from ssefw.engines.students.frame_files import LabelledRun
from ssefw.engines.students.from_frames import as_teacher, tells_time
from ssefw.engines.students.lessons import frames_hash
from ssefw.engines.students.teacher import Snapshot
from ssefw.engines.tuning.settings import TuneSettings
from ssefw.engines.tuning.training import Tuned, tune
from ssefw.errors import EngineError
from ssefw.nep import LabelledFrame

__all__ = ["judge_tuned", "moved_by_tuned", "tuned_to_frames"]

logger = logging.getLogger(__name__)


def tuned_to_frames(
    runs: Sequence[LabelledRun],
    base: AseEngine,
    folder: Path,
    settings: TuneSettings,
    *,
    specie: str,
    unseen: Sequence[LabelledRun] = (),
    hottest: float | None = None,
    stop: StopCheck = never_stop,
    say: Callable[[str], None] = logger.info,
) -> tuple[Tuned, LearnedPotential]:
    """Tune a potential to frames, judge it, and return what that ended with and its record.

    Parameters
    ----------
    runs, base, folder, settings, unseen, stop, say
        See `ssefw.engines.tuning.training.tune`.
    specie
        The mobile ion.
    hottest
        Temperature (K) at which it must stay; None for that of the hottest run.
    """
    tuned = tune(runs, base, folder, settings, unseen=unseen, stop=stop, say=say)
    clock = Clock(folder)
    checks = judge_tuned(tuned, [*runs, *unseen], settings, specie=specie, hottest=hottest, say=say)
    clock.write()
    tuned = replace(tuned, seconds=clock.seconds(), core_hours=clock.core_hours())
    return tuned, _described(tuned, [*runs, *unseen], base, checks, settings, specie=specie)


def moved_by_tuned(model: TunedPotential) -> Mover:
    """Return dynamics with a tuned potential."""
    calculator = TunedCalculator(model)

    def move(
        start: Snapshot,
        *,
        temperature: float,
        n_steps: int,
        every: int,
        seed: int,
        damping: float = DAMPING,
    ) -> Moved:
        symbols, positions, cell = start
        settings = MDSettings(
            temperature=temperature,
            timestep=TIMESTEP,
            steps_per_frame=every,
            frames_per_chunk=math.ceil(n_steps / every),
            damping=damping,
            seed=seed,
        )
        atoms = Atoms(
            list(symbols), positions=positions, cell=cell, pbc=True, calculator=calculator
        )
        calculator.reset()
        calculator.largest_excess = 0.0
        nothing = np.empty((0, len(symbols), 3)), np.empty(0), np.empty(0)
        driver = AseDriver(atoms, settings)
        try:
            driver.begin()
            seen = driver.chunk(step=0, frame=0, segment=0, until=n_steps)
        except (EngineError, ValueError, ArithmeticError):
            return Moved(*nothing, calculator.largest_excess, 0)
        # The first frame is where it starts.
        found = (seen.positions[1:], seen.energies[1:], seen.temperatures[1:])
        return Moved(*found, calculator.largest_excess, seen.last_step)

    return move


def judge_tuned(
    tuned: Tuned,
    runs: Sequence[LabelledRun],
    settings: TuneSettings,
    *,
    specie: str,
    hottest: float | None = None,
    say: Callable[[str], None] = logger.info,
) -> list[PhysicsCheck]:
    """Compare a tuned potential with the runs it was tuned to.

    Parameters
    ----------
    tuned, runs, settings
        What tuning ended with, runs to compare it with, and how.
    specie
        The mobile ion.
    hottest
        Temperature (K) at which it must stay; None for that of the hottest run.
    say
        Told of each comparison.
    """
    error = _error(tuned.potential, _unseen(tuned)).force
    checks = [
        PhysicsCheck(
            name="forces on held-out frames",
            passed=error < tuned.before.force,
            words=f"{1e3 * error:.0f} meV/A, {tuned.potential.base} {1e3 * tuned.before.force:.0f}",
        )
    ]
    move = moved_by_tuned(tuned.potential)
    for run in _comparable(runs, longest=settings.longest):
        checks += compare_runs(
            move, run, specie=specie, seed=settings.seed, windows=settings.windows
        )
        say(f"compared {settings.windows} runs at {run.temperature:g} K")
    first = tuned.frames[0]
    checks.append(
        long_run(
            move,
            (first.symbols, first.positions, first.cell),
            temperature=hottest or _hottest(tuned, runs),
            duration=settings.stable,
            farthest=FARTHEST,
            seed=settings.seed,
        )
    )
    return checks


def _comparable(runs: Sequence[LabelledRun], *, longest: float) -> list[TeacherRun]:
    """Return the runs whose motion can be compared, the hottest and the coldest of each crystal."""
    found: list[TeacherRun] = []
    by_crystal: dict[tuple[str, ...], list[TeacherRun]] = {}
    for run in runs:
        if tells_time(run):
            by_crystal.setdefault(run.frames[0].symbols, []).append(as_teacher(run))
    for of_one in by_crystal.values():
        ordered = sorted(of_one, key=lambda run: -run.temperature)
        found += ordered if len(ordered) < 2 else [ordered[0], ordered[-1]]
    most = [1 + round(1000.0 * longest / run.interval) for run in found]
    return [
        TeacherRun(run.temperature, run.frames[: max(20, n)], run.interval)
        for run, n in zip(found, most, strict=True)
    ]


ROOM = 300.0
"""K, where no run tells its temperature."""


def _hottest(tuned: Tuned, runs: Sequence[LabelledRun]) -> float:
    """Return the hottest temperature that was learned; without any, that of a room."""
    known = [t for t, _ in tuned.held_out if t]
    known += [run.theory.temperature for run in runs if run.theory.temperature]
    return max(known, default=ROOM)


def _unseen(tuned: Tuned) -> list[LabelledFrame]:
    return [frame for _, part in tuned.residuals for frame in part]


def _described(
    tuned: Tuned,
    runs: Sequence[LabelledRun],
    base: AseEngine,
    checks: Sequence[PhysicsCheck],
    settings: TuneSettings,
    *,
    specie: str,
) -> LearnedPotential:
    theory = runs[0].theory
    failed = [check for check in checks if not check.passed]
    reason = ""
    if not any(tells_time(run) for run in runs):
        reason = "its motion was compared with nothing: no run tells temperature and time step"
    if failed:
        reason = f"{failed[0].name}: {failed[0].words}"
    told = [frame for _, part in tuned.held_out for frame in part]
    formulas = {Composition("".join(run.frames[0].symbols)).reduced_formula for run in runs}
    return LearnedPotential(
        potential=tuned.potential.digest,
        form=tuned.potential.form,
        species=tuned.potential.species,
        specie=specie,
        structures=tuple(sorted(formulas)),
        teacher=theory.settings["program"],
        level_of_theory=theory.name,
        training_set=frames_hash(tuned.frames),
        n_labels=len(tuned.frames),
        n_evaluations=sum(len(run.frames) for run in runs),
        settings=asdict(settings),
        errors=(
            _error(tuned.potential, _unseen(tuned)).model_copy(update=_sizes(told)),
            *(
                _error(tuned.potential, part, temperature=t).model_copy(update=_sizes(labels))
                for (t, part), (_, labels) in zip(tuned.residuals, tuned.held_out, strict=True)
                if t
            ),
        ),
        first_errors=FitError(**asdict(tuned.before)),
        parity=_parity(tuned),
        lineage=tuple(one.digest for one in tuned.potential.corrections),
        base=tuned.potential.base,
        stable=checks[-1].passed,
        checks=tuple(checks),
        accepted=not reason,
        reason=reason,
        wall_time=tuned.seconds,
        core_hours=tuned.core_hours,
        provenance=Provenance(
            engine=theory.settings["program"],
            settings_hash=settings_hash(base, theory.name, asdict(settings)),
            versions=base.versions(),
        ),
    )


def _error(
    potential: TunedPotential,
    residuals: Sequence[LabelledFrame],
    *,
    temperature: float | None = None,
) -> FitError:
    """Return the errors of the corrections on what they are to add, those of forces by element."""
    squares: dict[str, list[float]] = {}
    energies, stresses = [], []
    for frame in residuals:
        added = potential.added(frame.symbols, frame.positions, frame.cell)
        energies.append((added.energy - frame.energy) / len(frame.symbols))
        for symbol, apart in zip(frame.symbols, added.forces - frame.forces, strict=True):
            squares.setdefault(symbol, []).append(float(apart @ apart) / 3.0)
        if frame.stress is not None:
            stresses.append(added.stress - frame.stress)
    everything = [square for part in squares.values() for square in part]
    return FitError(
        force=float(np.sqrt(np.mean(everything))),
        energy=float(np.sqrt(np.mean(np.square(energies)))),
        stress=float(np.sqrt(np.mean(np.square(stresses)))) if stresses else None,
        temperature=temperature,
        by_element={s: float(np.sqrt(np.mean(part))) for s, part in sorted(squares.items())},
    )


def _sizes(labels: Sequence[LabelledFrame]) -> dict[str, float]:
    forces = np.concatenate([frame.forces.ravel() for frame in labels])
    return {"size": float(np.sqrt(np.mean(forces**2)))}


SHOWN = 300
"""Points of a parity plot."""


def _parity(tuned: Tuned) -> Parity:
    """Return components of forces by level of theory and potential, spread over the frames."""
    theirs, apart = [], []
    for (_, residuals), (_, labels) in zip(tuned.residuals, tuned.held_out, strict=True):
        for lacking, label in zip(residuals, labels, strict=True):
            added = tuned.potential.added(label.symbols, label.positions, label.cell).forces
            theirs.append(label.forces.ravel())
            apart.append((added - lacking.forces).ravel())
    all_theirs, all_apart = np.concatenate(theirs), np.concatenate(apart)
    which = np.linspace(0, len(all_theirs) - 1, min(SHOWN, len(all_theirs))).astype(int)
    return Parity(
        teacher=tuple(round(float(x), 4) for x in all_theirs[which]),
        student=tuple(round(float(x), 4) for x in (all_theirs + all_apart)[which]),
    )
