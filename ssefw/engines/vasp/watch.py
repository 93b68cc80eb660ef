"""The eye on a running VASP: gathers what it has computed, and ends it when its time is up.

To custodian it is a monitor and a validator; custodian's own handlers are asked through it, seldom,
since some read every line that VASP has printed.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from custodian.custodian import ErrorHandler, Validator
from custodian.vasp.handlers import FrozenJobErrorHandler

from ssefw.documents import EndReason
from ssefw.engines.stopping import StopCheck, end_time
from ssefw.engines.vasp.policy import Correction
from ssefw.errors import EngineError, SsefwError

__all__ = ["EndCheck", "Gatherer", "Watch"]

ASK_EVERY = 300.0
"""Seconds between two rounds of custodian's handlers."""

LINGER = 60.0
"""Seconds that a program which has written its last word may take to exit."""

MARGIN = 60.0
"""Seconds kept free before the end of the allocation, at least."""

STEPS_OF_MARGIN = 3.0
"""Ionic steps for which there must be time before the end of the allocation."""

QUICK = 10.0
"""An ionic step shorter than this (s) may finish after a request to stop now; a longer one is
aborted, since schedulers kill half a minute after they ask."""

GRACE = 300.0
"""Seconds VASP has to stop after it was told to, at least; an ionic step that is finished leaves a
whole CONTCAR behind. A frozen VASP has none."""

LAST = 15.0
"""Seconds before the end of the allocation at which VASP is killed."""


class Gatherer(Protocol):
    """What the watch does with the steps that VASP writes."""

    @property
    def seen_step(self) -> int:
        """Last complete step that VASP has written."""

    def gather(self) -> None:
        """Take up new steps; an error ends VASP."""


class Watch(ErrorHandler):
    """Watches one run of VASP.

    Attributes
    ----------
    asked
        Why VASP was asked to stop, if it was.
    error
        The error that made going on pointless, if any.
    corrections
        What custodian's handlers found.
    """

    is_monitor = True
    is_terminating = True

    def __init__(
        self,
        handlers: Sequence[ErrorHandler],
        *,
        stop: StopCheck,
        gatherer: Gatherer | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self.handlers = handlers
        self.asked: EndReason | None = None
        self.error: SsefwError | None = None
        self.corrections: list[Correction] = []
        self.events: list[str] = []
        self._stop = stop
        self._gatherer = gatherer
        self._on_progress = on_progress
        self._deadline = end_time()
        self._due = time.monotonic() + ASK_EVERY
        self._found: ErrorHandler | None = None
        self._told_at: float | None = None
        self._progress = (time.monotonic(), None if gatherer is None else gatherer.seen_step)
        self._step_seconds = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the little that custodian's log needs."""
        return {"@module": type(self).__module__, "@class": type(self).__name__}

    def check(self, directory: str = "./") -> bool:
        """Look; True ends VASP at once."""
        folder = Path(directory)
        try:
            self._look()
            self._stop_when_time_is_up(folder)
            self._stop_when_an_error_is_found(folder)
        except SsefwError as error:
            self.error = error
        except OSError as error:
            self.error = EngineError(
                f"Cannot write below {folder}: {error.strerror}. Free space or point "
                "SSEFW_SCRATCH elsewhere; the run continues from its last complete step.",
                directory=folder,
            )
            self.error.__cause__ = error
        return self.error is not None or self._must_be_killed(folder)

    def ask_handlers(self, directory: str) -> bool:
        """Ask custodian's handlers, unless one has found an error; True if one has."""
        if self._found is None:
            handlers: Sequence[Any] = self.handlers
            self._found = next((h for h in handlers if h.check(directory=directory)), None)
        return self._found is not None

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Let the handler that found the error propose its remedy."""
        if self._found is None:
            return {"errors": self.events[-1:] or [str(self.error)], "actions": None}
        handler: Any = self._found
        self._found = None
        try:
            proposal: dict[str, Any] = handler.correct(directory=directory)
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            # Some remedies read outputs that are not there yet and trip.
            proposal = {"errors": [f"no remedy: {error}"], "actions": None}
        name = type(handler).__name__
        has_remedy = bool(proposal["actions"])
        self.corrections.append(Correction(name, tuple(proposal["errors"]), has_remedy))
        return proposal

    def _look(self) -> None:
        if self._gatherer is None:
            return
        self._gatherer.gather()
        then, before = self._progress
        step, now = self._gatherer.seen_step, time.monotonic()
        if step != before:
            self._step_seconds = (now - then) / max(1, step - (before or 0))
            self._progress = (now, step)
            if self._on_progress is not None:
                self._on_progress(step)

    def _stop_when_time_is_up(self, folder: Path) -> None:
        if self.asked is None and (reason := self._time_is_up()) is not None:
            now = reason == "preempted" and self._step_seconds > QUICK
            self._tell_to_stop(folder, "LABORT" if now else "LSTOP")
            self.asked = reason

    def _stop_when_an_error_is_found(self, folder: Path) -> None:
        """Ask custodian's handlers when it is time; VASP may finish its ionic step."""
        if self._told_at is None and time.monotonic() > self._due:
            self._due = time.monotonic() + ASK_EVERY
            if self.ask_handlers(str(folder)):
                self._tell_to_stop(folder, "LSTOP")

    def _tell_to_stop(self, folder: Path, how: str) -> None:
        # Of a band, some versions look into the folders of the images.
        for place in (folder, *folder.glob("[0-9][0-9]")):
            (place / "STOPCAR").write_text(f"{how} = .TRUE.\n")
        self._told_at = time.monotonic()

    def _must_be_killed(self, folder: Path) -> bool:
        if isinstance(self._found, FrozenJobErrorHandler):
            return True
        if _has_finished(folder):
            if _seconds_since(folder / "vasprun.xml") > LINGER:
                self.events.append("VASP had finished but did not exit, and was killed")
                return True
            return False
        if self._told_at is None:
            return False
        grace = max(GRACE, STEPS_OF_MARGIN * self._step_seconds)
        late = self._deadline is not None and time.time() > self._deadline - LAST
        if late or time.monotonic() > self._told_at + grace:
            self.events.append("VASP did not stop in time and was killed")
            return True
        return False

    def _time_is_up(self) -> EndReason | None:
        if (reason := self._stop()) is not None:
            return reason
        margin = max(MARGIN, STEPS_OF_MARGIN * self._step_seconds)
        if self._deadline is not None and time.time() > self._deadline - margin:
            return "walltime"
        return None


class EndCheck(Validator):
    """Asks custodian's handlers once more when VASP has ended."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def as_dict(self) -> dict[str, Any]:
        """Return the little that custodian's log needs."""
        return {"@module": type(self).__module__, "@class": type(self).__name__}

    def check(self, directory: str = "./") -> bool:
        """Return whether a handler finds an error; its proposal is kept with the watch."""
        if self._watch.asked is not None or not self._watch.ask_handlers(directory):
            return False
        self._watch.correct(directory)
        return True


def _has_finished(folder: Path) -> bool:
    try:
        with (folder / "vasprun.xml").open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64))
            return b"</modeling>" in file.read()
    except OSError:
        return False


def _seconds_since(path: Path) -> float:
    return time.time() - path.stat().st_mtime
