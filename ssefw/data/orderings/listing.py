"""All arrangements of a small cell, one of each set that symmetry makes equal."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.data.orderings.arrangements import Arrangements

__all__ = ["EQUAL_DIGITS", "Listed", "canonical", "count_arrangements", "list_arrangements"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

EQUAL_DIGITS = 6
"""Digits of energies (eV) by which arrangements are put in order: what is equal by symmetry differs
by rounding, which is another on another machine."""


@dataclass(frozen=True)
class Listed:
    """Arrangements from the lowest energy to the highest.

    Attributes
    ----------
    states
        One of each set of equal ones, (n, n_sites).
    energies
        Electrostatic energy of each, eV.
    weights
        How many arrangements each stands for.
    """

    states: IntArray
    energies: FloatArray
    weights: IntArray


def count_arrangements(problem: Arrangements) -> int:
    """Return how many arrangements there are, those with atoms too close included."""
    found = 1
    for group in np.unique(problem.groups):
        left = int((problem.groups == group).sum())
        for n in problem.counts(int(group)).values():
            found *= math.comb(left, n)
            left -= n
    return found


def list_arrangements(problem: Arrangements, permutations: IntArray) -> Listed:
    """Return all arrangements in which no two atoms are too close, up to the permutations."""
    groups = [np.flatnonzero(problem.groups == group) for group in np.unique(problem.groups)]
    options = [
        list(_fillings(len(members), problem.counts(int(problem.groups[members[0]]))))
        for members in groups
    ]
    starts, sites, distances = problem.neighbors
    rows = np.repeat(np.arange(len(problem.free)), np.diff(starts))
    seen: dict[bytes, list[int]] = {}
    states: list[IntArray] = []
    everywhere = np.arange(len(problem.free))
    for choice in itertools.product(*options):
        state = np.zeros(len(problem.free), dtype=np.int64)
        for members, numbers in zip(groups, choice, strict=True):
            state[members] = numbers
        if not problem.allowed[everywhere, state].all():
            continue
        if (distances < problem.closest[state[rows], state[sites]]).any():
            continue
        key = canonical(state, permutations).tobytes()
        if key not in seen:
            seen[key] = [len(states), 0]
            states.append(state)
        seen[key][1] += 1
    if not states:
        empty = np.zeros((0, len(problem.free)), dtype=np.int64)
        return Listed(empty, np.zeros(0), np.zeros(0, dtype=np.int64))
    energies = np.array([problem.energy(state) for state in states])
    weights = np.array([count for _, count in seen.values()])
    order = np.argsort(np.round(energies, EQUAL_DIGITS), kind="stable")
    return Listed(np.array(states)[order], energies[order], weights[order])


def canonical(state: IntArray, permutations: IntArray) -> IntArray:
    """Return of all states that symmetry makes equal to one the first in alphabetical order."""
    equal = state[permutations]
    for column in range(equal.shape[1]):
        equal = equal[equal[:, column] == equal[:, column].min()]
        if len(equal) == 1:
            break
    return np.asarray(equal[0])


def _fillings(n_sites: int, counts: Mapping[int, int]) -> Iterator[IntArray]:
    """Yield every way to deal numbers over sites."""

    def deal(left: tuple[int, ...], rest: list[tuple[int, int]]) -> Iterator[dict[int, int]]:
        if not rest:
            yield {}
            return
        number, n = rest[0]
        for chosen in itertools.combinations(left, n):
            taken = dict.fromkeys(chosen, number)
            others = tuple(site for site in left if site not in taken)
            for more in deal(others, rest[1:]):
                yield taken | more

    filled = [(number, n) for number, n in counts.items() if number and n]
    for found in deal(tuple(range(n_sites)), filled):
        numbers = np.zeros(n_sites, dtype=np.int64)
        numbers[list(found)] = list(found.values())
        yield numbers
