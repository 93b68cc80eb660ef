"""``ssefw work``: one worker process."""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ssefw.cli.numbers import SECONDS
from ssefw.cli.options import dry_run_option, opened, settings, store_option
from ssefw.cli.say import number_of, say


@click.command(epilog="Example: ssefw work --campaign quickstart --store demo")
@click.option("--campaign", help="Work for this campaign only.")
@click.option("--category", help="Take jobs of these: light, heavy, relax, md.")
@click.option(
    "--fworker",
    type=click.Path(path_type=Path),
    help="FireWorks' file of what this worker takes: category, query and a name.",
)
@click.option("--no-wait", is_flag=True, help="Do not wait for jobs that other workers may bring.")
@click.option(
    "--idle",
    type=SECONDS,
    help="Seconds to wait for such jobs.  [default: as they run]",
)
@click.option(
    "--offline",
    type=click.Path(path_type=Path),
    help="Take jobs from this folder, where a launcher puts them; no store is needed.",
)
@store_option
@dry_run_option
def command(
    campaign: str | None,
    category: str | None,
    idle: float | None,
    offline: Path | None,
    fworker: Path | None,
    *,
    no_wait: bool,
    dry_run: bool,
) -> None:
    """Run jobs from the launch pad until none is left.

    SIGTERM, SIGINT, SIGUSR1 and the end of the allocation lead to a stop at the next chunk of
    frames; the rest of that run is then ready for another worker. Of several that srun or mpirun
    starts on a node with several GPUs, each sees one.

    The exit code is 0 also where jobs have failed: these are on record and no fault of the worker.
    """
    from ssefw.campaigns.running.fireworker import read_fireworker
    from ssefw.campaigns.running.gpus import VISIBLE, own_gpu
    from ssefw.campaigns.running.lost import release_lost
    from ssefw.campaigns.running.worker import work
    from ssefw.campaigns.steering.holds import holds
    from ssefw.engines.stopping import install_signal_handlers
    from ssefw.processes import drop_what_cannot_be_written, end_with_main_thread
    from ssefw.store.lookup import check_campaign

    only = read_fireworker(fworker) if dry_run and fworker else None
    if dry_run:
        category = (only.category if only else "") or category
        _say_ready(campaign, category, offline, dict(only.query) if only else {})
        return
    if click.get_current_context().find_root().obj.is_own:
        drop_what_cannot_be_written()
        end_with_main_thread()
    if gpu := own_gpu():
        os.environ[VISIBLE] = gpu
    wait = 0.0 if no_wait else math.inf if idle is None else idle
    stop = install_signal_handlers()
    ours = settings()
    if offline is not None:
        from ssefw.campaigns.queueing.offline import work_offline_jobs

        count = work_offline_jobs(offline, stop=stop, idle=wait)
        say(f"{number_of(count, 'job')} run.", err=True)
        return
    only = read_fireworker(fworker) if fworker else None
    if category is not None:
        only = replace(only, category=category) if only else None
        ours = ours.model_copy(update={"category": category})
    with opened(stop=stop, at_once=False) as connection:
        if campaign is not None:
            check_campaign(connection, campaign)
        release_lost(connection)
        done = work(connection, ours, stop=stop, campaign=campaign, idle=wait, only=only)
        left = holds(connection, campaign)
    failed = f", {done.failed} failed: see `ssefw jobs --failed`" if done.failed else ""
    say(f"{number_of(done.jobs, 'job')} run{failed}.", err=True)
    if left and not done.jobs:
        say("Some are held: `ssefw status` says which and how to go on.", err=True)


def _say_ready(
    campaign: str | None, category: str | None, offline: Path | None, only: dict[str, Any]
) -> None:
    """Say how many jobs would be taken, as far as they are ready now.

    Parameters
    ----------
    only
        Further filter of jobs, of FireWorks' own file of a worker.
    """
    from ssefw.campaigns.steering.holds import without_held
    from ssefw.store.lookup import check_campaign

    if offline is not None:
        waiting = sum(1 for _ in offline.glob("*")) if offline.is_dir() else 0
        say(f"{waiting} files lie in {offline}; the next of their jobs would run.")
        return
    with opened(read_only=True) as connection:
        if campaign is not None:
            check_campaign(connection, campaign)
        query = {**only, **({"spec.campaign": campaign} if campaign else {})}
        wanted = category if category is not None else settings().category
        if wanted:
            query["spec._category"] = {"$in": [word.strip() for word in wanted.split(",")]}
        ready = without_held(connection, query | {"state": "READY"})
        count = connection.launchpad.fireworks.count_documents(ready)
    say(f"{count} jobs are ready and would run, with what they bring forth.")
