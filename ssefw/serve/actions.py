"""What somebody changes from a page: each is shown with what it touches before it is done."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ssefw.campaigns.running.causes import CAUSE_NAMES
from ssefw.campaigns.running.watch import STAGES
from ssefw.campaigns.steering.control import (
    Part,
    failed_in,
    put_on_hold,
    rerun,
    set_priority,
    stop_running,
)
from ssefw.campaigns.steering.holds import lift_part
from ssefw.errors import LaunchError
from ssefw.serve.board import CampaignView
from ssefw.serve.guard import CSRF_FIELD, Keys, form_of
from ssefw.serve.render import board_of, page, path_of, view_of
from ssefw.store import Connection
from ssefw.units import AskedPriority, limits_in

__all__ = ["ask", "do"]


@dataclass(frozen=True)
class Change:
    """A change that somebody asks for.

    Attributes
    ----------
    cause
        Of failed jobs that are run again; empty means all.
    priority
        As it was typed.
    back
        Path of the page to go back to.
    """

    verb: str
    part: Part
    cause: str = ""
    priority: str = ""
    back: str = "/"


@dataclass(frozen=True)
class Verb:
    """A kind of change.

    Attributes
    ----------
    does
        Makes the change, and returns what it did in a sentence.
    touches
        Says what it would do.
    """

    label: str
    does: Callable[[Connection, Change], str]
    touches: Callable[[Connection, Change], str]
    explained: str
    is_grave: bool = False


def ask(request: Request) -> Response:
    """Show what a change would touch, with the button that makes it."""
    view = view_of(request)
    connection = board_of(request).connection
    fields = {name: request.query_params.getlist(name) for name in request.query_params}
    change = _change(view, fields)
    verb = VERBS[change.verb]
    return page(
        request,
        "confirm.html",
        title=verb.label,
        campaign=view.campaign,
        change=change,
        verb=verb,
        touches=verb.touches(connection, change),
        titles=[view.lines[key].title for key in change.part.candidates if key in view.lines],
    )


async def do(request: Request) -> Response:
    """Make a change that was confirmed, and go back to the page."""
    fields = await form_of(request)
    keys: Keys = request.app.state.keys
    if not keys.same((fields.get(CSRF_FIELD) or [""])[0], keys.word):
        raise HTTPException(403, "Changes are made from the pages only.")
    return await run_in_threadpool(_do, request, fields)


def _do(request: Request, fields: dict[str, list[str]]) -> Response:
    board = board_of(request)
    view = view_of(request)
    change = _change(view, fields)
    said = VERBS[change.verb].does(board.connection, change)
    board.look(at_once=True)
    key = request.app.state.sayings.keep(said)
    join = "&" if "?" in change.back else "?"
    return RedirectResponse(f"{change.back}{join}said={key}", status_code=303)


def _change(view: CampaignView, fields: dict[str, list[str]]) -> Change:
    """Return the change that some fields ask for.

    Raises
    ------
    HTTPException
        If there is no such change, or it is of what the campaign does not have.
    """

    def first(name: str) -> str:
        return (fields.get(name) or [""])[0].strip()

    candidates = tuple(dict.fromkeys(fields.get("candidate", [])))
    stage = first("stage")
    for is_known, what, word in (
        (first("verb") in VERBS, "change", first("verb")),
        (all(key in view.lines for key in candidates), "candidate", " ".join(candidates)),
        (not stage or stage.partition(" ")[0] in STAGES, "stage", stage),
        (first("cause") in {"", *CAUSE_NAMES}, "cause of failures", first("cause")),
    ):
        if not is_known:
            raise HTTPException(400, f"The campaign {view.campaign} has no {what} {word[:60]!r}.")
    # A path of this server and nothing else, or somebody could send people elsewhere.
    back = first("back")
    is_ours = back.startswith("/") and not back.startswith(("//", "/\\"))
    return Change(
        verb=first("verb"),
        part=Part(view.campaign, candidates, stage),
        cause=first("cause"),
        priority=first("priority"),
        back=back if is_ours else path_of("campaigns", view.campaign),
    )


def _pause(connection: Connection, change: Change) -> str:
    put_on_hold(connection, change.part, "pause")
    return f"Held {_jobs(change.part.count(connection))}; those that run end by themselves."


def _stop(connection: Connection, change: Change) -> str:
    put_on_hold(connection, change.part, "pause")
    return f"Held {_jobs(change.part.count(connection))}; {_stopped(connection, change.part)}."


def _cancel(connection: Connection, change: Change) -> str:
    count = change.part.count(connection)
    put_on_hold(connection, change.part, "cancel")
    return f"Cancelled {_jobs(count)}; {_stopped(connection, change.part)}."


def _stopped(connection: Connection, part: Part) -> str:
    asked, missed = stop_running(connection, part)
    away = f", {missed} cannot be reached from here" if missed else ""
    return f"{asked} workers were asked to stop{away}"


def _resume(connection: Connection, change: Change) -> str:
    part = change.part
    lifted = lift_part(connection, part.campaign, candidates=part.candidates, stage=part.stage)
    if not lifted:
        raise LaunchError("Nothing of this part is paused or cancelled by itself.")
    return "It goes on where workers or a launcher run."


def _rerun(connection: Connection, change: Change) -> str:
    count = rerun(connection, failed_in(connection, change.part, cause=change.cause or None))
    return f"{_jobs(count)} {'is' if count == 1 else 'are'} ready to run again."


def _reorder(connection: Connection, change: Change) -> str:
    (limits,) = limits_in(AskedPriority)
    try:
        priority = int(limits.check(change.priority))
    except ValueError as error:
        raise LaunchError(f"The priority is {error}, got {change.priority[:20]!r}.") from error
    count = set_priority(connection, change.part, priority)
    return f"{_jobs(count)} {'has' if count == 1 else 'have'} priority {priority}."


def _unfinished(connection: Connection, change: Change) -> str:
    count = change.part.count(connection)
    running = change.part.count(connection, "RUNNING")
    return f"{_jobs(count)}, {running} of them running"


def _failed(connection: Connection, change: Change) -> str:
    return _jobs(len(failed_in(connection, change.part, cause=change.cause or None)))


def _jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'}"


VERBS = {
    "pause": Verb(
        "Pause",
        _pause,
        _unfinished,
        "No further job of it starts; those that run end by themselves.",
    ),
    "stop": Verb(
        "Pause now",
        _stop,
        _unfinished,
        "No further job of it starts; those that run store their frames and stop.",
    ),
    "resume": Verb("Resume", _resume, _unfinished, "What was paused or cancelled of it goes on."),
    "cancel": Verb(
        "Cancel",
        _cancel,
        _unfinished,
        "It is given up: running jobs store their frames and stop, and what is left counts as "
        "done. Nothing that was computed is lost; Resume takes it back.",
        is_grave=True,
    ),
    "rerun": Verb("Run again", _rerun, _failed, "They go on from what they had computed."),
    "priority": Verb(
        "Set priority",
        _reorder,
        _unfinished,
        "A campaign of N candidates starts with N for the best of the ranking and 1 for the last; "
        "higher runs earlier.",
    ),
}
