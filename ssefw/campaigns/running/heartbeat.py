"""Signs of life of workers, for those of which no process and no queue job can be asked.

A worker counts up. Whoever looks out for dead ones compares with what was counted at the last look,
by its own clock: clocks of two machines are never compared.
"""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ssefw.errors import StoreError
from ssefw.store import Connection, outages_reported

__all__ = ["Lookout", "beating"]

WORKERS = "workers"
BEAT_SECONDS = 15.0
SILENT_SECONDS = 75.0
"""Five beats that did not come; with the time between two looks this is below two minutes."""
LONGEST_GAP = 30.0
"""Of a longer time between two looks only this counts: the store may have been out of reach."""


@contextlib.contextmanager
def beating(connection: Connection, name: str) -> Iterator[None]:
    """Give signs of life while a block runs."""
    stop = threading.Event()
    workers = connection.database[WORKERS]

    def beat() -> None:
        while True:
            # The next one may come through.
            with contextlib.suppress(StoreError), outages_reported(connection.address):
                workers.update_one({"_id": name}, {"$inc": {"beats": 1}}, upsert=True)
            if stop.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        with contextlib.suppress(StoreError), outages_reported(connection.address):
            workers.delete_one({"_id": name})


@dataclass
class Lookout:
    """Remembers what workers had counted, and for how long that has not changed."""

    _beats: dict[str, int] = field(default_factory=dict)
    _silence: dict[str, float] = field(default_factory=dict)
    _last_look: float | None = None

    def silent(self, connection: Connection, names: Iterable[str]) -> set[str]:
        """Return the workers that have given no sign of life for too long.

        One that never gave any says nothing: it may be of a version that does not.
        """
        now = time.monotonic()
        gap = 0.0 if self._last_look is None else min(LONGEST_GAP, now - self._last_look)
        self._last_look = now
        wanted = {"_id": {"$in": sorted(set(names))}}
        beats = {item["_id"]: item["beats"] for item in connection.database[WORKERS].find(wanted)}
        self._silence = {
            name: self._silence.get(name, 0.0) + gap if self._beats.get(name) == count else 0.0
            for name, count in beats.items()
        }
        self._beats = beats
        return {name for name, seconds in self._silence.items() if seconds > SILENT_SECONDS}
