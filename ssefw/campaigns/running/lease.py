"""One process at a time does a thing, whichever machine it is on."""

import time
from dataclasses import dataclass
from typing import Any

from ssefw.campaigns.running.worker_names import this_worker, worker_of
from ssefw.store import Connection

__all__ = ["Lease"]

LEASES = "leases"
SECONDS = 180.0
"""How long a holder on another machine may be silent until it counts as dead."""


@dataclass(frozen=True)
class Lease:
    """A lease in the store; a holder that died on this machine loses it at once."""

    connection: Connection
    name: str

    def hold(self) -> bool:
        """Take or renew the lease; False if another process has it."""
        leases, me, now = self.connection.database[LEASES], this_worker().name, time.time()
        free = {"owner": "", "until": 0.0}
        leases.update_one({"_id": self.name}, {"$setOnInsert": free}, upsert=True)
        owner = self.owner()
        previous = worker_of(owner)
        is_dead = previous is not None and previous.is_here and not previous.is_alive
        if owner == me or is_dead:
            mine: dict[str, Any] = {"_id": self.name, "owner": owner}
        else:
            mine = {"_id": self.name, "until": {"$lt": now}}
        taken = leases.update_one(mine, {"$set": {"owner": me, "until": now + SECONDS}})
        return bool(taken.matched_count)

    def owner(self) -> str:
        """Return who holds it."""
        record = self.connection.database[LEASES].find_one({"_id": self.name}) or {}
        return str(record.get("owner", ""))

    def release(self) -> None:
        """Give it back."""
        mine = {"_id": self.name, "owner": this_worker().name}
        self.connection.database[LEASES].update_one(mine, {"$set": {"owner": "", "until": 0.0}})
