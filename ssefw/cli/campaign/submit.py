"""``ssefw submit``: put a campaign on the launch pad."""

import sys
from pathlib import Path

import click

from ssefw.cli.options import (
    answer,
    core_count,
    dry_run_option,
    json_option,
    opened,
    print_json,
    quiet_option,
    store_option,
)
from ssefw.cli.say import number_of, say


@click.command(epilog="Example: ssefw submit workflows/quickstart.yaml --dry-run")
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@dry_run_option
@click.option("-y", "--yes", is_flag=True, help="Go on with changed settings without asking.")
@quiet_option
@json_option
def command(file: Path, *, dry_run: bool, yes: bool, quiet: bool, as_json: bool) -> None:
    """Put a campaign on the launch pad; what is there already stays as it is.

    If the store holds the campaign with other settings, it says what of it stays and what will be
    computed again, and asks.
    """
    from ssefw.campaigns.file import read_campaign
    from ssefw.campaigns.planning.change import change_of
    from ssefw.campaigns.planning.plan import make_plan
    from ssefw.campaigns.running.submission import submit
    from ssefw.cli.campaign.progress import submitting
    from ssefw.cli.options import changed, warn_of_missing

    plan = make_plan(read_campaign(file), workers=core_count())
    warn_of_missing(plan)
    if dry_run:
        if change := changed(plan):
            say(str(change), err=as_json)
        record = {"campaign": plan.spec.campaign, "candidates": len(plan.candidates)}
        count = number_of(len(plan.candidates), "candidate")
        said = f"{count} would be submitted, less those there."
        answer(record | {"dry_run": True}, said, as_json=as_json)
        return
    with opened(create=True) as connection:
        change = change_of(plan, connection)
        if change is not None:
            say(str(change), err=True)
            if not yes and not sys.stdin.isatty():
                change = None  # refused by what follows, which says how to go on
            elif not yes:
                click.confirm("Go on with the new settings?", abort=True, err=True)
        with submitting(len(plan.candidates), quiet=quiet) as progress:
            done = submit(plan, connection, change=change, progress=progress)
    if as_json:
        print_json(
            {
                "campaign": plan.spec.campaign,
                "candidates": len(plan.candidates),
                "added": done.added,
                "present": done.present,
                "dry_run": False,
            }
        )
        return
    say(
        f"Campaign {plan.spec.campaign}: {number_of(done.added, 'candidate')} submitted, "
        f"{done.present} there before."
    )
