"""Arrangements of ions by Monte Carlo: swaps between sites of one kind.

A swap exchanges what sits on two sites, so that the composition stays. Swaps that bring two atoms
too close are refused once none are. The chain cools from where nearly every swap is accepted to a
given temperature; temperatures are energies (eV) here, since bare charges are far apart in energy.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ssefw.data.orderings.arrangements import Arrangements

__all__ = ["anneal", "place"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

COOLINGS = 60
"""Temperatures of a chain: each 10 to 20 % below the last."""

SWAPS_A_SITE = 60
"""Swaps tried for each free site at each temperature."""

COLDEST = 0.003
"""Where the search for a minimum ends, eV: below the steps between arrangements."""

PLACING_SWEEPS = 2000
"""Swaps tried for each free site to bring atoms that are too close apart, before giving up."""


class _Sites(NamedTuple):
    """What the kernels ask of the free sites."""

    groups: IntArray
    allowed: BoolArray
    starts: IntArray
    neighbors: IntArray
    distances: FloatArray
    closest: FloatArray


class _Energies(NamedTuple):
    """What the energy of a state is made of."""

    charges: FloatArray
    interaction: FloatArray
    field: FloatArray


def place(problem: Arrangements, *, seed: int) -> IntArray | None:
    """Return a random state in which no two atoms are too close, or None where none was found.

    Sites keep the occupancy of their kind where that can be; where it cannot, atoms move to sites
    of another kind that may hold them.
    """
    for across in (False, True):
        rng = np.random.default_rng((seed, int(across)))
        state = _random_state(problem, rng)
        tables = _tables(problem)
        if across:
            tables = tables._replace(groups=np.zeros_like(problem.groups))
        if _separate(state, tables, PLACING_SWEEPS * len(state), rng) == 0:
            return state
    return None


def anneal(problem: Arrangements, state: IntArray, *, temperature: float, seed: int) -> IntArray:
    """Return a state drawn at a temperature (eV), after cooling down to it; zero for a minimum.

    Parameters
    ----------
    problem
        Which arrangements there are, and their energies.
    state
        Where it begins.
    temperature
        In eV; with zero it ends in a minimum.
    seed
        Of the walk.
    """
    found = state.copy()
    energies = _Energies(problem.charges, problem.interaction, problem.field)
    _anneal(found, _tables(problem), energies, temperature, np.random.default_rng(seed))
    return found


def _tables(problem: Arrangements) -> _Sites:
    starts, neighbors, distances = problem.neighbors
    return _Sites(problem.groups, problem.allowed, starts, neighbors, distances, problem.closest)


def _random_state(problem: Arrangements, rng: np.random.Generator) -> IntArray:
    """Deal the atoms of each kind over its sites, to those first that may hold them."""
    state = np.zeros(len(problem.free), dtype=np.int64)
    for group in np.unique(problem.groups):
        members = np.flatnonzero(problem.groups == group)
        counts = {number: n for number, n in problem.counts(int(group)).items() if number and n}
        for number, n in sorted(counts.items(), key=lambda item: -item[1]):
            order = rng.permutation(members[state[members] == 0])
            order = order[np.argsort(~problem.allowed[order, number], kind="stable")]
            state[order[:n]] = number
    return state


@njit(cache=True)
def _conflicts(state: IntArray, site: int, number: int, sites: _Sites) -> int:
    """Return with how many atoms a number on a site would be too close."""
    if number == 0:
        return 0
    found = 0 if sites.allowed[site, number] else 1
    for k in range(sites.starts[site], sites.starts[site + 1]):
        other = state[sites.neighbors[k]]
        if other != 0 and sites.distances[k] < sites.closest[number, other]:
            found += 1
    return found


@njit(cache=True)
def _separate(state: IntArray, sites: _Sites, n_trials: int, rng: np.random.Generator) -> int:
    """Swap until no two atoms are too close; return how many conflicts are left."""
    n = len(state)
    total = 0
    alone = state.copy()
    for i in range(n):
        total += _conflicts(alone, i, int(alone[i]), sites)
        alone[i] = 0
    for trial in range(n_trials):
        if total == 0:
            break
        i, j = int(rng.integers(0, n)), int(rng.integers(0, n))
        a, b = int(state[i]), int(state[j])
        if sites.groups[i] != sites.groups[j] or a == b:
            continue
        before = _conflicts(state, i, a, sites)
        state[i] = 0
        before += _conflicts(state, j, b, sites)
        state[j] = 0
        after = _conflicts(state, i, b, sites)
        state[i] = b
        after += _conflicts(state, j, a, sites)
        state[j] = a
        # What a conflict is worth in temperatures: little at first.
        worth = 2.0 + 4.0 * trial / n_trials
        if after <= before or rng.random() < math.exp(-worth * (after - before)):
            total += after - before
        else:
            state[i], state[j] = a, b
    return total


@njit(cache=True)
def _change(i: int, j: int, q: FloatArray, potential: FloatArray, interaction: FloatArray) -> float:
    """Return what it costs to exchange the charges of two sites, eV."""
    d = q[j] - q[i]
    own = interaction[i, i] + interaction[j, j] - 2.0 * interaction[i, j]
    return d * (potential[i] - potential[j]) + d * d * own  # type: ignore[no-any-return]


@njit(cache=True)
def _anneal(  # noqa: C901  one loop, whose parts have no meaning of their own
    state: IntArray, sites: _Sites, energies: _Energies, final: float, rng: np.random.Generator
) -> None:
    """Cool a state to `final` eV; with zero, return the lowest state that was met."""
    charges, interaction, field = energies
    n = len(state)
    order = np.argsort(sites.groups)
    first, size = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for k in range(n):
        first[k] = np.sum(sites.groups < sites.groups[k])
        size[k] = np.sum(sites.groups == sites.groups[k])
    q = charges[state]
    potential = 2.0 * (interaction @ q) + field
    energy, lowest, best = 0.0, 0.0, state.copy()

    hot, n_seen = 0.0, 0
    for _ in range(20 * n):
        i = int(rng.integers(0, n))
        j = int(order[first[i] + rng.integers(0, size[i])])
        if state[i] != state[j]:
            hot += abs(_change(i, j, q, potential, interaction))
            n_seen += 1
    if n_seen == 0:
        return
    cold = final if final > 0.0 else COLDEST
    hot = max(hot / n_seen, cold)
    for cooling in range(COOLINGS):
        temperature = hot * (cold / hot) ** (cooling / (COOLINGS - 1))
        for _ in range(SWAPS_A_SITE * n):
            i = int(rng.integers(0, n))
            j = int(order[first[i] + rng.integers(0, size[i])])
            a, b = int(state[i]), int(state[j])
            if a == b or not sites.allowed[i, b] or not sites.allowed[j, a]:
                continue
            change = _change(i, j, q, potential, interaction)
            # Drawn also for a change downhill: among equal sites changes are zero to within
            # rounding, whose sign depends on the machine, and so would all later draws.
            if rng.random() >= math.exp(min(0.0, -change / temperature)):
                continue
            state[i], state[j] = 0, 0
            blocked = _conflicts(state, i, b, sites)
            state[i] = b
            blocked += _conflicts(state, j, a, sites)
            if blocked:
                state[i], state[j] = a, b
                continue
            state[j] = a
            d = q[j] - q[i]
            q[i], q[j] = charges[b], charges[a]
            for k in range(n):
                potential[k] += 2.0 * d * (interaction[k, i] - interaction[k, j])
            energy += change
            if energy < lowest - 1e-9:
                lowest = energy
                best[:] = state
    if final <= 0.0:
        state[:] = best
