"""From a hop to its band with any engine: cell, ends, images, and the band itself.

The protocol is that of Laskowski et al. 2023 (DOI 10.1039/d2ee03499a): one vacancy in a supercell,
ends relaxed at the fixed cell, framework on straight lines, plain band and then a climbing image.
Interstitial ions go the same way: their crystal comes with marks, see `ssefw.data.defects`.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from pymatgen.core import Structure

from ssefw.data.defects import Mechanism, hop_cell
from ssefw.data.hops import HopClass
from ssefw.documents import Document, NebPath, NebStatus
from ssefw.engines.band import check_ends, check_images
from ssefw.engines.base import Engine, NebSettings
from ssefw.engines.migration.ends import Ends, ends_of_hop
from ssefw.engines.migration.first_images import PathChoice, first_images, hop_landscape
from ssefw.engines.migration.hop_records import hop_label, hop_record, no_band
from ssefw.engines.migration.seeding import images_like
from ssefw.engines.stopping import InterruptionError, StopCheck, never_stop
from ssefw.errors import AnalysisError, DataError, EngineError
from ssefw.units import Length, Unit

if TYPE_CHECKING:
    from ssefw.bvse.landscape import Landscape

__all__ = ["MigrationSettings", "hop_barrier", "hop_barriers"]

logger = logging.getLogger(__name__)


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
        the path of least bond-valence site energy (``bvse``) and the framework on straight lines;
        ``auto`` takes that path where it keeps its distance from the other ions that move, which
        the site energy does not know, and else IDPP.
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
    path: PathChoice = "auto"
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
    ends: Callable[[], Mapping[int, Structure]] | None = None,
    representatives: Mapping[int, int] | None = None,
    landscape: "Landscape | None" = None,
    first: Engine | None = None,
    initial_band: NebPath | None = None,
    stop: StopCheck = never_stop,
) -> NebPath:
    """Compute the barrier of a class of hops.

    Parameters
    ----------
    structure
        The relaxed crystal that the hops were found in, with marks where they are of
        interstitial ions.
    ends, representatives
        What gives the relaxed defects by site, and which of them stands for a site; by default
        those of this hop are relaxed here.
    landscape
        Of the site energy, for the paths ``auto`` and ``bvse``; by default it is calculated.
    first
        A cheaper engine that relaxes a band of its own first, which gives the images.
    initial_band
        The band of a cheaper engine that gives the images, where it was relaxed before.

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
    check_ends(cell.start, cell.end)
    charged.check_band(cell.start, n_images=settings.n_images)
    # What the cheaper engine finds impossible costs the other nothing.
    warnings: tuple[str, ...] = ()
    if first is not None:
        initial_band = _band_of(
            first,
            structure,
            kind,
            directory / "first",
            settings=settings,
            landscape=landscape,
            stop=stop,
        )
    if ends is None or representatives is None:
        own = _shared(charged, structure, [kind], settings)
        relaxed, representatives = own.of(kind), own.representatives
    else:
        relaxed = dict(ends())
    start, end = ends_of_hop(
        structure,
        kind,
        cell,
        relaxed,
        representatives=representatives,
        min_length=settings.min_length,
    )
    if initial_band is not None:
        images = images_like(initial_band.structures, start, end)
        warnings = initial_band.warnings
        if initial_band.status != "converged":
            name = initial_band.provenance.engine
            warnings += (f"The band of {name} that gave the images is {initial_band.status}.",)
    else:
        images, warnings = first_images(
            structure,
            kind,
            path=settings.path,
            n_images=settings.n_images,
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


def _band_of(
    first: Engine,
    structure: Structure,
    kind: HopClass,
    directory: Path,
    *,
    settings: MigrationSettings,
    landscape: "Landscape | None",
    stop: StopCheck,
) -> NebPath:
    """Return the plain band of another engine."""
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
    return band


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

    Parameters
    ----------
    engine
        What relaxes ends and bands.
    structure
        The relaxed crystal.
    kinds
        Of which one hop each is computed.
    directory
        Folders of hops lie in it.
    settings
        Supercell, images, first path and forces that may remain.
    first
        An engine that costs less, which finds the band that the other begins with.
    stop
        Asked whether to stop.
    """
    shared = _shared(engine.charged(settings.cell_charge), structure, kinds, settings)
    landscape = None
    if settings.path in {"auto", "bvse"}:
        with contextlib.suppress(DataError, AnalysisError):  # told for each hop
            landscape = hop_landscape(structure, kinds[0])
    for kind in kinds:
        folder = directory / f"hop-{hop_label(hop_record(kind))}"
        try:
            yield (
                kind,
                hop_barrier(
                    engine, structure, kind, folder, settings=settings,
                    ends=partial(shared.of, kind), representatives=shared.representatives,
                    landscape=landscape, first=first, stop=stop,
                ),
            )  # fmt: skip
        except (DataError, EngineError) as error:
            logger.info("hop of %.2f A: %s", kind.hop.length, error)
            status: NebStatus = "interrupted" if isinstance(error, InterruptionError) else "failed"
            yield kind, no_band(kind, str(error), status=status, provenance=engine.provenance())
        if stop() is not None:
            return


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
