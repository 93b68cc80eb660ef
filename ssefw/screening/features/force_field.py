"""The angle part of the classical force-field descriptors, compiled.

What matminer's ``JarvisCFID.get_distributions`` returns (Choudhary et al. 2018,
https://doi.org/10.1103/PhysRevMaterials.2.083801), its quirks kept: angles rounded to 0.001 degrees
count by how often they occur for each atom that has them, and a bond crosses the supercell by its
nearest image along each axis. Loops of Python over all pairs of a supercell take seconds a crystal.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure

from ssefw.errors import DataError

__all__ = ["distributions"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

RADIAL: Final = 10.0
"""Angstrom to which neighbors are counted, in bins of `BIN`."""

BIN: Final = 0.1
GAP: Final = 0.1
"""Angstrom between two shells of a pair of elements."""

SUPERCELL: Final = 10.0
"""Angstrom that the largest number of each cell vector shall reach."""

LARGEST_CUTOFF: Final = 5.0
BUFFER: Final = 0.11
OVERLAP: Final = 0.1
MOST_NEIGHBORS: Final = 500
KEYS: Final = 180_001
"""Thousandths of a degree from 0 to 180."""


def distributions(structure: Structure) -> tuple[FloatArray, ...]:
    """Return angles to two cutoffs, dihedrals, radial distribution and neighbors of a structure.

    Raises
    ------
    DataError
        If the structure has too few shells, or more neighbors than matminer has room for.
    """
    center, other, _, distance = structure.get_neighbor_list(RADIAL)
    edges = np.arange(0, RADIAL + BIN, BIN)
    pairs = np.histogram(distance, bins=edges)[0]
    volume = 4 / 3 * np.pi * np.diff(edges**3)
    radial = np.round(pairs / volume * structure.volume / len(structure) ** 2, 4)
    try:
        nearest = _reach_of_pairs(structure, center, other, distance)
        first, second = _cutoffs(edges[:-1][pairs > 0].tolist())
    except (IndexError, ValueError):
        raise DataError(
            "Jarvis: there are too few shells of neighbors to set cutoffs. Leave the structure out."
        ) from None
    coords, lattice = _supercell(structure)
    angles = []
    for cutoff in (nearest, second):
        count, _, bond = _bonds(coords, lattice, cutoff)
        angles.append(_angles(count, bond))
    dihedrals = _dihedrals(*_bonds(coords, lattice, first))
    found = [_histogram(counts) for counts in (*angles, dihedrals)]
    return (*found, radial, pairs / len(structure))


def _reach_of_pairs(
    structure: Structure, center: IntArray, other: IntArray, distance: FloatArray
) -> float:
    """Return the largest of the first gaps between shells over all pairs of elements."""
    _, kind = np.unique([site.specie.symbol for site in structure], return_inverse=True)
    low = np.minimum(kind[center], kind[other])
    pair = low * len(kind) + np.maximum(kind[center], kind[other])
    gaps = []
    for one in np.unique(pair):
        sorted_ = np.sort(distance[pair == one])
        far = np.flatnonzero(np.diff(sorted_) >= GAP)
        # Without a gap the last two count.
        place = far[0] if len(far) else len(sorted_) - 2
        gaps.append(float(sorted_[place] + sorted_[place + 1]) / 2)
    return max(gaps)


def _cutoffs(shells: list[float]) -> tuple[float, float]:
    one, two, three = 0, 1, 2
    gap = shells[two] - shells[one]
    while gap < BUFFER and shells[two] < LARGEST_CUTOFF:
        one, two, three = one + 1, two + 1, three + 1
        gap = shells[two] - shells[one]
    first = (shells[two] + shells[one]) / 2
    gap = shells[three] - shells[two]
    while gap < BUFFER and shells[three] < LARGEST_CUTOFF and shells[two] < LARGEST_CUTOFF:
        two, three = two + 1, three + 1
        gap = shells[three] - shells[two]
    return first, (shells[three] + shells[two]) / 2


def _supercell(structure: Structure) -> tuple[FloatArray, FloatArray]:
    """Return fractional places in, and vectors of, the supercell, atom by atom."""
    box = structure.lattice.matrix
    times = (SUPERCELL / np.abs(box).max(axis=1)).astype(np.int64) + 1
    steps = np.stack(np.meshgrid(*(np.arange(n) for n in times), indexing="ij"), axis=-1)
    coords = (structure.frac_coords[:, None] + steps.reshape(1, -1, 3)) / times
    return coords.reshape(-1, 3), np.ascontiguousarray(box * times[:, None])


def _bonds(
    coords: FloatArray, lattice: FloatArray, cutoff: float
) -> tuple[IntArray, IntArray, FloatArray]:
    count, partner, bond = _find_bonds(coords, lattice, cutoff, MOST_NEIGHBORS)
    if count.max() > MOST_NEIGHBORS:
        raise DataError(
            f"Jarvis: an atom has {count.max()} neighbors, more than {MOST_NEIGHBORS}. Leave the "
            "structure out."
        )
    return count, partner, bond


def _histogram(counts: tuple[IntArray, IntArray]) -> FloatArray:
    """Return bins of a degree from 1 to 180: how often an angle occurs for an atom that has it."""
    times, atoms = counts
    present = np.flatnonzero(times)
    edges = np.arange(1, 181.0, 1)
    weights = times[present] / atoms[present]
    return np.histogram(np.round(present / 1000, 3), weights=weights, bins=edges)[0]


@numba.njit(cache=True)
def _find_bonds(
    coords: FloatArray, lattice: FloatArray, cutoff: float, most: int
) -> tuple[IntArray, IntArray, FloatArray]:
    n = len(coords)
    count = np.zeros(n, dtype=np.int64)
    partner = np.zeros((n, most), dtype=np.int64)
    bond = np.zeros((n, most, 3))
    gap = np.empty(3)
    vector = np.empty(3)
    for i in range(n):
        for j in range(i + 1, n):
            for axis in range(3):
                gap[axis] = coords[i, axis] - coords[j, axis]
                if abs(gap[axis]) >= 0.5:
                    gap[axis] -= np.sign(gap[axis])
            total = 0.0
            for axis in range(3):
                vector[axis] = (
                    gap[0] * lattice[0, axis]
                    + gap[1] * lattice[1, axis]
                    + gap[2] * lattice[2, axis]
                )
                total += vector[axis] * vector[axis]
            distance = np.sqrt(total)
            if distance < cutoff and distance >= OVERLAP:
                for one, other, sign in ((i, j, 1.0), (j, i, -1.0)):
                    place = count[one]
                    count[one] += 1
                    if place < most:
                        partner[one, place] = other
                        for axis in range(3):
                            bond[one, place, axis] = sign * vector[axis]
    return count, partner, bond


@numba.njit(cache=True)
def _angles(count: IntArray, bond: FloatArray) -> tuple[IntArray, IntArray]:
    """Return for each angle how often it occurs, and for how many atoms."""
    times = np.zeros(KEYS, dtype=np.int64)
    atoms = np.zeros(KEYS, dtype=np.int64)
    last = np.full(KEYS, -1, dtype=np.int64)
    for i in range(len(count)):
        for one in range(count[i]):
            for two in range(one + 1, count[i]):
                product, left, right = 0.0, 0.0, 0.0
                for axis in range(3):
                    product += bond[i, one, axis] * bond[i, two, axis]
                    left += bond[i, one, axis] ** 2
                    right += bond[i, two, axis] ** 2
                cosine = product / (np.sqrt(left) * np.sqrt(right))
                if cosine <= -1.0:
                    cosine += 0.000001
                if cosine >= 1.0:
                    cosine -= 0.000001
                key = int(np.rint(np.degrees(np.arccos(cosine)) * 1000))
                times[key] += 1
                if last[key] != i:
                    last[key] = i
                    atoms[key] += 1
    return times, atoms


@numba.njit(cache=True)
def _dihedrals(  # noqa: C901 - compiled: a bond and its two ends
    count: IntArray, partner: IntArray, bond: FloatArray
) -> tuple[IntArray, IntArray]:
    """Return for each dihedral above zero how often it occurs, and for how many atoms."""
    times = np.zeros(KEYS, dtype=np.int64)
    atoms = np.zeros(KEYS, dtype=np.int64)
    last = np.full(KEYS, -1, dtype=np.int64)
    for i in range(len(count)):
        for one in range(count[i]):
            j = partner[i, one]
            if j <= i:
                continue
            middle = -bond[i, one]
            length = np.sqrt((middle**2).sum())
            for two in range(count[i]):
                if partner[i, two] == j:
                    continue
                start = bond[i, two]
                for three in range(count[j]):
                    if partner[j, three] == i:
                        continue
                    end = -bond[j, three]
                    behind = np.cross(middle, end)
                    before = np.cross(start, middle)
                    theta = np.degrees(
                        np.arctan2(length * (start * behind).sum(), (before * behind).sum())
                    )
                    if theta < 0.00001:
                        theta = -theta
                    if theta < 0:
                        continue
                    key = int(np.rint(theta * 1000))
                    times[key] += 1
                    if last[key] != i:
                        last[key] = i
                        atoms[key] += 1
    return times, atoms
