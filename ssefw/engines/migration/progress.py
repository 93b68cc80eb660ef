"""How far a band in a folder is, for whoever watches."""

import math
import time
from collections.abc import Callable
from pathlib import Path

from ssefw.documents import EndReason, NebIterationRecord
from ssefw.engines.ase.neb import BAND_FILE, read_history
from ssefw.engines.stopping import StopCheck

__all__ = ["LATEST_FILE", "BandWatch", "read_band_progress"]

NEB_OUTPUT = "neb.out"
LATEST_FILE = "iteration.json"
"""Where an engine without a history of its own leaves the newest iteration of a running band."""


def read_band_progress(folder: Path) -> NebIterationRecord | None:
    """Return the latest iteration of the band in a folder, if there is one."""
    if (folder / BAND_FILE).exists():
        history = read_history(folder / BAND_FILE)
        return history[-1] if history else None
    if (folder / NEB_OUTPUT).exists():
        from ssefw.engines.espresso.bands.neb_output import parse_log  # noqa: PLC0415  custodian is slow
        from ssefw.engines.espresso.bands.neb_result import records  # noqa: PLC0415
        from ssefw.engines.espresso.symptoms import read_text  # noqa: PLC0415

        found = records(parse_log(read_text(folder / NEB_OUTPUT)))
        return found[-1] if found else None
    if (folder / LATEST_FILE).exists():
        return NebIterationRecord.model_validate_json((folder / LATEST_FILE).read_text())
    return None


class BandWatch:
    """A check whether to stop that also shows what the bands below a folder have come to.

    Parameters
    ----------
    show
        Called with the path of a band below `folder` and its latest iteration, when that is new.
    interval
        Least seconds between two looks at the folder by checks.
    """

    def __init__(
        self,
        stop: StopCheck,
        folder: Path,
        show: Callable[[str, NebIterationRecord], None],
        *,
        interval: float = 2.0,
    ) -> None:
        self._stop = stop
        self._folder = folder
        self._show = show
        self._interval = interval
        self._last = -math.inf
        self._seen: dict[str, NebIterationRecord] = {}

    def __call__(self) -> EndReason | None:
        """Return why to stop, if it is time to."""
        if time.monotonic() - self._last >= self._interval:
            self.look()
        return self._stop()

    def look(self) -> None:
        """Show what is new."""
        self._last = time.monotonic()
        names = (BAND_FILE, NEB_OUTPUT, LATEST_FILE)
        for file in (found for name in names for found in self._folder.rglob(name)):
            name = str(file.parent.relative_to(self._folder))
            latest = read_band_progress(file.parent)
            if latest is not None and latest != self._seen.get(name):
                self._seen[name] = latest
                self._show(name, latest)
