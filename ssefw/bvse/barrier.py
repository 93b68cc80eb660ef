"""From a structure to its percolation barriers."""

import time
from importlib.metadata import version
from typing import Literal

from pymatgen.core import Structure

from ssefw.bvse.field import SiteEnergyField, compute_field, grid_shape
from ssefw.bvse.ions import assign_charges
from ssefw.bvse.parameters import Radii, ion_name
from ssefw.bvse.percolation import ENERGY_CAP, box_thresholds, percolation_thresholds
from ssefw.bvse.potential import build_framework
from ssefw.documents import Barrier, Estimate, Provenance
from ssefw.errors import DataError

__all__ = ["BarrierMode", "site_energy_barrier", "site_energy_field"]

BarrierMode = Literal["exact", "cavd"]

# Two full sites nearer than this are a mistake in the structure, not a bond.
_MIN_DISTANCE = 0.5


def site_energy_barrier(
    structure: Structure,
    *,
    ion: str = "Li",
    resolution: float = 0.1,
    cutoff: float = 10.0,
    radii: Radii = "softbv",
    mode: BarrierMode = "exact",
    threads: int = 1,
    candidate_id: str = "",
) -> Barrier:
    """Return the energy that a mobile ion needs to percolate through the rigid framework.

    The barrier in d dimensions is the lowest energy, counted from the minimum of the site energy,
    at which the region below it extends in d independent directions.

    Parameters
    ----------
    structure
        Ordered or disordered, with or without oxidation states (`assign_charges`); the mobile
        ions in it, full or partial, are taken out.
    ion
        The mobile ion: an element, or with its charge as in ``Mg2+``.
    resolution
        Largest distance of neighboring grid points, in angstrom.
    cutoff
        Distance beyond which pairs do not count, in angstrom.
    radii
        Covalent radii of the Coulomb screening: softBV's own, or those of ASE.
    mode
        ``exact``; or ``cavd``, the physics and the bounding-box rule of Laskowski et al.'s code,
        which depends on the choice of cell, to compare with published numbers.
    threads
        Threads of the grid.
    candidate_id
        Written into the document.

    Raises
    ------
    DataError
        When the structure has no such ion, no sensible oxidation states, overlapping atoms or a
        pair without parameters.
    """
    start = time.perf_counter()
    charged = assign_charges(structure, ion=ion)
    field = site_energy_field(
        charged.structure,
        ion=ion,
        resolution=resolution,
        cutoff=cutoff,
        radii=radii,
        threads=threads,
    )
    thresholds = percolation_thresholds(field.energies)
    if mode == "cavd":
        thresholds = box_thresholds(field.energies)
    method = f"threshold on a grid of {resolution} A"
    one, two, three = (_estimate(value, method) for value in thresholds)
    warnings = charged.notes
    if charged.origin != "input":
        warnings = (f"oxidation states guessed from: {charged.origin}", *warnings)
    return Barrier(
        candidate_id=candidate_id,
        formula=structure.composition.reduced_formula,
        specie=ion_name(field.symbol, field.charge),
        method="bvse",
        barrier_1d=one,
        barrier_2d=two,
        barrier_3d=three,
        warnings=warnings,
        wall_time=time.perf_counter() - start,
        provenance=Provenance(
            engine="bvse",
            settings_hash=f"{mode} {radii} resolution={resolution} cutoff={cutoff}",
            versions={"ssefw": version("ssefw")},
        ),
    )


def site_energy_field(
    structure: Structure,
    *,
    ion: str = "Li",
    resolution: float = 0.1,
    cutoff: float = 10.0,
    radii: Radii = "softbv",
    threads: int = 1,
) -> SiteEnergyField:
    """Return the site energy on a grid over the cell of a structure with oxidation states.

    Raises
    ------
    DataError
        When atoms overlap or a pair has no parameters.
    """
    _refuse_overlaps(structure)
    framework = build_framework(structure, ion=ion, cutoff=cutoff, radii=radii)
    shape = grid_shape(framework.matrix, resolution=resolution)
    return compute_field(framework, shape=shape, threads=threads)


def _refuse_overlaps(structure: Structure) -> None:
    first, second, _, distances = structure.get_neighbor_list(_MIN_DISTANCE, exclude_self=True)
    for one, other, distance in zip(first, second, distances, strict=True):
        occupancy = sum(structure[int(index)].species.num_atoms for index in (one, other))
        if occupancy > 1.01:
            raise DataError(
                f"{structure[int(one)].species_string} and {structure[int(other)].species_string} "
                f"are {distance:.2f} A apart with occupancies that add up to {occupancy:.2f}. "
                "Mend the structure: atoms overlap."
            )


def _estimate(value: float, method: str) -> Estimate:
    if value > ENERGY_CAP:
        reason = f"does not percolate below {ENERGY_CAP:g} eV"
        return Estimate.above(ENERGY_CAP, unit="eV", reason=reason)
    return Estimate(value=value, lower=value, upper=value, unit="eV", method=method)
