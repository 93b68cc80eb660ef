"""``ssefw rerun``: run failed jobs again."""

import click

from ssefw.cli.campaign.parts import named_part, part_options
from ssefw.cli.options import dry_run_option, json_option, opened, print_json, store_option
from ssefw.cli.say import number_of, say
from ssefw.files import printable


@click.command(epilog="Example: ssefw rerun xrdmatch --cause memory --dry-run")
@part_options
@store_option
@click.option("--cause", help="Only jobs that failed of this, as `ssefw status` names it.")
@dry_run_option
@json_option
def command(
    campaign: str | None,
    candidates: tuple[str, ...],
    stage: str,
    cause: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make failed jobs ready again; they go on from the frames they have."""
    from ssefw.campaigns.running.causes import CAUSE_NAMES
    from ssefw.campaigns.running.jobs import called
    from ssefw.campaigns.running.watch import latest_record
    from ssefw.campaigns.steering.control import failed_in, rerun

    if cause is not None and cause not in CAUSE_NAMES:
        raise click.BadParameter(f"one of {', '.join(CAUSE_NAMES)}", param_hint="--cause")
    with opened(read_only=dry_run) as connection:
        part = named_part(connection, campaign, candidates, stage)
        jobs = failed_in(connection, part, cause=cause)
        if not dry_run:
            rerun(connection, jobs)
        names = called(latest_record(connection, part.campaign))
    for job in jobs:
        formula = names.get(job.candidate_id, job.candidate_id)
        if as_json:
            print_json(
                {
                    "candidate_id": job.candidate_id,
                    "formula": formula,
                    "job": job.name,
                    "cause": job.cause.name,
                    "message": job.message,
                    "dry_run": dry_run,
                }
            )
        else:
            say(printable(f"{job.name} of {formula}: {job.cause.name}, {job.message}"))
    verb = "would be" if dry_run else "is" if len(jobs) == 1 else "are"
    say(f"{number_of(len(jobs), 'job')} {verb} ready to run again.", err=True)
