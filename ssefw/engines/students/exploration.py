"""Dynamics of two students that look for what neither knows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms

from ssefw.engines.ase.verlet import draw_momenta
from ssefw.engines.students.teacher import Snapshot
from ssefw.nep import NEP, MDState, Thermostat, advance, evaluate

__all__ = ["Exploration", "choose", "explore"]

FloatArray = npt.NDArray[np.float64]

DOUBT_FORCE = 0.4
"""Disagreement (eV/A) on the force of one atom from which on a frame is worth a label: six times
the error of a fitted student."""

DOUBT_EXCESS = 0.5
"""Excess over the range of training from which on a frame is worth a label."""

LOST_FORCE = 3.0
LOST_EXCESS = 3.0
"""Where one of these is passed the student no longer knows what it does, and the run ends."""

TIMESTEP = 2.0
EVERY = 25
BLOCK = 500
"""A look every 50 fs, in stretches of 1 ps."""

APART = 6
"""Frames between two that are chosen: 0.3 ps, after which ions have moved to new places."""


@dataclass(frozen=True)
class Exploration:
    """What a run of a student showed.

    Attributes
    ----------
    frames
        Its frames, 50 fs apart.
    disagreement
        Of the two on the force of an atom of each frame at most, eV/A.
    excess
        Of each frame over the range of training.
    survived
        Whether it came to its end.
    duration
        ps.
    """

    frames: list[Snapshot]
    disagreement: FloatArray
    excess: FloatArray
    survived: bool
    duration: float

    @property
    def doubt(self) -> FloatArray:
        """How far each frame is from what the students know: one is worth a label."""
        return np.maximum(self.disagreement / DOUBT_FORCE, self.excess / DOUBT_EXCESS)

    def time(self, frame: int) -> float:
        """Return when a frame was seen, ps."""
        return (frame + 1) * EVERY * TIMESTEP / 1000.0


def explore(
    students: Sequence[NEP],
    snapshot: Snapshot,
    *,
    temperature: float,
    duration: float,
    seed: int,
) -> Exploration:
    """Run the first student from a snapshot and compare it with the second at every look.

    Parameters
    ----------
    students
        Two, of which the first drives.
    snapshot
        Where to start.
    temperature, duration
        K and ps.
    seed
        Of the velocities.
    """
    symbols, positions, cell = snapshot
    masses = Atoms(list(symbols)).get_masses()
    rng = np.random.default_rng(seed)
    driver, other = students
    types, other_types = driver.types_of(list(symbols)), other.types_of(list(symbols))
    state = MDState(
        positions=np.array(positions, dtype=np.float64),
        momenta=draw_momenta(masses, temperature=temperature, rng=rng),
        chain=np.zeros(3),
        chain_momenta=np.zeros(3),
    )
    frames: list[Snapshot] = []
    seen_apart: list[float] = []
    seen_beyond: list[float] = []

    def told(*, survived: bool) -> Exploration:
        duration = len(frames) * EVERY * TIMESTEP / 1000.0
        return Exploration(frames, np.array(seen_apart), np.array(seen_beyond), survived, duration)

    thermostat = Thermostat(np.full(BLOCK, temperature), damping=100.0)
    for _ in range(max(1, round(1000.0 * duration / TIMESTEP / BLOCK))):
        seen = advance(
            driver,
            state,
            masses=masses,
            types=types,
            cell=cell,
            timestep=TIMESTEP,
            thermostat=thermostat,
            every=EVERY,
        )
        for place, excess, heat in zip(seen.positions, seen.excess, seen.temperatures, strict=True):
            if not np.isfinite(place).all() or heat > 5.0 * temperature:
                return told(survived=False)
            one = evaluate(driver, place, types, cell)
            two = evaluate(other, place, other_types, cell)
            apart = float(np.linalg.norm(one.forces - two.forces, axis=1).max())
            frames.append((symbols, place, cell))
            beyond = max(float(excess), two.excess)
            seen_apart.append(apart)
            seen_beyond.append(beyond)
            if apart > LOST_FORCE or beyond > LOST_EXCESS:
                return told(survived=False)
        if seen.n_steps < BLOCK:
            return told(survived=False)
    return told(survived=True)


def choose(seen: Exploration, number: int) -> list[int]:
    """Return the frames of most doubt that lie apart in time, the last before a failure denser."""
    kept: list[int] = []
    doubt = seen.doubt
    for k in np.argsort(-doubt, kind="stable"):
        if doubt[k] < 1.0 or len(kept) == number:
            break
        ending = not seen.survived and k >= len(seen.frames) - APART
        if ending or all(abs(k - other) >= APART for other in kept):
            kept.append(int(k))
    return sorted(kept)
