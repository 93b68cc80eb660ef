"""``ssefw pool substitute``: known frameworks with other ions."""

import json
from pathlib import Path

import click

from ssefw.cli.numbers import EXCHANGES, LEVEL
from ssefw.cli.options import OUTPUT, json_option, print_json
from ssefw.cli.say import number_of, say

__all__ = ["substitute_command"]


@click.command(
    "substitute", epilog="Example: ssefw pool substitute known.jsonl -o new.jsonl --without Tl"
)
@click.argument("pool", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=OUTPUT, required=True, help="The pool to write (.jsonl).")
@click.option("--specie", "ion", default="Li", help="The mobile ion, which stays.")
@click.option(
    "--at-once",
    type=EXCHANGES,
    default=1,
    help="Exchanges in one crystal at most.",
)
@click.option(
    "--probability", type=LEVEL, default=0.01, help="Least probability of the exchanges together."
)
@click.option("--without", multiple=True, help="Element that is not put in; repeat.")
@click.option("--phases", type=click.Path(path_type=Path), help="Phases with formation energies.")
@json_option
def substitute_command(
    *,
    pool: Path,
    out: Path,
    ion: str,
    at_once: int,
    probability: float,
    without: tuple[str, ...],
    phases: Path | None,
    as_json: bool,
) -> None:
    """Make a pool of known frameworks in which ions of the same charge take the place of others.

    Which do, and how likely, is pymatgen's table, learned from the ICSD. Crystals that the pool
    has, or that come out twice, are left out. With --phases compositions that are listed are left
    out, too, and the others state the formation energy that they must reach to be stable.
    """
    from ssefw.cli.screen.inputs import readable_rows
    from ssefw.files import replacing
    from ssefw.screening.filters.phases import read_phases
    from ssefw.screening.substitution import substitute

    if out.suffix != ".jsonl":
        raise click.BadParameter("a pool of structures is written as .jsonl", param_hint="--out")
    made = substitute(
        (row for row in readable_rows(pool) if row.build is not None),
        ion=ion,
        at_once=at_once,
        least_probability=probability,
        without=without,
        phases=read_phases(phases) if phases else None,
    )
    with replacing(out) as draft, draft.open("w") as file:
        for one in made.found:
            file.write(json.dumps(one.record(), default=float) + "\n")
    for name, reason in made.refused:
        say(f"left out: {name}: {reason}", err=True)
    left_out = {"refused": len(made.refused), "twins": made.twins, "listed": made.listed}
    if as_json:
        print_json({"pool": str(out), "structures": len(made.found), **left_out})
        return
    say(
        f"{number_of(len(made.found), 'crystal')} in {out}; {made.twins} more are twins of others"
        + (f", {made.listed} have a composition that is listed" if phases else "")
    )
