"""Progress on a terminal while a campaign is submitted and worked."""

import contextlib
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table

from ssefw.cli.campaign.failures import failure_lines
from ssefw.cli.campaign.held import hold_line, worth_saying
from ssefw.cli.console import errors
from ssefw.cli.options import print_json
from ssefw.errors import LaunchError, SsefwError

if TYPE_CHECKING:
    from ssefw.campaigns.running.watch import RunningMD, Snapshot
    from ssefw.documents import CampaignRecord, Reranking
    from ssefw.settings import Settings
    from ssefw.store import Connection

__all__ = ["submitting", "view", "work_to_the_end"]

POLL_SECONDS = 1.0

JOBS_FAILED = 3
"""Exit code where nothing is left to run, but jobs have failed."""
HELD = 4
"""Exit code where what is left is paused or beyond the budget."""
INTERRUPTED = 130
"""Exit code after a signal, as the shell has it for Ctrl-C."""

MINUTE, HOUR = 60.0, 3600.0


@contextlib.contextmanager
def submitting(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Draw a bar while candidates are submitted."""
    if quiet or not errors().is_terminal:
        yield lambda _: None
        return
    with Progress(console=errors(), transient=True) as bars:
        task = bars.add_task("submitting", total=total)
        yield lambda count: bars.update(task, completed=count)


def work_to_the_end(
    connection: "Connection",
    campaign: str,
    settings: "Settings",
    *,
    workers: int | None,
    quiet: bool,
    as_json: bool = False,
) -> int:
    """Work until no job is left and no batch of a loop is to come; then learn, and report.

    Returns the exit code: 0 if no job failed and nothing is held, else one of those above.
    """
    from ssefw.campaigns.learning.loop import advance, is_loop
    from ssefw.campaigns.running.watch import latest_record
    from ssefw.campaigns.steering.holds import holds

    record = latest_record(connection, campaign)
    for item in worth_saying(holds(connection, campaign), is_done=True):
        click.echo(hold_line(item, record), err=True)
    goes_on, worked = True, False
    while goes_on:
        goes_on = is_loop(record)
        if goes_on:
            turn = advance(connection, record)
            if not quiet:
                click.echo(turn.reason, err=True)
            # What is left of a batch that was worked through is paused or beyond the budget.
            if turn.is_over or (worked and not turn.released):
                break
        code = _work(connection, record, settings, workers=workers, quiet=quiet)
        if code:
            return code
        worked = True
    return _conclude(connection, record, settings, quiet=quiet, as_json=as_json)


def _conclude(
    connection: "Connection",
    record: "CampaignRecord",
    settings: "Settings",
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    """Learn from the outcomes where the campaign asks for it, and write the report."""
    from ssefw.campaigns.learning.rerank import rerank
    from ssefw.campaigns.queueing.fleet import fleet
    from ssefw.campaigns.running.watch import snapshot
    from ssefw.report import write_report

    if record.spec.get("feedback"):
        try:
            done = rerank(connection, record).record
        except SsefwError as error:
            # What was computed stands, whatever the labels and the model are like.
            click.echo(f"The outcomes were not learned from: {error}", err=True)
        else:
            if not quiet:
                click.echo(_learned(done), err=True)
    path = write_report(connection, record.campaign, settings)
    now = snapshot(connection, record, settings.scratch_folder())
    if now.failed:
        for line, _ in failure_lines(fleet(connection, record.campaign).failures, record):
            click.echo(line, err=True)
    click.echo(_summary(now, path), err=True)
    if as_json:
        print_json(
            {
                "campaign": record.campaign,
                "state": now.state,
                "candidates": now.n_candidates,
                "concluded": now.concluded,
                "failed_jobs": len(now.failed),
                "report": str(path),
            }
        )
    if now.failed:
        return JOBS_FAILED
    return HELD if now.state == "held" else 0


def _learned(done: "Reranking") -> str:
    moved = sum(change.before != change.after for change in done.changes)
    return (
        f"{len(done.new_labels)} outcomes became labels, {len(done.refused)} did not; "
        f"{moved} of {len(done.changes)} candidates changed places in the ranking."
    )


def _work(
    connection: "Connection",
    record: "CampaignRecord",
    settings: "Settings",
    *,
    workers: int | None,
    quiet: bool,
) -> int:
    """Start workers and show how far they are until no job is left that may run."""
    from ssefw.campaigns.planning.needs import missing_for_rest
    from ssefw.campaigns.running.supervise import Crew, worker_count
    from ssefw.campaigns.running.upkeep import Upkeep
    from ssefw.campaigns.running.watch import snapshot
    from ssefw.engines.stopping import install_signal_handlers
    from ssefw.report import write_report

    campaign = record.campaign
    scratch = settings.scratch_folder()
    upkeep = Upkeep(connection, scratch)
    lost = upkeep.look()
    if lost and not quiet:
        click.echo(f"{len(lost)} jobs of workers that died go on from where they were.", err=True)
    stop = install_signal_handlers()
    crew = Crew(settings, campaign)
    log = scratch / "workers.log"
    size = log.stat().st_size if log.exists() else 0
    now = snapshot(connection, record, scratch)
    if not now.is_idle:
        if missing := missing_for_rest(record):
            raise LaunchError(f"{' '.join(missing)} Nothing was started.")
        crew.start(workers or worker_count(settings), log=log)
    with crew.on_duty(), _display(record, quiet=quiet) as show:
        while crew.goes_on(log=log) and not stop.is_set():
            began = time.monotonic()
            upkeep.look()
            show(snapshot(connection, record, scratch))
            # A look at a large campaign costs seconds; it may take a tenth of the time.
            stop.wait(max(POLL_SECONDS, 9.0 * (time.monotonic() - began)))
        if stop.is_set() and not quiet:
            click.echo("Stopping at the next chunk of frames; Ctrl-C again to kill.", err=True)
    upkeep.tidy()
    now = snapshot(connection, record, scratch)
    if stop.is_set():
        click.echo(f"Interrupted; `{_resume(campaign, settings)}` goes on.", err=True)
        return INTERRUPTED
    if not now.is_idle:
        path = write_report(connection, campaign, settings)
        click.echo(_summary(now, path), err=True)
        raise LaunchError(
            f"The workers ended with {now.count('READY', 'RUNNING', 'RESERVED')} jobs left "
            f"(exit codes {crew.crashed}){_last_words(log, size)}. See {log}; "
            f"`{_resume(campaign, settings)}` goes on."
        )
    return 0


def _resume(campaign: str, settings: "Settings") -> str:
    """Return the command that goes on, to be copied; a server's address may hold a password."""
    store = "..." if "://" in settings.store else settings.store
    return shlex.join(["ssefw", "resume", campaign, "--store", store])


def _last_words(log: Path, start: int) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
        if lines:
            return f": {lines[-1].strip()[:300]}"
    return ""


def _summary(now: "Snapshot", path: Path) -> str:
    parts = [f"{now.concluded} of {now.n_candidates} candidates concluded"]
    if now.failed:
        parts.append(f"{len(now.failed)} jobs failed")
    if now.state == "held":
        parts.append(f"{now.held} jobs are held")
    return f"{', '.join(parts)}. Report: {path}"


@contextlib.contextmanager
def _display(record: "CampaignRecord", *, quiet: bool) -> "Iterator[Callable[[Snapshot], None]]":
    screen = errors()
    if quiet:
        yield lambda _: None
    elif screen.is_terminal:
        with Live(console=screen, refresh_per_second=4, transient=True) as live:
            yield lambda now: live.update(view(now, record))
    else:
        yield _Lines(record).show


class _Lines:
    """Progress as lines, for a log file: one when something is concluded, and one a minute."""

    def __init__(self, record: "CampaignRecord") -> None:
        self._record = record
        self._last = (-1, 0.0)

    def show(self, now: "Snapshot") -> None:
        concluded, when = self._last
        if now.concluded != concluded or time.monotonic() - when > MINUTE:
            self._last = (now.concluded, time.monotonic())
            running = "; ".join(_line(run, self._record) for run in now.running)
            click.echo(
                f"{now.concluded}/{now.n_candidates} concluded, "
                f"{now.count('COMPLETED')} jobs done; {running}",
                err=True,
            )


def view(now: "Snapshot", record: "CampaignRecord") -> RenderableType:
    """Return the campaign as bars: candidates, stages, and each run with speed and time left."""
    bars = Bars(
        TextColumn("{task.description}", justify="left", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[note]}", markup=False),
    )
    bars.add_task(
        now.campaign,
        total=now.n_candidates,
        completed=now.concluded,
        note=f"{now.concluded}/{now.n_candidates} candidates concluded",
    )
    for run in now.running:
        bars.add_task(
            f"{_formula(run, record)} {run.temperature:g} K",
            total=run.total,
            completed=run.done,  # type: ignore[arg-type]  # rich takes floats
            note=f"{run.done:.3g}/{run.total:.3g} ps, {run.speed:.3g} ps/h, "
            f"{_duration(run.seconds_left)} left",
        )
    stages = Table(box=None, pad_edge=False)
    states = ("done", "running", "ready", "waiting", "failed")
    counted = now.in_words()
    stages.add_column("stage")
    for state in states:
        stages.add_column(state, justify="right")
    for stage in dict.fromkeys(stage for stage, _ in counted):
        counts = [counted.get((stage, state), 0) for state in states]
        stages.add_row(stage, *(str(count) if count else "" for count in counts))
    return Group(bars, stages)


def _formula(run: "RunningMD", record: "CampaignRecord") -> str:
    names = {planned.candidate_id: planned.formula for planned in record.candidates}
    return names.get(run.candidate_id, run.candidate_id)


def _line(run: "RunningMD", record: "CampaignRecord") -> str:
    return (
        f"{_formula(run, record)} {run.temperature:g} K {run.done:.3g}/{run.total:.3g} ps "
        f"({run.speed:.3g} ps/h)"
    )


def _duration(seconds: float) -> str:
    if seconds == float("inf"):
        return "?"
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f} h"
