"""``ssefw neb``: from a structure to migration barriers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.numbers import CHARGE, FORCE, HOP, IMAGES, LENGTH
from ssefw.cli.options import (
    configured,
    json_option,
    print_json,
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
    from ssefw.documents import Barrier, NebIterationRecord, NebPath
    from ssefw.engines import Engine, NebSettings
    from ssefw.engines.migration import MigrationSettings
    from ssefw.engines.migration.crystal import HopSearch
    from ssefw.engines.migration.seeding import HopChoice

CROWDED = 8.0
"""Defects closer than this (A) to their images are worth a warning."""


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
    """Compute the barriers of hops and what it takes to cross the crystal."""
    from ssefw.data import content_id, read_pool
    from ssefw.engines import NebSettings
    from ssefw.engines.migration import MigrationSettings
    from ssefw.engines.migration.crystal import HopSearch, crystal_barrier, relaxed_crystal
    from ssefw.engines.migration.progress import BandWatch
    from ssefw.engines.stopping import install_signal_handlers, stop_check
    from ssefw.errors import AnalysisError

    candidate = read_pool(structure, strict=True).candidates[0]
    crystal = candidate.structure
    engine = _engine(engine_name, options)
    engine.check()
    search = HopSearch(specie=specie, max_length=max_length, choice=choice)
    how = MigrationSettings(
        mechanism=mechanism,
        min_length=min_length,
        n_images=images,
        path=path,
        end_fmax=end_fmax,
        charge=charge,
        band=NebSettings(fmax=fmax, climb=climb),
    )
    if dry_run:
        _show_hops(crystal, search, how)
        return 0
    folder = out or settings().scratch_folder() / "neb" / candidate.id
    install_signal_handlers()
    if relax:
        say(f"Relaxing {candidate.formula} with {engine.name}.", err=True)
        crystal = relaxed_crystal(engine, crystal, n_images=images)
        folder = folder / content_id(crystal)
    bands: dict[HopClass, NebPath] = {}
    watch = BandWatch(stop_check(), folder, _silence if quiet else _progress)

    def on_band(kind: "HopClass", band: "NebPath") -> None:
        bands[kind] = band
        watch.look()
        say(f"{kind.hop.length:.3f} A: {_verdict(band)}", err=True)
        name = f"hop-{kind.hop.length:.3f}-{len(bands)}"
        if band.energies and not no_figure:
            _draw(band, (figure or folder) / name)
        if vasp_inputs is not None and band.structures:
            _write_vasp(band, vasp_inputs / name, how.band)

    try:
        barrier = crystal_barrier(
            engine,
            crystal,
            folder,
            search=search,
            settings=how,
            first=_engine(first, ()) if first else None,
            candidate_id=candidate.id,
            stop=watch,
            on_cell=_doubt_small,
            on_band=on_band,
        )
    except AnalysisError:
        if bands:
            _show(bands, None, as_json=as_json)
        raise
    _show(bands, barrier, as_json=as_json)
    return 0


def _show_hops(crystal: "Structure", search: "HopSearch", how: "MigrationSettings") -> None:
    """Show the hops that would be computed."""
    from ssefw.data.defects import hop_cell
    from ssefw.engines.migration.crystal import find_hops
    from ssefw.engines.migration.seeding import prepared_for

    structure = prepared_for(how.mechanism, crystal, specie=search.specie)
    for kind in find_hops(structure, search, how).chosen:
        cell = hop_cell(structure, kind.hop, min_length=how.min_length)
        say(
            f"{kind.hop.length:.3f} A, {len(kind.hops)} in the cell, "
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


def _doubt_small(cell: "Structure") -> None:
    """Say so where a defect meets its own images."""
    lattice = cell.lattice
    apart = min(lattice.d_hkl(face) for face in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    if apart < CROWDED:
        say(
            f"Warning: the defect is {apart:.1f} A from its own images, and the barrier will be "
            "that of defects so close together. --min-length 10 is usual.",
            err=True,
        )


def _silence(name: str, latest: "NebIterationRecord") -> None:
    """Say nothing."""


def _progress(name: str, latest: "NebIterationRecord") -> None:
    stage = "climbing" if latest.climbing else "plain"
    say(
        f"{name}: iteration {latest.iteration}, {stage}, force {latest.max_force:.3f} eV/A, "
        f"highest image {latest.highest:.3f} eV",
        err=True,
    )


def _draw(band: "NebPath", stem: Path) -> None:
    from ssefw.report.figures.neb import band_figure
    from ssefw.report.style import save_figure

    stem.parent.mkdir(parents=True, exist_ok=True)
    for path in save_figure(band_figure(band), stem):
        say(f"Wrote {path}", err=True)


def _write_vasp(band: "NebPath", folder: Path, how: "NebSettings") -> None:
    from ssefw.engines.vasp import VaspEngine
    from ssefw.engines.vasp.band import band_files

    engine = VaspEngine(potcar_spec=True)
    for name, text in band_files(engine, band.structures, how).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    say(
        f"Wrote inputs for VASP with VTST to {folder}: relax both ends first; the cell is neutral.",
        err=True,
    )


def _verdict(band: "NebPath") -> str:
    if band.forward is None or band.reverse is None:
        return f"{band.status}: {band.reason}"
    return f"{band.forward:.3f} eV forward, {band.reverse:.3f} eV back"


def _show(bands: "dict[HopClass, NebPath]", barrier: "Barrier | None", *, as_json: bool) -> None:
    if as_json:
        for kind, band in bands.items():
            record = band.model_dump(mode="json", exclude={"structures", "history"})
            print_json({"hop_length": kind.hop.length, "symmetric": kind.symmetric} | record)
        if barrier is not None:
            print_json(
                {
                    "candidate_id": barrier.candidate_id,
                    "specie": barrier.specie,
                    "barrier_1d_ev": barrier.barrier_1d.plain(),
                    "barrier_2d_ev": barrier.barrier_2d.plain(),
                    "barrier_3d_ev": barrier.barrier_3d.plain(),
                    "warnings": list(barrier.warnings),
                }
            )
        return

    from rich.table import Table

    from ssefw.cli.console import console, show_estimate

    table = Table()
    for name in ("hop (A)", "in the cell", "forward (eV)", "reverse (eV)", "status"):
        table.add_column(name)
    for kind, band in bands.items():
        table.add_row(
            f"{kind.hop.length:.3f}",
            str(len(kind.hops)),
            "–" if band.forward is None else f"{band.forward:.3f}",
            "–" if band.reverse is None else f"{band.reverse:.3f}",
            band.status,
        )
    console().print(table)
    if barrier is not None:
        for name, estimate in (
            ("1D", barrier.barrier_1d),
            ("2D", barrier.barrier_2d),
            ("3D", barrier.barrier_3d),
        ):
            console().print(f"to cross in {name}: {show_estimate(estimate)} eV")
        for warning in barrier.warnings:
            say(f"Warning: {warning}", err=True)
