"""How tables and messages look."""

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from ssefw.progress import listening

if TYPE_CHECKING:
    from ssefw.documents import Estimate

__all__ = ["console", "errors", "progress", "show_estimate", "waiting"]

PLAIN_WIDTH = 160
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What moves the cursor, changes colors or retitles the window when a terminal gets it."""


class _Verbatim(Console):
    """A console that shows text as it is: names and messages are data and no markup.

    rich would read ``[/scratch/x]`` in the message of a job as the end of a style, and fail.
    Styles are given by ``style=`` or by `Text`.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(markup=False, emoji=False, **how)

    def render_str(self, text: str, **how: Any) -> Text:
        """Return text without what would command the terminal."""
        return super().render_str(CONTROL.sub("\N{REPLACEMENT CHARACTER}", text), **how)


def console() -> Console:
    """Return the console of stdout; a file or pipe gets wide, plain lines."""
    plain = _Verbatim()
    return plain if plain.is_terminal else _Verbatim(width=PLAIN_WIDTH)


def errors() -> Console:
    """Return the console of stderr, where everything goes that is not a result."""
    return _Verbatim(stderr=True)


@contextlib.contextmanager
def waiting(what: str, *, quiet: bool) -> Iterator[None]:
    """Say on a terminal what is waited for."""
    if quiet:
        yield
        return
    with errors().status(Text(what)):
        yield


@contextlib.contextmanager
def progress(*, quiet: bool) -> Iterator[None]:
    """Draw a bar with the time left for each loop in the block that counts, on a terminal."""
    screen = errors()
    if quiet or not screen.is_terminal:
        yield
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("left", markup=False),
        TimeRemainingColumn(),
        TextColumn("gone", markup=False),
        TimeElapsedColumn(),
    )
    how: dict[str, Any] = {"console": screen, "transient": True, "redirect_stdout": False}
    with Progress(*columns, **how) as bars:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        with listening(tell):
            yield


def show_estimate(estimate: "Estimate | None", *, digits: int = 2) -> str:
    """Return a value with its interval, a bound, or a dash."""
    if estimate is None or estimate.kind == "undetermined":
        return "–"
    if estimate.kind == "upper_bound":
        return f"< {estimate.upper:.{digits}g}"
    if estimate.kind == "lower_bound":
        return f"> {estimate.lower:.{digits}g}"
    return (
        f"{estimate.value:.{digits}g}  [{estimate.lower:.{digits}g}, {estimate.upper:.{digits}g}]"
    )
