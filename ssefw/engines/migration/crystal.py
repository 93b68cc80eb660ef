"""From a crystal to the barrier of crossing it: hops are found and chosen, their bands joined."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pymatgen.core import Structure

from ssefw.data.defects import find_hops_of, hop_cell
from ssefw.data.hops import HopClass
from ssefw.documents import Barrier, NebPath
from ssefw.engines.base import Engine
from ssefw.engines.migration.barriers import MigrationSettings, hop_barriers
from ssefw.engines.migration.percolation import percolation_barrier
from ssefw.engines.migration.seeding import HopChoice, choose_hops, prepared_for
from ssefw.engines.stopping import StopCheck, never_stop
from ssefw.errors import AnalysisError

__all__ = ["HopSearch", "Hops", "crystal_barrier", "find_hops", "relaxed_crystal"]

CRYSTAL_FMAX = 0.01
"""eV/A; of a relaxed crystal as of the relaxed ends, which are compared with each other."""
CRYSTAL_STEPS = 500


@dataclass(frozen=True)
class HopSearch:
    """Which hops are computed.

    Attributes
    ----------
    specie
        The ion that moves.
    max_length
        Longest hop, A.
    choice
        Which classes of hops, see `ssefw.engines.migration.seeding.choose_hops`.
    """

    specie: str = "Li"
    max_length: float = 6.0
    choice: HopChoice = "shortest"


@dataclass(frozen=True)
class Hops:
    """The classes of hops in a crystal: those to compute, and those that are left."""

    chosen: tuple[HopClass, ...]
    left: tuple[HopClass, ...]


def find_hops(structure: Structure, search: HopSearch, settings: MigrationSettings) -> Hops:
    """Return the hops of a mechanism in a crystal.

    Parameters
    ----------
    structure
        See `ssefw.engines.migration.seeding.prepared_for`.

    Raises
    ------
    DataError
        If there are none.
    """
    classes = find_hops_of(
        structure, settings.mechanism, specie=search.specie, max_length=search.max_length
    )
    chosen = choose_hops(structure, classes, search.choice)
    return Hops(tuple(chosen), tuple(kind for kind in classes if kind not in chosen))


def relaxed_crystal(engine: Engine, crystal: Structure, *, n_images: int) -> Structure:
    """Return a crystal relaxed, atoms and cell, as bands of `n_images` need it.

    Raises
    ------
    EngineError
        If it does not relax, or the engine can compute no such band.
    """
    engine.check_band(crystal, n_images=n_images)
    return engine.relax(
        crystal, fmax=CRYSTAL_FMAX, max_steps=CRYSTAL_STEPS, relax_cell=True
    ).structure


def crystal_barrier(
    engine: Engine,
    crystal: Structure,
    folder: Path,
    *,
    search: HopSearch,
    settings: MigrationSettings,
    first: Engine | None = None,
    candidate_id: str = "",
    stop: StopCheck = never_stop,
    on_cell: Callable[[Structure], None] = lambda _: None,
    on_band: Callable[[HopClass, NebPath], None] = lambda _kind, _band: None,
) -> Barrier:
    """Compute the bands of a relaxed crystal and what it takes to cross it.

    Each band is in a folder of its own; called again, they continue where they were.

    Parameters
    ----------
    first
        A cheaper engine that relaxes each band before.
    candidate_id
        Of the crystal as it was given.
    on_cell
        Called with the supercell of the first hop, before anything is computed.
    on_band
        Called with each band as it is ready.

    Raises
    ------
    AnalysisError
        If the bands do not cross the crystal, or it was time to stop before; the message says
        where they are.
    """
    structure = prepared_for(settings.mechanism, crystal, specie=search.specie)
    hops = find_hops(structure, search, settings)
    cell = hop_cell(structure, hops.chosen[0].hop, min_length=settings.min_length).start
    on_cell(cell)
    engine.charged(settings.cell_charge).check_band(cell, n_images=settings.n_images)
    bands: dict[HopClass, NebPath] = {}
    for kind, band in hop_barriers(
        engine, structure, hops.chosen, folder, settings=settings, first=first, stop=stop
    ):
        bands[kind] = band
        on_band(kind, band)
    missing = [kind for kind in (*hops.chosen, *hops.left) if kind not in bands]
    try:
        return percolation_barrier(
            structure,
            bands,
            specie=search.specie,
            missing=missing,
            candidate_id=candidate_id,
        )
    except AnalysisError as error:
        if any(band.status == "interrupted" for band in bands.values()):
            raise AnalysisError(
                f"Stopped before there was a barrier: the bands are in {folder}; the same once "
                "more goes on with them."
            ) from error
        raise AnalysisError(f"{str(error).rstrip('.')}. The bands are in {folder}.") from error
