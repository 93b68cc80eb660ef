"""pw.x as a server of forces: started at a geometry, corrected and started again where it fails."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ssefw.engines.espresso.continuation import corrected
from ssefw.engines.espresso.handlers import force_handlers
from ssefw.engines.espresso.inputs import PREFIX, PW_INPUT, change_geometry
from ssefw.engines.espresso.job import PW_OUTPUT, keep_output
from ssefw.engines.espresso.symptoms import CRASH_FILE, read_text
from ssefw.engines.ipi import Answer, ForceServer, ProgramEndedError
from ssefw.engines.run_directory import RunDirectory, write_atomically
from ssefw.engines.stopping import StepStoppedError, StopCheck
from ssefw.errors import EngineError

__all__ = ["PwForces"]

logger = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

MAX_DEATHS = 3
"""Times in a row that pw.x may end without a word at one geometry."""
SIGNALS_LAG = 1.0
"""Seconds by which a scheduler's signal may reach this process later than pw.x."""
OUTPUTS_KEPT = 5
"""Of earlier starts in a folder; each may be a hundred MB."""
SCRATCH = (f"{PREFIX}.wfc*", f"{PREFIX}.old*wfc*", f"{PREFIX}.update", f"{PREFIX}.mix*")
"""Files that serve nobody when pw.x has ended."""


class PwForces:
    """Energy, forces and stress of one cell, for as long as the context lasts.

    Parameters
    ----------
    run
        The run that asks: its folder holds that of pw.x, and its ledger what had to be mended.
    text
        Input of pw.x, with any geometry.
    cell
        A, rows.
    """

    def __init__(
        self,
        run: RunDirectory,
        text: str,
        *,
        cell: FloatArray,
        command: Sequence[str],
        stop: StopCheck,
    ) -> None:
        self._run = run
        self.folder: Path = run.path / "espresso"
        self._text = text
        self._cell = cell
        self._command = list(command)
        self._stop = stop
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
        """End pw.x and remove its wavefunctions."""
        if self._server is not None:
            self._server.close()
            self._tidy()

    def __call__(self, positions: FloatArray) -> Answer:
        """Return what pw.x computes at positions (A).

        Raises
        ------
        EngineError
            If pw.x fails in a way that cannot be mended.
        StepStoppedError
            If it is time to stop.
        """
        while True:
            if self._server is None:
                self._server = self._started(positions)
            try:
                answer = self._server.ask(positions, self._cell)
            except ProgramEndedError as ended:
                self._server = None
                self._mend(ended)
            else:
                self._deaths = 0
                return answer

    def _started(self, positions: FloatArray) -> ForceServer:
        """Write the input at a geometry, with what was corrected before."""
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        text = corrected(self._text, folder, PW_INPUT)
        write_atomically(folder / PW_INPUT, change_geometry(text, positions).encode())
        self._tidy()
        (folder / CRASH_FILE).unlink(missing_ok=True)
        keep_output(folder / PW_OUTPUT)
        return ForceServer(folder, self._words, output=PW_OUTPUT, stop=self._stop)

    def _words(self, name: str) -> list[str]:
        return [*self._command, "--ipi", f"{name}:UNIX", "-inp", PW_INPUT]

    def _mend(self, ended: ProgramEndedError) -> None:
        """Change the input so that pw.x can be started again; raise where nothing helps."""
        time.sleep(SIGNALS_LAG)
        if (reason := self._stop()) is not None:
            raise StepStoppedError(reason)
        folder = str(self.folder)
        handlers: list[Any] = list(force_handlers(PW_INPUT, PW_OUTPUT))
        found = next((handler for handler in handlers if handler.check(folder)), None)
        if found is None:
            self._deaths += 1
            words = _last_words(self.folder) or str(ended)
            if self._deaths >= MAX_DEATHS:
                msg = (
                    f"pw.x in {folder} ended {self._deaths} times in a row before it had "
                    f"answered: {words}"
                )
                raise EngineError(msg, directory=self.folder) from ended
            self._run.remark(f"pw.x was started again: {words}")
            return
        answer = found.correct(folder)
        words = "; ".join(dict.fromkeys(map(str, answer["errors"])))
        if not answer["actions"]:
            msg = f"pw.x failed in {folder}: {words}"
            raise EngineError(msg, directory=self.folder) from ended
        self._run.remark(f"pw.x was started again with {', '.join(answer['actions'])}: {words}")

    def _tidy(self) -> None:
        for pattern in SCRATCH:
            for file in self.folder.glob(pattern):
                file.unlink(missing_ok=True)
        kept = sorted(self.folder.glob("pw.*.out"), key=lambda file: file.stat().st_mtime)
        for file in kept[:-OUTPUTS_KEPT]:
            file.unlink(missing_ok=True)


def _last_words(folder: Path) -> str:
    """Return the last line of what a program said of an error."""
    lines = read_text(folder / f"{PW_OUTPUT}.err").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
