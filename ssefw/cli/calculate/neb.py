"""``ssefw neb``: from a structure to migration barriers."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.calculate.band_output import (
    doubt_small,
    draw,
    progress,
    show_bands,
    show_barrier,
    silence,
    verdict,
    write_vasp,
)
from ssefw.cli.numbers import ARRANGEMENTS, CHARGE, FORCE, HOP, IMAGES, LENGTH
from ssefw.cli.options import (
    configured,
    json_option,
    quiet_option,
    set_option,
    settings,
    store_option,
)
from ssefw.cli.say import say

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ssefw.data.defects import Mechanism
    from ssefw.data.hops import HopClass
    from ssefw.documents import Barrier, Candidate, NebPath
    from ssefw.engines import Engine
    from ssefw.engines.migration import MigrationSettings
    from ssefw.engines.migration.crystal import HopSearch
    from ssefw.engines.migration.seeding import HopChoice
    from ssefw.engines.stopping import StopCheck


@dataclass(frozen=True)
class _Study:
    """How a crystal gets its barrier, and what is told, drawn and written on the way."""

    candidate: "Candidate"
    engine: "Engine"
    first: "Engine | None"
    search: "HopSearch"
    how: "MigrationSettings"
    stop: "StopCheck"
    folder: Path
    figure: Path | None
    vasp_inputs: Path | None
    draws: bool
    relaxes: bool
    quiet: bool
    as_json: bool

    def barrier(self, crystal: "Structure", arrangement: int | None = None) -> "Barrier":
        from ssefw.data import content_id
        from ssefw.engines.migration.crystal import crystal_barrier, relaxed_crystal
        from ssefw.engines.migration.progress import BandWatch

        name = "" if arrangement is None else f"arrangement-{arrangement}"
        folder = self.folder / name
        if self.relaxes:
            say(f"Relaxing {name or self.candidate.formula} with {self.engine.name}.", err=True)
            crystal = relaxed_crystal(self.engine, crystal, n_images=self.how.n_images)
            folder = folder / content_id(crystal)
        pictures = folder if self.figure is None else self.figure / name
        bands: dict[HopClass, NebPath] = {}
        watch = BandWatch(self.stop, folder, silence if self.quiet else progress)

        def on_band(kind: "HopClass", band: "NebPath") -> None:
            bands[kind] = band
            watch.look()
            say(f"{kind.hop.length:.3f} A: {verdict(band)}", err=True)
            hop = f"hop-{kind.hop.length:.3f}-{len(bands)}"
            if band.energies and self.draws:
                draw(band, pictures / hop)
            if self.vasp_inputs is not None and band.structures:
                write_vasp(band, self.vasp_inputs / name / hop, self.how.band)

        try:
            return crystal_barrier(
                self.engine,
                crystal,
                folder,
                search=self.search,
                settings=self.how,
                first=self.first,
                candidate_id=self.candidate.id,
                stop=watch,
                on_cell=doubt_small,
                on_band=on_band,
            )
        finally:
            if bands:
                show_bands(bands, arrangement=arrangement, as_json=self.as_json)


@click.command(epilog="Example: ssefw neb Li2S.cif --min-length 10")
@click.argument("structure", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--engine", "engine_name", type=click.Choice(["ase", "espresso", "vasp"]), default="ase",
    help="ase is the ML potential SevenNet-l3i5; vasp must be built with VTST.",
)  # fmt: skip
@click.option(
    "--mechanism", type=click.Choice(["vacancy", "interstitial", "concerted"]), default="vacancy",
    help="An ion hops into a vacancy, an interstitial ion hops, or it pushes an ion on.",
)  # fmt: skip
@click.option("--specie", default="Li", help="The ion that moves.")
@click.option("--max-length", type=HOP, default=6.0, help="Longest hop (A).")
@click.option(
    "--hops", "choice", type=click.Choice(["shortest", "bvse", "all"]), default="shortest",
    help="The shortest classes that cross the crystal, those over the lowest saddle points of the "
    "bond-valence site energy, or every class.",
)  # fmt: skip
@click.option(
    "--path", type=click.Choice(["auto", "linear", "idpp", "bvse"]), default="auto",
    help="Where images start: straight lines, IDPP, or the ion on the path of least site energy; "
    "auto takes that where it keeps its distance from other ions, and else IDPP.",
)  # fmt: skip
@click.option(
    "--first", type=click.Choice(["ase"]),
    help="Relax each band with the ML potential before --engine takes it over.",
)  # fmt: skip
@click.option(
    "--orderings", type=ARRANGEMENTS, default=3, show_default=True,
    help="Arrangements of a disordered crystal.",
)  # fmt: skip
@click.option("--min-length", type=LENGTH, default=10.0, help="Least distance of defects (A).")
@click.option("--images", type=IMAGES, default=7, help="Images of a band, with both ends.")
@click.option("--fmax", type=FORCE, default=0.05, help="Force on a converged band (eV/A).")
@click.option("--end-fmax", type=FORCE, default=0.01, help="Force on relaxed ends (eV/A).")
@click.option(
    "--charge", type=CHARGE,
    help="Of the cell (e), for vasp and espresso.  [default: -1, with an interstitial ion +1]",
)  # fmt: skip
@click.option("--climb/--no-climb", default=True, help="Let the highest image climb.")
@click.option("--relax/--no-relax", default=True, help="Relax atoms and cell first.")
@set_option("engine", "kspacing=0.5")
@click.option(
    "--figure", type=click.Path(file_okay=False, path_type=Path),
    help="Draw each band into this folder.  [default: that of the bands]",
)  # fmt: skip
@click.option("--no-figure", is_flag=True, help="Draw no band.")
@click.option(
    "--vasp-inputs", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Also write inputs of VASP with VTST, from the images found, below this folder.",
)  # fmt: skip
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder of the bands.")
@store_option
@click.option("-n", "--dry-run", is_flag=True, help="Show hops and cell sizes; compute nothing.")
@quiet_option
@json_option
def command(
    structure: Path,
    *,
    engine_name: str,
    mechanism: "Mechanism",
    specie: str,
    max_length: float,
    orderings: int,
    min_length: float,
    images: int,
    fmax: float,
    end_fmax: float,
    options: tuple[str, ...],
    vasp_inputs: Path | None,
    out: Path | None,
    choice: "HopChoice",
    path: Any,
    first: str | None,
    figure: Path | None,
    no_figure: bool,
    quiet: bool,
    charge: float,
    climb: bool,
    relax: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Compute the barriers of hops and what it takes to cross the crystal.

    A disordered crystal is ordered first; its barrier is the median of --orderings arrangements,
    and the interval spans theirs.
    """
    from ssefw.data import read_pool
    from ssefw.engines import NebSettings
    from ssefw.engines.migration import MigrationSettings
    from ssefw.engines.migration.arrangements import over_arrangements
    from ssefw.engines.migration.crystal import HopSearch
    from ssefw.engines.stopping import install_signal_handlers, stop_check

    candidate = read_pool(structure, strict=True).candidates[0]
    engine = _engine(engine_name, options)
    engine.check()
    study = _Study(
        candidate=candidate,
        engine=engine,
        first=_engine(first, ()) if first else None,
        search=HopSearch(specie=specie, max_length=max_length, choice=choice),
        how=MigrationSettings(
            mechanism=mechanism,
            min_length=min_length,
            n_images=images,
            path=path,
            end_fmax=end_fmax,
            charge=charge,
            band=NebSettings(fmax=fmax, climb=climb),
        ),
        stop=stop_check(),
        folder=out or settings().scratch_folder() / "neb" / candidate.id,
        figure=figure,
        vasp_inputs=vasp_inputs,
        draws=not no_figure,
        relaxes=relax,
        quiet=quiet,
        as_json=as_json,
    )
    crystals = _crystals(candidate, specie=specie, orderings=orderings)
    if dry_run:
        for index, crystal in crystals.items():
            _show_hops(crystal, study.search, study.how, arrangement=index)
        return 0
    install_signal_handlers()
    if candidate.structure.is_ordered:
        show_barrier(study.barrier(candidate.structure), as_json=as_json)
        return 0
    barrier = over_arrangements(
        crystals,
        study.barrier,
        formula=candidate.formula,
        candidate_id=candidate.id,
        stop=study.stop,
    )
    show_barrier(barrier, arrangements=len(crystals), as_json=as_json)
    return 0


def _crystals(
    candidate: "Candidate", *, specie: str, orderings: int
) -> "dict[int | None, Structure]":
    """Return the crystal, or ordered cells of a disordered one by their number."""
    from ssefw.engines.migration.arrangements import arranged_crystals

    if candidate.structure.is_ordered:
        return {None: candidate.structure}
    cells = arranged_crystals(candidate.structure, specie=specie, number=orderings)
    say(
        f"{candidate.formula} is disordered: {len(cells)} arrangements as "
        f"{cells[0].composition.formula}, {len(cells[0])} atoms.",
        err=True,
    )
    return dict(cells.items())


def _show_hops(
    crystal: "Structure",
    search: "HopSearch",
    how: "MigrationSettings",
    *,
    arrangement: int | None,
) -> None:
    """Show the hops that would be computed."""
    from ssefw.data.defects import hop_cell
    from ssefw.engines.migration.crystal import find_hops
    from ssefw.engines.migration.seeding import prepared_for

    structure = prepared_for(how.mechanism, crystal, specie=search.specie)
    name = "" if arrangement is None else f"arrangement {arrangement}: "
    for kind in find_hops(structure, search, how).chosen:
        cell = hop_cell(structure, kind.hop, min_length=how.min_length)
        say(
            f"{name}{kind.hop.length:.3f} A, {len(kind.hops)} in the cell, "
            f"{'symmetric' if kind.symmetric else 'not symmetric'}, {len(cell.start)} atoms"
        )


def _engine(name: str, options: tuple[str, ...]) -> "Engine":
    if name == "espresso":
        from ssefw.engines.espresso import EspressoEngine

        return configured(EspressoEngine, name, options)
    if name == "vasp":
        from ssefw.engines.vasp import VaspEngine

        return configured(VaspEngine, name, options)
    from ssefw.engines.ase import AseEngine

    return configured(AseEngine, name, options)
