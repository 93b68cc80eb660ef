"""The outcomes of a store in a line each: read once, told by their keys whether they are new."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ssefw.documents import Estimate, Outcome
from ssefw.store import Connection
from ssefw.store.connection import JOBS

__all__ = ["OutcomeLine", "OutcomeLines"]

WANTED = (
    "uuid",
    "index",
    "metadata.campaign",
    "metadata.candidate",
    "output.status",
    "output.reason",
    "output.conductivity.conductivity",
    "output.conductivity.activation_energy",
    "output.conductivity.temperature",
    "output.cost.core_hours",
    "output.provenance.created",
)
KEYS_AT_A_TIME = 50
"""A folder's store goes through the whole list for each record that it finds."""
COMPARED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """What a table shows of an outcome.

    Attributes
    ----------
    ended
        When it was stored, seconds since 1970.
    """

    status: str
    reason: str
    sigma: Estimate | None
    energy: Estimate | None
    temperature: float | None
    core_hours: float
    ended: float


class OutcomeLines:
    """Lines by campaign and candidate."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}
        self._lines: dict[str, dict[str, tuple[str, int, OutcomeLine]]] = {}
        self._count, self._compared = 0, -math.inf

    def count(self, campaign: str) -> int:
        """Return how many candidates of a campaign have an outcome."""
        return len(self._lines.get(campaign, {}))

    def of(self, campaign: str) -> dict[str, OutcomeLine]:
        """Return the lines of a campaign by candidate."""
        return {key: line for key, (_, _, line) in self._lines.get(campaign, {}).items()}

    def look(self, connection: Connection) -> bool:
        """Read what is new; return whether anything is.

        What is new changes their number: keys and states of all are compared only then, and now and
        then, as some may be gone for as many that have come.
        """
        jobs = connection.database[JOBS]
        ours = {"output.@class": Outcome.__name__}
        count, moment = int(jobs.count_documents(ours)), time.monotonic()
        if count == self._count and moment < self._compared + COMPARED_SECONDS:
            return False
        self._count, self._compared = count, moment
        return self._compare(connection, ours)

    def _compare(self, connection: Connection, ours: dict[str, str]) -> bool:
        jobs = connection.database[JOBS]
        group = {"_id": {"uuid": "$uuid", "status": "$output.status"}, "count": {"$sum": 1}}
        now = {
            (item["_id"]["uuid"], item["_id"]["status"]): item["count"]
            for item in jobs.aggregate([{"$match": ours}, {"$group": group}])
        }
        if now == self._known:
            return False
        new = list(dict.fromkeys(uuid for (uuid, status), count in now.items()
                                 if self._known.get((uuid, status)) != count))  # fmt: skip
        left = {uuid for uuid, _ in now}
        for lines in self._lines.values():
            for candidate in [key for key, (uuid, _, _) in lines.items() if uuid not in left]:
                del lines[candidate]
        wanted = dict.fromkeys(WANTED, True)
        for part in _parts(new, is_all=not self._known):
            for record in jobs.find({**ours, **part}, wanted):
                self._keep(record)
        self._known = now
        return True

    def _keep(self, record: dict[str, Any]) -> None:
        about, output = record["metadata"], record["output"]
        lines = self._lines.setdefault(about["campaign"], {})
        uuid, index, _ = lines.get(about["candidate"], ("", 0, None))
        # Of a job that was run again the highest index counts, of two jobs the later.
        if uuid == record["uuid"] and index > record["index"]:
            return
        fit = output.get("conductivity") or {}
        lines[about["candidate"]] = (
            record["uuid"],
            record["index"],
            OutcomeLine(
                status=output["status"],
                reason=output.get("reason", ""),
                sigma=_estimate(fit.get("conductivity")),
                energy=_estimate(fit.get("activation_energy")),
                temperature=fit.get("temperature"),
                core_hours=(output.get("cost") or {}).get("core_hours", 0.0),
                ended=_seconds(output.get("provenance") or {}),
            ),
        )


def _parts(uuids: list[str], *, is_all: bool) -> Iterator[dict[str, Any]]:
    """Yield filters of what is to be read: all without a list of it, or some at a time."""
    if is_all:
        yield {}
        return
    for start in range(0, len(uuids), KEYS_AT_A_TIME):
        yield {"uuid": {"$in": uuids[start : start + KEYS_AT_A_TIME]}}


def _estimate(stored: dict[str, Any] | None) -> Estimate | None:
    return Estimate.model_validate(stored) if stored else None


def _seconds(provenance: dict[str, Any]) -> float:
    """Return when a record was made; a database keeps dates as such, in UTC, or as text."""
    created = provenance.get("created")
    if not created:
        return 0.0
    when = created if isinstance(created, datetime) else datetime.fromisoformat(str(created))
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
