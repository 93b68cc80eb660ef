"""``ssefw pool fetch``: pools from where others keep structures."""

from pathlib import Path

import click

from ssefw.cli.numbers import COUNT
from ssefw.cli.options import OUTPUT, json_option, print_json, quiet_option
from ssefw.cli.say import number_of, say

__all__ = ["fetch"]


@click.group("fetch")
def fetch() -> None:
    """Get a pool from a provider of structures."""


@fetch.command(
    "optimade",
    epilog="Example: ssefw pool fetch optimade https://optimade.materialsproject.org "
    '--filter \'elements HAS ALL "Li","Cl" AND nelements=3\' -o pool.jsonl',
)
@click.argument("url")
@click.option("--filter", "condition", required=True, help="OPTIMADE filter.")
@click.option("-o", "--out", type=OUTPUT, required=True, help="The pool to write (.jsonl).")
@click.option(
    "--property",
    "properties",
    multiple=True,
    metavar="NAME=FIELD",
    help="Number to keep, and the provider's field, such as band_gap=_oqmd_band_gap; may be "
    "repeated.",
)
@click.option("--limit", type=COUNT, help="Structures at most.")
@click.option("--page", type=COUNT, default=100, help="Structures asked for at a time.")
@quiet_option
@json_option
def optimade(
    *,
    url: str,
    condition: str,
    out: Path,
    properties: tuple[str, ...],
    limit: int | None,
    page: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Get structures from any provider that speaks OPTIMADE.

    Each row keeps the provider's id, where it is from and the licence that is stated. What was
    stopped goes on when it is called again.
    """
    from ssefw.cli.console import waiting
    from ssefw.data.optimade import Question, fetch_structures

    if out.suffix != ".jsonl":
        raise click.BadParameter("a pool of structures is written as .jsonl", param_hint="--out")
    named = dict(_named(text) for text in properties)
    with waiting(f"asking {url}", quiet=quiet):
        n_rows, left_out = fetch_structures(
            Question(url, condition, named), out, limit=limit, page=page
        )
    for name, reason in left_out:
        say(f"left out: {name} {reason}", err=True)
    if as_json:
        print_json({"pool": str(out), "structures": n_rows, "left_out": len(left_out)})
    else:
        say(f"{number_of(n_rows, 'structure')} in {out}")


def _named(text: str) -> tuple[str, str]:
    own, sign, field = text.partition("=")
    if not (own and sign and field):
        raise click.BadParameter(f"{text!r} is not NAME=FIELD", param_hint="--property")
    return own, field
