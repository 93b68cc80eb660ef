"""How long something took whose process may be killed and started again."""

import json
import time
from pathlib import Path

from ssefw.engines.ranks import cores_held
from ssefw.engines.run_directory import write_atomically

__all__ = ["Clock"]


class Clock:
    """Seconds and core-hours of all processes that worked at something, kept in its folder.

    Core-hours are those of the cores that each process held, see `cores_held`. What a killed
    process took after it wrote last is lost.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "seconds.json"
        self._began = time.monotonic()
        self._cores = cores_held()
        try:
            found = json.loads(self._file.read_text())
            self._before = float(found["seconds"])
            self._before_on_cores = float(found.get("core_seconds", self._before * self._cores))
        except (OSError, ValueError, KeyError, TypeError):
            self._before = self._before_on_cores = 0.0

    def seconds(self) -> float:
        """Return them, with those of this process so far."""
        return self._before + self._own()

    def core_hours(self) -> float:
        """Return them, with those of this process so far."""
        return (self._before_on_cores + self._own() * self._cores) / 3600.0

    def write(self) -> None:
        """Keep them."""
        taken = {"seconds": self.seconds(), "core_seconds": 3600.0 * self.core_hours()}
        write_atomically(self._file, json.dumps(taken).encode())

    def _own(self) -> float:
        return time.monotonic() - self._began
