"""``ssefw report``: the HTML page of a campaign."""

from pathlib import Path

import click

from ssefw.cli.options import opened, pick_campaign, settings, store_option


@click.command(epilog="Example: ssefw report quickstart --store demo")
@click.argument("campaign", required=False)
@store_option
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to write the page.")
def command(campaign: str | None, output: Path | None) -> None:
    """Write the report of a campaign, finished or not, as one self-contained page."""
    from ssefw.report import write_report

    with opened(read_only=True) as connection:
        name = pick_campaign(connection, campaign)
        click.echo(write_report(connection, name, settings(), output=output))
