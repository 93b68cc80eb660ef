"""Which sites of a periodic crystal are bonded, and how long the bonds are.

A site is bonded to every site within 5 A; the radius grows by 1 A until no site is alone (Chen et
al. 2019, https://doi.org/10.1021/acs.chemmater.9b01294). Sites that are alternatives of each other
are bonded like any others, as McHaffie et al. 2025 do it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pymatgen.optimization.neighbors import find_points_in_spheres

from ssefw.errors import DataError
from ssefw.screening.features.sites import Sites

__all__ = ["CUTOFF", "Bonds", "crystal_bonds"]

CUTOFF = 5.0
LARGEST = 20.0


@dataclass(frozen=True)
class Bonds:
    """Directed bonds; every pair is there in both directions.

    Attributes
    ----------
    center, neighbor
        Rows of the sites, shape (m,).
    image
        Cell of the neighbor, shape (m, 3).
    distance
        In angstrom, shape (m,).
    """

    center: npt.NDArray[np.int64]
    neighbor: npt.NDArray[np.int64]
    image: npt.NDArray[np.int64]
    distance: npt.NDArray[np.float64]


def crystal_bonds(sites: Sites, *, cutoff: float = CUTOFF) -> Bonds:
    """Return the bonds between sites up to a distance in angstrom, none being alone.

    Raises
    ------
    DataError
        If a site has no neighbor within 20 A, or two sites coincide.
    """
    if sites.lattice is None or sites.fractional is None:
        raise ValueError("a composition has no bonds")
    lattice = np.ascontiguousarray(sites.lattice)
    points = np.ascontiguousarray(sites.fractional @ lattice)
    radius = cutoff
    while True:
        center, neighbor, image, distance = find_points_in_spheres(
            points, points, r=radius, pbc=np.ones(3, dtype=np.int64), lattice=lattice, tol=1e-8
        )
        own = (center == neighbor) & (distance <= 1e-8)
        if len(np.unique(center[~own])) == len(sites):
            break
        radius += 1.0
        if radius > LARGEST:
            raise DataError(
                f"A site has no neighbor within {LARGEST:g} A, so the cell is no crystal. Give "
                "the cell of a bulk solid."
            )
    if (distance[~own] <= 1e-8).any():
        raise DataError(
            "Two sites of the structure coincide. Merge them into one with both occupancies."
        )
    return Bonds(
        center=center[~own].astype(np.int64),
        neighbor=neighbor[~own].astype(np.int64),
        image=image[~own].astype(np.int64),
        distance=distance[~own].astype(np.float64),
    )
