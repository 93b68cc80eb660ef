"""From a structure to its percolation barriers."""

import math
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from pymatgen.core import Structure

from ssefw.bvse.cells import grid_operations, primitive_framework
from ssefw.bvse.field import SiteEnergyField, compute_field, grid_shape
from ssefw.bvse.ions import ChargedStructure, assign_charges, parse_ion
from ssefw.bvse.landscape import Landscape, build_landscape
from ssefw.bvse.parameters import Radii, ion_name, principal_quantum_number
from ssefw.bvse.percolation import (
    ENERGY_CAP,
    Thresholds,
    box_thresholds,
    percolation_thresholds,
)
from ssefw.bvse.potential import Framework, build_framework
from ssefw.documents import Barrier, Estimate, Provenance
from ssefw.errors import DataError
from ssefw.units import AskedResolution

__all__ = [
    "BarrierMode",
    "LandscapeResult",
    "cell_field",
    "site_energy_barrier",
    "site_energy_landscape",
]

BarrierMode = Literal["exact", "grid", "cavd"]

# Two full sites nearer than this are a mistake in the structure, not a bond.
_MIN_DISTANCE = 0.5

# Hops are searched this far above the 3D threshold of the grid, in eV.
_MARGIN = 0.15

# A threshold of the grid is trusted to this many eV for each angstrom of its spacing.
_GRID_ERROR = 0.4

# Saddle points are converged far better; this covers the rounding of published coordinates.
_SADDLE_ERROR = 1e-3


@dataclass(frozen=True)
class LandscapeResult:
    """Everything known of the site energy of one structure.

    Attributes
    ----------
    structure
        As given, with oxidation states.
    charges
        Where they came from.
    field
        The grid, over the reduced primitive cell of the framework.
    grid_thresholds
        Percolation on that grid, in eV above its minimum.
    landscape
        Sites, hops and exact thresholds.
    warnings
        What a user should know.
    """

    structure: Structure
    charges: ChargedStructure
    field: SiteEnergyField
    grid_thresholds: Thresholds
    landscape: Landscape
    warnings: tuple[str, ...]


def site_energy_barrier(
    structure: Structure,
    *,
    ion: str = "Li",
    resolution: AskedResolution = 0.1,
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
        ``exact``: saddle points of the exact energy, searched from the grid; ``grid``: the exact
        threshold of the grid itself; ``cavd``: physics and bounding-box rule of the code of
        Laskowski et al. (doi:10.1039/d2ee03499a), which depend on the choice of cell, to compare
        with published numbers.
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
    if mode == "exact":
        result = site_energy_landscape(
            structure, ion=ion, resolution=resolution, cutoff=cutoff, radii=radii, threads=threads
        )
        warnings, field = result.warnings, result.field
        estimates = _exact_estimates(result)
    else:
        charges = assign_charges(structure, ion=ion)
        warnings = _charge_warnings(charges)
        if mode == "grid":
            framework = _framework(charges, ion=ion, cutoff=cutoff, radii=radii)
            field = _symmetric_field(framework, resolution=resolution, threads=threads)
            thresholds = percolation_thresholds(field.energies)
        else:
            field = _cavd_field(charges, ion=ion, resolution=resolution, threads=threads)
            thresholds = box_thresholds(field.energies)
        error = _GRID_ERROR * max(field.spacing)
        method = f"{mode} threshold, {resolution} A"
        estimates = [_estimate(value, error, method=method) for value in thresholds]
    one, two, three = estimates
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


def site_energy_landscape(
    structure: Structure,
    *,
    ion: str = "Li",
    resolution: float = 0.1,
    cutoff: float = 10.0,
    radii: Radii = "softbv",
    threads: int = 1,
) -> LandscapeResult:
    """Return grid, sites, hops and exact percolation thresholds of a structure.

    Parameters are those of `site_energy_barrier`. Where a threshold does not rest on a saddle
    point, or differs from the grid's by more than the grid can err, the search is repeated on a
    finer grid.
    """
    charges = assign_charges(structure, ion=ion)
    framework = _framework(charges, ion=ion, cutoff=cutoff, radii=radii)
    margin, fineness = _MARGIN, resolution
    for _ in range(3):
        field = _symmetric_field(framework, resolution=fineness, threads=threads)
        thresholds = percolation_thresholds(field.energies)
        top = max((value for value in thresholds if value < ENERGY_CAP), default=1.0)
        limit = field.minimum + top + margin
        landscape = build_landscape(framework, field, limit=limit)
        rests_on_saddles = all(link.source == "saddle" for link in landscape.bottlenecks)
        if rests_on_saddles and not _contradictions(landscape, thresholds, field):
            break
        margin, fineness = 2 * margin, fineness / 1.5
    warnings = _charge_warnings(charges)
    for name in _contradictions(landscape, thresholds, field):
        warnings += (f"{name} barrier: saddle points and grid differ, the grid is reported",)
    return LandscapeResult(
        structure=charges.structure,
        charges=charges,
        field=field,
        grid_thresholds=thresholds,
        landscape=landscape,
        warnings=warnings,
    )


def cell_field(
    structure: Structure,
    *,
    ion: str = "Li",
    resolution: float = 0.1,
    cutoff: float = 10.0,
    radii: Radii = "softbv",
    threads: int = 1,
) -> SiteEnergyField:
    """Return the grid over the cell of a structure as given, for files and figures.

    Parameters are those of `site_energy_barrier`.
    """
    charges = assign_charges(structure, ion=ion)
    _refuse_overlaps(charges.structure, ion=ion)
    framework = build_framework(charges.structure, ion=ion, cutoff=cutoff, radii=radii)
    shape = grid_shape(framework.matrix, resolution=resolution)
    return compute_field(framework, shape=shape, threads=threads)


def _framework(charges: ChargedStructure, *, ion: str, cutoff: float, radii: Radii) -> Framework:
    _refuse_overlaps(charges.structure, ion=ion)
    framework = build_framework(charges.structure, ion=ion, cutoff=cutoff, radii=radii)
    return primitive_framework(framework)


def _symmetric_field(framework: Framework, *, resolution: float, threads: int) -> SiteEnergyField:
    shape = grid_shape(framework.matrix, resolution=resolution)
    shape, operations = grid_operations(framework, shape)
    return compute_field(framework, shape=shape, threads=threads, operations=operations)


def _contradictions(
    landscape: Landscape, thresholds: Thresholds, field: SiteEnergyField
) -> list[str]:
    """Return the dimensions whose refined threshold is further from the grid's than it can err.

    A grid errs less downwards, by cutting corners, than upwards, by missing the saddle point; a
    refined threshold above the grid's means that a pass was overlooked.
    """
    below = _GRID_ERROR * max(field.spacing)
    return [
        name
        for name, refined, coarse in zip(
            ("1D", "2D", "3D"), landscape.thresholds, thresholds, strict=True
        )
        if coarse < ENERGY_CAP
        and not -below - 0.05 * coarse < refined - coarse < 0.5 * below + 0.02 * coarse
    ]


def _exact_estimates(result: LandscapeResult) -> list[Estimate]:
    doubted = _contradictions(result.landscape, result.grid_thresholds, result.field)
    grid_error = _GRID_ERROR * max(result.field.spacing)
    links = [*result.landscape.bottlenecks, None, None, None]
    estimates = []
    for name, refined, coarse, link in zip(
        ("1D", "2D", "3D"), result.landscape.thresholds, result.grid_thresholds, links, strict=False
    ):
        if name in doubted or link is None:
            estimates.append(_estimate(coarse, grid_error, method="grid threshold"))
        elif link.source == "saddle":
            estimates.append(_estimate(refined, _SADDLE_ERROR, method="saddle point"))
        else:
            estimates.append(_estimate(refined, grid_error, method="bound from the ridge"))
    return estimates


def _cavd_field(
    charges: ChargedStructure, *, ion: str, resolution: float, threads: int
) -> SiteEnergyField:
    """Return the field of the CAVD code: scaled Coulomb terms, walls, its grid in the given cell.

    The Coulomb terms are multiplied by the ratio of anion to cation charge, each divided by
    sqrt(n), and points within the covalent radius of a like-charged ion are shut.
    """
    structure = charges.structure
    sums = {1: 0.0, -1: 0.0}
    for specie, amount in structure.composition.items():
        state = float(specie.oxi_state or 0)
        root = math.sqrt(principal_quantum_number(specie.symbol))
        sums[1 if state > 0 else -1] += state * amount / root
    _refuse_overlaps(structure, ion=ion)
    mobile = build_framework(structure, ion=ion).charge
    like = 1 if mobile > 0 else -1
    framework = build_framework(structure, ion=ion, coulomb_scale=-sums[-like] / sums[like])
    lengths = np.linalg.norm(framework.matrix, axis=1)
    counts = np.maximum((lengths / resolution).astype(int), 2)
    shape = (int(counts[0]), int(counts[1]), int(counts[2]))
    return compute_field(framework, shape=shape, threads=threads, has_walls=True)


def _charge_warnings(charges: ChargedStructure) -> tuple[str, ...]:
    if charges.origin == "input":
        return charges.notes
    return (f"oxidation states guessed by {charges.origin}", *charges.notes)


def _refuse_overlaps(structure: Structure, *, ion: str) -> None:
    """Refuse ions of the framework that sit on each other, or on a full mobile ion."""
    symbol, _ = parse_ion(ion)
    first, second, _, distances = structure.get_neighbor_list(_MIN_DISTANCE, exclude_self=True)
    for one, other, distance in zip(first, second, distances, strict=True):
        pair = [structure[int(index)] for index in (one, other)]
        occupancy = sum(site.species.num_atoms for site in pair)
        is_framework = any(specie.symbol != symbol for site in pair for specie in site.species)
        if is_framework and occupancy > 1.05:
            raise DataError(
                f"{pair[0].species_string} and {pair[1].species_string} are {distance:.2f} A apart "
                f"with occupancies that add up to {occupancy:.2f}. "
                "Mend the structure: atoms overlap."
            )


def _estimate(value: float, error: float, *, method: str) -> Estimate:
    if value > ENERGY_CAP:
        reason = f"does not percolate below {ENERGY_CAP:g} eV"
        return Estimate.above(ENERGY_CAP, unit="eV", reason=reason)
    return Estimate(
        value=value, lower=max(value - error, 0.0), upper=value + error, unit="eV", method=method
    )
