"""How far a campaign is: counts from the launch pad, rates from the runs themselves."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssefw.campaigns.file import campaign_of
from ssefw.campaigns.steering.holds import Hold, holds, spent
from ssefw.documents import Batch, CampaignRecord, Outcome
from ssefw.engines import read_progress
from ssefw.errors import StoreError
from ssefw.processes import process_of
from ssefw.store import Connection
from ssefw.store.connection import JOBS

__all__ = [
    "STAGES",
    "STATE_WORDS",
    "RunningMD",
    "Snapshot",
    "campaigns_in",
    "latest_record",
    "snapshot",
]

State = Literal["active", "held", "done"]

STALE_SECONDS = 300.0
STAGES = (
    *("bvse", "relax", "hops", "neb", "candidate", "learn", "label", "ladder"),
    *("volume", "md", "diffusivity"),
)
"""The first words of the names of jobs, in the order in which they come; others follow."""

STATE_WORDS = {
    "COMPLETED": "done",
    "RUNNING": "running",
    "RESERVED": "handed out",
    "READY": "ready",
    "WAITING": "waiting",
    "PAUSED": "set aside",
    "DEFUSED": "set aside",
    "ARCHIVED": "set aside",
    "FIZZLED": "failed",
}
"""What FireWorks calls the state of a job, and what people do."""


@dataclass(frozen=True)
class RunningMD:
    """A molecular dynamics run that gave a sign of life lately.

    Attributes
    ----------
    key
        Of its trajectory, and the name of its folder.
    done, total
        ps of simulated time.
    speed
        ps of simulated time an hour.
    seconds_left
        Until the end of this run.
    """

    candidate_id: str
    temperature: float
    done: float
    total: float
    speed: float
    seconds_left: float
    key: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A campaign at one moment.

    Attributes
    ----------
    stages
        Jobs by name and state; temperatures are left out of the name.
    concluded
        Candidates that have an outcome.
    held
        Jobs that are ready but paused, cancelled, or beyond the budget.
    given_up
        Those of them that were cancelled, or left over when a closed loop ended.
    core_hours
        Spent so far, running jobs included.
    busy
        Candidates of which a job runs.
    """

    campaign: str
    n_candidates: int
    concluded: int
    stages: dict[tuple[str, str], int]
    failed: tuple[tuple[str, str], ...]
    running: tuple[RunningMD, ...]
    held: int = 0
    given_up: int = 0
    holds: tuple[Hold, ...] = ()
    core_hours: float = 0.0
    budget: float | None = None
    busy: frozenset[str] = frozenset()

    def in_words(self) -> dict[tuple[str, str], int]:
        """Return the number of jobs by stage and by what people call their state."""
        found: Counter[tuple[str, str]] = Counter()
        for (stage, state), count in self.stages.items():
            found[stage, STATE_WORDS[state]] += count
        return dict(found)

    def count(self, *states: str) -> int:
        """Return the number of jobs in any of the states."""
        return sum(n for (_, state), n in self.stages.items() if state in states)

    @property
    def unfinished(self) -> int:
        """Jobs that are ready or run, held or not."""
        return self.count("READY", "RUNNING", "RESERVED")

    @property
    def is_idle(self) -> bool:
        """Whether no job is left that may run now."""
        return self.unfinished <= self.held

    @property
    def is_done(self) -> bool:
        """Whether no job is left that is to run, now or once a pause or a budget is lifted."""
        return self.unfinished <= self.given_up

    @property
    def state(self) -> State:
        """What the campaign does: ``active`` has jobs that run or may, ``held`` only such as wait.

        ``done`` has neither; its failed jobs stay failed.
        """
        if self.is_done:
            return "done"
        return "held" if self.is_idle else "active"


def campaigns_in(connection: Connection) -> list[str]:
    """Return the names of the campaigns in a store, the latest last."""
    # A record of thousands of candidates is large: only the names are decoded.
    found = connection.job_store.query(
        {"output.@class": CampaignRecord.__name__, "metadata.stage": "record"}, ["output.campaign"]
    )
    return list(dict.fromkeys(record["output"]["campaign"] for record in found))


def latest_record(connection: Connection, campaign: str) -> CampaignRecord:
    """Return the campaign as it was submitted last.

    Raises
    ------
    StoreError
        If there is no campaign of this name; the message has those there are.
    """
    records = list(connection.results.find(CampaignRecord, campaign=campaign))
    if not records:
        known = campaigns_in(connection)
        there = f"it holds {', '.join(known)}" if known else "it holds no campaign yet"
        raise StoreError(
            f"The store {connection.address} has no campaign {campaign!r}; {there}. "
            "Submit one with `ssefw submit FILE`."
        )
    # Of two with the same candidates, the later: it has the budget that holds now.
    return max(reversed(records), key=lambda record: len(record.candidates))


def snapshot(
    connection: Connection,
    record: CampaignRecord,
    scratch: Path,
    *,
    concluded: int | None = None,
) -> Snapshot:
    """Return how far a campaign is.

    Parameters
    ----------
    scratch
        Where runs leave notes of their progress.
    concluded
        Candidates that have an outcome, by whoever has counted them already.
    """
    fireworks = connection.launchpad.fireworks
    ours = {"spec.campaign": record.campaign}
    stages: Counter[tuple[str, str]] = Counter()
    for group in fireworks.aggregate(
        [
            {"$match": ours},
            {"$group": {"_id": {"name": "$name", "state": "$state"}, "count": {"$sum": 1}}},
        ]
    ):
        stages[group["_id"]["name"].partition(" ")[0], group["_id"]["state"]] += group["count"]
    wanted = {"name": True, "spec.candidate": True}
    failed = [
        (firework["spec"]["candidate"], firework["name"])
        for firework in fireworks.find({**ours, "state": "FIZZLED"}, wanted)
    ]
    on_hold = holds(connection, record.campaign)
    given_up = [item for item in on_hold if item.gives_up]
    at_work = list(fireworks.find({**ours, "state": "RUNNING"}, wanted))
    budget = campaign_of(record).budget
    busy = frozenset(item["spec"]["candidate"] for item in at_work)
    # A run that was asked to stop leaves its note of progress behind.
    moving = {item["spec"]["candidate"] for item in at_work if "md " in item["name"]}
    return Snapshot(
        campaign=record.campaign,
        n_candidates=len(record.candidates),
        concluded=_concluded(connection, record.campaign) if concluded is None else concluded,
        stages=dict(sorted(stages.items(), key=lambda item: _rank(item[0][0]))),
        failed=tuple(failed),
        running=tuple(run for run in _running(scratch) if run.candidate_id in moving),
        held=_ready_among(connection, on_hold, stages),
        given_up=_ready_among(connection, given_up, stages),
        holds=tuple(on_hold),
        core_hours=spent(connection, record.campaign),
        budget=budget.core_hours if budget else None,
        busy=busy,
    )


def _ready_among(
    connection: Connection, some: Sequence[Hold], stages: Mapping[tuple[str, str], int]
) -> int:
    """Return how many ready jobs some holds keep from running."""
    if any(item.is_whole for item in some):
        return sum(count for (_, state), count in stages.items() if state == "READY")
    if not some:
        return 0
    query = {"$or": [item.query for item in some], "state": "READY"}
    return int(connection.launchpad.fireworks.count_documents(query))


def _concluded(connection: Connection, campaign: str) -> int:
    """Return how many candidates have an outcome, and batches of a pool their answers."""
    jobs = connection.database[JOBS]
    group = {"$group": {"_id": "$metadata.candidate", "count": {"$sum": 1}}}
    # One kind at a time, since an index then answers and no outcome is read.
    return sum(
        1
        for kind in (Outcome, Batch)
        for _ in jobs.aggregate(
            [{"$match": {"output.@class": kind.__name__, "metadata.campaign": campaign}}, group]
        )
    )


def _rank(stage: str) -> tuple[int, str]:
    return (STAGES.index(stage) if stage in STAGES else len(STAGES), stage)


def _running(scratch: Path) -> Iterator[RunningMD]:
    for folder in sorted(scratch.glob("runs/*")):
        note = read_progress(folder)
        if note is None or time.time() - note["time"] > STALE_SECONDS:
            continue
        process = process_of(note.get("process", ""))
        if process is not None and process.is_gone:
            continue
        step_ps = note["timestep"] / 1000.0
        rate = note["rate"]
        yield RunningMD(
            candidate_id=note["candidate"],
            temperature=note["temperature"],
            done=note["step"] * step_ps,
            total=note["until"] * step_ps,
            speed=rate * step_ps * 3600.0,
            seconds_left=(note["until"] - note["step"]) / rate if rate else float("inf"),
            key=note.get("key", ""),
        )
