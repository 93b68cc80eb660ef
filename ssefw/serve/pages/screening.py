"""How the pool of a campaign was put in order, what was left out, and what outcomes changed."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ssefw.documents import Estimate, RankChange, Reranking
from ssefw.report.feedback import feedback_section
from ssefw.report.wording import estimate_words
from ssefw.serve.board import CampaignView
from ssefw.serve.curves import plain_point
from ssefw.serve.render import board_of, page, path_of, view_of
from ssefw.serve.selection import PAGE_ROWS, page_count
from ssefw.store import Connection
from ssefw.store.results.first_ranking import first_ranking

__all__ = ["first_scores", "screening_page", "screening_points"]

SHOWN_EXCLUDED = 200


def screening_page(request: Request) -> Response:
    """Show the ranking of a campaign before and after its outcomes became labels, and why."""
    view = view_of(request)
    connection = board_of(request).connection
    found = list(connection.results.find(Reranking, campaign=view.campaign))
    across, _ = _first_predictions(connection, view.campaign)
    learned = feedback_section(found, shown=None)
    number = request.query_params.get("page", "")
    at = max(1, int(number)) if number.isdecimal() and len(number) < 10 else 1
    excluded = view.record.excluded
    return page(
        request,
        "screening.html",
        title="Screening",
        campaign=view.campaign,
        view=view,
        learned=learned,
        across=across,
        rows=_rows(view, learned.rows if learned else (), at),
        labels=found[-1].new_labels if found else (),
        at=at,
        count=len(learned.rows) if learned else 0,
        pages=page_count(len(learned.rows)) if learned else 1,
        excluded=excluded[:SHOWN_EXCLUDED],
        n_excluded=len(excluded),
        reasons=Counter(item.code for item in excluded).most_common(),
    )


def _rows(
    view: CampaignView, changes: tuple[RankChange, ...], at: int
) -> list[tuple[RankChange, Estimate | None]]:
    """Return the candidates of one page with what was computed for them."""
    some = changes[(at - 1) * PAGE_ROWS : at * PAGE_ROWS]
    return [(change, _sigma(view, change.candidate_id)) for change in some]


def _sigma(view: CampaignView, candidate: str) -> Estimate | None:
    line = view.lines.get(candidate)
    return line.outcome.sigma if line is not None and line.outcome is not None else None


def screening_points(request: Request) -> Response:
    """Return the computed conductivities of candidates over what was predicted of them."""
    view = view_of(request)
    _, said = _first_predictions(board_of(request).connection, view.campaign)
    return JSONResponse(
        [point for key, x in said.items() if (point := _point(view, key, x)) is not None]
    )


def first_scores(connection: Connection, campaign: str) -> Mapping[str, float]:
    """Return the scores of the candidates of a campaign before it had outcomes."""
    first = first_ranking(connection.results, campaign)
    return {} if first is None else {e.candidate_id: float(e.score) for e in first.entries}


def _first_predictions(connection: Connection, campaign: str) -> tuple[str, Mapping[str, float]]:
    """Return what was predicted before there were outcomes: the number if the system gives it."""
    first = first_ranking(connection.results, campaign)
    numbers = {
        entry.candidate_id: math.log10(entry.sigma.value)
        for entry in (first.entries if first else ())
        if entry.sigma is not None and entry.sigma.value
    }
    if numbers:
        return "predicted log₁₀ σ (S/cm)", numbers
    return "predicted score", first_scores(connection, campaign)


def _point(view: CampaignView, candidate: str, predicted: float) -> dict[str, Any] | None:
    sigma = _sigma(view, candidate)
    point = plain_point(predicted, sigma)
    if point is None or sigma is None:
        return None
    return point | {
        "said": f"{view.lines[candidate].title}: predicted {predicted:.3g}, "
        f"computed {estimate_words(sigma)} S/cm",
        "href": path_of("campaigns", view.campaign, "candidates", candidate),
    }
