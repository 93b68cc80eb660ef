"""Child processes that do not outlive the process that started them.

A pool of processes that is not told to end waits for work forever, and after a ``kill -9`` of the
process that owns it nobody tells it.
"""

import os
import threading
import time

__all__ = ["end_with_parent"]

INTERVAL = 2.0
"""Seconds between two looks."""


def end_with_parent() -> None:
    """Let this process end soon after its parent has: the initializer of a pool."""
    thread = threading.Thread(target=_watch, args=(os.getppid(),), daemon=True)
    thread.start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os._exit(1)
