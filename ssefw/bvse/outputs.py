"""Files and records of a site-energy field: .cube and .grd for VESTA, JSON for programs."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pymatgen.core import Lattice, Structure

from ssefw.bvse.barrier import LandscapeResult
from ssefw.bvse.field import SiteEnergyField
from ssefw.bvse.paths import distinct_hops, hop_images, nearest_mobile_sites

__all__ = ["landscape_record", "write_cube", "write_grd"]

FloatArray = npt.NDArray[np.float64]

_ANGSTROM_PER_BOHR = 0.529177210903
_VALUES_PER_LINE = 6


def write_cube(path: Path, field: SiteEnergyField, structure: Structure) -> None:
    """Write a Gaussian cube file: lengths in bohr, energies in eV above the minimum.

    Parameters
    ----------
    path
        File to write.
    field
        Over the cell of the structure.
    structure
        Its atoms are written into the file; a shared site as its most abundant element.
    """
    shape = field.energies.shape
    steps = field.matrix / np.array(shape)[:, None] / _ANGSTROM_PER_BOHR
    lines = [
        f"Site energy of {field.symbol} in {structure.composition.reduced_formula}",
        "eV above the minimum; last axis fastest",
        _row(len(structure), np.zeros(3)),
        *(_row(size, step) for size, step in zip(shape, steps, strict=True)),
    ]
    for site in structure:
        most = max(site.species.items(), key=lambda item: item[1])[0]
        position = np.asarray(site.coords) / _ANGSTROM_PER_BOHR
        lines.append(f"{most.Z:5d}{float(most.Z):12.6f}" + "".join(f"{x:12.6f}" for x in position))
    values = field.energies - field.minimum
    for row in values.reshape(-1, shape[2]):
        lines.extend(
            "".join(f"{value:13.5E}" for value in row[first : first + _VALUES_PER_LINE])
            for first in range(0, shape[2], _VALUES_PER_LINE)
        )
    path.write_text("\n".join(lines) + "\n")


def _row(count: int, vector: FloatArray) -> str:
    return f"{count:5d}" + "".join(f"{x:12.6f}" for x in vector)


def write_grd(path: Path, field: SiteEnergyField) -> None:
    """Write a .grd file as VESTA reads it: one value a line, last axis fastest, in eV."""
    lattice = Lattice(field.matrix)
    values = field.energies - field.minimum
    head = [
        f"Site energy of {field.symbol} in eV above the minimum",
        " ".join(f"{value:.6f}" for value in lattice.parameters),
        " ".join(str(size) for size in field.energies.shape),
    ]
    path.write_text("\n".join(head) + "\n" + "\n".join(f"{x:.6f}" for x in values.ravel()) + "\n")


def landscape_record(result: LandscapeResult, *, n_images: int = 7) -> dict[str, Any]:
    """Return sites and symmetry-distinct hops as plain JSON types.

    Coordinates are fractional in the cell of the structure as given; energies in eV above the most
    stable site, distances in angstrom.
    """
    landscape, structure = result.landscape, result.structure
    matrix = landscape.framework.matrix
    lattice = structure.lattice
    ions, distances = nearest_mobile_sites(landscape, structure)
    sites = [
        {
            "frac_coords": _rounded(lattice.get_fractional_coords(frac @ matrix)),
            "energy_ev": round(float(energy) - landscape.minimum, 6),
            "orbit": int(orbit),
            "nearest_ion": int(ion),
            "distance_angstrom": round(float(distance), 4),
        }
        for frac, energy, orbit, ion, distance in zip(
            landscape.frac_sites,
            landscape.energies,
            landscape.site_orbits,
            ions,
            distances,
            strict=True,
        )
    ]
    hops = [
        {
            "start": hop.start,
            "end": hop.end,
            "barrier_ev": round(hop.energy - float(landscape.energies[hop.start]), 6),
            "reverse_barrier_ev": round(hop.energy - float(landscape.energies[hop.end]), 6),
            "saddle_ev": round(hop.energy - landscape.minimum, 6),
            "length_angstrom": round(
                float(np.linalg.norm(np.diff(hop.cart_points, axis=0), axis=1).sum()), 4
            ),
            "frac_images": [
                _rounded(lattice.get_fractional_coords(point))
                for point in hop_images(hop, n_images=n_images)
            ],
        }
        for hop in distinct_hops(landscape)
    ]
    return {"sites": sites, "hops": hops}


def _rounded(values: npt.ArrayLike) -> list[float]:
    return [round(float(value), 6) for value in np.asarray(values)]
