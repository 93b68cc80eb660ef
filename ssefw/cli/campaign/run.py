"""``ssefw run``: a campaign from its file to its report."""

from pathlib import Path

import click

from ssefw.cli.options import (
    answer,
    core_count,
    dry_run_option,
    json_option,
    opened,
    quiet_option,
    settings,
    store_option,
    workers_option,
)
from ssefw.cli.say import number_of, say

EXAMPLE = "Example: ssefw run workflows/quickstart.yaml --store demo"


@click.command(epilog=EXAMPLE)
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@workers_option
@dry_run_option
@quiet_option
@json_option
def command(file: Path, workers: int | None, *, dry_run: bool, quiet: bool, as_json: bool) -> int:
    """Plan, submit and work a campaign to its end, then write its report.

    It may be interrupted at any moment (Ctrl-C, kill, power): run it again, or `ssefw resume`, and
    it goes on from the last chunk of frames.

    Exit codes: 0 all that was to run has run, 1 an error, 2 wrong options, 3 jobs have failed,
    4 what is left is paused or beyond the budget, 130 interrupted.
    """
    from ssefw.campaigns.file import read_campaign
    from ssefw.campaigns.planning.needs import missing_for
    from ssefw.campaigns.planning.plan import make_plan
    from ssefw.campaigns.running.submission import submit
    from ssefw.cli.campaign.progress import submitting, work_to_the_end
    from ssefw.engines.stopping import stop_event
    from ssefw.errors import LaunchError

    plan = make_plan(read_campaign(file), workers=core_count())
    if missing := missing_for(plan):
        raise LaunchError(f"{' '.join(missing)} Nothing was submitted.")
    if dry_run:
        record = {"campaign": plan.spec.campaign, "candidates": len(plan.candidates)}
        count = number_of(len(plan.candidates), "candidate")
        said = f"{count} would be run; `ssefw plan {file}` lists what."
        answer(record | {"dry_run": True}, said, as_json=as_json)
        return 0
    with opened(create=True, stop=stop_event()) as connection:
        with submitting(len(plan.candidates), quiet=quiet) as progress:
            done = submit(plan, connection, progress=progress)
        if not quiet:
            say(
                f"Campaign {plan.spec.campaign}: {number_of(done.added, 'candidate')} submitted, "
                f"{done.present} there before, {len(plan.excluded)} filtered out, "
                f"{len(plan.rejects)} unreadable, {len(plan.merged)} duplicates merged.",
                err=True,
            )
        return work_to_the_end(
            connection,
            plan.spec.campaign,
            settings(),
            workers=workers,
            quiet=quiet,
            as_json=as_json,
        )
