"""From a template and values to an answer; everything that is not markup of ours is escaped."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ssefw.campaigns.file import campaign_of
from ssefw.report.wording import (
    decades_words,
    estimate_words,
    formula_words,
    number_words,
    remarks_words,
    title_words,
)
from ssefw.serve.board import Board, CampaignView

__all__ = ["SharedPages", "board_of", "duration_words", "page", "path_of", "shared", "view_of"]

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
PAGES_KEPT = 32


class SharedPages:
    """Pages that several people look at, made once for all of them."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], Response]) -> Response:
        """Return a page; of all that ask for the same key at once, the first makes it."""
        with self._lock:
            while len(self._made) >= PAGES_KEPT and key not in self._made:
                del self._made[next(iter(self._made))]
            page = self._made.setdefault(key, _Made())
        with page.lock:
            if page.body is None:
                made = make()
                page.body, page.media_type = bytes(made.body), made.media_type
        return Response(page.body, media_type=page.media_type)


@dataclass
class _Made:
    """A page, and a lock that holds up those only who wait for this page."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    body: bytes | None = None
    media_type: str | None = None


def shared(request: Request, view: CampaignView, make: Callable[[], Response]) -> Response:
    """Return a page of a campaign as it is seen now, made for whoever asks for it first."""
    pages: SharedPages = request.app.state.pages
    return pages.get(f"{view.version} {request.url.path}?{request.url.query}", make)


def board_of(request: Request) -> Board:
    """Return the campaigns that this server shows."""
    board: Board = request.app.state.board
    return board


def view_of(request: Request) -> CampaignView:
    """Return the campaign that an address names.

    Raises
    ------
    HTTPException
        If there is none.
    """
    name = request.path_params["campaign"]
    view = board_of(request).view(name)
    if view is None:
        raise HTTPException(404, f"There is no campaign {name!r} in this store.")
    return view


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page."""
    state = request.app.state
    return HTMLResponse(
        _environment()
        .get_template(template)
        .render(
            board=state.board,
            read_only=state.board.read_only,
            word=state.keys.word,
            said=state.sayings.get(request.query_params.get("said", ""), ""),
            path=request.url.path,
            screens=_screens(request),
            **values,
        ),
        status_code=status,
    )


def _screens(request: Request) -> bool:
    """Whether the campaign of an address was chosen from a pool, or learns from its outcomes."""
    name = request.path_params.get("campaign")
    view = board_of(request).shown(name) if name else None
    if view is None:
        return False
    spec = campaign_of(view.record)
    return bool(spec.feedback or spec.screen or view.record.excluded)


@lru_cache(maxsize=4096)
def path_of(*parts: str) -> str:
    """Return the path of a page; names may hold anything."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ssefw", "serve/templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "number": number_words,
        "estimate": estimate_words,
        "formula": formula_words,
        "decades": decades_words,
        "percent": lambda share: f"{share:.0%}",
        "remarks": remarks_words,
        "duration": duration_words,
        "ago": _ago,
        "moment": _moment,
        "where": lambda parts: path_of(*parts),
    }
    environment.globals |= {"path_of": path_of, "title_words": title_words, "log10": _log10}
    return environment


def duration_words(seconds: float | None) -> str:
    """Return a time in the unit in which people think of it."""
    if seconds is None or not math.isfinite(seconds):
        return "?"
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    if seconds < 2 * DAY:
        return f"{seconds / HOUR:.1f} h"
    return f"{seconds / DAY:.1f} d"


def _ago(moment: str | None) -> str:
    """Return how long ago something was, as FireWorks or we wrote it down: in UTC."""
    if not moment:
        return ""
    when = datetime.fromisoformat(str(moment))
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return f"{duration_words(max(0.0, time.time() - when.timestamp()))} ago"


def _moment(seconds: float) -> str:
    """Return a time as people write it down, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") if seconds else ""


def _log10(number: float | None) -> float | None:
    return math.log10(number) if number else None
