"""Barriers of a crystal that are computed from Python: bands, by any engine."""

from pathlib import Path

from pymatgen.core import Structure

from ssefw.api.checked import checked, crystal_of
from ssefw.data import content_id
from ssefw.data.defects import Mechanism
from ssefw.documents import Barrier
from ssefw.engines import Engine, NebSettings
from ssefw.engines.ase import AseEngine
from ssefw.engines.migration import MigrationSettings
from ssefw.engines.migration.arrangements import arranged_crystals, over_arrangements
from ssefw.engines.migration.crystal import HopSearch, crystal_barrier, relaxed_crystal
from ssefw.engines.migration.first_images import PathChoice
from ssefw.engines.migration.seeding import HopChoice
from ssefw.engines.stopping import stop_check, stopping_on_signals
from ssefw.settings import load_settings
from ssefw.units import AskedCharge, AskedForce, AskedHop, AskedImages, AskedLength

__all__ = ["neb"]


@checked
def neb(
    structure: Structure | str | Path,
    *,
    engine: Engine | None = None,
    specie: str = "Li",
    mechanism: Mechanism = "vacancy",
    hops: HopChoice = "shortest",
    max_length: AskedHop = 6.0,
    orderings: int = 3,
    path: PathChoice = "auto",
    first: Engine | None = None,
    min_length: AskedLength = 10.0,
    images: AskedImages = 7,
    fmax: AskedForce = 0.05,
    end_fmax: AskedForce = 0.01,
    charge: AskedCharge | None = None,
    climb: bool = True,
    relax: bool = True,
    folder: str | Path | None = None,
) -> Barrier:
    """Compute the bands of an ion's hops and what it takes to cross the crystal.

    What ``ssefw neb`` does. Bands that were interrupted go on when it is called again.

    Parameters
    ----------
    structure
        The crystal, or a file with it.
    engine
        What computes; the ML potential SevenNet-l3i5 if None.
    specie, mechanism
        The ion that moves, and whether it hops into a vacancy (``vacancy``), is an interstitial ion
        (``interstitial``) or pushes an ion on (``concerted``).
    hops, max_length
        ``shortest`` that cross the crystal, those over the lowest saddle points of the ``bvse``, or
        ``all``; and the longest hop, A.
    orderings
        Arrangements of a disordered crystal: its barrier is their median, and the interval spans
        theirs.
    path, first
        Where images start, and a cheaper engine that relaxes each band before.
    min_length, images
        Least distance of defects from their images, A, and images of a band with both ends.
    fmax, end_fmax
        Force on a converged band and on relaxed ends, eV/A.
    charge
        Of the cell, e, for engines that know one.
    climb, relax
        Whether the highest image climbs, and whether atoms and cell are relaxed before.
    folder
        Where the bands are kept; in the scratch folder of the settings if None.

    Raises
    ------
    AnalysisError
        If the bands do not cross the crystal; the message says where they are.
    """
    given = crystal_of(structure)
    engine = engine or AseEngine()
    engine.check()
    candidate_id = content_id(given)
    base = load_settings().settings.scratch_folder() / "neb" / candidate_id
    place = base if folder is None else Path(folder)
    settings = MigrationSettings(
        mechanism=mechanism,
        min_length=min_length,
        n_images=images,
        path=path,
        end_fmax=end_fmax,
        charge=charge,
        band=NebSettings(fmax=fmax, climb=climb),
    )
    stop = stop_check()

    def compute(crystal: Structure, place: Path) -> Barrier:
        if relax:
            crystal = relaxed_crystal(engine, crystal, n_images=images)
            place /= content_id(crystal)
        return crystal_barrier(
            engine,
            crystal,
            place,
            search=HopSearch(specie=specie, max_length=max_length, choice=hops),
            settings=settings,
            first=first,
            candidate_id=candidate_id,
            stop=stop,
        )

    with stopping_on_signals():
        if given.is_ordered:
            return compute(given, place)
        return over_arrangements(
            arranged_crystals(given, specie=specie, number=orderings),
            lambda cell, index: compute(cell, place / f"arrangement-{index}"),
            formula=given.composition.reduced_formula,
            candidate_id=candidate_id,
            stop=stop,
        )
