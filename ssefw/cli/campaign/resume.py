"""``ssefw resume``: go on with a campaign that is in the store."""

import click

from ssefw.cli.options import opened, pick_campaign, settings, store_option


@click.command(epilog="Example: ssefw resume quickstart --store demo")
@click.argument("campaign", required=False)
@store_option
@click.option("--workers", type=int, help="Worker processes.  [default: one for each core]")
@click.option("--no-work", is_flag=True, help="Only let it go on; workers are elsewhere.")
@click.option("-q", "--quiet", is_flag=True, help="No progress display.")
def command(campaign: str | None, workers: int | None, *, no_work: bool, quiet: bool) -> int:
    """Take up a campaign where it stopped, however it stopped, and write its report.

    What was paused or cancelled goes on, and so does what had spent its budget if that was raised.
    """
    from ssefw.campaigns.running.watch import latest_record
    from ssefw.campaigns.steering.budget import lift_budget
    from ssefw.campaigns.steering.holds import lift
    from ssefw.cli.campaign.progress import work_to_the_end
    from ssefw.engines.stopping import stop_event

    with opened(stop=stop_event()) as connection:
        name = pick_campaign(connection, campaign)
        record = latest_record(connection, name)
        lift(connection, name)
        lift_budget(connection, record)
        if no_work:
            click.echo(f"{name} goes on where workers or a launcher run.")
            return 0
        return work_to_the_end(connection, name, settings(), workers=workers, quiet=quiet)
