"""Forces of a program that is started when they are asked for, and again where it dies."""

import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from ssefw.engines.ipi.server import Answer, ForceServer, ProgramEndedError
from ssefw.engines.stopping import StepStoppedError, StopCheck
from ssefw.errors import EngineError

__all__ = ["OUTPUTS_KEPT", "ServedForces"]

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

MAX_DEATHS = 3
"""Times in a row that a program may end without a word at one geometry."""
SIGNALS_LAG = 1.0
"""Seconds by which a scheduler's signal may reach this process later than the program."""
OUTPUTS_KEPT = 5
"""Of earlier starts in a folder; each may be a hundred MB."""
_COMPLAINT = re.compile(r"\b(error|wrong|cannot|can't|could not|failed|invalid)\b", re.IGNORECASE)
_FRAME = " \t*#|=-_\\/"
"""What programs draw boxes with."""
TAIL = 20_000
"""Bytes at the end of an output that are read for the reason."""


def _lines(file: Path) -> list[str]:
    """Return the lines at the end of a file that say something, without the boxes around them."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - TAIL))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return [line.strip(_FRAME)[:300] for line in text.splitlines() if line.strip(_FRAME)]


class ServedForces(ABC):
    """Energy, forces and stress of one crystal, for as long as the context lasts.

    Parameters
    ----------
    program
        Its name, for messages.
    folder
        Where it runs.
    output
        File of the folder that takes what it prints.
    remark
        Is told in words that it was started again.
    """

    def __init__(
        self,
        program: str,
        *,
        folder: Path,
        output: str,
        stop: StopCheck,
        remark: Callable[[str], None] = logger.warning,
    ) -> None:
        self._program = program
        self.folder = folder
        self._output = output
        self._stop = stop
        self._remark = remark
        self._server: ForceServer | None = None
        self._deaths = 0

    def __enter__(self) -> Self:
        """Start nothing yet: what is computed already needs no program."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the program and remove what serves nobody."""
        if self._server is not None:
            self._server.close()
            self._tidy()

    def __call__(self, positions: FloatArray, cell: FloatArray) -> Answer:
        """Return what the program computes at positions in a cell (A, rows).

        Raises
        ------
        EngineError
            If it fails in a way that cannot be mended.
        StepStoppedError
            If it is time to stop.
        """
        while True:
            if self._server is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._tidy()
                self._write_input(positions, cell)
                self._server = ForceServer(
                    self.folder, self._words, output=self._output, stop=self._stop
                )
            try:
                answer = self._server.ask(positions, cell)
            except ProgramEndedError as ended:
                self._server = None
                self._mend(ended)
            else:
                self._deaths = 0
                return answer

    def _mend(self, ended: ProgramEndedError) -> None:
        """Make ready for another start; raise where nothing helps."""
        time.sleep(SIGNALS_LAG)
        if (reason := self._stop()) is not None:
            raise StepStoppedError(reason)
        if self._corrected(ended):
            return
        self._deaths += 1
        words = self._last_words() or str(ended)
        if self._deaths >= MAX_DEATHS:
            msg = (
                f"{self._program} in {self.folder} ended {self._deaths} times in a row before it "
                f"had answered: {words}"
            )
            raise EngineError(msg, directory=self.folder) from ended
        self._remark(f"{self._program} was started again: {words}")

    @abstractmethod
    def _write_input(self, positions: FloatArray, cell: FloatArray) -> None:
        """Write what the program reads when it starts at a geometry."""

    @abstractmethod
    def _words(self, socket: str) -> list[str]:
        """Return the words of the command that connects to a socket."""

    def _corrected(self, ended: ProgramEndedError) -> bool:  # noqa: ARG002
        """Change the input so that the program can go on, where its failure is a known one.

        Raises
        ------
        EngineError
            If it is known and has no remedy left.
        """
        return False

    def _last_words(self) -> str:
        """Return what the program said of an error, if it said anything."""
        said = [_lines(self.folder / name) for name in (self._output, f"{self._output}.err")]
        for lines in said:
            for line in reversed(lines):
                if _COMPLAINT.search(line):
                    return line
        return said[-1][-1] if said[-1] else ""

    def _tidy(self) -> None:  # noqa: B027  most leave nothing
        """Remove files that serve nobody when the program has ended."""
