"""The application: which address shows which page."""

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib import resources
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ssefw.errors import SsefwError, StoreError
from ssefw.masking import masked
from ssefw.serve import actions
from ssefw.serve.board import Board
from ssefw.serve.events import Watcher, events
from ssefw.serve.growing_process import GrowingProcess
from ssefw.serve.guard import Guard, Keys, form_of
from ssefw.serve.pages import campaigns, data, jobs, results, screening, site
from ssefw.serve.render import SharedPages, page

__all__ = ["application"]

SAYINGS_KEPT = 100


class Sayings:
    """What changes have done, to be said once on the page that follows.

    An address names a saying by a random key: it cannot put words into a page.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, str] = OrderedDict()

    def keep(self, text: str) -> str:
        """Keep a sentence, and return its key."""
        key = secrets.token_urlsafe(9)
        self._kept[key] = text
        while len(self._kept) > SAYINGS_KEPT:
            self._kept.popitem(last=False)
        return key

    def get(self, key: str, default: str) -> str:
        """Return the sentence of a key."""
        return self._kept.get(key, default)


def application(
    board: Board,
    keys: Keys,
    *,
    port: int,
    names: Iterable[str] = (),
) -> Starlette:
    """Return the application.

    Parameters
    ----------
    board
        The campaigns it shows; one that is read-only makes it refuse every change.
    keys
        What lets somebody in.
    port
        Of the server, for the name of its cookie.
    names
        Names beside that of this machine by which browsers may ask for it.
    """
    campaign = "/campaigns/{campaign}"
    candidate = campaign + "/candidates/{candidate}"
    watcher = Watcher(board)
    folder = board.settings.scratch_folder() / "runs"
    growing = GrowingProcess(board.connection.address, folder)

    @asynccontextmanager
    async def life(_app: Starlette) -> AsyncIterator[None]:
        async with watcher.on_duty():
            yield
        growing.end()

    app = Starlette(
        routes=[
            Route("/", campaigns.home),
            Route("/login", login, methods=["GET", "POST"]),
            Route("/events", events),
            Route("/results", results.results_page),
            Route("/results/points.json", results.results_points),
            Route("/results.{form}", results.results_download),
            Route("/site", site.site_page),
            Route(f"{campaign}/screening", screening.screening_page),
            Route(f"{campaign}/screening/points.json", screening.screening_points),
            Route(campaign, campaigns.campaign_page),
            Route(candidate, campaigns.candidate_page),
            Route(f"{candidate}/curves.json", data.curves_of),
            Route(f"{candidate}/growth.json", data.growth_of),
            Route(f"{candidate}/crystal.json", data.crystal_of),
            Route(f"{candidate}/crystal.cif", data.cif_of),
            Route(candidate + "/runs/{key}.json", data.moves_of),
            Route(candidate + "/runs/{key}.extxyz", data.frames_file),
            Route(f"{campaign}/jobs", jobs.jobs_page),
            Route(campaign + "/jobs/{job:int}", jobs.job_page),
            Route(campaign + "/jobs/{job:int}/log", jobs.log_part),
            Route(f"{campaign}/change", actions.ask, methods=["GET"]),
            Route(f"{campaign}/change", actions.do, methods=["POST"]),
            Mount("/static", StaticFiles(directory=str(resources.files("ssefw.serve") / "static"))),
        ],
        middleware=[
            Middleware(
                Guard,
                keys=keys,
                cookie=f"ssefw-{port}",
                names=names,
                read_only=board.read_only,
            )
        ],
        exception_handlers={HTTPException: _refused, SsefwError: _failed},
        lifespan=life,
    )
    app.state.board = board
    app.state.keys = keys
    app.state.watcher = watcher
    app.state.sayings = Sayings()
    app.state.pages = SharedPages()
    app.state.growing = growing
    return app


async def login(request: Request) -> Response:
    """Ask for the token, and let in whoever has it."""
    if request.method == "POST":
        token = ((await form_of(request)).get("token") or [""])[0].strip()
        return RedirectResponse(f"/?{urlencode({'token': token})}", status_code=303)
    return page(
        request, "login.html", title="Sign in", campaign="", wrong="wrong" in request.query_params
    )


def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    said = error.detail if isinstance(error, HTTPException) else str(error)
    return page(request, "error.html", status=status, title="Not possible", campaign="", text=said)


def _failed(request: Request, error: Exception) -> Response:
    status = 503 if isinstance(error, StoreError) else 400
    text = masked(str(error))
    return page(request, "error.html", status=status, title="Not possible", campaign="", text=text)
