"""``ssefw cancel``: give up a part of a campaign."""

import click

from ssefw.campaigns.steering.hold_words import release_of
from ssefw.cli.campaign.parts import named_part, part_options
from ssefw.cli.options import answer, dry_run_option, json_option, opened, print_json, store_option
from ssefw.cli.say import number_of, say


@click.command(epilog="Example: ssefw cancel xrdmatch --candidate Li3YCl6 --yes")
@part_options
@store_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@dry_run_option
@json_option
def command(
    campaign: str | None,
    candidates: tuple[str, ...],
    stage: str,
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give up the jobs that are left of a campaign, of candidates or of a stage.

    Running jobs store their frames and stop. What was cancelled counts as done. Nothing that was
    computed is lost, and `ssefw resume` with --candidate, --stage or --all takes it back.
    """
    from ssefw.campaigns.steering.control import put_on_hold, stop_running

    with opened(read_only=dry_run) as connection:
        part = named_part(connection, campaign, candidates, stage)
        count, running = part.count(connection), part.count(connection, "RUNNING")
        record = {"campaign": part.campaign, "jobs": count, "running": running, "dry_run": dry_run}
        if dry_run:
            said = f"{number_of(count, 'job')} would be cancelled; {running} of them run."
            answer(record, said, as_json=as_json)
            return
        if not yes:
            click.confirm(
                f"Cancel {number_of(count, 'job')} of {part.campaign}, {running} running?",
                abort=True,
                err=True,
            )
        put_on_hold(connection, part, "cancel")
        asked, missed = stop_running(connection, part)
    if as_json:
        print_json(record | {"asked_to_stop": asked, "out_of_reach": missed})
        return
    away = f", {missed} cannot be reached from here" if missed else ""
    told = number_of(asked, "worker")
    say(
        f"Cancelled {number_of(count, 'job')} of {part.campaign}; {told} asked to stop{away}. "
        f"`{release_of(part.hold('cancel'))}` takes it back."
    )
