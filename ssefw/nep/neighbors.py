"""Pairs of atoms within a cut-off, in time proportional to the number of atoms.

Atoms are sorted into bins of half the cut-off; a cell thinner than that is one bin along that axis,
whose images are visited one by one. So one search serves a primitive cell whose atoms neighbor
their own images and a box of ten thousand atoms.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["neighbors"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]

_TYPICAL = 96
"""Neighbors of an atom that room is made for at first: a solid within 6 to 7 A."""


@numba.njit(cache=True)
def _bins(cell: FloatArray, cutoff: float, n_atoms: int) -> tuple[IntArray, IntArray]:
    """Return the number of bins along each axis and how many bins away neighbors may lie."""
    volume = abs(np.linalg.det(cell))
    count, reach = np.empty(3, np.int32), np.empty(3, np.int32)
    # More bins than atoms only cost memory.
    most = int(n_atoms ** (1.0 / 3.0)) + 1
    for axis in range(3):
        normal = np.cross(cell[(axis + 1) % 3], cell[(axis + 2) % 3])
        height = volume / math.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
        count[axis] = min(most, max(1, int(2.0 * height / cutoff)))
        reach[axis] = math.ceil(cutoff * count[axis] / height)
    return count, reach


@numba.njit(cache=True)
def _grown(array: npt.NDArray, size: int) -> npt.NDArray:  # type: ignore[type-arg]
    larger = np.empty((size, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


@numba.njit(cache=True, error_model="numpy")
def neighbors(  # noqa: C901 - atoms, bins and their images in one compiled pass
    positions: FloatArray, cell: FloatArray, cutoff: float
) -> tuple[npt.NDArray[np.int64], IntArray, FloatArray]:
    """Return all neighbors of all atoms of a crystal, each pair from both sides.

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_atoms, 3); need not lie inside the cell.
    cell
        Lattice vectors in rows, A.
    cutoff
        A.

    Returns
    -------
    start, index, shift
        The neighbors of atom i are ``index[start[i]:start[i + 1]]``, at
        ``positions[index] + shift``.
    """
    n = len(positions)
    count, reach = _bins(cell, cutoff, n)
    frac = positions @ np.linalg.inv(cell)
    # Atoms brought into the cell, and by which vector.
    wrap = np.floor(frac)
    home = wrap @ cell
    inside = positions - home
    bin_of = np.empty((n, 3), np.int64)
    first = np.zeros(count[0] * count[1] * count[2] + 1, np.int64)
    for i in range(n):
        for axis in range(3):
            b = int((frac[i, axis] - wrap[i, axis]) * count[axis])
            bin_of[i, axis] = min(b, count[axis] - 1)
        first[(bin_of[i, 0] * count[1] + bin_of[i, 1]) * count[2] + bin_of[i, 2] + 1] += 1
    first = np.cumsum(first)
    # Atoms bin by bin, so that a row of bins along the last axis is one stretch of memory.
    order, free = np.empty(n, np.int32), first.copy()
    X, Y, Z = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        b = (bin_of[i, 0] * count[1] + bin_of[i, 1]) * count[2] + bin_of[i, 2]
        k = free[b]
        free[b] += 1
        order[k], X[k], Y[k], Z[k] = i, inside[i, 0], inside[i, 1], inside[i, 2]
    start = np.zeros(n + 1, np.int64)
    index, shift = np.empty(_TYPICAL * n, np.int32), np.empty((_TYPICAL * n, 3))
    found = 0
    farthest = cutoff * cutoff
    for i in range(n):
        for u in range(bin_of[i, 0] - reach[0], bin_of[i, 0] + reach[0] + 1):
            image_u = u // count[0]
            for v in range(bin_of[i, 1] - reach[1], bin_of[i, 1] + reach[1] + 1):
                image_v = v // count[1]
                row = ((u - image_u * count[0]) * count[1] + (v - image_v * count[1])) * count[2]
                w, last = bin_of[i, 2] - reach[2], bin_of[i, 2] + reach[2]
                while w <= last:  # once for each image of the cell that the row passes through
                    image_w = w // count[2]
                    low = w - image_w * count[2]
                    high = min(low + last - w, count[2] - 1)
                    w += high - low + 1
                    begin, end = first[row + low], first[row + high + 1]
                    if found + end - begin > len(index):
                        index, shift = _grown(index, 2 * len(index)), _grown(shift, 2 * len(index))
                    same = image_u == 0 and image_v == 0 and image_w == 0
                    sx = image_u * cell[0, 0] + image_v * cell[1, 0] + image_w * cell[2, 0]
                    sy = image_u * cell[0, 1] + image_v * cell[1, 1] + image_w * cell[2, 1]
                    sz = image_u * cell[0, 2] + image_v * cell[1, 2] + image_w * cell[2, 2]
                    x0, y0, z0 = sx - inside[i, 0], sy - inside[i, 1], sz - inside[i, 2]
                    for k in range(begin, end):
                        x, y, z = X[k] + x0, Y[k] + y0, Z[k] + z0
                        j = order[k]
                        if x * x + y * y + z * z < farthest and not (same and i == j):
                            index[found] = j
                            shift[found, 0] = sx + home[i, 0] - home[j, 0]
                            shift[found, 1] = sy + home[i, 1] - home[j, 1]
                            shift[found, 2] = sz + home[i, 2] - home[j, 2]
                            found += 1
        start[i + 1] = found
    return start, index[:found].copy(), shift[:found].copy()
