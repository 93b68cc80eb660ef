"""How a running calculation learns that its time is up.

A process can be told to stop by a signal (a user's Ctrl-C, a scheduler's SIGTERM or SIGUSR1) or by
the end of its allocation. Both are facts about the whole process, hence the one event here. Engines
ask between chunks; what was computed is kept and the rest continues in another process.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ssefw.documents import EndReason
from ssefw.errors import EngineError
from ssefw.schedulers.end_time import scheduler_end_time

__all__ = [
    "InterruptionError",
    "StepStoppedError",
    "StopCheck",
    "end_time",
    "install_signal_handlers",
    "never_stop",
    "stop_check",
    "stop_event",
    "stopping_on_signals",
]

StopCheck = Callable[[], EndReason | None]

_STOP = threading.Event()
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
MARGIN = 60.0


class InterruptionError(EngineError):
    """A calculation was stopped from outside; run again, it continues where it stopped."""


class StepStoppedError(Exception):
    """A step of dynamics was broken off because the process is asked to stop."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(reason)
        self.reason = reason


def _request_stop(signum: int, _frame: FrameType | None) -> None:
    if _STOP.is_set() and signum == signal.SIGINT:
        raise KeyboardInterrupt
    _STOP.set()


def install_signal_handlers() -> threading.Event:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a request to stop, and return the event they set.

    A second SIGINT interrupts at once.
    """
    for signum in SIGNALS:
        signal.signal(signum, _request_stop)
    return _STOP


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """Turn signals into a request to stop while a block runs; afterwards they are what they were.

    A thread beside the main one gets no signals, and changes none.
    """
    if threading.current_thread() is not threading.main_thread():
        yield _STOP
        return
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    try:
        yield install_signal_handlers()
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        _STOP.clear()


def stop_event() -> threading.Event:
    """Return the event that a request to stop sets."""
    return _STOP


def end_time() -> float | None:
    """Return when this process's allocation ends (seconds since the epoch), if that is known.

    ``SSEFW_END_TIME`` says it; else the scheduler is asked, once: Slurm, PBS, LSF or Grid Engine.
    """
    for name in ("SSEFW_END_TIME", "SLURM_JOB_END_TIME"):
        if value := os.environ.get(name):
            return float(value)
    return scheduler_end_time()


def never_stop() -> EndReason | None:
    """Never ask to stop."""
    return None


def stop_check(*, margin: float = MARGIN) -> StopCheck:
    """Return the check for this process; `margin` seconds are kept free before the end."""
    deadline = end_time()

    def check() -> EndReason | None:
        if _STOP.is_set():
            return "preempted"
        if deadline is not None and time.time() > deadline - margin:
            return "walltime"
        return None

    return check
