"""``ssefw work``: one worker process."""

import click

from ssefw.cli.options import opened, settings, store_option


@click.command(epilog="Example: ssefw work --campaign quickstart --store demo")
@click.option("--campaign", help="Work for this campaign only.")
@click.option("--category", help="Take jobs of this category: heavy or light.")
@click.option("--no-wait", is_flag=True, help="Do not wait for jobs that other workers may bring.")
@store_option
def command(campaign: str | None, category: str | None, *, no_wait: bool) -> None:
    """Run jobs from the launch pad until none is left.

    SIGTERM, SIGINT, SIGUSR1 and the end of the allocation lead to a stop at the next chunk of
    frames; the rest of that run is then ready for another worker.
    """
    from ssefw.campaigns.launch import release_lost, work
    from ssefw.engines.stopping import install_signal_handlers

    stop = install_signal_handlers()
    ours = settings()
    if category is not None:
        ours = ours.model_copy(update={"category": category})
    with opened() as connection:
        release_lost(connection, ours)
        count = work(connection, ours, stop=stop, campaign=campaign, wait=not no_wait)
    click.echo(f"{count} jobs run.", err=True)
