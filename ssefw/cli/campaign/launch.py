"""``ssefw launch``: keep the queue of a cluster fed."""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli import complete
from ssefw.cli.numbers import COUNT, INTERVAL
from ssefw.cli.options import json_option, opened, print_json, settings, store_option
from ssefw.cli.say import say

if TYPE_CHECKING:
    from ssefw.campaigns.queueing.launcher import Launcher, LaunchRound
    from ssefw.settings import Settings
    from ssefw.store import Address, Connection


@click.command(epilog="Example: ssefw launch xrdmatch --jobs 20")
@click.argument("campaigns", nargs=-1, metavar="[CAMPAIGN]...", shell_complete=complete.campaigns)
@store_option
@click.option("--site", type=click.Path(path_type=Path), help="Folder with the site's queue.yaml.")
@click.option("--jobs", type=COUNT, help="Most queue jobs.  [default: queue.yaml]")
@click.option("--waiting", type=COUNT, help="Most that wait.  [default: queue.yaml]")
@click.option("--interval", type=INTERVAL, default=20.0, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="Look once and go, for cron.")
@click.option("--stay", is_flag=True, help="Stay when all is done, for campaigns to come.")
@click.option("-n", "--dry-run", is_flag=True, help="Print the job script; submit nothing.")
@json_option
def command(
    campaigns: tuple[str, ...],
    site: Path | None,
    jobs: int | None,
    waiting: int | None,
    interval: float,
    *,
    once: bool,
    stay: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Submit queue jobs as there is work for them, until all campaigns are done.

    Each queue job is one worker. Jobs whose worker died are found by asking the queue and go on
    from their last frames. Kill and start it as you like; of several, one works and the others
    stand by.
    """
    from ssefw.campaigns.queueing.launcher import Launcher, pools
    from ssefw.campaigns.queueing.site import read_site, write_settings
    from ssefw.campaigns.running.notices import is_wanted
    from ssefw.campaigns.running.watch import campaigns_in, latest_record
    from ssefw.engines.stopping import install_signal_handlers
    from ssefw.errors import LaunchError
    from ssefw.store import outages_reported

    here = read_site(site)
    ours = settings()
    folder = ours.scratch_folder() / "queue"
    given = {"jobs": jobs, "waiting": waiting}
    limits = here.limits.model_copy(update={k: v for k, v in given.items() if v is not None})
    stop = install_signal_handlers()
    with opened(stop=None if dry_run else stop) as connection:
        for name in campaigns or campaigns_in(connection):
            record = latest_record(connection, name)
            for pool in pools(record) if dry_run else ():
                resources, log = here.ask(pool.resources), folder / "NAME" / "job.log"
                say(
                    here.script(
                        resources,
                        name="NAME",
                        log=log,
                        settings=folder / "settings.yaml",
                        arguments=here.worker_command(
                            name, pool.label, job_folders=folder / "NAME" / "parcels"
                        ),
                    )
                )
        if dry_run:
            return
        if not here.queue.is_here:
            raise LaunchError(
                f"{here.queue.submit_program} is not on the PATH: start the launcher on a node "
                f"from which jobs are submitted, or correct `scheduler: {here.scheduler}` in "
                "queue.yaml."
            )
        write_settings(folder, ours, offline=here.offline)
        launcher = Launcher(connection, here, folder, limits, campaigns)
        said = ""
        while not stop.is_set():
            line, told, is_done = _look(launcher, connection.address)
            if line != said:
                say(f"{time.strftime('%H:%M:%S')} {line}", err=True)
                if as_json:
                    print_json(told)
                said = line
            if is_wanted(ours):
                _notify(connection, campaigns, ours)
            if once or (is_done and not stay):
                break
            stop.wait(interval)
        with outages_reported(connection.address):
            launcher.close()
            _say_held(connection, campaigns)


def _notify(connection: "Connection", campaigns: tuple[str, ...], ours: "Settings") -> None:
    """Tell people what is due; a store that does not answer is asked again in the next round."""
    from ssefw.campaigns.running.notices import send_due
    from ssefw.campaigns.running.watch import campaigns_in, latest_record, snapshot
    from ssefw.errors import StoreError

    with contextlib.suppress(StoreError):
        for name in campaigns or campaigns_in(connection):
            record = latest_record(connection, name)
            send_due(connection, snapshot(connection, record, ours.scratch_folder()), ours)


def _say_held(connection: "Connection", campaigns: tuple[str, ...]) -> None:
    """Say what is left because it is paused or beyond its budget."""
    from ssefw.campaigns.running.watch import campaigns_in, latest_record
    from ssefw.campaigns.steering.hold_words import hold_line, worth_saying
    from ssefw.campaigns.steering.holds import holds

    for name in campaigns or campaigns_in(connection):
        for item in worth_saying(holds(connection, name), is_done=True):
            say(hold_line(item, latest_record(connection, name)), err=True)


def _look(launcher: "Launcher", address: "Address") -> tuple[str, dict[str, Any], bool]:
    """Return what a round did, for people and for programs, and whether all is done."""
    from ssefw.errors import StoreError
    from ssefw.store import outages_reported

    try:
        with outages_reported(address):
            now = launcher.round()
    except StoreError as error:
        return f"{error} Trying again.", {"error": str(error)}, False
    line = "; ".join(now.notes) if now.is_standby else _line(now)
    return line, vars(now), not (now.left or now.waiting or now.running or now.is_standby)


def _line(now: "LaunchRound") -> str:
    parts = [f"queue: {now.running} running, {now.waiting} waiting; {now.left} jobs to run"]
    for count, what in (
        (now.submitted, "submitted"),
        (now.ended, "ended"),
        (now.released, "lost and given back"),
        (now.retried, "tried again"),
    ):
        if count:
            parts.append(f"{count} {what}")
    return "; ".join([*parts, *now.notes])
