"""What an interrupted operation of FireWorks leaves on a server: found, and brought to its end.

FireWorks writes several documents one after the other. In a folder they are one transaction; on a
server a process that is killed between two of them, or that gives up a server that stays away,
leaves a workflow locked, a job reserved for nobody, or a job as running whose launch has ended.
None of these lasts longer than an instant in a process that lives, so that what is found unchanged
for a while is a leftover.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ssefw.store import Connection
from ssefw.store.server.patience import MARK

__all__ = ["UnfinishedWrites"]

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 60.0
LONGEST_GAP = 30.0
"""Of a longer time between two looks only this counts: the server may have been away."""
ENDED = ("COMPLETED", "FIZZLED")


@dataclass
class UnfinishedWrites:
    """Remembers what was found unfinished, and for how long it has stayed the same."""

    _age: dict[Any, float] = field(default_factory=dict)
    _last_look: float | None = None

    def mend(self, connection: Connection) -> int:
        """Finish what was left, and return how many things; call it now and then."""
        if not connection.address.is_server:
            return 0
        now = time.monotonic()
        gap = 0.0 if self._last_look is None else min(LONGEST_GAP, now - self._last_look)
        self._last_look = now
        found = list(_unfinished(connection))
        self._age = {item: self._age[item] + gap if item in self._age else 0.0 for item in found}
        due = [item for item in found if self._age[item] >= SETTLE_SECONDS]
        for item in due:
            item.finish(connection)
            logger.warning("Left by an interrupted operation and mended: %s", item)
        return len(due)


@dataclass(frozen=True)
class _Locked:
    """A workflow that nobody unlocks."""

    node: int
    mark: str

    def finish(self, connection: Connection) -> None:
        connection.launchpad.workflows.update_one(
            {"nodes": self.node, "locked": True}, {"$unset": {"locked": True}}
        )


@dataclass(frozen=True)
class _Reserved:
    """A job that was taken by a process that did not live to note its launch."""

    firework_id: int
    mark: str

    def finish(self, connection: Connection) -> None:
        connection.launchpad.fireworks.update_one(
            {"fw_id": self.firework_id, "state": "RESERVED"}, {"$set": {"state": "READY"}}
        )


@dataclass(frozen=True)
class _Ended:
    """A job whose launch has ended, which nobody has told the workflow."""

    firework_id: int
    launch_id: int

    def finish(self, connection: Connection) -> None:
        connection.launchpad._refresh_wf(self.firework_id)  # noqa: SLF001 - as complete_launch


def _unfinished(connection: Connection) -> Iterator[_Locked | _Reserved | _Ended]:
    launchpad = connection.launchpad
    for workflow in launchpad.workflows.find({"locked": True}, {"nodes": True, MARK: True}):
        yield _Locked(workflow["nodes"][0], str(workflow.get(MARK)))
    taken = list(
        launchpad.fireworks.find(
            {"state": {"$in": ["RESERVED", "RUNNING"]}},
            {"fw_id": True, "state": True, "launches": True, MARK: True},
        )
    )
    last = {firework["fw_id"]: (firework["launches"] or [None])[-1] for firework in taken}
    ids = sorted(launch for launch in last.values() if launch is not None)
    states = {
        launch["launch_id"]: launch["state"]
        for launch in launchpad.launches.find(
            {"launch_id": {"$in": ids}}, {"launch_id": True, "state": True}
        )
    }
    for firework in taken:
        firework_id = firework["fw_id"]
        launch_id = last[firework_id]
        state = states.get(launch_id) if launch_id is not None else None
        if firework["state"] == "RESERVED" and state != "RESERVED":
            yield _Reserved(firework_id, str(firework.get(MARK)))
        elif firework["state"] == "RUNNING" and launch_id is not None and state in ENDED:
            yield _Ended(firework_id, launch_id)
