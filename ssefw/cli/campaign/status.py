"""``ssefw status``: how far campaigns are."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ssefw.campaigns.steering.hold_words import hold_line, hold_record, worth_saying
from ssefw.cli import complete
from ssefw.cli.campaign.failures import failure_lines, failure_record
from ssefw.cli.numbers import INTERVAL
from ssefw.cli.options import json_option, opened, print_json, settings, store_option
from ssefw.cli.say import say

if TYPE_CHECKING:
    from ssefw.campaigns.queueing.fleet import Fleet
    from ssefw.campaigns.running.watch import RunningMD, Snapshot
    from ssefw.documents import CampaignRecord


@click.command(epilog="Example: ssefw status --watch --store demo")
@click.argument("campaigns", nargs=-1, metavar="[CAMPAIGN]...", shell_complete=complete.campaigns)
@store_option
@json_option
@click.option("-w", "--watch", is_flag=True, help="Look again every few seconds until it is done.")
@click.option("--interval", type=INTERVAL, default=2.0, help="Seconds between two looks.")
def command(campaigns: tuple[str, ...], *, as_json: bool, watch: bool, interval: float) -> None:
    """Show how far campaigns are: stages, runs with their speed, failures."""
    from dataclasses import asdict

    from ssefw.cli.campaign.progress import view
    from ssefw.cli.console import console

    for now, fleets in _looks(campaigns, watch=watch, interval=interval):
        if watch and console().is_terminal:
            console().clear()
        for (moment, record), queued in zip(now, fleets, strict=True):
            if as_json:
                print_json(
                    {
                        "campaign": moment.campaign,
                        "candidates": moment.n_candidates,
                        "concluded": moment.concluded,
                        "done": moment.is_done,
                        "state": moment.state,
                        "jobs": [
                            {"stage": stage, "state": state, "count": count}
                            for (stage, state), count in moment.in_words().items()
                        ],
                        "failed": [
                            {"candidate_id": candidate, "job": job}
                            for candidate, job in moment.failed
                        ],
                        "running": [_run_record(run, record) for run in moment.running],
                        "held": moment.held,
                        "holds": [hold_record(item, record) for item in moment.holds],
                        "core_hours": moment.core_hours,
                        "budget": moment.budget,
                        "queue_jobs": [asdict(worker) for worker in queued.workers],
                        "failures": [
                            {
                                "cause": group.cause.name,
                                "count": len(group.jobs),
                                "action": group.cause.action,
                                "jobs": [failure_record(job, record) for job in group.jobs],
                            }
                            for group in queued.failures
                        ],
                        "incidents": queued.incidents,
                    }
                )
            else:
                for line, style in _stuck_first(moment, queued, record):
                    console().print(line, style=style, highlight=False, soft_wrap=True)
                console().print(view(moment, record))
                for line in _spending(moment, queued):
                    console().print(line, highlight=False)
        if not now and not as_json:
            console().print("No campaign yet. Submit one with `ssefw submit FILE`.")


def _looks(
    campaigns: tuple[str, ...], *, watch: bool, interval: float
) -> "Iterator[tuple[list[tuple[Snapshot, CampaignRecord]], list[Fleet]]]":
    """Yield how campaigns are, once or until all are done; a store may go away in between."""
    from ssefw.campaigns.queueing.fleet import fleet
    from ssefw.campaigns.running.watch import campaigns_in, latest_record, snapshot
    from ssefw.errors import StoreError

    scratch = settings().scratch_folder()
    has_looked, is_done = False, False
    while not is_done:
        try:
            with opened(read_only=True) as connection:
                names = campaigns or campaigns_in(connection)
                records = [latest_record(connection, name) for name in names]
                now = [(snapshot(connection, record, scratch), record) for record in records]
                fleets = [fleet(connection, name) for name in names]
        except StoreError as error:
            if not (watch and has_looked):
                raise
            say(f"{error} Looking again.", err=True)
        else:
            yield now, fleets
            has_looked = True
            is_done = not watch or all(moment.is_done for moment, _ in now)
        if not is_done:
            time.sleep(interval)


def _stuck_first(
    now: "Snapshot", queued: "Fleet", record: "CampaignRecord"
) -> Iterator[tuple[str, str]]:
    """Yield what wants a person's attention."""
    yield from failure_lines(queued.failures, record)
    for item in worth_saying(now.holds, is_done=now.is_done):
        yield hold_line(item, record), "yellow"


def _run_record(run: "RunningMD", record: "CampaignRecord") -> dict[str, Any]:
    formulas = {item.candidate_id: item.formula for item in record.candidates}
    return {
        "candidate_id": run.candidate_id,
        "formula": formulas.get(run.candidate_id),
        "temperature_k": run.temperature,
        "done_ps": run.done,
        "total_ps": run.total,
        "speed_ps_per_h": run.speed,
        # A run without a speed yet has no end in sight; JSON has no infinity.
        "seconds_left": run.seconds_left if run.speed else None,
    }


def _spending(now: "Snapshot", queued: "Fleet") -> Iterator[str]:
    """Yield the queue jobs, and what the campaign took."""
    for worker in queued.workers:
        doing = worker.running or worker.reason
        yield f"  queue job {worker.job_id}: {worker.state} {doing} [{worker.categories}]"
    budget = f" of {now.budget:g}" if now.budget is not None else ""
    if now.core_hours or budget:
        yield f"  {now.core_hours:.3g}{budget} core-hours"
    for cause, count in queued.incidents.items():
        yield f"  {count} times: {cause}, and taken up again"
