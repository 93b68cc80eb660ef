"""pw.x as a server of forces: started at a geometry, corrected and started again where it fails."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.engines.espresso.continuation import corrected
from ssefw.engines.espresso.handlers import force_handlers
from ssefw.engines.espresso.inputs import PREFIX, PW_INPUT, change_geometry
from ssefw.engines.espresso.job import PW_OUTPUT, keep_output
from ssefw.engines.espresso.symptoms import CRASH_FILE, read_text
from ssefw.engines.ipi import OUTPUTS_KEPT, ProgramEndedError, ServedForces
from ssefw.engines.run_directory import RunDirectory, write_atomically
from ssefw.engines.stopping import StopCheck
from ssefw.errors import EngineError

__all__ = ["PwForces"]

FloatArray = npt.NDArray[np.float64]

SCRATCH = (f"{PREFIX}.wfc*", f"{PREFIX}.old*wfc*", f"{PREFIX}.update", f"{PREFIX}.mix*")
"""Files that serve nobody when pw.x has ended."""


class PwForces(ServedForces):
    """Energy, forces and stress of one cell, for as long as the context lasts.

    Parameters
    ----------
    run
        The run that asks: its folder holds that of pw.x, and its ledger what had to be mended.
    text
        Input of pw.x for the cell, with any geometry.
    """

    def __init__(
        self, run: RunDirectory, text: str, *, command: Sequence[str], stop: StopCheck
    ) -> None:
        folder = run.path / "espresso"
        super().__init__("pw.x", folder=folder, output=PW_OUTPUT, stop=stop, remark=run.remark)
        self._text = text
        self._command = list(command)

    def _write_input(self, positions: FloatArray, cell: FloatArray) -> None:  # noqa: ARG002
        """Write the input at a geometry, with what was corrected before."""
        text = corrected(self._text, self.folder, PW_INPUT)
        write_atomically(self.folder / PW_INPUT, change_geometry(text, positions).encode())
        (self.folder / CRASH_FILE).unlink(missing_ok=True)
        keep_output(self.folder / PW_OUTPUT)

    def _words(self, socket: str) -> list[str]:
        return [*self._command, "--ipi", f"{socket}:UNIX", "-inp", PW_INPUT]

    def _corrected(self, ended: ProgramEndedError) -> bool:
        folder = str(self.folder)
        handlers: list[Any] = list(force_handlers(PW_INPUT, PW_OUTPUT))
        found = next((handler for handler in handlers if handler.check(folder)), None)
        if found is None:
            return False
        answer = found.correct(folder)
        words = "; ".join(dict.fromkeys(map(str, answer["errors"])))
        if not answer["actions"]:
            msg = f"pw.x failed in {folder}: {words}"
            raise EngineError(msg, directory=self.folder) from ended
        self._remark(f"pw.x was started again with {', '.join(answer['actions'])}: {words}")
        return True

    def _last_words(self) -> str:
        lines = read_text(self.folder / f"{PW_OUTPUT}.err").strip().splitlines()
        return lines[-1].strip()[:300] if lines else ""

    def _tidy(self) -> None:
        for pattern in SCRATCH:
            for file in self.folder.glob(pattern):
                file.unlink(missing_ok=True)
        kept = sorted(self.folder.glob("pw.*.out"), key=lambda file: file.stat().st_mtime)
        for file in kept[:-OUTPUTS_KEPT]:
            file.unlink(missing_ok=True)
