"""``ssefw pool``: look at a pool before it is used."""

from pathlib import Path

import click

from ssefw.cli.options import json_option, print_json


@click.group()
def command() -> None:
    """Look at a pool of structures."""


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

    from rich.table import Table

    from ssefw.cli.console import console

    table = Table()
    for name in ("id", "formula", "sites", "ordered", "source", "also in"):
        table.add_column(name)
    for candidate in pool.candidates:
        table.add_row(
            candidate.id,
            candidate.formula,
            str(len(candidate.structure)),
            "yes" if candidate.structure.is_ordered else "no",
            candidate.source,
            ", ".join(candidate.aliases),
        )
    console().print(table)


@command.command("check", epilog="Example: ssefw pool check structures/ --strict")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Stop at the first entry that cannot be read.")
@json_option
def check(path: Path, *, strict: bool, as_json: bool) -> int:
    """Say what of a pool is there twice and what cannot be read; exit code 1 if anything cannot."""
    import logging

    from ssefw.data import read_pool

    # What cannot be read is the answer here; elsewhere it is a warning.
    logging.getLogger("ssefw.data.pools").setLevel(logging.ERROR)
    pool = read_pool(path, strict=strict)
    if as_json:
        for reject in pool.rejects:
            print_json({"source": reject.source, "problem": "unreadable", "reason": reject.reason})
        for source, kept in pool.merged:
            print_json({"source": source, "problem": "duplicate", "of": kept})
    else:
        for reject in pool.rejects:
            click.echo(f"unreadable: {reject.reason}")
        for source, kept in pool.merged:
            click.echo(f"duplicate: {source} is {kept}")
        click.echo(
            f"{len(pool.candidates)} candidates, {len(pool.rejects)} unreadable, "
            f"{len(pool.merged)} duplicates",
            err=True,
        )
    return int(bool(pool.rejects))
