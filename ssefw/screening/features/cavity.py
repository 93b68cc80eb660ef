"""The largest sphere that fits into a framework, and the largest that can pass through it.

In place of CAVD's Voronoi network (He et al. 2020, https://doi.org/10.1038/s41597-020-0491-x): on a
periodic grid, the distance of each point to the nearest surface of an atom. Its maximum is the
largest included sphere; the level at which the region above it connects to its own periodic image
in one, two and three directions is the radius of the largest sphere that can travel so far.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pymatgen.core import Element, Species, Structure
from scipy.spatial import cKDTree

from ssefw.bvse.percolation import percolation_thresholds
from ssefw.errors import DataError

__all__ = ["atom_radius", "cavity_radii"]

FloatArray = npt.NDArray[np.float64]

RESOLUTION: Final = 0.35
"""Angstrom between grid points; radii are exact to about a tenth of it."""

MOST_POINTS: Final = 400_000
NEIGHBORHOOD: Final = 6.0
"""Angstrom around a point in which atoms are looked for first."""


def cavity_radii(structure: Structure, *, resolution: float = RESOLUTION) -> FloatArray:
    """Return radii of the included sphere and of those free to travel in 1, 2, 3 directions.

    Shape (4,), angstrom, falling; negative where atoms overlap along every way. Atoms are spheres
    of their ionic radius, or atomic radius where they are neutral; a shared site has its mean.

    Raises
    ------
    DataError
        If there are no atoms or an atom has no radius.
    """
    if len(structure) == 0:
        raise DataError("A structure without atoms is all cavity. Leave it out.")
    lengths = np.array(structure.lattice.abc)
    # Even numbers put points on the middles of edges, faces and cell, where cavities like to be.
    shape = (2 * np.ceil(lengths / resolution / 2)).astype(np.int64)
    if np.prod(shape) > MOST_POINTS:
        shrink = (MOST_POINTS / float(np.prod(shape))) ** (1 / 3)
        shape = np.maximum(2, 2 * np.floor(shape * shrink / 2)).astype(np.int64)
    coords = np.array([site.frac_coords for site in structure]) % 1.0
    radii = np.array([_site_radius(site.species.items()) for site in structure])
    free = _free_radius(shape, coords, radii, np.ascontiguousarray(structure.lattice.matrix))
    largest = float(free.max())
    ways = percolation_thresholds(-free, cap=float(np.ptp(free)))
    return np.array([largest, *(largest - level for level in ways)])


def atom_radius(specie: Species | Element) -> float:
    """Return the ionic radius at the charge, else the atomic radius, angstrom.

    Raises
    ------
    DataError
        If there is neither.
    """
    charge = getattr(specie, "oxi_state", None) or 0
    ionic = specie.ionic_radius if charge and isinstance(specie, Species) else None
    if ionic is None and charge:
        ionic = Element(specie.symbol).average_ionic_radius or None
    radius = ionic or Element(specie.symbol).atomic_radius
    if radius is None:
        raise DataError(f"There is no radius of {specie}. Leave the structure out.")
    return float(radius)


def _site_radius(species: Iterable[tuple[Any, float]]) -> float:
    pairs = [(atom_radius(specie), float(amount)) for specie, amount in species]
    return sum(radius * amount for radius, amount in pairs) / sum(amount for _, amount in pairs)


def _free_radius(
    shape: npt.NDArray[np.int64], coords: FloatArray, radii: FloatArray, matrix: FloatArray
) -> FloatArray:
    """Return for each grid point the distance to the nearest surface, shape as the grid."""
    axes = [np.arange(size) / size for size in shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) @ matrix
    reach = NEIGHBORHOOD
    while True:
        free = np.full(len(points), np.inf)
        for radius in np.unique(radii):
            tree = cKDTree(_images(coords[radii == radius], matrix, reach))
            distance, _ = tree.query(points, distance_upper_bound=reach)
            np.minimum(free, distance - radius, out=free)
        # A nearest surface is certain where no atom beyond the reach could be nearer.
        if free.max() <= reach - radii.max():
            return free.reshape(tuple(shape))
        reach *= 1.5


def _images(coords: FloatArray, matrix: FloatArray, reach: float) -> FloatArray:
    """Return the Cartesian places of all images within `reach` of the cell."""
    margin = reach * np.linalg.norm(np.linalg.inv(matrix), axis=0)
    most = np.ceil(margin).astype(int)
    shifts = np.stack(
        np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    places = (coords[:, None] + shifts[None]).reshape(-1, 3)
    near = ((places > -margin) & (places < 1 + margin)).all(axis=1)
    return np.asarray(places[near] @ matrix)
