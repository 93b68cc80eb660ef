"""Tells browsers that something has changed, so that their pages show it without being asked.

One thread looks at the store for all of them; how many watch makes no difference to it.
"""

import asyncio
import contextlib
import json
import logging
import math
import threading
import time
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ssefw.campaigns.running.notices import is_wanted
from ssefw.errors import StoreError
from ssefw.serve.board import Board
from ssefw.serve.pace import rest_after

__all__ = ["Watcher", "events"]

logger = logging.getLogger(__name__)

BEAT_SECONDS = 15.0
"""How often a connection on which nothing happens is tried, so that one that is gone is noticed."""

ANSWERED_SECONDS = 10.0
"""By then browsers have asked for their pages, and have got them from a busy machine too."""

UNWATCHED_SECONDS = 60.0
"""How often it is looked for notices that are due while nobody watches."""


class Watcher:
    """Looks at the store while anybody watches, and rings when something has changed."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._stop = threading.Event()
        self._wanted = threading.Event()
        self._looked = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()
        self._watching = 0
        self._is_over = False

    @contextlib.asynccontextmanager
    async def on_duty(self) -> AsyncIterator[None]:
        """Watch until the block ends; it begins when the first look is over.

        That look reads every outcome, and whoever asks before would wait for it.
        """
        self._loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        thread.start()
        await asyncio.to_thread(self._looked.wait)
        try:
            yield
        finally:
            self.end()

    def end(self) -> None:
        """Let browsers go, who never hang up by themselves."""
        self._is_over = True
        self._stop.set()
        self._wanted.set()
        self._looked.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._ring)

    async def changes(self) -> AsyncIterator[dict[str, int]]:
        """Yield the versions of the campaigns now, after each change, and at each beat."""
        self._watching += 1
        self._wanted.set()
        try:
            while not self._is_over:
                rung = self._rung
                yield self._board.versions()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(rung.wait(), BEAT_SECONDS)
        finally:
            self._watching -= 1
            if not self._watching:
                self._wanted.clear()

    def _watch(self) -> None:
        """Look again and again; a store that does not answer is asked again later."""
        last: dict[str, int] = {}
        rung, used, cost = -math.inf, 0.0, 0.0
        while not self._stop.is_set():
            try:
                self._board.look()
                self._board.tell()
            except StoreError as error:
                logger.warning("%s", error)
            finally:
                self._looked.set()
            versions = self._board.versions()
            # Browsers that are told ask for their pages, which costs more than the look.
            since = time.monotonic() - rung
            if since < ANSWERED_SECONDS:
                cost = time.process_time() - used
            if versions != last and since >= rest_after(cost) and self._loop is not None:
                last, rung, used = versions, time.monotonic(), time.process_time()
                with contextlib.suppress(RuntimeError):  # the server has ended
                    self._loop.call_soon_threadsafe(self._ring)
            self._stop.wait(self._board.pause)
            self._wanted.wait(UNWATCHED_SECONDS if is_wanted(self._board.settings) else None)

    def _ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()


async def events(request: Request) -> Response:
    """Send an event whenever a campaign has changed; the first says how it stands."""
    campaign = request.query_params.get("campaign", "")
    watcher: Watcher = request.app.state.watcher

    async def stream() -> AsyncIterator[str]:
        last: dict[str, int] | None = None
        async for versions in watcher.changes():
            mine = {name: n for name, n in versions.items() if campaign in {"", name}}
            if last is None:
                yield f"event: now\ndata: {json.dumps(mine)}\n\n"
            elif mine != last:
                yield f"event: changed\ndata: {json.dumps(mine)}\n\n"
            else:
                yield ": still here\n\n"
            last = mine

    return StreamingResponse(stream(), media_type="text/event-stream")
