"""Jumps of ions between sites: events, residence times, rates and their correlation.

An ion belongs to a site from when it comes within the site's core until it comes within the core of
another one; what it does in between does not count. Excursions that return are thus no jumps. From
the jumps follow the residence time, the jump diffusivity

    D_J = sum over jumps of a^2 / (6 N t)

which knows nothing of the directions, the tracer correlation factor f = D* / D_J, and how many
jumps come together: within a short time, and a short distance, of a jump of another ion.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import scipy.ndimage
from scipy.spatial import cKDTree

from ssefw.analysis.density import DensityMap
from ssefw.analysis.framework import nearest_neighbor_distances
from ssefw.analysis.trajectory import Frames, Reference, fractional_paths
from ssefw.errors import AnalysisError
from ssefw.units import ANGSTROM2_PER_PS_TO_CM2_PER_S

__all__ = ["Jumps", "correlation_factor", "find_jumps", "find_sites"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Jumps:
    """All jumps of a run.

    Attributes
    ----------
    sites
        Fractional coordinates, (n_sites, 3).
    occupancy
        Mean number of ions that belong to each site, (n_sites,).
    ions, origins, destinations
        Which ion jumped, from which site to which, (n_jumps,).
    times
        When it arrived, in ps from the first frame, (n_jumps,).
    displacements
        Vectors from site to site in angstrom, (n_jumps, 3).
    n_ions, duration
        Ions that were followed, and the time in ps.
    assigned
        Share of frames in which an ion is within a core.
    """

    sites: FloatArray
    occupancy: FloatArray
    ions: IntArray
    origins: IntArray
    destinations: IntArray
    times: FloatArray
    displacements: FloatArray
    n_ions: int
    duration: float
    assigned: float

    @property
    def n_jumps(self) -> int:
        """Number of jumps."""
        return len(self.times)

    @property
    def residence_time(self) -> float | None:
        """Mean time between jumps of an ion in ps; None without a jump."""
        return self.n_ions * self.duration / self.n_jumps if self.n_jumps else None

    @property
    def mean_distance(self) -> float | None:
        """Root-mean-square length of the jumps in angstrom; None without a jump."""
        if not self.n_jumps:
            return None
        return float(np.sqrt((self.displacements**2).sum(axis=1).mean()))

    @property
    def jump_diffusivity(self) -> float:
        """D_J in cm^2/s."""
        total = float((self.displacements**2).sum())
        return total / (6.0 * self.n_ions * self.duration) * ANGSTROM2_PER_PS_TO_CM2_PER_S

    def rates(self) -> FloatArray:
        """Return the jumps a ps from a site, while it holds an ion, to another, (n, n)."""
        counts = np.zeros((len(self.sites), len(self.sites)))
        np.add.at(counts, (self.origins, self.destinations), 1.0)
        held = np.maximum(self.occupancy * self.duration, 1e-300)
        return np.asarray(counts / held[:, None])

    def collective_share(self, lattice: FloatArray, *, within: float, distance: float) -> float:
        """Return the share of jumps that come with one of another ion nearby.

        Parameters
        ----------
        lattice
            Cell vectors as rows in angstrom.
        within
            Time in ps.
        distance
            Between the midpoints of the two jumps, angstrom. Jumps at random come together too:
            compare with `chance_share`.
        """
        if not self.n_jumps:
            return 0.0
        middle = self.sites[self.origins] + 0.5 * self.displacements @ np.linalg.inv(lattice)
        order = np.argsort(self.times, kind="stable")
        times, places, ions = self.times[order], middle[order], self.ions[order]
        together = np.zeros(self.n_jumps, dtype=bool)
        last = np.searchsorted(times, times + within, side="right")
        for k in range(self.n_jumps):
            others = np.arange(k + 1, last[k])
            others = others[ions[others] != ions[k]]
            if others.size == 0:
                continue
            apart = places[others] - places[k]
            apart -= np.rint(apart)
            near = others[np.linalg.norm(apart @ lattice, axis=1) < distance]
            if near.size:
                together[k] = True
                together[near] = True
        return float(together.mean())

    def chance_share(self, volume: float, *, within: float, distance: float) -> float:
        """Return what `collective_share` would be if the same jumps were independent."""
        if not self.n_jumps:
            return 0.0
        others = self.n_jumps * (self.n_ions - 1) / self.n_ions
        share = min(4.0 / 3.0 * np.pi * distance**3 / volume, 1.0)
        return float(-np.expm1(-others * 2.0 * within / self.duration * share))


def correlation_factor(jumps: Jumps, *, tracer: float) -> float | None:
    """Return f = D* / D_J with D* in cm^2/s; None without a jump."""
    return tracer / jumps.jump_diffusivity if jumps.n_jumps else None


def find_sites(
    density: DensityMap, *, separation: float = 1.5, threshold: float = 0.05, blur: float = 0.25
) -> FloatArray:
    """Return the maxima of a density, the highest first, as fractional coordinates (n, 3).

    Parameters
    ----------
    separation
        Of two maxima closer than this in angstrom, only the higher is a site.
    threshold
        Share of the highest density below which a maximum is no site.
    blur
        Standard deviation in angstrom with which noise is smoothed away first.
    """
    shape = np.array(density.density.shape)
    edges = np.linalg.norm(density.lattice, axis=1) / shape
    smooth = scipy.ndimage.gaussian_filter(density.density, blur / edges, mode="wrap")
    peaks = (smooth == scipy.ndimage.maximum_filter(smooth, size=3, mode="wrap")) & (
        smooth > threshold * smooth.max()
    )
    voxels = np.argwhere(peaks)
    voxels = voxels[np.argsort(-smooth[tuple(voxels.T)], kind="stable")]
    found: list[FloatArray] = []
    for place in (voxels + 0.5) / shape:
        apart = np.array(found).reshape(-1, 3) - place
        apart -= np.rint(apart)
        if not (np.linalg.norm(apart @ density.lattice, axis=1) < separation).any():
            found.append(place)
    return np.array(found).reshape(-1, 3)


def find_jumps(
    frames: Frames,
    sites: FloatArray,
    *,
    specie: str = "Li",
    radius: float | None = None,
    reference: Reference = "framework",
) -> Jumps:
    """Return the jumps of a species between sites.

    Parameters
    ----------
    sites
        Fractional coordinates, (n_sites, 3), of the crystal or from `find_sites`.
    radius
        Of the core of a site in angstrom; by default 0.35 times the least distance between sites.
    reference
        What is held still.
    """
    places = np.asarray(sites, dtype=np.float64).reshape(-1, 3) % 1.0
    if len(places) < 2:
        raise AnalysisError(f"{len(places)} site: jumps need two sites at least.")
    mobile = frames.is_specie(specie)
    lattice = frames.mean_lattice
    least = float(nearest_neighbor_distances(places @ lattice, lattice).min())
    core = 0.35 * least if radius is None else radius
    if not 0 < core <= 0.5 * least:
        raise AnalysisError(
            f"cores of {core:g} angstrom overlap, the nearest sites are {least:.2f} apart; "
            f"take a radius below {0.5 * least:.2f} or merge sites."
        )
    frac = fractional_paths(frames, specie=specie, reference=reference)[:, mobile]
    nearest, images = _sites_of(frac, places, lattice, core)
    is_start = np.zeros(frames.n_frames, dtype=bool)
    is_start[[first for first, _ in frames.pieces]] = True
    n_ions = frac.shape[1]
    events = _events(nearest, images, is_start)
    ions, arrivals, origins, destinations = events[:, :4].T
    shift = places[destinations] - places[origins] + events[:, 4:]
    occupancy = np.bincount(_filled(nearest, is_start).ravel() + 1, minlength=len(places) + 1)[1:]
    return Jumps(
        sites=places,
        occupancy=occupancy / frames.n_frames,
        ions=ions,
        origins=origins,
        destinations=destinations,
        times=np.asarray(arrivals * frames.timestep / 1000.0, dtype=np.float64),
        displacements=shift @ lattice,
        n_ions=n_ions,
        duration=frames.duration,
        assigned=float((nearest >= 0).mean()),
    )


def _sites_of(
    frac: FloatArray, sites: FloatArray, lattice: FloatArray, core: float
) -> tuple[IntArray, IntArray]:
    """Return the site whose core an ion is in, -1 for none, and the cell that this site is in."""
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    copies = (sites[:, None] + shifts).reshape(-1, 3)
    of_copy = np.repeat(np.arange(len(sites)), len(shifts))
    tree = cKDTree(copies @ lattice)
    cells = np.floor(frac)
    folded = (frac - cells).reshape(-1, 3)
    distance, index = tree.query(folded @ lattice, distance_upper_bound=core)
    is_inside = np.isfinite(distance)
    index = np.where(is_inside, index, 0)
    nearest = np.where(is_inside, of_copy[index], -1)
    image = cells.reshape(-1, 3) + np.tile(shifts, (len(sites), 1))[index]
    return (
        nearest.reshape(frac.shape[:2]).astype(np.int64),
        image.reshape(frac.shape).astype(np.int64),
    )


@numba.njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _events(nearest, images, is_start):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return a row (ion, frame, from, to, cells crossed along a, b, c) for each jump."""
    n_frames, n_ions = nearest.shape
    rows = []
    for i in range(n_ions):
        site = -1
        image = np.zeros(3, dtype=np.int64)
        for t in range(n_frames):
            if is_start[t]:
                site = -1
            here = nearest[t, i]
            if here < 0:
                continue
            moved = images[t, i] - image
            if site >= 0 and (here != site or moved.any()):
                rows.append((i, t, site, here, moved[0], moved[1], moved[2]))
            site = here
            image[:] = images[t, i]
    out = np.zeros((len(rows), 7), dtype=np.int64)
    for k in range(len(rows)):
        for a in range(7):
            out[k, a] = rows[k][a]
    return out


def _filled(nearest: IntArray, is_start: npt.NDArray[np.bool_]) -> IntArray:
    """Let an ion outside every core belong to the site it was in last."""
    index = np.where((nearest >= 0) | is_start[:, None], np.arange(len(nearest))[:, None], 0)
    return np.asarray(np.take_along_axis(nearest, np.maximum.accumulate(index, axis=0), axis=0))
