"""Signs of life of workers, for those of which no process and no queue job can be asked.

A worker counts up, and says for how long that may not change until it counts as dead: its lease.
Whoever looks out for dead ones compares with what was counted at the last look, by its own clock:
clocks of two machines are never compared.
"""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ssefw.campaigns.steering.holds import WORKERS
from ssefw.errors import StoreError
from ssefw.store import Connection, outages_reported

__all__ = ["HeartbeatWatch", "beating"]

BEATS = 5
"""Signs of life in a lease: that many have to fail one after the other."""
LEASE_SECONDS = 75.0
"""Lease of a worker that has not said how long it is."""
LONGEST_GAP = 30.0
"""Of a longer time between two looks only this counts: the store may have been out of reach."""


@contextlib.contextmanager
def beating(connection: Connection, name: str, *, lease: float = LEASE_SECONDS) -> Iterator[None]:
    """Give signs of life while a block runs, and say what job it runs and for how long.

    Parameters
    ----------
    lease
        Seconds without a sign after which this worker counts as dead.
    """
    stop = threading.Event()
    workers = connection.database[WORKERS]

    def beat() -> None:
        while True:
            held = connection.launchpad.held
            job = {
                "launch_id": held.launch_id if held else None,
                "seconds": time.monotonic() - held.since if held else 0.0,
            }
            # The next one may come through.
            with contextlib.suppress(StoreError), outages_reported(connection.address):
                workers.update_one(
                    {"_id": name}, {"$inc": {"beats": 1}, "$set": {"lease": lease, **job}},
                    upsert=True,
                )  # fmt: skip
            if stop.wait(lease / BEATS):
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
class HeartbeatWatch:
    """Remembers what workers had counted, and for how long that has not changed.

    Attributes
    ----------
    fallen
        Those that had fallen silent at the last look.
    """

    fallen: set[str] = field(default_factory=set)
    _beats: dict[str, int | None] = field(default_factory=dict)
    _silence: dict[str, float] = field(default_factory=dict)
    _last_look: float | None = None

    def silent(self, connection: Connection, names: Iterable[str]) -> set[str]:
        """Return the workers that have given no sign of life for longer than their lease."""
        now = time.monotonic()
        gap = 0.0 if self._last_look is None else min(LONGEST_GAP, now - self._last_look)
        self._last_look = now
        wanted = sorted(set(names))
        records = {
            item["_id"]: item
            for item in connection.database[WORKERS].find({"_id": {"$in": wanted}})
        }
        beats = {name: records.get(name, {}).get("beats") for name in wanted}
        self._silence = {
            name: self._silence.get(name, 0.0) + gap
            if name in self._beats and self._beats[name] == count
            else 0.0
            for name, count in beats.items()
        }
        self._beats = beats
        self.fallen = {
            name
            for name, seconds in self._silence.items()
            if seconds > float(records.get(name, {}).get("lease", LEASE_SECONDS))
        }
        return self.fallen
