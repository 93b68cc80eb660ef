"""Mean squared displacements, averaged over all time origins.

The average over every pair of frames a given lag apart is computed at all lags at once by FFT
(doi:10.1051/sfn/201112010), or, at chosen lags, by a direct sum that also splits it by atom and by
block of time: what the errors of a diffusivity are made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import scipy.fft

__all__ = [
    "LagSums",
    "collective_msd",
    "mean_squared_displacement",
    "msd_tensor",
    "split_squared_displacements",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def mean_squared_displacement(
    paths: FloatArray, *, pieces: Sequence[tuple[int, int]] | None = None
) -> FloatArray:
    """Return the MSD of a set of paths at every lag, over all origins and all paths.

    Parameters
    ----------
    paths
        Continuous positions in angstrom, (n_frames, n_paths, n_components). For a collective MSD
        give the sum of the displacements as one path.
    pieces
        Frame ranges within which time is continuous.

    Returns
    -------
    msd
        In angstrom^2, (longest piece,): entry k is the mean over origins and paths of
        ``|r(t + k) - r(t)|^2``.
    """
    ranges = [(0, len(paths))] if pieces is None else list(pieces)
    longest = max(last - first for first, last in ranges)
    total = np.zeros(longest)
    pairs = np.zeros(longest)
    for first, last in ranges:
        n_frames = last - first
        total[:n_frames] += _summed_over_origins(paths[first:last])
        pairs[:n_frames] += np.arange(n_frames, 0, -1)
    msd = total / (pairs * paths.shape[1])
    msd[0] = 0.0
    return np.asarray(msd)


def collective_msd(
    paths: FloatArray, *, pieces: Sequence[tuple[int, int]] | None = None
) -> FloatArray:
    """Return |sum of displacements|^2 per path at every lag, in angstrom^2, (longest piece,).

    Parameters are those of `mean_squared_displacement`. Its slope gives the charge diffusivity.
    """
    n_paths = paths.shape[1]
    total = np.matmul(np.ones(n_paths), paths)[:, None]
    return np.asarray(mean_squared_displacement(total, pieces=pieces) / n_paths)


def _summed_over_origins(paths: FloatArray) -> FloatArray:
    """Sum |r(t+k) - r(t)|^2 over origins and paths, for every k.

    The sum of squares is a cumulative sum, the cross term an autocorrelation; paths go through the
    FFT in groups so that the padded spectra stay in cache and memory does not grow with the atoms.
    """
    n_frames = len(paths)
    series = paths.reshape(n_frames, -1)
    # The result does not depend on the origin; centering keeps the cancellation small.
    size = scipy.fft.next_fast_len(2 * n_frames - 1, real=True)
    spectrum = np.zeros(size // 2 + 1)
    squares = np.zeros(n_frames)
    group = max(1, 2**20 // size)
    for begin in range(0, series.shape[1], group):
        block = np.ascontiguousarray(series[:, begin : begin + group].T)
        block -= block.mean(axis=1, keepdims=True)
        squares += np.einsum("ct,ct->t", block, block)
        transform = scipy.fft.rfft(block, n=size, axis=1)
        spectrum += np.einsum("cf,cf->f", transform.real, transform.real)
        spectrum += np.einsum("cf,cf->f", transform.imag, transform.imag)
    cross = scipy.fft.irfft(spectrum, n=size)[:n_frames]
    tail = np.concatenate([[0.0], np.cumsum(squares)])
    heads = tail[n_frames - np.arange(n_frames)]
    tails = tail[n_frames] - tail[np.arange(n_frames)]
    return np.asarray(heads + tails - 2.0 * cross)


def msd_tensor(paths: FloatArray, *, pieces: Sequence[tuple[int, int]] | None = None) -> FloatArray:
    """Return the tensor <dr_a dr_b> of a set of paths at every lag in angstrom^2, (n_lags, 3, 3).

    Its trace is the MSD, its diagonal the MSD along x, y and z. Off-diagonal elements follow from
    the identity 4 ab = (a + b)^2 - (a - b)^2.
    """
    diagonal = [mean_squared_displacement(paths[..., [a]], pieces=pieces) for a in range(3)]
    tensor = np.empty((len(diagonal[0]), 3, 3))
    for a in range(3):
        tensor[:, a, a] = diagonal[a]
        for b in range(a):
            both = mean_squared_displacement(paths[..., [a]] + paths[..., [b]], pieces=pieces)
            tensor[:, a, b] = tensor[:, b, a] = 0.5 * (both - diagonal[a] - diagonal[b])
    return tensor


@dataclass(frozen=True)
class LagSums:
    """Squared displacements at chosen lags, split by atom and by block of time.

    Attributes
    ----------
    lags
        In frames, ascending, (n_lags,).
    by_atom
        Mean over all origins for each atom in angstrom^2, (n_lags, n_atoms).
    block_tracer, block_charge
        Sum over the origins whose midpoint lies in a block of time of the mean square displacement
        of an atom and of |sum_i dr_i|^2 / n_atoms, (n_lags, n_blocks).
    block_pairs
        Number of those origins.
    """

    lags: IntArray
    by_atom: FloatArray
    block_tracer: FloatArray
    block_charge: FloatArray
    block_pairs: FloatArray

    @property
    def msd(self) -> FloatArray:
        """MSD over all origins and atoms in angstrom^2, (n_lags,)."""
        return np.asarray(self.block_tracer.sum(axis=1) / self.block_pairs.sum(axis=1))

    @property
    def charge_msd(self) -> FloatArray:
        """Collective MSD per atom over all origins in angstrom^2, (n_lags,)."""
        return np.asarray(self.block_charge.sum(axis=1) / self.block_pairs.sum(axis=1))


def split_squared_displacements(
    paths: FloatArray,
    lags: npt.ArrayLike,
    *,
    n_blocks: int,
    pieces: Sequence[tuple[int, int]] | None = None,
) -> LagSums:
    """Return time-averaged squared displacements at chosen lags, by atom and by block of time.

    Parameters
    ----------
    paths
        Continuous positions in angstrom, (n_frames, n_atoms, 3).
    lags
        In frames; each must fit into at least one piece.
    n_blocks
        Number of equal blocks of time.
    pieces
        Frame ranges within which time is continuous.
    """
    chosen = np.asarray(lags, dtype=np.int64)
    ranges = np.asarray([(0, len(paths))] if pieces is None else pieces, dtype=np.int64)
    by_atom, tracer, charge, pairs = _split(np.ascontiguousarray(paths), chosen, n_blocks, ranges)
    return LagSums(
        lags=chosen,
        by_atom=by_atom / pairs.sum(axis=1)[:, None],
        block_tracer=tracer / paths.shape[1],
        block_charge=charge / paths.shape[1],
        block_pairs=pairs,
    )


@numba.njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _split(paths, lags, n_blocks, pieces):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n_frames, n_atoms, _ = paths.shape
    by_atom = np.zeros((len(lags), n_atoms))
    by_block = np.zeros((len(lags), n_blocks))
    charge = np.zeros((len(lags), n_blocks))
    counts = np.zeros((len(lags), n_blocks))
    for j in range(len(lags)):
        lag = lags[j]
        for p in range(len(pieces)):
            for t in range(pieces[p, 0], pieces[p, 1] - lag):
                block = (2 * t + lag) * n_blocks // (2 * n_frames - 1)
                total = 0.0
                sx = 0.0
                sy = 0.0
                sz = 0.0
                for i in range(n_atoms):
                    x = paths[t + lag, i, 0] - paths[t, i, 0]
                    y = paths[t + lag, i, 1] - paths[t, i, 1]
                    z = paths[t + lag, i, 2] - paths[t, i, 2]
                    square = x * x + y * y + z * z
                    by_atom[j, i] += square
                    total += square
                    sx += x
                    sy += y
                    sz += z
                by_block[j, block] += total
                charge[j, block] += sx * sx + sy * sy + sz * sz
                counts[j, block] += 1.0
    return by_atom, by_block, charge, counts
