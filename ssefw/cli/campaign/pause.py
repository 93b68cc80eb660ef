"""``ssefw pause``: hold a part of a campaign."""

import click

from ssefw.campaigns.steering.hold_words import release_of
from ssefw.cli.campaign.parts import named_part, part_options
from ssefw.cli.options import answer, dry_run_option, json_option, opened, print_json, store_option
from ssefw.cli.say import number_of, say


@click.command(epilog="Example: ssefw pause xrdmatch --candidate Li6PS5Cl --now")
@part_options
@store_option
@click.option("--now", is_flag=True, help="Running jobs too: they store their frames and stop.")
@dry_run_option
@json_option
def command(
    campaign: str | None,
    candidates: tuple[str, ...],
    stage: str,
    *,
    now: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let no further job of a campaign, of candidates or of a stage start.

    Jobs that run end by themselves unless --now. `ssefw resume` goes on, with --candidate or
    --stage in a part of it.
    """
    from ssefw.campaigns.steering.control import put_on_hold, stop_running

    with opened(read_only=dry_run) as connection:
        part = named_part(connection, campaign, candidates, stage)
        count, running = part.count(connection), part.count(connection, "RUNNING")
        record = {"campaign": part.campaign, "jobs": count, "running": running, "dry_run": dry_run}
        if dry_run:
            said = f"{number_of(count, 'job')} would be held; {running} run."
            answer(record, said, as_json=as_json)
            return
        put_on_hold(connection, part, "pause")
        said = f"Held {number_of(count, 'job')} of {part.campaign}; {running} run"
        if now:
            asked, missed = stop_running(connection, part)
            record |= {"asked_to_stop": asked, "out_of_reach": missed}
            said += f", {asked} workers were asked to stop"
            said += f", {missed} cannot be reached from here" if missed else ""
    if as_json:
        print_json(record)
        return
    say(f"{said}. `{release_of(part.hold('pause'))} --no-work` lets them go on.")
