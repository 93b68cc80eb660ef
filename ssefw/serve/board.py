"""What the pages show of campaigns, kept in memory and brought up to date as the store changes.

A candidate is a line of a few words and numbers: thousands of them are sorted, filtered and
searched in memory, and only what one page shows in full is read from the store.
"""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ssefw.campaigns.queueing.fleet import Fleet, fleet
from ssefw.campaigns.running.notices import send_due
from ssefw.campaigns.running.watch import Snapshot, latest_record, snapshot
from ssefw.documents import CampaignRecord, PlannedCandidate
from ssefw.report.wording import title_words
from ssefw.serve.outcome_lines import OutcomeLine, OutcomeLines
from ssefw.serve.pace import rest_after
from ssefw.settings import Settings
from ssefw.store import Connection
from ssefw.store.connection import JOBS

__all__ = ["Board", "CampaignView", "CandidateLine"]

TRIED_SECONDS = 0.2
"""How often a folder is asked whether anything was written to it, which takes no time."""
FRESH_SECONDS = 1.0
"""How often it is looked at what tells nothing of that: a server, and runs that go on."""


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """A candidate in one line.

    Attributes
    ----------
    place
        In the ranking with which the campaign was submitted, the best being 1.
    title
        What people call it.
    state
        The status of its outcome; without one ``failed``, ``running`` or ``waiting``.
    searched
        All that a search looks through, in lower case.
    """

    planned: PlannedCandidate
    place: int
    title: str
    state: str
    outcome: OutcomeLine | None
    searched: str

    @property
    def candidate_id(self) -> str:
        """Content id of its structure."""
        return self.planned.candidate_id

    @property
    def formula(self) -> str:
        """Reduced formula."""
        return self.planned.formula


@dataclass(frozen=True)
class CampaignView:
    """A campaign at one moment.

    Attributes
    ----------
    lines
        Its candidates in the order of the ranking.
    version
        Grows with each change that a page would show.
    """

    record: CampaignRecord
    now: Snapshot
    queued: Fleet
    lines: Mapping[str, CandidateLine]
    version: int

    @property
    def campaign(self) -> str:
        """Name of the campaign."""
        return self.record.campaign


class Board:
    """The campaigns of a store.

    Parameters
    ----------
    connection
        Shared by all who ask; the store takes one question at a time.
    """

    def __init__(self, connection: Connection, settings: Settings, *, read_only: bool) -> None:
        self.connection = connection
        self.settings = settings
        self.read_only = read_only
        self._scratch = settings.scratch_folder()
        self._lock = threading.RLock()
        self._outcomes = OutcomeLines()
        self._records: dict[str, tuple[int, CampaignRecord]] = {}
        self._views: dict[str, CampaignView] = {}
        self._writes: int | None = None
        self._tried, self._looked, self._took = -math.inf, -math.inf, 0.0

    @property
    def pause(self) -> float:
        """Seconds to wait until it is worth a try whether there is news."""
        return max(TRIED_SECONDS, rest_after(self._took) + self._looked - time.monotonic())

    def names(self) -> list[str]:
        """Return the campaigns, in the order of their names."""
        self.look()
        return sorted(self._views)

    def view(self, campaign: str) -> CampaignView | None:
        """Return how a campaign stands, as of the last look; None if there is none such."""
        self.look()
        return self._views.get(campaign)

    def tell(self) -> None:
        """Send the notices that are due, as the settings ask for."""
        if not self.read_only:
            for view in list(self._views.values()):
                send_due(self.connection, view.now, self.settings)

    def shown(self, campaign: str) -> CampaignView | None:
        """Return how a campaign was seen last, without a look."""
        return self._views.get(campaign)

    def versions(self) -> dict[str, int]:
        """Return the version of each campaign."""
        return {name: view.version for name, view in self._views.items()}

    def look(self, *, at_once: bool = False) -> None:
        """Bring everything up to date if the last look was long ago.

        Parameters
        ----------
        at_once
            However short ago the last look was: something was changed from here.
        """
        with self._lock:
            moment, is_first = time.monotonic(), math.isinf(self._looked)
            since = moment - self._looked
            is_early = moment < self._tried + TRIED_SECONDS or since < rest_after(self._took)
            if is_early and not at_once:
                return
            self._tried = moment
            writes = self.connection.writes()
            # What a run says of itself lies in its folder: with runs there is always news.
            is_silent = writes is None or any(view.now.running for view in self._views.values())
            is_due = is_silent and since >= FRESH_SECONDS
            if not (at_once or is_due or (writes is not None and writes != self._writes)):
                return
            # Of this thread alone: a machine that is busy otherwise makes no look dearer. The first
            # reads everything, and no other does.
            began = time.thread_time()
            self._look()
            self._took = 0.0 if is_first else time.thread_time() - began
            self._writes, self._looked = writes, time.monotonic()

    def _look(self) -> None:
        has_new = self._outcomes.look(self.connection)
        there = self._count_records()
        for name in set(self._views) - set(there):
            del self._views[name]
        for name, count in there.items():
            known, record = self._records.get(name, (0, None))
            if record is None or count != known:
                record = latest_record(self.connection, name)
                self._records[name] = count, record
            before = self._views.get(name)
            now = snapshot(
                self.connection, record, self._scratch, concluded=self._outcomes.count(name)
            )
            queued = fleet(self.connection, name)
            shown = before and (before.record, before.now, before.queued)
            if shown == (record, now, queued) and not has_new:
                continue
            self._views[name] = CampaignView(
                record=record,
                now=now,
                queued=queued,
                lines=self._lines(record, now, has_new=has_new),
                version=before.version + 1 if before else 1,
            )

    def _count_records(self) -> dict[str, int]:
        """Return how often each campaign was submitted; a record is added and never changed."""
        match = {"output.@class": CampaignRecord.__name__}
        group = {"_id": "$metadata.campaign", "count": {"$sum": 1}}
        found = self.connection.database[JOBS].aggregate([{"$match": match}, {"$group": group}])
        return {item["_id"]: item["count"] for item in found}

    def _lines(
        self, record: CampaignRecord, now: Snapshot, *, has_new: bool
    ) -> Mapping[str, CandidateLine]:
        """Return the candidates, those that are as they were unchanged."""
        before = self._views.get(record.campaign)
        is_same = before is not None and before.record is record
        known = before.lines if before is not None and is_same else {}
        if before is not None and is_same and not has_new:
            # Progress of runs is news for a page and none for its candidates.
            was = before.now
            if (was.failed, was.busy) == (now.failed, now.busy):
                return known
        outcomes = self._outcomes.of(record.campaign)
        failed = {candidate for candidate, _ in now.failed}
        lines = {}
        for place, item in enumerate(record.candidates, start=1):
            key = item.candidate_id
            outcome = outcomes.get(key)
            state = _state(outcome, is_failed=key in failed, is_running=key in now.busy)
            line = known.get(key)
            if line is None or line.state != state or line.outcome is not outcome:
                line = _line(item, place, state, outcome)
            lines[key] = line
        return lines


def _state(outcome: OutcomeLine | None, *, is_failed: bool, is_running: bool) -> str:
    if outcome is not None:
        return outcome.status
    if is_running:
        return "running"
    return "failed" if is_failed else "waiting"


def _line(
    item: PlannedCandidate, place: int, state: str, outcome: OutcomeLine | None
) -> CandidateLine:
    words = (item.formula, item.candidate_id, item.source, *item.aliases, item.reference)
    return CandidateLine(
        planned=item,
        place=place,
        title=title_words(item.formula, item.source),
        state=state,
        outcome=outcome,
        searched=" ".join(words).lower(),
    )
