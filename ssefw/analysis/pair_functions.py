"""Van Hove functions and radial distribution.

    G_s(r, t) = 1 / (4 pi r^2 N) < sum_i delta(r - |r_i(t0 + t) - r_i(t0)|) >
    G_d(r, t) = 1 / (4 pi r^2 rho N) < sum_{i != j} delta(r - |r_j(t0 + t) - r_i(t0)|) >

Displacements of the self part are those of continuous paths; distances of the distinct part are
taken to every image within reach, and an ion's own images count as other ions, as they do in an
infinite crystal. So 4 pi r^2 G_s integrates to one, G_d tends to one, and G_d(r, 0) = g(r). Origins
are spread over the whole run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from ssefw.analysis.pair_counts import count_pairs
from ssefw.analysis.trajectory import Frames, Reference, fractional_paths, unwrapped_paths
from ssefw.errors import AnalysisError

__all__ = ["RadialDistribution", "VanHove", "radial_distribution", "van_hove"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class VanHove:
    """Van Hove functions on a grid of times and distances.

    Attributes
    ----------
    times
        In ps, (n_times,).
    radii
        Centers of the bins in angstrom, (n_bins,).
    self_part
        4 pi r^2 G_s in 1/angstrom, (n_times, n_bins): the probability density of a distance gone.
    distinct_part
        G_d, a pure number, (n_times, n_bins).
    n_origins
        Origins averaged over in the self and the distinct part, at the shortest time.
    """

    times: FloatArray
    radii: FloatArray
    self_part: FloatArray
    distinct_part: FloatArray
    n_origins: tuple[int, int]


@dataclass(frozen=True)
class RadialDistribution:
    """A radial distribution function.

    Attributes
    ----------
    radii
        Centers of the bins in angstrom, (n_bins,).
    g
        g(r), which tends to one, (n_bins,).
    coordination
        Mean number of the second species within the outer edge of the bin, (n_bins,).
    """

    radii: FloatArray
    g: FloatArray
    coordination: FloatArray


def van_hove(
    frames: Frames,
    *,
    specie: str = "Li",
    times: Sequence[float] | None = None,
    r_max: float = 10.0,
    n_bins: int = 100,
    n_origins: int = 50,
    n_self_origins: int = 2000,
    reference: Reference = "framework",
) -> VanHove:
    """Return the self and the distinct part of the van Hove function of one species.

    Parameters
    ----------
    times
        In ps, rounded to frames; by default 100 from zero to half the run.
    r_max
        Largest distance in angstrom.
    n_bins
        Number of bins up to there.
    n_origins, n_self_origins
        Time origins of the distinct and the self part, spread over the run.
    reference
        What is held still.
    """
    mobile = frames.is_specie(specie)
    _check_grid(r_max, n_bins)
    lags = _lags(frames, times)
    paths, _ = unwrapped_paths(frames, specie=specie, reference=reference, only=specie)
    frac = fractional_paths(frames, specie=specie, reference=reference)
    ions = frac.take(np.flatnonzero(mobile), axis=1)
    n_ions = ions.shape[1]
    self_origins = _origins(frames, lags, n_self_origins)
    walked = _count_distances(paths, self_origins, lags, r_max, n_bins)
    width = r_max / n_bins
    per_origin = (self_origins >= 0).sum(axis=1)[:, None] * n_ions
    origins = _origins(frames, lags, n_origins)
    pairs = count_pairs(
        ions,
        ions,
        frames.mean_lattice,
        origins,
        lags,
        r_max=r_max,
        n_bins=n_bins,
        same=np.arange(n_ions),
    )
    density = n_ions / frames.volume
    expected = (origins >= 0).sum(axis=1)[:, None] * n_ions * density * _shells(r_max, n_bins)
    return VanHove(
        times=np.asarray(lags * frames.timestep / 1000.0, dtype=np.float64),
        radii=_centers(r_max, n_bins),
        self_part=walked / (per_origin * width),
        distinct_part=pairs / expected,
        n_origins=(int((self_origins[0] >= 0).sum()), int((origins[0] >= 0).sum())),
    )


def radial_distribution(
    frames: Frames,
    *,
    specie: str,
    other: str,
    r_max: float = 10.0,
    n_bins: int = 200,
    n_frames: int = 200,
) -> RadialDistribution:
    """Return g(r) of one species around another, averaged over frames spread over the run.

    Parameters
    ----------
    specie, other
        The species at the center, and the one that is counted around it.
    """
    _check_grid(r_max, n_bins)
    centers, around = frames.is_specie(specie), frames.is_specie(other)
    picks = np.unique(np.linspace(0, frames.n_frames - 1, n_frames).astype(np.int64))
    frac = np.einsum(
        "tni,tij->tnj",
        frames.positions[picks],
        np.linalg.inv(np.broadcast_to(frames.lattice, (frames.n_frames, 3, 3))[picks]),
    )
    index_in_other = np.where(centers & around, np.cumsum(around) - 1, -1)[centers]
    counts = count_pairs(
        np.ascontiguousarray(frac[:, centers]),
        np.ascontiguousarray(frac[:, around]),
        frames.mean_lattice,
        np.arange(len(picks))[None],
        np.zeros(1, dtype=np.int64),
        r_max=r_max,
        n_bins=n_bins,
        same=index_in_other.astype(np.int64),
    )[0]
    around_one = counts / (len(picks) * centers.sum())
    density = around.sum() / frames.volume
    return RadialDistribution(
        radii=_centers(r_max, n_bins),
        g=around_one / (density * _shells(r_max, n_bins)),
        coordination=np.cumsum(around_one),
    )


def _check_grid(r_max: float, n_bins: int) -> None:
    if not (r_max > 0 and n_bins > 0):
        raise AnalysisError(
            f"distances up to {r_max} angstrom in {n_bins} bins: both must be positive."
        )


def _centers(r_max: float, n_bins: int) -> FloatArray:
    return np.asarray((np.arange(n_bins) + 0.5) * (r_max / n_bins), dtype=np.float64)


def _shells(r_max: float, n_bins: int) -> FloatArray:
    edges = np.linspace(0.0, r_max, n_bins + 1)
    return np.asarray(4.0 / 3.0 * np.pi * np.diff(edges**3))


def _lags(frames: Frames, times: Sequence[float] | None) -> IntArray:
    longest = max(last - first for first, last in frames.pieces) - 1
    if times is None:
        return np.unique(np.linspace(0, longest // 2, 100).astype(np.int64))
    lags = np.rint(np.asarray(times, dtype=float) * 1000.0 / frames.timestep).astype(np.int64)
    if len(lags) == 0 or lags.min() < 0 or lags.max() > longest:
        raise AnalysisError(
            f"times must lie between 0 and the longest stretch without a break, "
            f"{longest * frames.timestep / 1000.0:g} ps; got {list(times)}."
        )
    return lags


def _origins(frames: Frames, lags: IntArray, n_origins: int) -> IntArray:
    """Return first frames spread over the run, (n_lags, n_origins), -1 for none."""
    chosen = np.full((len(lags), n_origins), -1, dtype=np.int64)
    for row, lag in enumerate(lags):
        possible = np.concatenate([np.arange(first, last - lag) for first, last in frames.pieces])
        count = min(n_origins, len(possible))
        chosen[row, :count] = possible[np.linspace(0, len(possible) - 1, count).astype(np.int64)]
    return chosen


@numba.njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _count_distances(paths, origins, lags, r_max, n_bins):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    counts = np.zeros((len(lags), n_bins), dtype=np.int64)
    per_length = n_bins / r_max
    for k in range(len(lags)):
        row = np.zeros(n_bins, dtype=np.int64)
        for origin in origins[k]:
            if origin < 0:
                continue
            for i in range(paths.shape[1]):
                x = paths[origin + lags[k], i, 0] - paths[origin, i, 0]
                y = paths[origin + lags[k], i, 1] - paths[origin, i, 1]
                z = paths[origin + lags[k], i, 2] - paths[origin, i, 2]
                place = np.sqrt(x * x + y * y + z * z) * per_length
                if place < n_bins:
                    row[int(place)] += 1
        counts[k] = row
    return counts
