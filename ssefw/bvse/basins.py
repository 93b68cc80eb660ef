"""Basins of a grid of energies and the passes between them.

Points are flooded in order of energy: a point without a lower neighbor starts a basin, any other
joins the basin of its lowest neighbor. Where a point touches another basin, or a periodic image of
its own, there is a pass between the two; the lowest of them, and others well apart from it, are
kept. Sites, saddle points and hops are found from these on the exact energy surface.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["Basins", "flood"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MAX_PASSES_PER_PAIR = 6


@dataclass(frozen=True)
class Basins:
    """Basins and passes of a periodic grid.

    Attributes
    ----------
    minima
        Grid indices of the lowest point of each basin, (n, 3).
    passes
        Grid indices of the highest point of each pass, (p, 3).
    neighbors
        Grid indices of the point beside it in the other basin, (p, 3), not wrapped.
    pairs
        Basins on both sides, (p, 2).
    images
        Cell of the second basin's minimum as seen from the first's, (p, 3).
    energies
        Of the passes, in eV, ascending, (p,).
    """

    minima: IntArray
    passes: IntArray
    neighbors: IntArray
    pairs: IntArray
    images: IntArray
    energies: FloatArray


def flood(
    energies: FloatArray, matrix: FloatArray, *, limit: float, separation: float = 1.0
) -> Basins:
    """Return basins and passes of a periodic grid up to an energy.

    Parameters
    ----------
    energies
        (n1, n2, n3), in eV.
    matrix
        Lattice vectors as rows, in angstrom.
    limit
        Points above this energy are left out, in eV.
    separation
        Passes between the same two basins count as different from this distance on, in angstrom.
    """
    flat = np.ascontiguousarray(energies, dtype=float).ravel()
    low = np.flatnonzero(flat <= limit)
    order = low[np.argsort(flat[low], kind="stable")]
    shape = np.array(energies.shape)
    minima, contacts = _flood(flat, order, shape)
    contacts = _lowest_contacts(contacts, shape, matrix, separation)
    passes = np.stack(np.unravel_index(contacts[:, 0], energies.shape), axis=1)
    return Basins(
        minima=np.stack(np.unravel_index(minima, energies.shape), axis=1),
        passes=passes,
        neighbors=passes + contacts[:, 1:4],
        pairs=contacts[:, 4:6],
        images=contacts[:, 6:9],
        energies=flat[contacts[:, 0]],
    )


@njit(cache=True, nogil=True)
def _flood(  # noqa: C901, PLR0915 (compiled: one loop that reads like the method)
    energies: FloatArray, order: IntArray, shape: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the minima and the contacts (node, step to neighbor, basin, basin, image)."""
    n1, n2, n3 = shape[0], shape[1], shape[2]
    labels = np.full(len(energies), -1, dtype=np.int32)
    # Cell of the basin's minimum as seen from each point.
    cells = np.zeros((len(energies), 3), dtype=np.int16)
    minima = np.empty(1024, dtype=np.int64)
    n_minima = 0
    contacts = np.empty((4096, 9), dtype=np.int64)
    n_contacts = 0
    others = np.empty(26, dtype=np.int64)
    steps = np.empty((26, 6), dtype=np.int64)
    for node in order:
        i, rest = divmod(node, n2 * n3)
        j, k = divmod(rest, n3)
        n_others = 0
        lowest = -1
        for di in range(-1, 2):
            ni = i + di
            ci = -1 if ni < 0 else (1 if ni >= n1 else 0)
            for dj in range(-1, 2):
                nj = j + dj
                cj = -1 if nj < 0 else (1 if nj >= n2 else 0)
                for dk in range(-1, 2):
                    nk = k + dk
                    ck = -1 if nk < 0 else (1 if nk >= n3 else 0)
                    other = ((ni - ci * n1) * n2 + nj - cj * n2) * n3 + nk - ck * n3
                    if labels[other] < 0:
                        continue
                    others[n_others] = other
                    steps[n_others, 0], steps[n_others, 1], steps[n_others, 2] = di, dj, dk
                    steps[n_others, 3], steps[n_others, 4], steps[n_others, 5] = ci, cj, ck
                    if lowest < 0 or energies[other] < energies[others[lowest]]:
                        lowest = n_others
                    n_others += 1
        if lowest < 0:
            if n_minima == len(minima):
                minima = np.concatenate((minima, np.empty_like(minima)))
            minima[n_minima] = node
            labels[node] = n_minima
            n_minima += 1
            continue
        basin = labels[others[lowest]]
        labels[node] = basin
        for axis in range(3):
            cells[node, axis] = cells[others[lowest], axis] + steps[lowest, 3 + axis]
        for neighbor in range(n_others):
            other = others[neighbor]
            x = cells[other, 0] + steps[neighbor, 3] - cells[node, 0]
            y = cells[other, 1] + steps[neighbor, 4] - cells[node, 1]
            z = cells[other, 2] + steps[neighbor, 5] - cells[node, 2]
            if labels[other] == basin and x == 0 and y == 0 and z == 0:
                continue
            # One contact for each pair of basins and point is enough: its lowest neighbor.
            if n_contacts == len(contacts):
                contacts = np.concatenate((contacts, np.empty_like(contacts)))
            row = contacts[n_contacts]
            row[0] = node
            row[1], row[2], row[3] = steps[neighbor, 0], steps[neighbor, 1], steps[neighbor, 2]
            row[4], row[5] = basin, labels[other]
            row[6], row[7], row[8] = x, y, z
            n_contacts += 1
    return minima[:n_minima], contacts[:n_contacts]


def _lowest_contacts(
    contacts: IntArray, shape: IntArray, matrix: FloatArray, separation: float
) -> IntArray:
    """Thin out contacts, which come in order of energy, to passes that lie apart."""
    if len(contacts) == 0:
        return contacts
    # A contact seen from either side is the same: the smaller basin first, then the image.
    swap = (contacts[:, 4] > contacts[:, 5]) | (
        (contacts[:, 4] == contacts[:, 5]) & (_sign(contacts[:, 6:9]) < 0)
    )
    key = contacts[:, 4:9].copy()
    key[swap, 0], key[swap, 1] = contacts[swap, 5], contacts[swap, 4]
    key[swap, 2:] *= -1
    _, group = np.unique(key, axis=0, return_inverse=True)
    points = np.stack(np.unravel_index(contacts[:, 0], tuple(shape)), axis=1) / shape
    kept: IntArray = _thin(points, group.ravel(), np.asarray(matrix, float), separation)
    return contacts[kept]


def _sign(images: IntArray) -> IntArray:
    """Return the sign of the first component that is not zero."""
    weights = np.array([10**8, 10**4, 1])
    signs: IntArray = np.sign(images @ weights)
    return signs


@njit(cache=True, nogil=True)
def _thin(points: FloatArray, group: IntArray, matrix: FloatArray, separation: float) -> IntArray:
    """Keep the first of each group, and later ones that lie apart from those kept."""
    kept = np.empty(len(points), dtype=np.int64)
    n_kept = 0
    members = np.full((group.max() + 1, _MAX_PASSES_PER_PAIR), -1, dtype=np.int64)
    for row in range(len(points)):
        mine = members[group[row]]
        for slot in range(_MAX_PASSES_PER_PAIR):
            if mine[slot] < 0:
                mine[slot] = row
                kept[n_kept] = row
                n_kept += 1
                break
            d = points[row] - points[mine[slot]]
            d -= np.round(d)
            x = d @ matrix
            if (x * x).sum() < separation * separation:
                break
    return kept[:n_kept]
