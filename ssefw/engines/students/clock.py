"""How long something took whose process may be killed and started again."""

import json
import time
from pathlib import Path

from ssefw.engines.run_directory import write_atomically

__all__ = ["Clock"]


class Clock:
    """Seconds of all processes that worked at something, kept in a file.

    What a killed process took after it wrote last is lost.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._began = time.monotonic()
        try:
            self._before = float(json.loads(file.read_text())["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            self._before = 0.0

    def seconds(self) -> float:
        """Return them, with those of this process so far."""
        return self._before + time.monotonic() - self._began

    def write(self) -> None:
        """Keep them."""
        write_atomically(self._file, json.dumps({"seconds": self.seconds()}).encode())
