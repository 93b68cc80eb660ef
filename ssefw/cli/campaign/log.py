"""``ssefw log``: the output of a candidate's calculation."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssefw.cli.numbers import COUNT
from ssefw.cli.options import opened, pick_campaign, store_option
from ssefw.cli.say import say
from ssefw.files import printable

if TYPE_CHECKING:
    from ssefw.campaigns.running.jobs import CampaignJob
    from ssefw.store import Connection

FIRST = ("failed", "running", "done")
"""Of several jobs the one in the first of these states is meant."""


@click.command(epilog="Example: ssefw log Li2O --stage relax --store demo")
@click.argument("candidate")
@click.option("--campaign", help="Of this campaign.  [default: the only one]")
@click.option(
    "--stage", default="", show_default=False, help="Of this stage, such as relax or 'md 600 K'."
)
@click.option(
    "--file", "name", metavar="NAME", help="This file of the folder.  [default: OUTCAR ...]"
)
@click.option("--lines", type=COUNT, default=40, help="So many of its last lines.")
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Go on as it grows.")
@click.option("--path", "is_path", is_flag=True, help="Print only where the file is.")
@click.option("--traceback", "is_traceback", is_flag=True, help="Print the error of a failed job.")
@store_option
def command(
    candidate: str,
    campaign: str | None,
    stage: str,
    name: str | None,
    lines: int,
    *,
    is_followed: bool,
    is_path: bool,
    is_traceback: bool,
) -> None:
    """Show the end of the output of a candidate's calculation: OUTCAR, pw.out, neb.out ...

    Of several jobs the one that failed is meant, else the one that runs, else the last; --stage
    names another. The candidate is named by formula, name, id or its beginning.
    """
    from ssefw.campaigns.running.output_files import files_of, main_output, tail
    from ssefw.errors import LaunchError

    with opened(read_only=True) as connection:
        job = _job(connection, pick_campaign(connection, campaign), candidate, stage)
        folder = Path(job.run_folder) if job.run_folder else None
        say(f"{job.name} of {job.formula}, {job.state}: {folder or 'no folder'}", err=True)
        if is_traceback or (folder is None and job.traceback):
            say(printable(job.traceback.rstrip() or job.message))
            return
        if folder is None or not folder.is_dir():
            raise LaunchError(
                f"{job.name} of {job.formula} left no files that can be seen from here. "
                "`ssefw jobs --all` lists the other jobs."
            )
        path = main_output(folder, name=name)
        if is_path:
            say(path or folder)
            return
        if path is None:
            there = ", ".join(str(item.relative_to(folder)) for item in files_of(folder)[:20])
            say(f"It has no output for people, but {there or 'no files'}.", err=True)
        else:
            say(f"{path}:", err=True)
            say(printable(tail(path, lines)))
        if is_followed:
            _follow(connection, job, folder, name)


def _job(connection: "Connection", campaign: str, candidate: str, stage: str) -> "CampaignJob":
    """Return the job that is meant."""
    from ssefw.campaigns.running.jobs import campaign_jobs
    from ssefw.cli.campaign.parts import named_part
    from ssefw.errors import LaunchError

    part = named_part(connection, campaign, (candidate,), stage)
    jobs = list(campaign_jobs(connection, campaign, states=FIRST, query=part.query))
    jobs = [job for job in jobs if job.run_folder or job.traceback]
    for state in FIRST:
        for job in jobs:
            if job.state == state:
                others = [f"{x.name} ({x.state})" for x in jobs if x is not job]
                if others and not stage:
                    say(f"There are also {', '.join(others)}: give --stage.", err=True)
                return job
    of_stage = f"{stage} of " if stage else ""
    raise LaunchError(
        f"No job {of_stage}{candidate} in campaign {campaign} has left files: what succeeds with "
        "a potential within Python leaves none, and what waits has none yet. "
        "`ssefw jobs --all` lists all."
    )


def _follow(connection: "Connection", job: "CampaignJob", folder: Path, name: str | None) -> None:
    from ssefw.campaigns.running.output_files import follow, main_output
    from ssefw.engines.stopping import install_signal_handlers

    fireworks = connection.launchpad.fireworks

    def is_running() -> bool:
        query = {"fw_id": job.job_id, "state": "RUNNING"}
        return fireworks.find_one(query, {"_id": True}) is not None

    for added in follow(
        lambda: main_output(folder, name=name),
        is_running=is_running,
        stop=install_signal_handlers(),
    ):
        say(added, nl=False)
