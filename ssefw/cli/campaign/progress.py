"""Progress on a terminal while a campaign is submitted and worked."""

import contextlib
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table

from ssefw.campaigns.steering.hold_words import hold_line, worth_saying
from ssefw.cli.campaign.failures import failure_lines
from ssefw.cli.console import errors
from ssefw.cli.options import print_json
from ssefw.cli.say import number_of, say
from ssefw.errors import LaunchError

if TYPE_CHECKING:
    from ssefw.campaigns.file import MDSpec
    from ssefw.campaigns.running.watch import RunningMD, Snapshot
    from ssefw.documents import CampaignRecord, Reranking
    from ssefw.settings import Settings
    from ssefw.store import Connection

__all__ = ["TimeLeft", "submitting", "view", "work_to_the_end"]

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
    """Work a campaign to its end, say how far it is, and write the report.

    Returns the exit code: 0 if no job failed and nothing is held, else one of those above.
    """
    from ssefw.campaigns.queueing.fleet import fleet
    from ssefw.campaigns.running.drive import drive
    from ssefw.campaigns.running.watch import latest_record
    from ssefw.campaigns.steering.holds import holds
    from ssefw.engines.stopping import install_signal_handlers
    from ssefw.report.page import write_report

    record = latest_record(connection, campaign)
    for item in worth_saying(holds(connection, campaign), is_done=True):
        say(hold_line(item, record), err=True)
    ending = drive(
        connection,
        record,
        settings,
        stop=install_signal_handlers(),
        workers=workers,
        say=_silence if quiet else _say,
        display=lambda: _display(record, quiet=quiet),
    )
    goes_on = f"`{_resume(campaign, settings)}` goes on."
    if ending.is_interrupted:
        _say(f"Interrupted; {goes_on}")
        return INTERRUPTED
    if ending.not_learned:
        _say(f"The outcomes were not learned from: {ending.not_learned}")
    elif ending.learned is not None and not quiet:
        _say(_learned(ending.learned))
    path = write_report(connection, campaign, settings)
    now = ending.now
    if now.failed and not ending.abandoned:
        for line, _ in failure_lines(fleet(connection, campaign).failures, record):
            _say(line)
    _say(_summary(now, path))
    if ending.abandoned:
        raise LaunchError(f"{ending.abandoned}; {goes_on}")
    if as_json:
        print_json(
            {
                "campaign": campaign,
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


def _say(text: str) -> None:
    say(text, err=True)


def _silence(_: str) -> None:
    """Say nothing."""


def _learned(done: "Reranking") -> str:
    moved = sum(change.before != change.after for change in done.changes)
    return (
        f"{len(done.new_labels)} outcomes became labels, {len(done.refused)} did not; "
        f"{moved} of {len(done.changes)} candidates changed places in the ranking."
    )


def _resume(campaign: str, settings: "Settings") -> str:
    """Return the command that goes on, to be copied; a server's address may hold a password."""
    store = "..." if "://" in settings.store else settings.store
    return shlex.join(["ssefw", "resume", campaign, "--store", store])


def _summary(now: "Snapshot", path: Path) -> str:
    parts = [f"{now.concluded} of {now.n_candidates} candidates concluded"]
    if now.failed:
        parts.append(f"{number_of(len(now.failed), 'job')} failed")
    if now.state == "held":
        are = "is" if now.held == 1 else "are"
        parts.append(f"{number_of(now.held, 'job')} {are} held")
    return f"{', '.join(parts)}. Report: {path}"


@contextlib.contextmanager
def _display(record: "CampaignRecord", *, quiet: bool) -> "Iterator[Callable[[Snapshot], None]]":
    screen = errors()
    if quiet:
        yield lambda _: None
    elif screen.is_terminal:
        pace = TimeLeft(record)
        with Live(console=screen, refresh_per_second=4, transient=True) as live:
            yield lambda now: live.update(view(now, record, pace.left(now)))
    else:
        yield _Lines(record).show


class TimeLeft:
    """How long a campaign still takes at the pace at which it went since it began to move.

    Before that workers import, and relax what has no dynamics yet, which says nothing of the pace:
    the clock starts with the first step forward. Its work is counted in runs of dynamics, a run in
    motion by its part. A candidate that was concluded counts as all of its runs, so that one which
    a gate ends early counts at once. What has no dynamics is counted in candidates.
    """

    def __init__(self, record: "CampaignRecord") -> None:
        from ssefw.campaigns.file import campaign_of

        self._runs = _runs_each(campaign_of(record).md, record)
        self._seen: float | None = None
        self._first: tuple[float, float] | None = None

    def left(self, now: "Snapshot", *, clock: float | None = None) -> float | None:
        """Return the seconds that are left, about; None where too little was seen."""
        moment = time.monotonic() if clock is None else clock
        done = self._done(now)
        if self._seen is None:
            self._seen = done
        if self._first is None:
            if done > self._seen:
                self._first = (moment, done)
            return None
        began, before = self._first
        gone, went = moment - began, done - before
        if gone < MINUTE / 4 or went <= 0:
            return None
        rest = max(0.0, now.n_candidates * self._runs - done) * gone / went
        # Candidates that gates end at once make the pace look fast; a run in motion knows better.
        known = (run.seconds_left for run in now.running if run.seconds_left < float("inf"))
        return max(rest, *known, 0.0)

    def _done(self, now: "Snapshot") -> float:
        """Return how many runs are done, in parts."""
        finished = sum(
            count
            for (stage, state), count in now.in_words().items()
            if state == "done" and stage.startswith("md")
        )
        moving = sum(run.done / run.total for run in now.running if run.total)
        whole = now.concluded * self._runs
        # Runs of candidates that are not concluded; those of concluded ones are in both.
        return whole + min(max(0, finished - whole) + moving, now.n_candidates * self._runs - whole)


def _runs_each(dynamics: "MDSpec | None", record: "CampaignRecord") -> float:
    """Return how many runs a candidate has on average: each arrangement climbs a ladder."""
    ladder = max(1, _most_runs(dynamics))
    if dynamics is None or not record.candidates:
        return ladder
    steps = ladder * 1000.0 * dynamics.length / dynamics.timestep
    arrangements = [max(1, round(planned.md_steps / steps)) for planned in record.candidates]
    return ladder * sum(arrangements) / len(arrangements)


def _most_runs(dynamics: "MDSpec | None") -> int:
    """Return how many temperatures a candidate runs at most."""
    if dynamics is None:
        return 0
    count = len(dynamics.temperatures)
    if dynamics.ladder == "adaptive":
        from ssefw.campaigns.file import AdaptiveSpec

        count = min(count, (dynamics.adaptive or AdaptiveSpec()).max_runs)
    return count


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f", about {_duration(seconds)} left"


class _Lines:
    """Progress as lines, for a log file: one when something is concluded, and one a minute."""

    def __init__(self, record: "CampaignRecord") -> None:
        self._record = record
        self._last = (-1, 0.0)
        self._pace = TimeLeft(record)

    def show(self, now: "Snapshot") -> None:
        concluded, when = self._last
        left = self._pace.left(now)
        if now.concluded != concluded or time.monotonic() - when > MINUTE:
            self._last = (now.concluded, time.monotonic())
            running = "; ".join(_line(run, self._record) for run in now.running)
            say(
                f"{now.concluded}/{now.n_candidates} concluded, "
                f"{number_of(now.count('COMPLETED'), 'job')} done{_left(left)}; {running}",
                err=True,
            )


def view(now: "Snapshot", record: "CampaignRecord", left: float | None = None) -> RenderableType:
    """Return the campaign as bars: candidates, stages, and each run with speed and time left.

    Parameters
    ----------
    left
        About the seconds until the campaign is done, where they are known.
    """
    bars = Bars(
        TextColumn("{task.description}", justify="left", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[note]}", markup=False),
    )
    bars.add_task(
        now.campaign,
        total=now.n_candidates,
        completed=now.concluded,
        note=f"{now.concluded}/{now.n_candidates} candidates concluded{_left(left)}",
    )
    for run in now.running:
        bars.add_task(
            f"{_formula(run, record)} {run.temperature:g} K",
            total=run.total,
            completed=run.done,  # type: ignore[arg-type]  # rich takes floats
            note=f"{run.done:.4g}/{run.total:.4g} ps, {_pace(run.speed)}, "
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
        f"{_formula(run, record)} {run.temperature:g} K {run.done:.4g}/{run.total:.4g} ps "
        f"({_pace(run.speed)})"
    )


def _pace(speed: float) -> str:
    """Return ps an hour to three digits, those of thousands in full."""
    return f"{float(f'{speed:.3g}'):g} ps/h"


def _duration(seconds: float) -> str:
    if seconds == float("inf"):
        return "?"
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f} h"
