"""``ssefw resume``: go on with a campaign that is in the store."""

from typing import TYPE_CHECKING

import click

from ssefw.cli import complete
from ssefw.cli.options import (
    answer,
    dry_run_option,
    json_option,
    opened,
    pick_campaign,
    print_json,
    quiet_option,
    settings,
    store_option,
    workers_option,
)
from ssefw.cli.say import say

if TYPE_CHECKING:
    from ssefw.campaigns.steering.holds import Hold
    from ssefw.store import Connection


@click.command(epilog="Example: ssefw resume quickstart --store demo")
@click.argument("campaign", required=False, shell_complete=complete.campaigns)
@store_option
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    metavar="CANDIDATE",
    help="Lift the pause or cancellation of this candidate only; may be repeated.",
)
@click.option("--stage", default="", show_default=False, help="Lift that of this stage only.")
@click.option("--all", "is_all", is_flag=True, help="Take back all cancellations too.")
@workers_option
@click.option("--no-work", is_flag=True, help="Only let it go on; workers are elsewhere.")
@dry_run_option
@quiet_option
@json_option
def command(
    campaign: str | None,
    candidates: tuple[str, ...],
    stage: str,
    workers: int | None,
    *,
    is_all: bool,
    no_work: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Take up a campaign where it stopped, however it stopped, and write its report.

    All that was paused goes on, and so does what had spent its budget if that was raised. What was
    cancelled stays so, unless --all or its --candidate or --stage takes it back; `ssefw status`
    lists both. The exit code is that of `ssefw run`.
    """
    from ssefw.campaigns.running.watch import latest_record
    from ssefw.campaigns.steering.budget import lift_budget
    from ssefw.campaigns.steering.hold_words import hold_line, hold_record, worth_saying
    from ssefw.cli.campaign.progress import work_to_the_end
    from ssefw.engines.stopping import stop_event

    if is_all and (candidates or stage):
        raise click.UsageError("give --all, or --candidate and --stage, not both")
    with opened(stop=stop_event()) as connection:
        name = pick_campaign(connection, campaign)
        record = latest_record(connection, name)
        if dry_run:
            _say_holds(connection, name, as_json=as_json)
            return 0
        lifted = _lift(connection, name, candidates, stage, is_all=is_all)
        lift_budget(connection, record)
        for item in lifted:
            say(f"Lifted: {hold_line(item, record)}", err=True)
        if no_work:
            from ssefw.campaigns.steering.holds import holds

            for item in worth_saying(holds(connection, name), is_done=False):
                say(f"Still: {hold_line(item, record)}", err=True)
            said = f"{name} goes on where workers or a launcher run."
            items = [hold_record(item, record) for item in lifted]
            answer({"campaign": name, "lifted": items}, said, as_json=as_json)
            return 0
        return work_to_the_end(
            connection, name, settings(), workers=workers, quiet=quiet, as_json=as_json
        )


def _say_holds(connection: "Connection", campaign: str, *, as_json: bool) -> None:
    """Say what holds the campaign now, which resuming may lift."""
    from ssefw.campaigns.running.watch import latest_record
    from ssefw.campaigns.steering.hold_words import hold_line, hold_record
    from ssefw.campaigns.steering.holds import holds

    record = latest_record(connection, campaign)
    found = holds(connection, campaign)
    if as_json:
        items = [hold_record(item, record) for item in found]
        print_json({"campaign": campaign, "holds": items, "dry_run": True})
        return
    for item in found:
        say(hold_line(item, record))
    say(f"{campaign} would go on{'' if found else '; nothing holds it'}.")


def _lift(
    connection: "Connection",
    campaign: str,
    candidates: tuple[str, ...],
    stage: str,
    *,
    is_all: bool,
) -> "list[Hold]":
    """Lift what was asked for; a part that was named must be held by itself."""
    from ssefw.campaigns.steering.hold_words import release_of
    from ssefw.campaigns.steering.holds import holds, lift, lift_part
    from ssefw.cli.campaign.parts import named_part
    from ssefw.errors import LaunchError

    if not (candidates or stage):
        return lift(connection, campaign, kinds=("pause", "cancel") if is_all else ("pause",))
    part = named_part(connection, campaign, candidates, stage)
    found = lift_part(connection, campaign, candidates=part.candidates, stage=part.stage)
    if not found:
        there = [
            f"`{release_of(item)}`"
            for item in holds(connection, campaign)
            if item.kind in {"pause", "cancel"}
        ]
        said = f"Lift what is held with {', '.join(there)}." if there else "Nothing is held."
        raise LaunchError(f"No pause or cancellation is of this part of {campaign} alone. {said}")
    return found
