"""A process that analyzes runs while they grow, beside the server and for it.

Numerics take 150 MB and seconds to be imported, and hold up who else asks for a page. Nobody who
does not look at a run pays for that, and the process ends when nobody has looked for a while.
"""

import logging
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ssefw.documents import Diffusivity, Trajectory
from ssefw.processes import end_with_parent
from ssefw.serve.growing import GrowingRuns
from ssefw.store import Address, open_blobs
from ssefw.store.frames.trajectories import TrajectoryStore

__all__ = ["GrowingProcess"]

logger = logging.getLogger(__name__)

IDLE_SECONDS = 120.0


class GrowingProcess:
    """Asks the process, which is started with the first question.

    Parameters
    ----------
    address
        Of the store.
    runs_folder
        In which runs have their folders.
    """

    def __init__(self, address: Address, runs_folder: Path) -> None:
        self._about = (address, runs_folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: threading.Timer | None = None
        self._lock = threading.Lock()

    def look(
        self, key: str, ledger: Trajectory | None, *, specie: str, level: float
    ) -> list[Diffusivity]:
        """Return the diffusivity of a run at simulated times; see `GrowingRuns.look`."""
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            try:
                found: list[Diffusivity] = self._asked((key, ledger, specie, level))
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                logger.warning("The analysis of run %s failed: %s", key, error)
                self._end()
                return []
            self._idle = threading.Timer(IDLE_SECONDS, self.end)
            self._idle.daemon = True
            self._idle.start()
            return found

    def _asked(self, question: tuple[Any, ...]) -> Any:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            command = [sys.executable, "-m", "ssefw.serve.growing_process"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._send(self._about)
        self._send(question)
        assert self._process.stdout is not None
        return pickle.load(self._process.stdout)

    def _send(self, what: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        pickle.dump(what, self._process.stdin)
        self._process.stdin.flush()

    def end(self) -> None:
        """End the process; the next question starts another."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def main() -> None:
    """Answer the questions that come in, until there is nobody left to ask."""
    end_with_parent()
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever prints must not stand among the answers
    address, folder = pickle.load(questions)
    runs = GrowingRuns(TrajectoryStore(open_blobs(address, read_only=True)), folder)
    while True:
        try:
            key, ledger, specie, level = pickle.load(questions)
        except EOFError:
            return
        pickle.dump(runs.look(key, ledger, specie=specie, level=level), answers)
        answers.flush()


if __name__ == "__main__":
    main()
