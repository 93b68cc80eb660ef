"""Accept a student by physics: structure, motion and stability, not by its error of forces.

A fit can have perfect errors and wrong dynamics. So the student is run beside its teacher's own
runs, several times from the same start, each time as long as the teacher's. The teacher is one
draw: it must lie within the spread of the student's draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import scipy.stats
from ase import Atoms, units

from ssefw.analysis.msd import mean_squared_displacement
from ssefw.analysis.pair_functions import radial_distribution
from ssefw.analysis.trajectory import Frames
from ssefw.documents import PhysicsCheck
from ssefw.engines.ase.verlet import draw_momenta
from ssefw.engines.students.teacher import Snapshot
from ssefw.nep import NEP, MDState, Thermostat, advance

__all__ = [
    "DAMPING",
    "Moved",
    "Mover",
    "TeacherRun",
    "compare_runs",
    "long_run",
    "moved_by",
    "quiet_run",
]

FloatArray = npt.NDArray[np.float64]

WINDOWS = 8
"""Runs of the student beside each of the teacher's: the spread is known to a quarter."""

LEVEL = 0.99
"""Level of each comparison: a true student fails 1 of 20 in 18 % of cases, at 0.95 in 64 %."""

TIMESTEP = 2.0
DAMPING = 100.0

MOST_DRIFT = 1e-3
"""Drift of the energy (eV/atom/ps) without a thermostat that is still none."""


@dataclass(frozen=True)
class TeacherRun:
    """A run of the teacher that a student must be able to have made.

    Attributes
    ----------
    temperature
        K.
    frames
        Snapshots in order of time, of one crystal.
    interval
        Time between two of them, fs; a whole number of time steps of 2 fs.
    """

    temperature: float
    frames: Sequence[Snapshot]
    interval: float


class Moved(NamedTuple):
    """What dynamics showed: arrays over frames, the largest excess, and the steps that were done.

    Positions are in A, energies in eV, temperatures in K; fewer steps than were asked for say that
    atoms flew apart.
    """

    positions: FloatArray
    energies: FloatArray
    temperatures: FloatArray
    excess: float
    n_steps: int


class Mover(Protocol):
    """Dynamics with the potential that is judged."""

    def __call__(
        self,
        start: Snapshot,
        *,
        temperature: float,
        n_steps: int,
        every: int,
        seed: int,
        damping: float = DAMPING,
    ) -> Moved:
        """Return what dynamics show at every so many steps of 2 fs.

        Parameters
        ----------
        start
            Elements, positions and cell.
        temperature
            Of velocities and thermostat, K.
        n_steps, every
            How many steps, and how many lie between two frames.
        seed
            Of the velocities.
        damping
            Time constant of the thermostat, fs.
        """


def moved_by(model: NEP) -> Mover:
    """Return dynamics with a student."""

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
        masses = Atoms(list(symbols)).get_masses()
        rng = np.random.default_rng(seed)
        state = MDState(
            positions=np.array(positions, dtype=np.float64),
            momenta=draw_momenta(masses, temperature=temperature, rng=rng),
            chain=np.zeros(3),
            chain_momenta=np.zeros(3),
        )
        seen = advance(
            model,
            state,
            masses=masses,
            types=model.types_of(list(symbols)),
            cell=cell,
            timestep=TIMESTEP,
            thermostat=Thermostat(np.full(n_steps, temperature), damping),
            every=every,
        )
        worst = float(seen.excess.max(initial=0.0))
        return Moved(seen.positions, seen.energies, seen.temperatures, worst, seen.n_steps)

    return move


def compare_runs(
    move: Mover, run: TeacherRun, *, specie: str, seed: int = 0, windows: int = WINDOWS
) -> list[PhysicsCheck]:
    """Compare mean squared displacement and pair distribution with a run of the teacher.

    Parameters
    ----------
    move
        Dynamics with the student.
    run
        The teacher's; its first tenth, which heats up, is left out on both sides.
    specie
        The mobile ion.
    seed
        Of the student's velocities.
    windows
        Runs of the student.
    """
    every = round(run.interval / TIMESTEP)
    n_frames = len(run.frames)
    skip = n_frames // 10
    symbols, _, cell = run.frames[0]
    theirs = np.array([positions for _, positions, _ in run.frames])[skip:]
    ours = []
    for window in range(windows):
        positions, *_, n_steps = move(
            run.frames[0],
            temperature=run.temperature,
            n_steps=every * (n_frames - 1),
            every=every,
            seed=1000 * seed + window,
        )
        if n_steps < every * (n_frames - 1):
            return [
                PhysicsCheck(
                    name=f"dynamics at {run.temperature:g} K", passed=False, words="they explode"
                )
            ]
        ours.append(positions[skip:])
    moves = np.array([symbol == specie for symbol in symbols])
    lag = max(1, len(theirs) // 3)
    checks = [
        _compare_motion(
            f"MSD of {specie} at {run.temperature:g} K after {lag * run.interval / 1000:.2g} ps",
            _msd(theirs[:, moves], lag),
            [_msd(positions[:, moves], lag) for positions in ours],
        ),
        _compare_motion(
            f"MSD of the framework at {run.temperature:g} K",
            _msd(theirs[:, ~moves], lag),
            [_msd(positions[:, ~moves], lag) for positions in ours],
        ),
    ]
    others = sorted({symbol for symbol in symbols if symbol != specie})
    for other in (specie, *others):
        pair = (specie, other)
        check = _compare_structure(
            f"g(r) of {specie}-{other} at {run.temperature:g} K",
            _pairs(theirs, symbols, cell, pair, run.interval),
            [_pairs(positions, symbols, cell, pair, run.interval) for positions in ours],
        )
        checks.append(check)
    return checks


def _msd(positions: FloatArray, lag: int) -> float:
    return float(mean_squared_displacement(positions)[lag])


def _compare_motion(name: str, theirs: float, ours: Sequence[float]) -> PhysicsCheck:
    """Judge logarithms: displacements are positive and their spread goes with their size."""
    logs = np.log(np.maximum(ours, 1e-12))
    # One more draw of the same kind: the t distribution of the difference to the mean of n.
    width = float(scipy.stats.t.ppf(0.5 + LEVEL / 2, len(logs) - 1))
    width *= max(float(logs.std(ddof=1)), LEAST_SPREAD) * np.sqrt(1 + 1 / len(logs))
    low, high = np.exp(logs.mean() - width), np.exp(logs.mean() + width)
    return PhysicsCheck(
        name=name,
        passed=bool(low <= theirs <= high),
        words=f"teacher {theirs:.3g} A^2, student {np.exp(logs.mean()):.3g} "
        f"[{low:.3g}, {high:.3g}] A^2",
    )


LEAST_SPREAD = 0.05
"""Spread of logarithms below which runs of a few ps do not tell potentials apart."""

FARTHEST_PAIR = 6.0
BINS = 60

MOST_APART = 1.5
"""The teacher's distance from the student's mean, in those of the student's own runs at most."""


def _pairs(
    positions: FloatArray,
    symbols: Sequence[str],
    cell: FloatArray,
    pair: tuple[str, str],
    interval: float,
) -> FloatArray:
    frames = Frames(positions, cell, tuple(symbols), interval, is_unwrapped=True)
    specie, other = pair
    return radial_distribution(
        frames, specie=specie, other=other, r_max=FARTHEST_PAIR, n_bins=BINS, n_frames=100
    ).g


def _compare_structure(name: str, theirs: FloatArray, ours: Sequence[FloatArray]) -> PhysicsCheck:
    mean = np.mean(ours, axis=0)
    size = max(float(mean.mean()), 1e-9)

    def apart(one: FloatArray, reference: FloatArray) -> float:
        return float(np.abs(one - reference).mean()) / size

    own = max(
        apart(one, np.mean([o for k, o in enumerate(ours) if k != n], axis=0))
        for n, one in enumerate(ours)
    )
    found = apart(theirs, mean)
    limit = MOST_APART * own
    return PhysicsCheck(
        name=name,
        passed=found <= limit,
        words=f"teacher differs by {100 * found:.1f} % of g, runs of the student among themselves "
        f"by up to {100 * own:.1f} %",
    )


def long_run(
    move: Mover, start: Snapshot, *, temperature: float, duration: float, farthest: float, seed: int
) -> PhysicsCheck:
    """Run the student for long and see whether it stays with what it knows.

    Parameters
    ----------
    move, start
        Dynamics with the student, and the crystal.
    temperature, duration
        K and ps.
    farthest
        Excess over the range of training at which dynamics would end.
    seed
        Of the velocities.
    """
    name = f"{duration:g} ps at {temperature:g} K"
    n_steps = round(1000.0 * duration / TIMESTEP)
    every = min(50, max(1, n_steps // 20))
    _, energies, heat, worst, done = move(
        start, temperature=temperature, n_steps=n_steps, every=every, seed=seed
    )
    n_atoms = len(start[0])
    lasted = done * TIMESTEP / 1000.0
    if done < n_steps or not np.isfinite(heat).all():
        return PhysicsCheck(name=name, passed=False, words=f"atoms fly apart after {lasted:g} ps")
    tenth = max(1, len(energies) // 10)
    # A run into a hole of the potential shows as an energy that has fallen far below its begin.
    fall = float(energies[tenth : 2 * tenth].mean() - energies[-tenth:].mean()) / n_atoms
    warm = float(heat[tenth:].mean())
    kept = abs(fall) < 1.5 * units.kB * temperature and abs(warm / temperature - 1.0) < 0.1
    return PhysicsCheck(
        name=name,
        passed=worst <= farthest and kept,
        words=f"largest excess {worst:.2f} (limit {farthest:g}), mean temperature {warm:.0f} K, "
        f"energy fell by {1e3 * fall:.1f} meV/atom",
    )


def quiet_run(move: Mover, start: Snapshot, *, temperature: float, seed: int) -> PhysicsCheck:
    """Run without a thermostat for 10 ps and measure the drift of the energy.

    Parameters
    ----------
    move
        Dynamics with what is judged.
    start
        Elements, positions and cell.
    temperature
        Of the velocities that are drawn, K.
    seed
        Of the drawing.
    """
    n_atoms = len(start[0])
    # A chain of this inertia does not move within the run.
    _, energies, heat, _, done = move(
        start, temperature=temperature, n_steps=5000, every=10, seed=seed, damping=1e12
    )
    kinetic = 0.5 * (3 * n_atoms - 3) * units.kB * heat
    times = np.arange(1, len(energies) + 1) * 10 * TIMESTEP / 1000.0
    drift = (
        float(np.polyfit(times, (energies + kinetic) / n_atoms, 1)[0]) if done == 5000 else np.inf
    )
    return PhysicsCheck(
        name=f"energy kept at {temperature:g} K",
        passed=abs(drift) < MOST_DRIFT,
        words=f"drift {1e3 * drift:+.3f} meV/atom/ps",
    )
