"""``ssefw submit``: put a campaign on the launch pad."""

from pathlib import Path

import click

from ssefw.cli.options import opened, store_option


@click.command(epilog="Example: ssefw submit workflows/quickstart.yaml --dry-run")
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be added; write nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No progress display.")
def command(file: Path, *, dry_run: bool, quiet: bool) -> None:
    """Put a campaign on the launch pad; what is there already stays as it is."""
    from ssefw.campaigns.launch import submit
    from ssefw.campaigns.plan import make_plan
    from ssefw.campaigns.spec import read_campaign
    from ssefw.cli.progress import submitting

    plan = make_plan(read_campaign(file))
    if dry_run:
        click.echo(f"{len(plan.candidates)} candidates would be submitted, less those there.")
        return
    with (
        opened(create=True) as connection,
        submitting(len(plan.candidates), quiet=quiet) as progress,
    ):
        done = submit(plan, connection, progress=progress)
    click.echo(
        f"Campaign {plan.spec.campaign}: {done.added} candidates submitted, "
        f"{done.present} there before."
    )
