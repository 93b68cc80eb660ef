"""The pages of campaigns and of their candidates."""

import time
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ssefw.campaigns.running.jobs import campaign_jobs
from ssefw.campaigns.running.watch import STAGES, STATE_WORDS
from ssefw.campaigns.steering.hold_words import HELD, release_of, worth_saying
from ssefw.campaigns.steering.holds import Hold
from ssefw.report.axis import SigmaAxis
from ssefw.serve.board import CampaignView, CandidateLine
from ssefw.serve.pages.data import CandidateRecords
from ssefw.serve.render import board_of, page, path_of, shared, view_of
from ssefw.serve.selection import COLUMNS, TableView, page_count, state_counts
from ssefw.store import Connection

__all__ = ["campaign_page", "candidate_page", "home"]

SHOWN_FAILURES = 3
SHOWN_HELD = 3
PACE_OF, FEWEST_FOR_A_PACE = 20, 3
"""Outcomes from which the pace of a campaign is taken, and how many there must be."""


def home(request: Request) -> Response:
    """Show the campaigns of the store; the only one there is at once."""
    board = board_of(request)
    names = board.names()
    if len(names) == 1 and "all" not in request.query_params:
        return RedirectResponse(path_of("campaigns", names[0]), status_code=303)
    views = [view for name in names if (view := board.view(name)) is not None]
    return page(request, "home.html", title="Campaigns", views=views, campaign="")


def campaign_page(request: Request) -> Response:
    """Show a campaign: how far it is, what failed and what to do, and its candidates."""
    view = view_of(request)
    return shared(request, view, lambda: _campaign_page(request, view))


def _campaign_page(request: Request, view: CampaignView) -> Response:
    connection = board_of(request).connection
    selection = TableView.of(request.query_params, request.query_params.getlist("column"))
    chosen = selection.choose(view.lines.values())
    rows = selection.rows(chosen)
    outcomes = [line.outcome for line in view.lines.values() if line.outcome]
    return page(
        request,
        "campaign.html",
        title=view.campaign,
        campaign=view.campaign,
        view=view,
        holds=[
            _held(view, item) for item in worth_saying(view.now.holds, is_done=view.now.is_done)
        ],
        stages=_stages(view),
        selection=selection,
        rows=rows,
        columns=COLUMNS,
        cells={
            line.candidate_id: _cells(connection, view.campaign, line)
            for line in rows
            if "jobs" in selection.columns
        },
        count=len(chosen),
        pages=page_count(len(chosen)),
        states=state_counts(view.lines.values()),
        axis=SigmaAxis.around(outcome.sigma for outcome in outcomes),
        temperature=next((o.temperature for o in outcomes if o.temperature), None),
        shown_failures=SHOWN_FAILURES,
        seconds_left=_seconds_left(view),
    )


def candidate_page(request: Request) -> Response:
    """Show all that is known of a candidate."""
    return shared(request, view_of(request), lambda: _candidate_page(request))


def _candidate_page(request: Request) -> Response:
    records = CandidateRecords(request)
    view, line = records.view, records.line
    part = {"spec.campaign": view.campaign, "spec.candidate": line.candidate_id}
    names = {line.candidate_id: line.formula}
    jobs = campaign_jobs(board_of(request).connection, view.campaign, query=part, names=names)
    outcome, ledgers = records.outcome, records.ledgers
    return page(
        request,
        "candidate.html",
        title=line.title,
        campaign=view.campaign,
        view=view,
        line=line,
        outcome=outcome,
        runs=records.runs,
        ledgers=ledgers.values(),
        has_cell=bool(ledgers) or (outcome is not None and outcome.relaxed is not None),
        jobs=sorted(jobs, key=lambda job: _order(job.name)),
        moving=[run for run in view.now.running if run.candidate_id == line.candidate_id],
        holds=[
            _held(view, item) for item in view.now.holds if line.candidate_id in item.candidates
        ],
    )


@dataclass(frozen=True)
class _Held:
    """A hold in words, with the form that lifts it."""

    hold: Hold
    what: str
    how: str
    command: str

    @property
    def may_be_lifted(self) -> bool:
        """Whether a button can do it: a budget is raised in the campaign file."""
        return self.hold.kind in {"pause", "cancel"}


def _held(view: CampaignView, item: Hold) -> _Held:
    titles = [view.lines[key].title for key in item.candidates if key in view.lines]
    if len(titles) > SHOWN_HELD:
        titles = [*titles[:SHOWN_HELD], f"{len(titles) - SHOWN_HELD} more"]
    what = " of ".join(filter(None, [item.stage, ", ".join(titles)])) or "The whole campaign"
    reason = f": {item.reason}" if item.reason and item.kind != "loop" else ""
    return _Held(item, what, f"{HELD[item.kind]}{reason}", release_of(item))


def _stages(view: CampaignView) -> dict[str, dict[str, int]]:
    """Return the jobs by stage and state."""
    found: dict[str, dict[str, int]] = {}
    for (stage, state), count in view.now.in_words().items():
        found.setdefault(stage, {})[state] = count
    return found


@dataclass(frozen=True)
class _Cell:
    """A job of a candidate, as a small square of its color."""

    name: str
    state: str
    count: int

    @property
    def query(self) -> str:
        """The end of the address of its jobs."""
        return _quoted(self.name)


@lru_cache(maxsize=256)
def _quoted(name: str) -> str:
    return quote(name, safe="")


def _cells(connection: Connection, campaign: str, line: CandidateLine) -> list[_Cell]:
    """Return the jobs of a candidate by name, in the order in which they run."""
    match = {"spec.campaign": campaign, "spec.candidate": line.candidate_id}
    group = {"_id": {"name": "$name", "state": "$state"}, "count": {"$sum": 1}}
    found: Counter[tuple[str, str]] = Counter()
    for item in connection.launchpad.fireworks.aggregate([{"$match": match}, {"$group": group}]):
        found[item["_id"]["name"], STATE_WORDS[item["_id"]["state"]]] += item["count"]
    cells = [_Cell(name, state, count) for (name, state), count in found.items()]
    return sorted(cells, key=lambda cell: _order(cell.name))


def _order(name: str) -> tuple[int, str, float, str]:
    """Return where a job stands among those of its candidate: by stage, then by temperature."""
    stage, _, rest = name.partition(" ")
    number = rest.partition(" ")[0]
    rank = STAGES.index(stage) if stage in STAGES else len(STAGES)
    return rank, stage, float(number) if number.replace(".", "", 1).isdecimal() else 0.0, rest


def _seconds_left(view: CampaignView) -> float | None:
    """Return how long the rest will take at the pace of the last outcomes.

    None where nothing runs, or too little is concluded to have a pace.
    """
    now = view.now
    ended = sorted(line.outcome.ended for line in view.lines.values() if line.outcome)
    last = ended[-PACE_OF:]
    if now.state != "active" or not now.busy or len(last) < FEWEST_FOR_A_PACE:
        return None
    pace = len(last) / max(1.0, time.time() - last[0])
    return (now.n_candidates - now.concluded) / pace
