"""``ssefw report``: the HTML page of a campaign."""

from pathlib import Path
from typing import Literal

import click

from ssefw.cli import complete
from ssefw.cli.options import (
    OUTPUT,
    json_option,
    opened,
    pick_campaign,
    print_json,
    settings,
    store_option,
)
from ssefw.cli.say import say


@click.command(epilog="Example: ssefw report quickstart --store demo")
@click.argument("campaign", required=False, shell_complete=complete.campaigns)
@store_option
@click.option("-o", "--out", type=OUTPUT, help="Where to write the page.  [default: in the store]")
@click.option(
    "--frames/--no-frames",
    default=True,
    help="Also write frames of the runs, thinned, into a folder beside the page.",
)
@click.option(
    "--rules",
    type=click.Choice(["pymatgen"]),
    help="Put beside each diffusivity what pymatgen's DiffusionAnalyzer says; reads all frames.",
)
@click.option("--open", "is_opened", is_flag=True, help="Open it in the browser of this machine.")
@json_option
def command(
    campaign: str | None,
    out: Path | None,
    *,
    frames: bool,
    rules: Literal["pymatgen"] | None,
    is_opened: bool,
    as_json: bool,
) -> None:
    """Write the report of a campaign, finished or not, as one self-contained page.

    Only the links to frames lead out of it, to a folder of extended XYZ files beside it.
    """
    from ssefw.report.page import write_report

    with opened(read_only=True) as connection:
        name = pick_campaign(connection, campaign)
        path = write_report(connection, name, settings(), output=out, frames=frames, rules=rules)
    if is_opened:
        click.launch(str(path.resolve()))
    if as_json:
        print_json({"campaign": name, "report": str(path)})
    else:
        say(path)
