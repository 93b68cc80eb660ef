"""What must not run now: paused and cancelled parts of campaigns, and spent budgets.

A hold is one record that every worker reads before it takes a job. Jobs on the launch pad stay as
they are, whatever their number, and so do those that a running job is yet to bring forth; taking
the hold away is all that it takes to go on.
"""

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from ssefw.store import Connection

__all__ = [
    "WORKERS",
    "Hold",
    "add_spending",
    "end_loop",
    "held",
    "hold",
    "holds",
    "jobs_query",
    "lift",
    "lift_part",
    "running_seconds",
    "spent",
    "without_held",
]

HOLDS, SPENDING, WORKERS = "holds", "spending", "workers"

Kind = Literal["pause", "cancel", "budget", "loop"]


@dataclass(frozen=True)
class Hold:
    """A part of a campaign that must not run.

    Attributes
    ----------
    candidates
        Ids; empty means all.
    stage
        Start of the names of the jobs; empty means all.
    below
        Only jobs of a lower priority than this; None means all.
    is_over
        Of a closed loop: no further batch will come.
    key
        Of its record in the store; empty before it is in place.
    """

    campaign: str
    kind: Kind
    candidates: tuple[str, ...] = ()
    stage: str = ""
    reason: str = ""
    below: int | None = None
    is_over: bool = False
    key: str = ""

    @property
    def gives_up(self) -> bool:
        """Whether what it holds counts as done with, until somebody takes it up again."""
        return self.kind == "cancel" or self.is_over

    @property
    def is_whole(self) -> bool:
        """Whether it holds all of a campaign."""
        return not (self.candidates or self.stage) and self.below is None

    @property
    def query(self) -> dict[str, Any]:
        """The jobs on the launch pad that it holds."""
        query = jobs_query(self.campaign, candidates=self.candidates, stage=self.stage)
        return query if self.below is None else {**query, "spec._priority": {"$lt": self.below}}


def jobs_query(campaign: str, *, candidates: Sequence[str] = (), stage: str = "") -> dict[str, Any]:
    """Return the MongoDB filter of the jobs of a part of a campaign."""
    query: dict[str, Any] = {"spec.campaign": campaign}
    if candidates:
        query["spec.candidate"] = {"$in": list(candidates)}
    if stage:
        query["name"] = {"$regex": f"^{re.escape(stage)}( |$)"}
    return query


def holds(connection: Connection, campaign: str | None = None) -> list[Hold]:
    """Return the holds of a campaign, or of all."""
    query = {"campaign": campaign} if campaign else {}
    return [
        Hold(
            campaign=record["campaign"],
            kind=record["kind"],
            candidates=tuple(record["candidates"]),
            stage=record["stage"],
            reason=record["reason"],
            below=record.get("below"),
            is_over=record.get("is_over", False),
            key=record["_id"],
        )
        for record in connection.database[HOLDS].find(query)
    ]


def hold(connection: Connection, new: Hold) -> bool:
    """Put a hold in place; return False if the very same is there."""
    there = {(old.kind, old.candidates, old.stage) for old in holds(connection, new.campaign)}
    if (new.kind, new.candidates, new.stage) in there:
        return False
    # Of two that do this at the same time one puts it there.
    identity = json.dumps([new.campaign, new.kind, *new.candidates, new.stage])
    record = {"_id": hashlib.sha256(identity.encode()).hexdigest()[:32]}
    put = connection.database[HOLDS].update_one(
        record,
        {"$setOnInsert": {
            "campaign": new.campaign,
            "kind": new.kind,
            "candidates": list(new.candidates),
            "stage": new.stage,
            "reason": new.reason,
            "below": new.below,
            "time": time.time(),
        }},
        upsert=True,
    )  # fmt: skip
    return put.upserted_id is not None


def lift(
    connection: Connection, campaign: str, *, kinds: Sequence[Kind] = ("pause", "cancel")
) -> list[Hold]:
    """Take the holds of a campaign away, and return them."""
    lifted = [item for item in holds(connection, campaign) if item.kind in kinds]
    keys = [item.key for item in lifted]
    connection.database[HOLDS].delete_many({"_id": {"$in": keys}})
    return lifted


def lift_part(
    connection: Connection, campaign: str, *, candidates: Sequence[str] = (), stage: str = ""
) -> list[Hold]:
    """Take away what was paused or cancelled within a part of a campaign, and return it.

    Of a hold on several candidates, the others stay held. A hold that reaches beyond the part, such
    as one of the whole campaign where a candidate is named, stays as it is.

    Parameters
    ----------
    connection
        The store.
    campaign
        Its name.
    candidates
        Ids; none means all.
    stage
        Beginning of the names of jobs; empty means all.
    """
    lifted = []
    for item in holds(connection, campaign):
        if item.kind not in {"pause", "cancel"} or not _is_stage_within(item.stage, stage):
            continue
        named = tuple(key for key in item.candidates if key in candidates)
        if candidates and not named:
            continue
        left = [key for key in item.candidates if candidates and key not in candidates]
        mine = {"_id": item.key}
        if left:
            connection.database[HOLDS].update_one(mine, {"$set": {"candidates": left}})
        else:
            connection.database[HOLDS].delete_one(mine)
        lifted.append(replace(item, candidates=named or item.candidates))
    return lifted


def _is_stage_within(stage: str, part: str) -> bool:
    """Whether all jobs of a stage are also of another, as ``md 600 K`` is of ``md``."""
    return not part or stage == part or stage.startswith(f"{part} ")


def end_loop(connection: Connection, campaign: str, *, reason: str, is_over: bool) -> None:
    """Note at the hold of a closed loop whether a further batch will come.

    Parameters
    ----------
    connection
        The store.
    campaign
        Its name.
    reason
        What is said of it.
    is_over
        Whether no further batch will come.
    """
    loop = {"campaign": campaign, "kind": "loop"}
    connection.database[HOLDS].update_many(loop, {"$set": {"is_over": is_over, "reason": reason}})


def held(connection: Connection, campaign: str) -> dict[str, Any] | None:
    """Return the filter of all jobs of a campaign that are held, or None if none is."""
    queries = [item.query for item in holds(connection, campaign)]
    return {"$or": queries} if queries else None


def without_held(connection: Connection, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter of jobs with those left out that are held."""
    excluded = [item.query for item in holds(connection, query.get("spec.campaign"))]
    return {**query, "$nor": excluded} if excluded else dict(query)


def add_spending(connection: Connection, campaign: str, *, core_hours: float) -> None:
    """Count what a job took."""
    connection.database[SPENDING].update_one(
        {"_id": campaign}, {"$inc": {"core_hours": core_hours, "jobs": 1}}, upsert=True
    )


def spent(connection: Connection, campaign: str, *, running: bool = True) -> float:
    """Return the core-hours of a campaign so far.

    Parameters
    ----------
    running
        Count also what the jobs that run now have taken.
    """
    record = connection.database[SPENDING].find_one({"_id": campaign}) or {}
    total = float(record.get("core_hours", 0.0))
    if not running:
        return total
    launches = {
        firework["launches"][-1]
        for firework in connection.launchpad.fireworks.find(
            {"spec.campaign": campaign, "state": "RUNNING"}, {"launches": True}
        )
        if firework["launches"]
    }
    told = running_seconds(connection)
    for launch in connection.launchpad.launches.find(
        {"launch_id": {"$in": sorted(launches)}},
        {"launch_id": True, "fworker.env": True, "state_history": True},
    ):
        env = (launch.get("fworker") or {}).get("env") or {}
        seconds = told.get(launch["launch_id"])
        hours = _hours_by_the_date(launch) if seconds is None else seconds / 3600.0
        total += hours * float(env.get("cores", 1))
    return total


def running_seconds(connection: Connection) -> dict[int, float]:
    """Return by launch how long jobs have been running, as their workers said last."""
    found = connection.database[WORKERS].find({}, {"launch_id": True, "seconds": True})
    return {
        record["launch_id"]: float(record["seconds"])
        for record in found
        if record.get("launch_id") is not None
    }


def _hours_by_the_date(launch: Mapping[str, Any]) -> float:
    """Return for how long a launch has been running whose worker reaches no database."""
    for entry in launch.get("state_history", ()):
        if entry.get("state") == "RUNNING":
            began = datetime.fromisoformat(str(entry["created_on"]))
            began = began if began.tzinfo else began.replace(tzinfo=UTC)
            return max(0.0, (datetime.now(UTC) - began).total_seconds() / 3600.0)
    return 0.0
