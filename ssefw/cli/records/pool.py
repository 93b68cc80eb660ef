"""``ssefw pool``: look at a pool before it is used."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ssefw.cli.numbers import ARRANGEMENTS, COUNT, LENGTH, SEED
from ssefw.cli.options import (
    core_count,
    json_option,
    print_json,
    quiet_option,
    workers_option,
)
from ssefw.cli.records.fetch import fetch
from ssefw.cli.records.substitute import substitute_command
from ssefw.cli.say import number_of, say

if TYPE_CHECKING:
    from ssefw.documents import Candidate, Orderings, OrderingSettings


@click.group()
def command() -> None:
    """Look at a pool of structures, or get one."""


command.add_command(fetch)
command.add_command(substitute_command)


@command.command("show", epilog="Example: ssefw pool show structures/")
@click.argument("path", type=click.Path(path_type=Path))
@json_option
def show(path: Path, *, as_json: bool) -> None:
    """List the candidates of a pool, duplicates merged."""
    from ssefw.data import read_pool

    pool = read_pool(path)
    if as_json:
        for candidate in pool.candidates:
            record = candidate.model_dump(mode="json", exclude={"structure"})
            print_json(record | {"n_sites": len(candidate.structure)})
        return

    from ssefw.cli.listing import Heading, Listing

    table = Listing(
        [Heading("id"), Heading("formula"), Heading("sites", 2, "right"), Heading("ordered", 1),
         Heading("source")]
    )  # fmt: skip
    for candidate in pool.candidates:
        also = f"also in {', '.join(candidate.aliases)}" if candidate.aliases else ""
        table.add(
            candidate.id,
            candidate.formula,
            len(candidate.structure),
            "yes" if candidate.structure.is_ordered else "no",
            candidate.source,
            notes=[also],
        )
    table.show()


@command.command("check", epilog="Example: ssefw pool check structures/ --strict")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Stop at the first entry that cannot be read.")
@workers_option
@quiet_option
@json_option
def check(path: Path, *, strict: bool, workers: int | None, quiet: bool, as_json: bool) -> int:
    """Say what of a pool is there twice and what cannot be read; exit code 1 if anything cannot.

    Of each disordered crystal it says how it would be ordered, or why it cannot be.
    """
    from ssefw.cli.console import progress
    from ssefw.data.survey import survey_pool
    from ssefw.documents import Orderings, OrderingSettings

    with progress(quiet=quiet):
        pool = survey_pool(path, workers=workers or core_count(), strict=strict)
    orders = (
        (candidate, _order(candidate, OrderingSettings(number=1))) for candidate in pool.disordered
    )
    if as_json:
        for reject in pool.rejects:
            print_json({"source": reject.source, "problem": "unreadable", "reason": reject.reason})
        for source, kept in pool.merged:
            print_json({"source": source, "problem": "duplicate", "of": kept})
        for candidate, found in orders:
            print_json({"source": candidate.source, "disordered": True, **_order_record(found)})
    else:
        for reject in pool.rejects:
            say(f"unreadable: {reject.reason}")
        for source, kept in pool.merged:
            say(f"duplicate: {source} is {kept}")
        for candidate, found in orders:
            told = _order_line(found) if isinstance(found, Orderings) else found
            say(f"disordered: {candidate.source}: {told}")
        say(
            f"{number_of(pool.n_candidates, 'candidate')}, {len(pool.rejects)} unreadable, "
            f"{len(pool.merged)} duplicates, {len(pool.disordered)} disordered",
            err=True,
        )
    return int(bool(pool.rejects))


@command.command("order", epilog="Example: ssefw pool order LGPS.cif --number 5 -o cells/")
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--number", default=3, show_default=True, type=ARRANGEMENTS)
@click.option(
    "--choose",
    type=click.Choice(["lowest", "sampled", "random"]),
    default="sampled",
    show_default=True,
    help="Of lowest electrostatic energy, drawn by Boltzmann weight, or any.",
)
@click.option(
    "--min-length", default=10.0, show_default=True, type=LENGTH, help="Between faces, A."
)
@click.option("--max-atoms", default=400, show_default=True, type=COUNT)
@click.option(
    "--specie", "ion", default="Li", show_default=True, help="What takes up left-over charge."
)
@click.option("--seed", default=0, show_default=True, type=SEED)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the cells."
)
@json_option
def order(  # one argument for each option
    paths: tuple[Path, ...],
    *,
    number: int,
    choose: Literal["lowest", "sampled", "random"],
    min_length: float,
    max_atoms: int,
    ion: str,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> int:
    """Write ordered cells of disordered crystals as CIF, with a table; exit code 1 if one has none.

    PATHS are structure files, folders or tables. The cells are the smallest neutral ones that hold
    whole atoms; the same seed gives the same cells, and a larger number keeps the first.
    """
    from ssefw.data import read_pool
    from ssefw.data.orderings import write_orderings
    from ssefw.documents import OrderingSettings

    wanted = OrderingSettings(
        number=number,
        choose=choose,
        min_length=min_length,
        max_atoms=max_atoms,
        mobile=ion,
        seed=seed,
    )
    found, refused = [], 0
    for path in paths:
        for candidate in read_pool(path).candidates:
            orderings = _order(candidate, wanted)
            if isinstance(orderings, str):
                say(f"{candidate.source}: {orderings}", err=True)
                refused += 1
                continue
            found.append((candidate, orderings))
            if as_json:
                print_json({"source": candidate.source, **_order_record(orderings)})
            else:
                say(f"{candidate.source}: {_order_line(orderings)}")
                for ordering in orderings.orderings:
                    say(f"  {ordering.index}: {1000 * ordering.above_lowest:8.2f} meV/atom")
            for warning in orderings.warnings:
                say(f"{candidate.source}: {warning}", err=True)
    if out is not None:
        n_files = write_orderings(found, out)
        say(f"{n_files} cells and orderings.csv in {out}", err=True)
    return int(bool(refused))


def _order(candidate: "Candidate", settings: "OrderingSettings") -> "Orderings | str":
    """Return the orderings of a candidate, or why there are none."""
    from ssefw.data.orderings import order_crystal
    from ssefw.errors import DataError

    try:
        return order_crystal(candidate.structure, settings)
    except DataError as error:
        return str(error)


def _order_record(found: "Orderings | str") -> dict[str, Any]:
    if isinstance(found, str):
        return {"ordered": False, "reason": found}
    record = found.model_dump(mode="json", exclude={"orderings"})
    cells = [o.model_dump(mode="json", exclude={"structure"}) for o in found.orderings]
    return {"ordered": True, **record, "orderings": cells}


def _order_line(found: "Orderings") -> str:
    formula = "".join(f"{e}{n}" for e, n in found.composition.items())
    changes = ", ".join(f"{e} {n:+.2f}" for e, n in found.changes.items() if abs(n) >= 0.005)
    changed = f"{found.error:.2%} of the atoms changed ({changes})" if changes else "as reported"
    return (
        f"{found.formula} as {formula}, {found.n_atoms} atoms, {found.width:.1f} A wide, {changed}"
    )
