"""A campaign worked to its end by worker processes of this machine."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from ssefw.campaigns.file import campaign_of
from ssefw.campaigns.learning.loop import advance, is_loop
from ssefw.campaigns.learning.rerank import rerank
from ssefw.campaigns.planning.needs import missing_for_rest
from ssefw.campaigns.running.gpus import computes_on_gpus
from ssefw.campaigns.running.notices import send_due
from ssefw.campaigns.running.supervise import WorkerProcesses, worker_count
from ssefw.campaigns.running.upkeep import Upkeep
from ssefw.campaigns.running.watch import Snapshot, snapshot
from ssefw.documents import CampaignRecord, Reranking
from ssefw.errors import LaunchError, SsefwError
from ssefw.settings import Settings
from ssefw.store import Connection

__all__ = ["Display", "Ending", "drive", "no_display"]

POLL_SECONDS = 1.0
LAST_WORDS = 300
"""Characters of a worker's last line that a message shows."""

Display = Callable[[], AbstractContextManager[Callable[[Snapshot], None]]]
"""What shows a campaign while workers are busy with it."""


@dataclass(frozen=True)
class Ending:
    """How the work on a campaign ended.

    Attributes
    ----------
    now
        The campaign at that moment.
    is_interrupted
        Whether it was asked to stop; what is left goes on another time.
    abandoned
        Why the workers ended though jobs were left; empty if they did not.
    learned
        The order of what is left after the outcomes became labels, where the campaign asks for it.
    not_learned
        Why nothing was learned though the campaign asks for it.
    """

    now: Snapshot
    is_interrupted: bool = False
    abandoned: str = ""
    learned: Reranking | None = None
    not_learned: str = ""


@contextlib.contextmanager
def no_display() -> Iterator[Callable[[Snapshot], None]]:
    """Show nothing."""
    yield lambda _: None


def drive(
    connection: Connection,
    record: CampaignRecord,
    settings: Settings,
    *,
    stop: Event,
    workers: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    display: Display = no_display,
) -> Ending:
    """Work until no job is left and no batch of a closed loop is to come; then learn.

    Parameters
    ----------
    stop
        Set when this process is asked to end: workers then store what they have, and go.
    workers
        Processes; as the settings have it if None.
    say
        Gets a sentence on each step between the work of the workers.
    display
        Opened while workers work.

    Raises
    ------
    LaunchError
        If this machine lacks what the campaign needs; nothing was started.
    """
    goes_on, worked = True, False
    while goes_on:
        goes_on = is_loop(record)
        if goes_on:
            turn = advance(connection, record)
            say(turn.reason)
            # What is left of a batch that was worked through is paused or beyond the budget.
            if turn.is_over or (worked and not turn.released):
                break
        ending = _work(
            connection, record, settings, stop=stop, workers=workers, say=say, display=display
        )
        if ending.is_interrupted or ending.abandoned:
            return ending
        worked = True
    learned, not_learned = None, ""
    if campaign_of(record).feedback:
        try:
            learned = rerank(connection, record).record
        except SsefwError as error:
            # What was computed stands, whatever the labels and the model are like.
            not_learned = str(error)
    now = snapshot(connection, record, settings.scratch_folder())
    send_due(connection, now, settings)
    return Ending(now, learned=learned, not_learned=not_learned)


def _work(
    connection: Connection,
    record: CampaignRecord,
    settings: Settings,
    *,
    stop: Event,
    workers: int | None,
    say: Callable[[str], None],
    display: Display,
) -> Ending:
    """Start workers, and wait until no job is left that may run."""
    scratch = settings.scratch_folder()
    upkeep = Upkeep(connection, scratch)
    if lost := upkeep.look():
        say(f"{len(lost)} jobs of workers that died go on from where they were.")
    crew = WorkerProcesses(settings, record.campaign)
    log = scratch / "workers.log"
    size = log.stat().st_size if log.exists() else 0
    if not snapshot(connection, record, scratch).is_idle:
        if missing := missing_for_rest(record):
            raise LaunchError(f"{' '.join(missing)} Nothing was started.")
        n_gpus = len(crew.gpus) if computes_on_gpus(campaign_of(record)) else 0
        crew.start(workers or worker_count(settings, n_gpus=n_gpus), log=log)
    with crew.on_duty(), display() as show:
        while crew.goes_on(log=log) and not stop.is_set():
            began = time.monotonic()
            upkeep.look()
            now = snapshot(connection, record, scratch)
            show(now)
            if not now.is_done:  # its end is told once it has been learned from
                send_due(connection, now, settings)
            # A look at a large campaign costs seconds; it may take a tenth of the time.
            stop.wait(max(POLL_SECONDS, 9.0 * (time.monotonic() - began)))
        if stop.is_set():
            say("Stopping at the next chunk of frames; Ctrl-C again to kill.")
    upkeep.tidy()
    now = snapshot(connection, record, scratch)
    if stop.is_set():
        return Ending(now, is_interrupted=True)
    if now.is_idle:
        return Ending(now)
    why = (
        f"The workers ended with {now.unfinished} jobs left (exit codes {crew.crashed})"
        f"{_last_words(log, size)}. See {log}"
    )
    return Ending(now, abandoned=why)


def _last_words(log: Path, start: int) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
        if lines:
            # On a full disk a line may be cut, and the error follows it without a line end.
            _, error, last = lines[-1].strip().rpartition("Error: ")
            return f": {(error + last)[:LAST_WORDS]}"
    return ""
