"""``ssefw bvse``: percolation barriers from the bond-valence site energy."""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.numbers import RESOLUTION
from ssefw.cli.options import (
    OUTPUT,
    core_count,
    json_option,
    print_json,
    quiet_option,
    store_option,
    workers_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ssefw.bvse.batch import BatchItem
    from ssefw.documents import Barrier, Candidate, Estimate


@click.command(epilog="Example: ssefw bvse Li3ErBr6.cif LGPS.cif --figure plots")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--specie", default="Li", show_default=True, help="Mobile ion: Li, Na, Mg2+, O2- ...")
@click.option(
    "--resolution",
    type=RESOLUTION,
    default=0.1,
    show_default=True,
    help="Distance of grid points.",
)
@click.option(
    "--radii",
    type=click.Choice(["softbv", "ase"]),
    default="softbv",
    show_default=True,
    help="Covalent radii of the Coulomb screening.",
)
@click.option(
    "--mode",
    type=click.Choice(["exact", "grid", "cavd"]),
    default="exact",
    show_default=True,
    help="Saddle points, the grid itself, or the rule of the CAVD code.",
)
@workers_option
@click.option(
    "--figure",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw slice and energy along the path into this folder.",
)
@click.option(
    "--grid",
    "grid_format",
    type=click.Choice(["cube", "grd"]),
    help="Write the energy grid for VESTA.",
)
@click.option(
    "--paths", "has_paths", is_flag=True, help="Write sites and hops with path points as JSON."
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder of grids and paths.  [default: the current one]",
)
@click.option("-o", "--out", type=OUTPUT, help="Write one JSON object a line, as they are ready.")
@click.option(
    "--submit",
    "is_submitted",
    is_flag=True,
    help="As jobs of a thousand structures that workers run; given again, it shows the barriers.",
)
@store_option
@click.option("--keep", metavar="ADDRESS", help="Also keep the barriers in this results store.")
@quiet_option
@json_option
def command(
    *,
    files: tuple[Path, ...],
    specie: str,
    resolution: float,
    radii: Any,
    mode: Any,
    workers: int | None,
    figure: Path | None,
    grid_format: str | None,
    has_paths: bool,
    folder: Path,
    out: Path | None,
    keep: str | None,
    is_submitted: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Find the barrier of a mobile ion in 1, 2 and 3 dimensions, in seconds.

    FILES are structures (CIF, POSCAR, pymatgen JSON) or pools (a folder, .jsonl, .csv). Oxidation
    states are taken from the file or guessed. A structure that cannot be computed is listed with
    the reason.
    """
    from ssefw.bvse.batch import barriers_of_many
    from ssefw.bvse.ions import parse_ion
    from ssefw.errors import DataError

    parse_ion(specie)  # a mistyped ion is told once, not for every structure
    if is_submitted:
        if figure or grid_format or has_paths or keep or len(files) != 1:
            raise click.UsageError("--submit takes one pool, and --out or --json.")
        physics = {"specie": specie, "resolution": resolution, "radii": radii, "mode": mode}
        _by_jobs(files[0], physics, out, as_json=as_json)
        return
    candidates = [candidate for path in files for candidate in _candidates(path)]
    cores = core_count()
    processes = min(workers or cores, len(candidates))
    settings: dict[str, Any] = {
        "ion": specie,
        "resolution": resolution,
        "radii": radii,
        "mode": mode,
        "threads": cores if processes == 1 else 1,
    }
    named = ((candidate.source, candidate.structure) for candidate in candidates)
    items = []
    found = barriers_of_many(named, workers=processes, **settings)
    ids = {candidate.source: candidate.id for candidate in candidates}
    with _json_lines(out, as_json=as_json) as write, _kept_in(keep) as store:
        for item in _with_progress(found, len(candidates), quiet=quiet):
            items.append(item)
            write(_record(item))
            if item.barrier is not None:
                store(item.barrier.model_copy(update={"candidate_id": ids[item.name]}))
    places = {candidate.source: place for place, candidate in enumerate(candidates)}
    items.sort(key=lambda item: places[item.name])
    if len(items) == 1 and items[0].barrier is None:
        raise DataError(f"{items[0].name}: {items[0].reason}")
    if figure or grid_format or has_paths:
        computed = {item.name for item in items if item.barrier is not None}
        del settings["mode"]
        for candidate in (one for one in candidates if one.source in computed):
            _write_files(
                candidate,
                folder / Path(candidate.source).stem,
                settings,
                figure=figure,
                grid_format=grid_format,
                has_paths=has_paths,
            )
    if not as_json:
        _print(items)
    if all(item.barrier is None for item in items):
        raise DataError(f"None of {len(items)} structures has a barrier; the reasons are above.")


def _by_jobs(pool: Path, physics: dict[str, Any], out: Path | None, *, as_json: bool) -> None:
    """Show the barriers that jobs have computed, or how far these are."""
    from ssefw.bvse.batch import BatchItem
    from ssefw.campaigns.running.batches import collected
    from ssefw.cli.batches import submitted
    from ssefw.cli.options import opened
    from ssefw.documents import BarrierPart
    from ssefw.makers.batches import BarrierBatchMaker

    with opened(create=True) as connection:
        maker = BarrierBatchMaker(**physics)
        batches = submitted(connection, pool, maker, names_differ=False, as_json=as_json)
        if batches is None:
            return
        parts = collected(connection, batches, BarrierPart)
    items = [
        BatchItem(name, formula, barrier, reason)
        for part in parts
        for (name, formula), barrier, reason in zip(
            part.rows, part.barriers, part.reasons, strict=True
        )
    ]
    items += [BatchItem(name, "", None, reason) for name, reason in batches.unread]
    with _json_lines(out, as_json=as_json) as write:
        for item in items:
            write(_record(item))
    if not as_json:
        _print(items)


@contextlib.contextmanager
def _json_lines(
    path: Path | None, *, as_json: bool
) -> "Iterator[Callable[[dict[str, Any]], None]]":
    """Write each record as it comes, so that an interrupted batch keeps what it has."""
    show = print_json if as_json else lambda _: None
    if path is None:
        yield show
    else:
        with path.open("w", encoding="utf-8", buffering=1) as file:

            def write(record: dict[str, Any]) -> None:
                show(record)
                file.write(f"{json.dumps(record)}\n")

            yield write


@contextlib.contextmanager
def _kept_in(address: str | None) -> "Iterator[Callable[[Barrier], None]]":
    """Keep barriers in a store, each structure and setting once."""
    if address is None:
        yield lambda _: None
        return
    from ssefw.documents import Barrier
    from ssefw.store import connect

    with connect(address) as connection:
        known = {
            (barrier.candidate_id, barrier.provenance.settings_hash)
            for barrier in connection.results.find(Barrier)
        }

        def keep(barrier: Barrier) -> None:
            identity = (barrier.candidate_id, barrier.provenance.settings_hash)
            if identity not in known:
                known.add(identity)
                connection.results.add(barrier, candidate=barrier.candidate_id, campaign="")

        yield keep


def _candidates(path: Path) -> "list[Candidate]":
    from ssefw.data import read_pool

    return read_pool(path, merge=False).candidates


def _with_progress(
    items: "Iterator[BatchItem]", total: int, *, quiet: bool
) -> "Iterator[BatchItem]":
    from rich.progress import track

    from ssefw.cli.console import errors

    screen = errors()
    hidden = quiet or total == 1 or not screen.is_terminal
    yield from track(
        items, "site energies", total=total, console=screen, transient=True, disable=hidden
    )


def _write_files(
    candidate: "Candidate",
    stem: Path,
    settings: dict[str, Any],
    *,
    figure: Path | None,
    grid_format: str | None,
    has_paths: bool,
) -> None:
    from ssefw.bvse import cell_field, site_energy_landscape
    from ssefw.bvse.outputs import landscape_record, write_cube, write_grd

    for folder in filter(None, (figure, stem.parent)):
        folder.mkdir(parents=True, exist_ok=True)
    result = site_energy_landscape(candidate.structure, **settings)
    if figure is not None:
        from ssefw.report.figures.bvse import barrier_figure
        from ssefw.report.style import save_figure

        save_figure(barrier_figure(result), figure / f"{stem.name}_bvse")
    if has_paths:
        text = json.dumps(landscape_record(result))
        stem.with_name(f"{stem.name}_paths.json").write_text(text + "\n")
    if grid_format is not None:
        field = cell_field(result.structure, **settings)
        path = stem.with_name(f"{stem.name}_bvse.{grid_format}")
        if grid_format == "cube":
            write_cube(path, field, result.structure)
        else:
            write_grd(path, field)


def _record(item: "BatchItem") -> dict[str, Any]:
    record: dict[str, Any] = {"name": item.name, "formula": item.formula}
    if item.barrier is None:
        return {**record, "status": "rejected", "reason": item.reason}
    barrier = item.barrier
    estimates = {"1d": barrier.barrier_1d, "2d": barrier.barrier_2d, "3d": barrier.barrier_3d}
    return {
        **record,
        "status": "computed",
        "specie": barrier.specie,
        **{f"barrier_{name}_ev": estimate.plain() for name, estimate in estimates.items()},
        "method": [estimate.method for estimate in estimates.values()],
        "warnings": list(barrier.warnings),
        "seconds": round(barrier.wall_time, 3),
    }


def _print(items: "list[BatchItem]") -> None:
    from ssefw.cli.listing import Heading, Listing

    numbers = [Heading(name, 0, "right") for name in ("1D", "2D", "3D")]
    table = Listing(
        [Heading("structure"), Heading("formula"), Heading("ion", 1), *numbers,
         Heading("seconds", 2, "right")],
        title="Barrier of the site energy (eV)",
    )  # fmt: skip
    for item in items:
        if item.barrier is None:
            table.add(item.name, item.formula, *5 * [""], notes=[f"rejected: {item.reason}"])
            continue
        barrier = item.barrier
        values = (barrier.barrier_1d, barrier.barrier_2d, barrier.barrier_3d)
        table.add(
            item.name,
            item.formula,
            barrier.specie,
            *(_shown(value) for value in values),
            f"{barrier.wall_time:.1f}",
            notes=barrier.warnings,
        )
    table.show()


def _shown(estimate: "Estimate") -> str:
    return f"{estimate.value:.3f}" if estimate.value is not None else f"> {estimate.lower:g}"
