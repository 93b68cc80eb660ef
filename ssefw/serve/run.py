"""A server of the pages until its end."""

import gc
import logging
import socket
from collections.abc import Sequence
from types import FrameType

import uvicorn

from ssefw.serve.app import application
from ssefw.serve.board import Board
from ssefw.serve.events import Watcher
from ssefw.serve.guard import Keys
from ssefw.settings import Settings
from ssefw.store import Connection

__all__ = ["serve"]

SECONDS_TO_END = 2
"""For answers that are under way."""
COLLECTED_AFTER = 100_000
"""Objects after which Python looks for those that nobody needs. The lines of thousands of
candidates stay, and going through them every 700 objects takes a fifth of the first look."""


def serve(
    connection: Connection,
    settings: Settings,
    heard: socket.socket,
    *,
    keys: Keys,
    names: Sequence[str] = (),
    read_only: bool = False,
) -> None:
    """Answer browsers until a signal ends it.

    Parameters
    ----------
    connection
        The store.
    settings
        Of this site.
    heard
        A socket that is bound already.
    keys
        Who may see the pages, and who may change something.
    names
        Other names that browsers may call this server by.
    read_only
        Whether nobody may change anything.
    """
    gc.set_threshold(COLLECTED_AFTER)
    host, port = heard.getsockname()[:2]
    board = Board(connection, settings, read_only=read_only)
    app = application(board, keys, port=port, names=[*names, host, socket.gethostname()])
    config = uvicorn.Config(
        app,
        log_config=None,
        # An access log would hold the token of the first request.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_END,
        lifespan="on",
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    _Server(config, watcher=app.state.watcher).run(sockets=[heard])


class _Server(uvicorn.Server):
    """A server that lets those go who follow when it is asked to end."""

    def __init__(self, config: uvicorn.Config, *, watcher: Watcher) -> None:
        super().__init__(config)
        self._watcher = watcher

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        self._watcher.end()
        super().handle_exit(sig, frame)
