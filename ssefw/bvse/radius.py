"""The largest sphere that can percolate between the ions of a framework.

A geometric companion of the barrier: ions are hard spheres of Shannon's ionic radii, averaged
over coordination numbers, and the mobile ion is a point that grows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit
from pymatgen.core import Species, Structure

from ssefw.bvse.cells import primitive_framework
from ssefw.bvse.field import grid_shape
from ssefw.bvse.ions import assign_charges
from ssefw.bvse.percolation import percolation_thresholds
from ssefw.bvse.potential import build_framework
from ssefw.errors import DataError

__all__ = ["PercolationRadii", "ionic_radius", "percolation_radii"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# No void of a crystal is wider.
_REACH = 6.0


@dataclass(frozen=True)
class PercolationRadii:
    """Radii in angstrom of the largest spheres that percolate in 1, 2 and 3 dimensions.

    Negative where the ions of the framework overlap on every way.
    """

    one: float
    two: float
    three: float


def percolation_radii(
    structure: Structure, *, ion: str = "Li", resolution: float = 0.1
) -> PercolationRadii:
    """Return the radii of the largest spheres that percolate through the framework.

    Parameters
    ----------
    structure
        With or without oxidation states; mobile ions are taken out. A shared site has the
        occupancy-weighted radius of its species.
    ion
        The mobile ion.
    resolution
        Distance of grid points in angstrom; radii are that exact.

    Raises
    ------
    DataError
        When the ions cannot be told, or one has no Shannon radius.
    """
    charged = assign_charges(structure, ion=ion).structure
    framework = primitive_framework(build_framework(charged, ion=ion, cutoff=_REACH))
    radii = np.array([_mean_radius(name) for name in framework.species])
    shape = np.array(grid_shape(framework.matrix, resolution=resolution))
    positions, kinds = framework.images
    clearance = _clearance(framework.matrix / shape[:, None], shape, positions, radii[kinds])
    widest = float(clearance.max())
    one, two, three = (widest - value for value in percolation_thresholds(-clearance))
    return PercolationRadii(one, two, three)


def ionic_radius(symbol: str, charge: float) -> float:
    """Return Shannon's ionic radius in angstrom, averaged over coordination numbers.

    Raises
    ------
    DataError
        When the table has no such ion.
    """
    table = Species(symbol, charge).data.get("Shannon radii", {})
    rows = table.get(f"{charge:g}", {})
    radii = [
        float(np.mean([entry["ionic_radius"] for entry in spins.values()]))
        for spins in rows.values()
    ]
    if not radii:
        known = ", ".join(table) or "none"
        raise DataError(
            f"No Shannon radius for {symbol} with the charge {charge:+g}; charges with one: "
            f"{known}. The percolation radius needs it."
        )
    return float(np.mean(radii))


def _mean_radius(name: str) -> float:
    """Return the radius of a kind of site, whose name is like ``Ge+4:0.5 P+5:0.5``."""
    total, weight = 0.0, 0.0
    for part in name.split():
        ion, occupancy = part.split(":")
        sign = max(ion.find("+"), ion.find("-"))
        total += float(occupancy) * ionic_radius(ion[:sign], float(ion[sign:]))
        weight += float(occupancy)
    return total / weight


@njit(cache=True, nogil=True)
def _clearance(
    steps: FloatArray, shape: IntArray, positions: FloatArray, radii: FloatArray
) -> FloatArray:
    """Return the distance of each grid point to the nearest surface of an ion."""
    clearance = np.empty((shape[0], shape[1], shape[2]))
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                nearest = np.inf
                for ion in range(len(positions)):
                    r2 = 0.0
                    for axis in range(3):
                        x = i * steps[0, axis] + j * steps[1, axis] + k * steps[2, axis]
                        r2 += (x - positions[ion, axis]) ** 2
                    # Far ions need no square root.
                    bound = nearest + radii[ion]
                    if bound > 0.0 and r2 < bound * bound:
                        nearest = np.sqrt(r2) - radii[ion]
                clearance[i, j, k] = nearest
    return clearance
