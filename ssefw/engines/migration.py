"""From a hop to its barrier with any engine: cell, ends, images, band, and the way through.

The protocol is that of Laskowski et al. 2023 (DOI 10.1039/d2ee03499a): one vacancy in a supercell,
ends relaxed at the fixed cell, framework on straight lines, plain band and then a climbing image.
Interstitial ions go the same way: their crystal comes with marks, see `ssefw.data.defects`.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pymatgen.core import Structure

from ssefw.bvse import site_energy_landscape
from ssefw.bvse.landscape import Landscape
from ssefw.data.defects import Mechanism, crystal_of, hop_cell, ion_of
from ssefw.data.hops import HopClass, percolation_levels
from ssefw.documents import (
    Barrier,
    Document,
    Estimate,
    HopRecord,
    NebPath,
    NebStatus,
    Provenance,
)
from ssefw.engines.band import check_images, idpp_images, linear_images
from ssefw.engines.base import Engine, NebSettings
from ssefw.engines.ends import Ends, ends_of_hop
from ssefw.engines.seeding import RESOLUTION, images_along, images_like, site_energy_path
from ssefw.engines.stopping import InterruptionError, StopCheck, never_stop
from ssefw.errors import AnalysisError, DataError, EngineError
from ssefw.units import Length, Unit

__all__ = [
    "MigrationSettings",
    "hop_barrier",
    "hop_barriers",
    "hop_label",
    "hop_record",
    "no_band",
    "percolation_barrier",
]

logger = logging.getLogger(__name__)

RECENT = 5
"""Iterations over which a band shows how settled it is."""

SETTLED = 1e-3
"""No barrier is better than this (eV)."""


class MigrationSettings(Document):
    """How the barrier of a hop is computed.

    Attributes
    ----------
    mechanism
        What hops.
    min_length
        Smallest distance of the defect from its images.
    n_images
        Images of the band, both ends included.
    end_fmax, end_steps
        Largest force on relaxed ends, and most steps to get there.
    path
        Where the images start: on straight lines, spread from there by IDPP, or with the ion on
        the path of least bond-valence site energy and the framework on straight lines.
    charge
        Of the cell with the defect, in e; by default -1 for a vacancy and +1 for an interstitial
        ion. Engines that know no charge leave it.
    band
        How the band is relaxed.
    """

    mechanism: Mechanism = "vacancy"
    min_length: Length = 10.0
    n_images: int = Field(default=7, ge=3)
    end_fmax: Annotated[float, Unit("eV/angstrom")] = Field(default=0.01, gt=0)
    end_steps: int = 500
    path: Literal["linear", "idpp", "bvse"] = "idpp"
    charge: Annotated[float, Unit("e")] | None = None
    band: NebSettings = Field(default_factory=NebSettings)

    @property
    def cell_charge(self) -> float:
        """Charge of a cell with the defect, in e."""
        if self.charge is not None:
            return self.charge
        return -1.0 if self.mechanism == "vacancy" else 1.0


def hop_barrier(
    engine: Engine,
    structure: Structure,
    kind: HopClass,
    directory: Path,
    *,
    settings: MigrationSettings,
    ends: Mapping[int, Structure] | None = None,
    stands_for: Mapping[int, int] | None = None,
    landscape: Landscape | None = None,
    first: Engine | None = None,
    stop: StopCheck = never_stop,
) -> NebPath:
    """Compute the barrier of a class of hops.

    Parameters
    ----------
    structure
        The relaxed crystal that the hops were found in, with marks where they are of
        interstitial ions.
    ends, stands_for
        Relaxed defects by site, and which of them stands for a site; by default those of this
        hop are relaxed here.
    landscape
        Of the site energy, for the path ``bvse``; by default it is calculated.
    first
        A cheaper engine that relaxes a band of its own first, which gives the images.

    Raises
    ------
    DataError
        If the supercell is too small, or both ends relax to one minimum.
    InterruptionError
        If it was time to stop before there was a band to continue from.
    EngineError
        If an end does not relax, or the engine fails.
    """
    charged = engine.charged(settings.cell_charge)
    cell = hop_cell(structure, kind.hop, min_length=settings.min_length)
    if ends is None or stands_for is None:
        own = _shared(charged, structure, [kind], settings)
        ends, stands_for = own.of(kind), own.stands_for
    start, end = ends_of_hop(
        structure, kind, cell, ends, stands_for=stands_for, min_length=settings.min_length
    )
    warnings: tuple[str, ...] = ()
    if first is not None:
        images, warnings = _from_band_of(
            first,
            structure,
            kind,
            directory / "first",
            settings=settings,
            ends=(start, end),
            landscape=landscape,
            stop=stop,
        )
    else:
        images, warnings = _first_images(
            structure,
            kind,
            settings=settings,
            ends=(start, end),
            landscape=landscape,
            mover=cell.mover,
        )
    check_images(images)
    band = charged.neb(images, settings.band, directory, stop=stop)
    return band.model_copy(
        update={
            "hop": hop_record(kind),
            "mover": cell.mover,
            "warnings": (*warnings, *band.warnings),
        }
    )


def hop_record(kind: HopClass) -> HopRecord:
    """Return what a record says of a class of hops."""
    hop = kind.hop
    return HopRecord(
        start=hop.start,
        end=hop.end,
        image=hop.image,
        length=hop.length,
        via=None if hop.via is None else hop.via[0],
        via_image=None if hop.via is None else hop.via[1],
        symmetric=kind.symmetric,
        n_equivalent=len(kind.hops),
    )


def _first_images(
    structure: Structure,
    kind: HopClass,
    *,
    settings: MigrationSettings,
    ends: tuple[Structure, Structure],
    landscape: Landscape | None,
    mover: int,
) -> tuple[list[Structure], tuple[str, ...]]:
    """Return the images as they start, and what a reader should know of them."""
    warnings: tuple[str, ...] = ()
    # The site energy knows one ion that moves.
    if settings.path == "bvse" and kind.hop.via is None:
        try:
            if landscape is None:
                landscape = _landscape(structure, kind)
            path = site_energy_path(structure, kind.hop, landscape)
            images = images_along(*ends, mover=mover, path=path, n_images=settings.n_images)
            check_images(images)
        except (AnalysisError, DataError) as error:
            # Images only begin somewhere: another beginning leads to the same band.
            warnings = (f"The images started from IDPP, not from the site energy: {error}",)
        else:
            return images, ()
    images = linear_images(*ends, n_images=settings.n_images)
    return (images if settings.path == "linear" else idpp_images(images)), warnings


def _landscape(structure: Structure, kind: HopClass) -> Landscape:
    return site_energy_landscape(
        crystal_of(structure), ion=ion_of(structure, kind.hop), resolution=RESOLUTION
    ).landscape


def _from_band_of(
    first: Engine,
    structure: Structure,
    kind: HopClass,
    directory: Path,
    *,
    settings: MigrationSettings,
    ends: tuple[Structure, Structure],
    landscape: Landscape | None,
    stop: StopCheck,
) -> tuple[list[Structure], tuple[str, ...]]:
    """Return images that bend as the plain band of another engine does."""
    plain = settings.band.model_copy(update={"climb": False})
    band = hop_barrier(
        first,
        structure,
        kind,
        directory,
        settings=settings.model_copy(update={"band": plain}),
        landscape=landscape,
        stop=stop,
    )
    if band.status == "interrupted":
        raise InterruptionError(f"The first band was interrupted: {band.reason}")
    warnings = list(band.warnings)
    if band.status != "converged":
        warnings.append(f"The band of {first.name} that gave the images is {band.status}.")
    return images_like(band.structures, *ends), tuple(warnings)


def hop_barriers(
    engine: Engine,
    structure: Structure,
    kinds: Sequence[HopClass],
    directory: Path,
    *,
    settings: MigrationSettings,
    first: Engine | None = None,
    stop: StopCheck = never_stop,
) -> Iterator[tuple[HopClass, NebPath]]:
    """Compute the barriers of classes of hops, each in a folder of its own.

    Ends that symmetry makes one are relaxed once. A hop that fails is a band without a barrier
    that says why; the others go on. Called again, it continues where it was.
    """
    shared = _shared(engine.charged(settings.cell_charge), structure, kinds, settings)
    landscape = None
    if settings.path == "bvse":
        with contextlib.suppress(DataError, AnalysisError):  # told for each hop
            landscape = _landscape(structure, kinds[0])
    for kind in kinds:
        folder = directory / f"hop-{hop_label(hop_record(kind))}"
        try:
            yield (
                kind,
                hop_barrier(
                    engine, structure, kind, folder, settings=settings, ends=shared.of(kind),
                    stands_for=shared.stands_for, landscape=landscape, first=first, stop=stop,
                ),
            )  # fmt: skip
        except (DataError, EngineError) as error:
            logger.warning("hop of %.2f A: %s", kind.hop.length, error)
            status: NebStatus = "interrupted" if isinstance(error, InterruptionError) else "failed"
            yield kind, no_band(kind, str(error), status=status, provenance=engine.provenance())
        if stop() is not None:
            return


def hop_label(hop: HopRecord, *, first: int = 0) -> str:
    """Return what tells a hop from others: its sites, counted from `first`, and their cells."""

    def shown(site: int, image: tuple[int, int, int]) -> str:
        return f"-{site + first}" + "".join(f"{x:+d}" for x in image)

    pushed = shown(hop.via, hop.via_image) if hop.via is not None and hop.via_image else ""
    return f"{hop.start + first}{pushed}{shown(hop.end, hop.image)}"


def no_band(
    kind: HopClass,
    reason: str,
    *,
    status: NebStatus = "failed",
    provenance: Provenance | None = None,
) -> NebPath:
    """Return the record of a hop that came to no band."""
    return NebPath(
        hop=hop_record(kind),
        energies=(),
        lengths=(),
        max_forces=(),
        status=status,
        climbed=False,
        reason=reason,
        provenance=provenance or Provenance(),
    )


def _shared(
    engine: Engine, structure: Structure, kinds: Sequence[HopClass], settings: MigrationSettings
) -> Ends:
    return Ends(
        engine,
        structure,
        kinds,
        min_length=settings.min_length,
        fmax=settings.end_fmax,
        steps=settings.end_steps,
    )


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
        formula=crystal_of(structure).composition.reduced_formula,
        specie=specie,
        method="neb",
        barrier_1d=estimates[0],
        barrier_2d=estimates[1],
        barrier_3d=estimates[2],
        warnings=tuple(warnings),
        bands=tuple(
            band.model_copy(update={"structures": (), "hop": hop_record(kind)})
            for kind, band in bands.items()
        ),
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
