"""``ssefw priority``: the order in which jobs run."""

import click

from ssefw.cli.campaign.parts import named_part, part_options
from ssefw.cli.numbers import PRIORITY
from ssefw.cli.options import dry_run_option, json_option, opened, print_json, store_option
from ssefw.cli.say import number_of, say


@click.command(epilog="Example: ssefw priority xrdmatch --candidate Li6PS5Cl --to 1000")
@part_options
@store_option
@click.option("--to", "priority", type=PRIORITY, required=True, help="Higher runs earlier.")
@dry_run_option
@json_option
def command(
    campaign: str | None,
    candidates: tuple[str, ...],
    stage: str,
    priority: int,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Set the priority of jobs that are not finished, and of those they will bring forth.

    A campaign of N candidates starts with N for the best of the ranking and 1 for the last.
    """
    from ssefw.campaigns.steering.control import set_priority

    with opened(read_only=dry_run) as connection:
        part = named_part(connection, campaign, candidates, stage)
        count = part.count(connection) if dry_run else set_priority(connection, part, priority)
    if as_json:
        print_json(
            {"campaign": part.campaign, "jobs": count, "priority": priority, "dry_run": dry_run}
        )
    else:
        say(f"{number_of(count, 'job')} {'would get' if dry_run else 'have'} priority {priority}.")
