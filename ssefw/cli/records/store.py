"""``ssefw store``: check, back up, copy, archive and delete what is stored."""

from typing import TYPE_CHECKING

import click

from ssefw.cli.options import json_option, print_json, settings, store_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ssefw.store.upkeep.findings import Finding


@click.group()
def command() -> None:
    """Check, back up, copy, archive and delete what is stored."""


@command.command("check", epilog="Example: ssefw store check demo --repair")
@click.argument("address", required=False)
@click.option("--repair", is_flag=True, help="Mend what can be mended; end the workers first.")
@json_option
@store_option
def check(address: str | None, *, repair: bool, as_json: bool) -> int:
    """Look for damaged, missing, orphaned and doubled records and blobs.

    ADDRESS is a folder or a server's address; the setting store if it is not given. Exit code 1 if
    something is wrong and was not mended. A damaged database file is kept beside the new one.
    """
    from ssefw.store import Address
    from ssefw.store.upkeep.checking import check_store

    place = Address(address or settings().store)
    return _shown(check_store(place, repair=repair), str(place), as_json=as_json)


def _shown(findings: "Iterable[Finding]", place: str, *, as_json: bool) -> int:
    """Print what a check says as it says it, and return the exit code."""
    from dataclasses import asdict

    n_found, n_left = 0, 0
    for finding in findings:
        n_found += 1
        n_left += not finding.mended
        if as_json:
            print_json(asdict(finding))
            continue
        state = "mended" if finding.mended else "wrong"
        remedy = f" ({finding.remedy})" if finding.remedy else ""
        click.echo(f"{state:7} {finding.kind:8} {finding.where}: {finding.what}{remedy}")
    said = "all is sound" if n_found == 0 else f"{n_found} found, {n_found - n_left} mended"
    click.echo(f"{place}: {said}.", err=True)
    return int(n_left > 0)
