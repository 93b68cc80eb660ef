"""From a hop to its barrier with any engine: cell, ends, images, band, and the way through.

The protocol is that of Laskowski et al. 2023 (DOI 10.1039/d2ee03499a): one vacancy in a supercell,
ends relaxed at the fixed cell, framework on straight lines, plain band and then a climbing image.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure

from ssefw.data.hops import (
    HopClass,
    VacancyCell,
    carry_over,
    percolation_levels,
    symmetry_operations,
    vacancy_cell,
)
from ssefw.documents import Barrier, Estimate, NebPath, Provenance
from ssefw.engines.band import check_images, displacements, idpp_images, linear_images
from ssefw.engines.base import Engine, NebSettings
from ssefw.engines.stopping import StopCheck, never_stop
from ssefw.errors import AnalysisError, DataError, EngineError

__all__ = [
    "MigrationSettings",
    "hop_barrier",
    "hop_barriers",
    "images_along",
    "percolation_barrier",
]

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

RECENT = 5
"""Iterations over which a band shows how settled it is."""

SETTLED = 1e-3
"""No barrier is better than this (eV)."""


@dataclass(frozen=True, kw_only=True)
class MigrationSettings:
    """How the barrier of a hop is computed.

    Attributes
    ----------
    min_length
        Smallest distance of the vacancy from its images, in A.
    n_images
        Images of the band, both ends included.
    end_fmax, end_steps
        Largest force (eV/A) on relaxed ends, and most steps to get there.
    idpp
        Whether images are spread by IDPP; without it they lie on straight lines.
    charge
        Of the cell that lacks the ion, in e: minus the charge of the ion. Engines that know no
        charge leave it.
    band
        How the band is relaxed.
    """

    min_length: float = 10.0
    n_images: int = 7
    end_fmax: float = 0.01
    end_steps: int = 500
    idpp: bool = True
    charge: float = -1.0
    band: NebSettings = field(default_factory=NebSettings)


def hop_barrier(
    engine: Engine,
    structure: Structure,
    kind: HopClass,
    directory: Path,
    *,
    settings: MigrationSettings,
    path: FloatArray | None = None,
    stop: StopCheck = never_stop,
) -> NebPath:
    """Compute the barrier of a class of hops.

    Parameters
    ----------
    structure
        The relaxed crystal that the hops were found in.
    path
        Where the ion goes on its way, from the start to the end of the hop: Cartesian, relative to
        its start, in A, shape (m, 3); for example from the bond-valence site energy. By default a
        straight line, or what IDPP makes of it.

    Raises
    ------
    DataError
        If the supercell is too small, or both ends relax to one minimum.
    EngineError
        If an end does not relax, or the engine fails.
    """
    engine = engine.charged(settings.charge)
    cell = vacancy_cell(structure, kind.hop, min_length=settings.min_length)
    start, end = relaxed_ends(engine, cell, kind, settings=settings)
    if path is None:
        images = linear_images(start, end, n_images=settings.n_images)
        if settings.idpp:
            images = idpp_images(images)
    else:
        images = images_along(start, end, mover=cell.mover, path=path, n_images=settings.n_images)
    check_images(images)
    return engine.neb(images, settings.band, directory, stop=stop)


def hop_barriers(
    engine: Engine,
    structure: Structure,
    kinds: Sequence[HopClass],
    directory: Path,
    *,
    settings: MigrationSettings,
    stop: StopCheck = never_stop,
) -> Iterator[tuple[HopClass, NebPath]]:
    """Compute the barriers of classes of hops, each in a folder of its own.

    A hop that fails is a band without a barrier that says why; the others go on. Called again, it
    continues where it was.
    """
    for kind in kinds:
        image = "".join(f"{x:+d}" for x in kind.hop.image)
        folder = directory / f"hop-{kind.hop.start}-{kind.hop.end}{image}"
        try:
            yield kind, hop_barrier(engine, structure, kind, folder, settings=settings, stop=stop)
        except (DataError, EngineError) as error:
            logger.warning("hop of %.2f A: %s", kind.hop.length, error)
            yield (
                kind,
                NebPath(
                    energies=(),
                    lengths=(),
                    max_forces=(),
                    status="failed",
                    climbed=False,
                    reason=str(error),
                    provenance=engine.provenance(),
                ),
            )
        if stop() is not None:
            return


def relaxed_ends(
    engine: Engine, cell: VacancyCell, kind: HopClass, *, settings: MigrationSettings
) -> tuple[Structure, Structure]:
    """Relax both ends of a hop, or one where symmetry gives the other.

    Raises
    ------
    EngineError
        If an end does not converge.
    DataError
        If the mover left its site, or both ends became one.
    """
    ends: list[Structure] = []
    for name, ideal in (("start", cell.start), ("end", cell.end)):
        if name == "end" and kind.symmetric:
            carried = carry_over(ends[0], cell, symmetry_operations(cell.host))
            if carried is not None:
                ends.append(carried)
                break
        logger.info("relaxing the %s of a hop, %d atoms", name, len(ideal))
        result = engine.relax(
            ideal, fmax=settings.end_fmax, max_steps=settings.end_steps, relax_cell=False
        )
        if not result.converged:
            msg = (
                f"The {name} of the hop did not relax to {settings.end_fmax:g} eV/A in "
                f"{result.n_steps} steps ({result.max_force:.3f} eV/A are left). Allow more steps."
            )
            raise EngineError(msg)
        ends.append(result.structure)
    start, end = ends
    hop = float(
        np.linalg.norm(cell.end.cart_coords[cell.mover] - cell.start.cart_coords[cell.mover])
    )
    for name, ideal, relaxed in (("start", cell.start, start), ("end", cell.end, end)):
        moved = np.linalg.norm(displacements(ideal, relaxed), axis=1)
        if moved[cell.mover] > hop / 2:
            msg = (
                f"At the {name} of the hop the ion left its site, by {moved[cell.mover]:.2f} A of "
                f"{hop:.2f} A: beside the vacancy that site is no minimum. Choose another hop, or "
                "a longer one through this site."
            )
            raise DataError(msg)
    return start, end


def images_along(
    start: Structure, end: Structure, *, mover: int, path: FloatArray, n_images: int
) -> list[Structure]:
    """Return images with the framework on straight lines and the ion on a given way.

    The way is bent so that it begins and ends where the relaxed ends have the ion.

    Parameters
    ----------
    mover
        Index of the ion.
    path
        See `hop_barrier`.
    """
    path = np.asarray(path, dtype=np.float64)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) < 2:
        raise ValueError(f"a path has the shape (points, 3), got {path.shape}")
    images = linear_images(start, end, n_images=n_images)
    straight = displacements(start, end)[mover]
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    if lengths[-1] <= 0.0:
        raise ValueError("the path of the ion has no length")
    fractions = lengths / lengths[-1]
    # What the given way lacks to end at the relaxed end is added evenly.
    bent = path - path[0] + fractions[:, None] * (straight - (path[-1] - path[0]))
    origin = start.cart_coords[mover]
    for k in range(1, n_images - 1):
        t = k / (n_images - 1)
        point = np.array([np.interp(t, fractions, bent[:, axis]) for axis in range(3)])
        images[k].translate_sites(
            [mover],
            origin + point - images[k].cart_coords[mover],
            frac_coords=False,
            to_unit_cell=False,
        )
    return images


def percolation_barrier(
    structure: Structure,
    bands: Mapping[HopClass, NebPath],
    *,
    specie: str = "Li",
    missing: Sequence[HopClass] = (),
    candidate_id: str = "",
    provenance: Provenance | None = None,
) -> Barrier:
    """Join the barriers of hops to that of the crystal, in one, two and three dimensions.

    Parameters
    ----------
    bands
        Of each class of hops that was calculated; those without a barrier do not count.
    missing
        Classes that were not calculated.

    Raises
    ------
    AnalysisError
        If no hop has a barrier.
    """
    barriers: dict[HopClass, tuple[float, float]] = {}
    for kind, band in bands.items():
        if band.forward is not None and band.reverse is not None:
            # A minimum on the way is where the ion will sit: the saddle counts from there.
            dip = max(0.0, min(band.energies[0], band.energies[-1]) - min(band.energies))
            forward, reverse = band.forward + dip, band.reverse + dip
            mean = (forward + reverse) / 2
            barriers[kind] = (mean, mean) if kind.symmetric else (forward, reverse)
    if not barriers:
        msg = f"None of {len(bands)} hops has a barrier: " + "; ".join(
            band.reason for band in bands.values()
        )
        raise AnalysisError(msg)
    width = max(_uncertainty(kind, bands[kind]) for kind in barriers)
    estimates = [
        Estimate.undetermined(
            "the hops that were calculated do not cross the crystal this way", unit="eV"
        )
        if level is None
        else Estimate(
            value=level,
            lower=level - width,
            upper=level + width,
            unit="eV",
            method="resolution and convergence of the bands; not the error of the engine",
        )
        for level in percolation_levels(barriers)
    ]
    failed = [kind for kind in bands if kind not in barriers]
    warnings = [
        f"No barrier of the {kind.hop.length:.2f} A hop: {bands[kind].reason}" for kind in failed
    ]
    warnings += [
        f"{kind.hop.length:.2f} A hop: {warning}"
        for kind in barriers
        for warning in bands[kind].warnings
    ]
    if missing:
        shortest = min(kind.hop.length for kind in missing)
        warnings.append(
            f"{len(missing)} other classes of hops, from {shortest:.2f} A on, were not calculated: "
            "a way through them may be lower."
        )
    return Barrier(
        candidate_id=candidate_id,
        formula=structure.composition.reduced_formula,
        specie=specie,
        method="neb",
        barrier_1d=estimates[0],
        barrier_2d=estimates[1],
        barrier_3d=estimates[2],
        warnings=tuple(warnings),
        wall_time=sum(band.wall_time for band in bands.values()),
        provenance=provenance or next(iter(bands.values())).provenance,
    )


def _uncertainty(kind: HopClass, band: NebPath) -> float:
    """Return how far (eV) a barrier may be off for reasons that lie in the band itself.

    The largest of what the images leave unresolved, what the barrier still changed in its last
    iterations, and the difference of both directions where symmetry makes them one.
    """
    recent = [record.highest for record in band.history[-RECENT:]]
    parts = [SETTLED, band.unresolved or 0.0, max(recent, default=0.0) - min(recent, default=0.0)]
    if kind.symmetric and band.forward is not None and band.reverse is not None:
        parts.append(abs(band.forward - band.reverse) / 2)
    return max(parts)
