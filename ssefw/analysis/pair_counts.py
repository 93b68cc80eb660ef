"""Counting pair distances under periodic boundaries, every image within reach.

The cell is turned into lower-triangular form, in which a difference is folded into a box of half
edges, z first. Of all images of such a box only those that come within the cutoff are tried: seven
where the cutoff is half an edge, more in smaller cells, all that are needed in any.
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
    images = _images(cell, r_max)

    def count(row: int) -> None:
        _count(first, second, cell, images, origins[row], lags[row], r_max, same, counts[row])

    with ThreadPoolExecutor() as threads:
        list(threads.map(count, range(len(lags))))
    return counts


def _images(cell: FloatArray, r_max: float) -> IntArray:
    """Return the cells whose copy of the folded box comes within the cutoff, (n, 3)."""
    half = 0.5 * np.diag(cell)
    # Rows of the inverse bound the index: n = r @ inverse, |r| at most cutoff plus half diagonal.
    far = np.ceil((r_max + np.linalg.norm(half)) * np.linalg.norm(np.linalg.inv(cell), axis=0))
    ranges = [np.arange(-n, n + 1) for n in far.astype(np.int64)]
    cells = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.maximum(np.abs(cells @ cell) - half, 0.0)
    return np.ascontiguousarray(cells[(nearest**2).sum(axis=1) < r_max**2])


@numba.njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator,unused-ignore]
def _count(first, second, cell, images, origins, lag, r_max, same, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901, PLR0917
    n_bins = len(counts)
    n_second = second.shape[1]
    ax = cell[0, 0]
    bx, by = cell[1, 0], cell[1, 1]
    cx, cy, cz = cell[2, 0], cell[2, 1], cell[2, 2]
    tilt_y, tilt_x, tilt_z = cy / by, bx / ax, cx / ax
    limit = r_max * r_max
    per_length = n_bins / r_max
    x, y, z = np.empty(n_second), np.empty(n_second), np.empty(n_second)
    square = np.empty(n_second)
    own = np.zeros(3)
    for origin in origins:
        if origin < 0:
            continue
        a = first[origin]
        b = second[origin + lag]
        for i in range(len(a)):
            for j in range(n_second):
                w = b[j, 2] - a[i, 2]
                w -= np.rint(w)
                v = b[j, 1] - a[i, 1]
                v_tilted = v + w * tilt_y
                shift_y = np.rint(v_tilted)
                u_tilted = b[j, 0] - a[i, 0] + (v - shift_y) * tilt_x + w * tilt_z
                x[j] = (u_tilted - np.rint(u_tilted)) * ax
                y[j] = (v_tilted - shift_y) * by
                z[j] = w * cz
            here = same[i]
            if here >= 0:
                # In which image of the box the atom itself is.
                own[2] = np.rint(b[here, 2] - a[i, 2])
                w = b[here, 2] - a[i, 2] - own[2]
                v = b[here, 1] - a[i, 1]
                own[1] = np.rint(v + w * tilt_y)
                own[0] = np.rint(b[here, 0] - a[i, 0] + (v - own[1]) * tilt_x + w * tilt_z)
            for n in range(len(images)):
                na, nb, nc = images[n, 0], images[n, 1], images[n, 2]
                sx = na * ax + nb * bx + nc * cx
                sy = nb * by + nc * cy
                sz = nc * cz
                for j in range(n_second):
                    dx, dy, dz = x[j] + sx, y[j] + sy, z[j] + sz
                    square[j] = dx * dx + dy * dy + dz * dz
                if here >= 0 and na == own[0] and nb == own[1] and nc == own[2]:
                    square[here] = limit
                for j in range(n_second):
                    if square[j] < limit:
                        place = int(np.sqrt(square[j]) * per_length)
                        if place < n_bins:
                            counts[place] += 1
