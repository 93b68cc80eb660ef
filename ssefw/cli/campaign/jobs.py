"""``ssefw jobs``: the jobs of campaigns one by one."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ssefw.cli import complete
from ssefw.cli.options import json_option, opened, pick_campaign, print_json, store_option
from ssefw.cli.say import say

if TYPE_CHECKING:
    from ssefw.campaigns.running.jobs import CampaignJob

COLORS = {"failed": "red", "running": "green"}


@click.command(epilog="Example: ssefw jobs quickstart --failed --store demo")
@click.argument("campaign", required=False, shell_complete=complete.campaigns)
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    metavar="CANDIDATE",
    help="Only of this candidate: id or its beginning, formula, or name; may be repeated.",
)
@click.option(
    "--stage", default="", show_default=False, help="Only this stage, such as md or 'md 600 K'."
)
@click.option("--failed", "is_failed", is_flag=True, help="Only those that failed.")
@click.option("--running", "is_running", is_flag=True, help="Only those that run.")
@click.option("--all", "is_all", is_flag=True, help="Those that are done or wait, too.")
@store_option
@json_option
def command(
    campaign: str | None,
    candidates: tuple[str, ...],
    stage: str,
    *,
    is_failed: bool,
    is_running: bool,
    is_all: bool,
    as_json: bool,
) -> None:
    """List the jobs that run and those that failed, the latest first: where, and why.

    Each has its id, candidate, stage with the temperature, worker and queue job, and the folder of
    its calculation. `ssefw log` shows the output in that folder, `ssefw rerun` runs failed ones
    again.
    """
    from ssefw.campaigns.running.jobs import campaign_jobs
    from ssefw.cli.campaign.parts import named_part

    states = [word for word, is_asked in (("failed", is_failed), ("running", is_running))
              if is_asked]  # fmt: skip
    if is_all and states:
        raise click.UsageError("give --all, or --failed and --running, not both")
    if not (is_all or states):
        states = ["failed", "running"]
    with opened(read_only=True) as connection:
        name = pick_campaign(connection, campaign)
        part = named_part(connection, name, candidates, stage)
        jobs = list(campaign_jobs(connection, name, states=states, query=part.query))
    if as_json:
        for job in jobs:
            print_json({key: value for key, value in asdict(job).items() if key != "traceback"})
        return

    from ssefw.cli.console import console

    for job in jobs:
        line, *more = _lines(job)
        console().print(line, style=COLORS.get(job.state, ""), soft_wrap=True)
        for text in more:
            console().print(f"    {text}", soft_wrap=True)
    if not jobs:
        words = " or ".join(states)
        say(f"No job of this part of {name} is {words}." if words else "No jobs.", err=True)


def _lines(job: "CampaignJob") -> Iterator[str]:
    place = ", ".join(filter(None, (job.worker, job.queue_job)))
    yield f"{job.job_id:>6}  {job.state:8} {job.name} of {job.formula}" + (
        f"  on {place}" if place else ""
    )
    if job.message:
        yield f"{job.cause}: {job.message}"
    if job.run_folder:
        yield f"folder: {job.run_folder}"
