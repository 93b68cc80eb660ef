"""Molecular dynamics of a NEP in one compiled loop.

The integrators are those of `ssefw.engines.ase.verlet`, formula by formula: velocity Verlet under a
Nose-Hoover chain (Martyna et al., Mol. Phys. 87, 1117 (1996)) and Langevin dynamics in the BAOAB
splitting (Leimkuhler & Matthews, J. Chem. Phys. 138, 174102 (2013)). A call starts with a new
search for neighbors and new forces, so that its result depends on the state it is given and on
nothing that came before: a run continued from a stored state is bit by bit the run that was never
interrupted.

Units are ASE's: eV, A, amu, and time in A sqrt(amu/eV).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from ase import units

from ssefw.nep.energy import energy_and_forces
from ssefw.nep.loading import load_loops
from ssefw.nep.model import NEP, Tables
from ssefw.nep.neighbors import neighbors

__all__ = ["MDFrames", "MDState", "Thermostat", "advance"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SKIN = 0.6
"""Extra radius (A) of the search for neighbors; it affects speed only."""


@dataclass
class MDState:
    """Where dynamics stand; changed in place by `advance`.

    Attributes
    ----------
    positions, momenta
        A and amu A / time, shape (n_atoms, 3).
    chain, chain_momenta
        The Nose-Hoover chain; unused by Langevin dynamics.
    """

    positions: FloatArray
    momenta: FloatArray
    chain: FloatArray
    chain_momenta: FloatArray


@dataclass(frozen=True)
class Thermostat:
    """How the temperature is held.

    Attributes
    ----------
    set_points
        K, one for each step to come.
    damping
        Time constant, fs.
    noise
        Standard normal numbers of Langevin dynamics, shape (n_steps, n_atoms, 3); without them a
        Nose-Hoover chain holds the temperature.
    """

    set_points: FloatArray
    damping: float
    noise: FloatArray | None = None


class Leash(NamedTuple):
    """How far dynamics may leave what the potential was taught before they end at once.

    Attributes
    ----------
    outside
        Excess over the range of training from which a step is outside of it.
    farthest
        Excess at which they end.
    in_a_row
        Steps outside, one after the other, at which they end.
    before
        Such steps just before these dynamics, of which they go on.
    """

    outside: float = math.inf
    farthest: float = math.inf
    in_a_row: int = 2**62
    before: int = 0


ANYWHERE = Leash()


@dataclass(frozen=True)
class MDFrames:
    """What a stretch of dynamics showed.

    Attributes
    ----------
    positions, energies, temperatures
        Of the kept steps: A, unwrapped; potential energy, eV; kinetic temperature, K.
    excess
        Largest excess over the training range of the steps since the kept one before.
    n_steps
        Steps done: fewer than asked for where the run exploded, or came to the end of its leash.
    searches
        Searches for neighbors.
    worst
        Largest excess of all steps.
    outside, first_outside
        Steps outside of the training, and the number of the first of them; -1 without.
    in_a_row
        Of these the last ones, if the run ends with them.
    """

    positions: FloatArray
    energies: FloatArray
    temperatures: FloatArray
    excess: FloatArray
    n_steps: int
    searches: int
    worst: float
    outside: int
    first_outside: int
    in_a_row: int


@numba.njit(cache=True)
def _moved(positions: FloatArray, reference: FloatArray, limit: float) -> bool:
    for i in range(len(positions)):
        d = 0.0
        for k in range(3):
            d += (positions[i, k] - reference[i, k]) ** 2
        if not d <= limit:  # also where a position is no number any more
            return True
    return False


@numba.njit(cache=True)
def _scale_by_chain(  # noqa: PLR0917 - flat arrays of numba
    momenta: FloatArray,
    kinetic: float,
    chain: FloatArray,
    chain_momenta: FloatArray,
    kT: float,
    tau: float,
    dof: int,
    dt: float,
) -> None:
    """Move the chain by `dt` and scale the momenta by it; `kinetic` is their energy."""
    length = len(chain)
    mass = np.full(length, kT * tau**2)
    mass[0] *= dof
    v = chain_momenta / mass
    for sweep in range(2):
        for step in range(length):
            k = length - 1 - step if sweep == 0 else step
            push = (2.0 * kinetic - dof * kT) / mass[0] if k == 0 else 0.0
            if k > 0:
                push = (mass[k - 1] * v[k - 1] ** 2 - kT) / mass[k]
            drag = math.exp(-0.25 * dt * v[k + 1]) if k < length - 1 else 1.0
            v[k] = (v[k] * drag + 0.5 * dt * push) * drag
        if sweep == 0:
            scale = math.exp(-dt * v[0])
            for i in range(len(momenta)):
                for c in range(3):
                    momenta[i, c] *= scale
            kinetic *= scale**2
            for k in range(length):
                chain[k] += dt * v[k]
    for k in range(length):
        chain_momenta[k] = v[k] * mass[k]


@numba.njit(cache=True)
def _kinetic(momenta: FloatArray, masses: FloatArray) -> float:
    energy = 0.0
    for i in range(len(masses)):
        for c in range(3):
            energy += 0.5 * momenta[i, c] ** 2 / masses[i]
    return energy


@numba.njit(cache=True)
def _kick(
    momenta: FloatArray, masses: FloatArray, noise: FloatArray, kT: float, keep: float
) -> None:
    """Mix the momenta with noise of the set point, and take out the drift of the whole cell."""
    n = len(masses)
    total = masses.sum()
    for c in range(3):
        drift = 0.0
        for i in range(n):
            width = math.sqrt(masses[i] * kT * (1.0 - keep**2))
            momenta[i, c] = keep * momenta[i, c] + width * noise[i, c]
            drift += momenta[i, c]
        for i in range(n):
            momenta[i, c] -= masses[i] * drift / total


@numba.njit(cache=True)
def _loop(  # noqa: C901, PLR0912, PLR0917 - the time loop, compiled
    tables: Tables,
    positions: FloatArray,
    momenta: FloatArray,
    chain: FloatArray,
    chain_momenta: FloatArray,
    masses: FloatArray,
    types: IntArray,
    cell: FloatArray,
    dt: float,
    set_points: FloatArray,
    tau: float,
    noise: FloatArray,
    every: int,
    first_frame: int,
    boltzmann: float,
    skin: float,
    leash: Leash,
    out_positions: FloatArray,
    out_energies: FloatArray,
    out_temperatures: FloatArray,
    out_excess: FloatArray,
) -> tuple[int, int, int, float, int, int, int]:
    n = len(masses)
    dof = max(1, 3 * n - 3)
    langevin = len(noise) > 0
    forces, virial = np.zeros((n, 3)), np.zeros((3, 3))
    reference = positions.copy()
    start, index, shift = neighbors(positions, cell, tables.radial_cutoff + skin)
    searches, kept = 1, 0
    _, worst = energy_and_forces(positions, types, start, index, shift, tables, forces, virial)
    most, outside, first_outside, in_a_row = worst, 0, -1, leash.before
    for s in range(len(set_points)):
        kT = boltzmann * set_points[s]
        if not langevin:
            _scale_by_chain(
                momenta, _kinetic(momenta, masses), chain, chain_momenta, kT, tau, dof, 0.5 * dt
            )
        for i in range(n):
            for c in range(3):
                momenta[i, c] += 0.5 * dt * forces[i, c]
                positions[i, c] += (0.5 if langevin else 1.0) * dt * momenta[i, c] / masses[i]
        if langevin:
            _kick(momenta, masses, noise[s], kT, math.exp(-dt / tau))
            for i in range(n):
                for c in range(3):
                    positions[i, c] += 0.5 * dt * momenta[i, c] / masses[i]
        if _moved(positions, reference, 0.25 * skin**2):
            if not np.isfinite(positions).all():
                return s + 1, kept, searches, most, outside, first_outside, in_a_row
            reference[:] = positions
            start, index, shift = neighbors(positions, cell, tables.radial_cutoff + skin)
            searches += 1
        energy, excess = energy_and_forces(
            positions, types, start, index, shift, tables, forces, virial
        )
        worst = max(worst, excess)
        most = max(most, excess)
        if excess > leash.outside:
            outside += 1
            in_a_row += 1
            if first_outside < 0:
                first_outside = s + 1
        else:
            in_a_row = 0
        if excess > leash.farthest or in_a_row >= leash.in_a_row:
            return s, kept, searches, most, outside, first_outside, in_a_row
        for i in range(n):
            for c in range(3):
                momenta[i, c] += 0.5 * dt * forces[i, c]
        if not langevin:
            _scale_by_chain(
                momenta, _kinetic(momenta, masses), chain, chain_momenta, kT, tau, dof, 0.5 * dt
            )
        if s + 1 >= first_frame and (s + 1 - first_frame) % every == 0:
            out_positions[kept] = positions
            out_energies[kept] = energy
            kinetic = _kinetic(momenta, masses)
            out_temperatures[kept] = 2.0 * kinetic / (dof * boltzmann)
            out_excess[kept] = worst
            worst = 0.0
            kept += 1
            if not math.isfinite(kinetic):
                return s + 1, kept, searches, most, outside, first_outside, in_a_row
    return len(set_points), kept, searches, most, outside, first_outside, in_a_row


def advance(
    model: NEP,
    state: MDState,
    *,
    masses: FloatArray,
    types: IntArray,
    cell: FloatArray,
    timestep: float,
    thermostat: Thermostat,
    every: int,
    first_frame_after: int | None = None,
    skin: float = SKIN,
    leash: Leash = ANYWHERE,
) -> MDFrames:
    """Advance dynamics by as many steps as the thermostat has set points.

    Parameters
    ----------
    model
        The potential.
    state
        Where to start; afterwards where the run stands.
    masses, types
        amu, and number of each atom's element.
    cell
        Lattice vectors in rows, A.
    timestep
        fs.
    thermostat
        Set point of each step, and how it is held.
    every
        Steps from one kept frame to the next.
    first_frame_after
        Steps to the first kept frame; `every` if not given.
    skin
        Extra radius (A) of the search for neighbors.
    leash
        How far they may leave what the potential was taught; anywhere without.

    Returns
    -------
    The kept frames. A run whose atoms fly apart, or which leaves too far, ends early: `n_steps`
    tells.
    """
    load_loops()
    n_steps, n_atoms = len(thermostat.set_points), len(masses)
    offset = every if first_frame_after is None else first_frame_after
    n_frames = max(0, (n_steps - offset) // every + 1)
    frames = np.empty((n_frames, n_atoms, 3))
    energies, temperatures, excess = (np.empty(n_frames) for _ in range(3))
    noise = np.empty((0, 0, 0)) if thermostat.noise is None else thermostat.noise
    done, kept, searches, worst, outside, first_outside, in_a_row = _loop(
        model.tables,
        state.positions,
        state.momenta,
        state.chain,
        state.chain_momenta,
        np.ascontiguousarray(masses, dtype=np.float64),
        types,
        np.ascontiguousarray(cell, dtype=np.float64),
        timestep * units.fs,
        np.ascontiguousarray(thermostat.set_points, dtype=np.float64),
        thermostat.damping * units.fs,
        noise,
        every,
        offset,
        units.kB,
        skin,
        leash,
        frames,
        energies,
        temperatures,
        excess,
    )
    return MDFrames(
        positions=frames[:kept],
        energies=energies[:kept],
        temperatures=temperatures[:kept],
        excess=excess[:kept],
        n_steps=done,
        searches=searches,
        worst=worst,
        outside=outside,
        first_outside=first_outside,
        in_a_row=in_a_row,
    )
