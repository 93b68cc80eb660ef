"""``ssefw status``: how far campaigns are."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ssefw.cli.options import json_option, opened, print_json, settings, store_option

if TYPE_CHECKING:
    from ssefw.campaigns.queueing.fleet import Fleet
    from ssefw.campaigns.running.watch import Snapshot
    from ssefw.documents import CampaignRecord

SHOWN = 3

HELD = {
    "pause": "is paused",
    "cancel": "is cancelled",
    "budget": "is held by its budget",
    "loop": "computes a batch at a time",
}
RELEASES = {
    "pause": "`ssefw resume` goes on",
    "cancel": "`ssefw resume` goes on",
    "budget": "submit it again with a larger one",
    "loop": "`ssefw resume` and `ssefw feedback next` release the next",
}


@click.command(epilog="Example: ssefw status --watch --store demo")
@click.argument("campaign", required=False)
@store_option
@json_option
@click.option("-w", "--watch", is_flag=True, help="Look again every few seconds until it is done.")
@click.option("--interval", default=2.0, help="Seconds between two looks.")
def command(campaign: str | None, *, as_json: bool, watch: bool, interval: float) -> None:
    """Show how far campaigns are: stages, runs with their speed, failures."""
    from dataclasses import asdict

    from ssefw.cli.campaign.progress import view
    from ssefw.cli.console import console

    for now, fleets in _looks(campaign, watch=watch, interval=interval):
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
                        "jobs": [
                            {"stage": stage, "state": state, "count": count}
                            for (stage, state), count in sorted(moment.stages.items())
                        ],
                        "failed": [
                            {"candidate_id": candidate, "job": job}
                            for candidate, job in moment.failed
                        ],
                        "held": moment.held,
                        "holds": [item.kind for item in moment.holds],
                        "core_hours": moment.core_hours,
                        "budget": moment.budget,
                        "queue_jobs": [asdict(worker) for worker in queued.workers],
                        "failures": [
                            {
                                "cause": group.cause.name,
                                "count": len(group.jobs),
                                "action": group.cause.action,
                            }
                            for group in queued.failures
                        ],
                        "incidents": queued.incidents,
                    }
                )
            else:
                for line, style in _stuck_first(moment, queued, record):
                    console().print(line, style=style, highlight=False)
                console().print(view(moment, record))
                for line in _spending(moment, queued):
                    console().print(line, highlight=False)
        if not now and not as_json:
            console().print("No campaign yet. Submit one with `ssefw submit FILE`.")


def _looks(
    campaign: str | None, *, watch: bool, interval: float
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
                names = [campaign] if campaign else campaigns_in(connection)
                records = [latest_record(connection, name) for name in names]
                now = [(snapshot(connection, record, scratch), record) for record in records]
                fleets = [fleet(connection, name) for name in names]
        except StoreError as error:
            if not (watch and has_looked):
                raise
            click.echo(f"{error} Looking again.", err=True)
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
    for group in queued.failures:
        yield f"{len(group.jobs)} failed: {group.cause.name}. {group.cause.action}", "bold red"
        for job in group.jobs[:SHOWN]:
            yield f"  {job.name} of {job.candidate_id}: {job.message[:120]}", "red"
        if len(group.jobs) > SHOWN:
            yield f"  and {len(group.jobs) - SHOWN} more", "red"
    formulas = {item.candidate_id: item.formula for item in record.candidates}
    for item in now.holds:
        if item.kind == "loop" and now.is_done and now.concluded == now.n_candidates:
            continue
        named = [f"{formulas.get(key, '?')} ({key})" for key in item.candidates[:SHOWN]]
        if len(item.candidates) > SHOWN:
            named.append(f"{len(item.candidates) - SHOWN} more")
        part = " of ".join(filter(None, [item.stage, ", ".join(named)])) or now.campaign
        reason = f": {item.reason}" if item.reason and item.kind != "loop" else ""
        yield f"{part} {HELD[item.kind]}{reason} ({RELEASES[item.kind]})", "yellow"


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
