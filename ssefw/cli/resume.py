"""``ssefw resume``: go on with a campaign that is in the store."""

import click

from ssefw.cli.options import opened, pick_campaign, settings, store_option


@click.command(epilog="Example: ssefw resume quickstart --store demo")
@click.argument("campaign", required=False)
@store_option
@click.option("--workers", type=int, help="Worker processes.  [default: one for each core]")
@click.option("-q", "--quiet", is_flag=True, help="No progress display.")
def command(campaign: str | None, workers: int | None, *, quiet: bool) -> int:
    """Take up a campaign where it stopped, however it stopped, and write its report."""
    from ssefw.campaigns.watch import latest_record
    from ssefw.cli.progress import work_to_the_end

    with opened() as connection:
        name = pick_campaign(connection, campaign)
        latest_record(connection, name)
        return work_to_the_end(connection, name, settings(), workers=workers, quiet=quiet)
