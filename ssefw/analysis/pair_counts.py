"""Counting pair distances under periodic boundaries, every image within reach.

The cell is turned into lower-triangular form, in which z depends on one image index, y on two and x
on three: each is folded to half an edge in turn, so few images outside the cutoff are visited,
however small or skew the cell is.
"""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["count_pairs", "triangular_cell"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def triangular_cell(lattice: FloatArray) -> FloatArray:
    """Return the same cell rotated so that a lies along x and b in the xy plane."""
    upper: FloatArray = np.linalg.qr(lattice.T)[1]
    signs = np.where(np.diag(upper) < 0, -1.0, 1.0)
    return np.ascontiguousarray((upper * signs[:, None]).T)


def count_pairs(
    first: FloatArray,
    second: FloatArray,
    lattice: FloatArray,
    origins: IntArray,
    lags: IntArray,
    *,
    r_max: float,
    n_bins: int,
    same: IntArray,
) -> IntArray:
    """Return how many distances |second(t + lag) - first(t)| fall into each bin.

    Parameters
    ----------
    first, second
        Continuous fractional coordinates, (n_frames, n_first, 3) and (n_frames, n_second, 3).
    lattice
        Cell vectors as rows in angstrom, (3, 3).
    origins, lags
        First frames, (n_lags, n_origins), -1 where there is none, and lags, (n_lags,).
    same
        For each atom of `first` its index in `second`, or -1. The distance of an atom to where it
        went itself is left out; its distances to its own images are pairs.

    Returns
    -------
    counts
        (n_lags, n_bins).
    """
    counts = np.zeros((len(lags), n_bins), dtype=np.int64)
    cell = triangular_cell(lattice)

    def count(row: int) -> None:
        _count(first, second, cell, origins[row], lags[row], r_max, same, counts[row])

    with ThreadPoolExecutor() as threads:
        list(threads.map(count, range(len(lags))))
    return counts


@numba.njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator,unused-ignore]
def _count(first, second, cell, origins, lag, r_max, same, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901, PLR0917
    n_bins = len(counts)
    ax = cell[0, 0]
    bx, by = cell[1, 0], cell[1, 1]
    cx, cy, cz = cell[2, 0], cell[2, 1], cell[2, 2]
    limit = r_max * r_max
    per_length = n_bins / r_max
    far_x, far_y, far_z = r_max / ax, r_max / by, r_max / cz
    tilt_y = cy / by
    tilt_x, tilt_z = bx / ax, cx / ax
    for origin in origins:
        if origin < 0:
            continue
        a = first[origin]
        b = second[origin + lag]
        for i in range(len(a)):
            for j in range(len(b)):
                fx = b[j, 0] - a[i, 0]
                fy = b[j, 1] - a[i, 1]
                fz = b[j, 2] - a[i, 2]
                shift_z = np.rint(fz)
                w0 = fz - shift_z
                is_same = same[i] == j
                for nz in range(int(np.ceil(-far_z - w0)), int(np.floor(far_z - w0)) + 1):
                    w = w0 + nz
                    z = w * cz
                    z2 = limit - z * z
                    if z2 <= 0.0:
                        continue
                    v0 = fy + w * tilt_y
                    shift_y = np.rint(v0)
                    v0 -= shift_y
                    for ny in range(int(np.ceil(-far_y - v0)), int(np.floor(far_y - v0)) + 1):
                        y = (v0 + ny) * by
                        y2 = z2 - y * y
                        if y2 <= 0.0:
                            continue
                        v = fy - shift_y + ny
                        u0 = fx + v * tilt_x + w * tilt_z
                        shift_x = np.rint(u0)
                        u0 -= shift_x
                        for nx in range(int(np.ceil(-far_x - u0)), int(np.floor(far_x - u0)) + 1):
                            x = (u0 + nx) * ax
                            if x * x >= y2:
                                continue
                            # The image of an atom that is the atom itself.
                            if is_same and nx == shift_x and ny == shift_y and nz == shift_z:
                                continue
                            place = int(np.sqrt(x * x + limit - y2) * per_length)
                            if place < n_bins:
                                counts[place] += 1
