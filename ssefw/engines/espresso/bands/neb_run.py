"""A band in a folder: from its input, over any number of restarts, to its record.

The plain band comes first; a converged one is continued with a climbing image from the same path
file. Which stage a folder is in is written down before neb.x starts, so that after a kill the next
call goes on where the path file stands.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pymatgen.core import Structure

from ssefw.documents import NebPath
from ssefw.engines.base import NebSettings
from ssefw.engines.espresso.bands.neb_output import parse_log, parse_path
from ssefw.engines.espresso.bands.neb_result import read_band, records
from ssefw.engines.espresso.continuation import corrected
from ssefw.engines.espresso.inputs import NEB_INPUT, PREFIX, Options, PathSettings, neb_input
from ssefw.engines.espresso.job import NEB_OUTPUT, attempts
from ssefw.engines.espresso.process import run_program
from ssefw.engines.espresso.pseudopotentials import Pseudopotential
from ssefw.engines.espresso.symptoms import read_text
from ssefw.engines.run_directory import RunDirectory, write_atomically
from ssefw.engines.stopping import InterruptionError, StopCheck
from ssefw.errors import EngineError

__all__ = ["NebRun"]

Stage = Literal["plain", "climb"]
STAGE_FILE = "stage.json"


@dataclass
class NebRun:
    """neb.x in a folder, all settings known.

    Attributes
    ----------
    options, kpoints
        See `ssefw.engines.espresso.inputs.neb_input`.
    key
        Content key of everything; a folder belongs to one.
    """

    folder: Path
    images: list[Structure]
    pseudos: dict[str, Pseudopotential]
    options: Options
    kpoints: tuple[int, int, int]
    command: list[str]
    settings: NebSettings
    key: str
    magmoms: dict[str, float]
    program_version: str = ""

    def execute(self, stop: StopCheck) -> NebPath:
        """Run what is left to run and read the result.

        Raises
        ------
        EngineError
            If neb.x failed in a way that cannot be mended, or no iteration was completed.
        """
        began = time.monotonic()
        record = RunDirectory(self.folder, key=self.key)
        with record.lock():
            stage, first = self._stage()
            band = self._read()
            while not self._is_done(band):
                if band is not None and band.status == "converged" and stage == "plain":
                    stage, first = "climb", self._iteration()
                self._write(stage, first)
                reason = run_program(self.command, self.folder, NEB_INPUT, NEB_OUTPUT, stop=stop)
                band = self._read()
                if band is None:
                    msg = f"neb.x in {self.folder} completed no iteration ({reason}). Run it again."
                    kind = EngineError if reason == "complete" else InterruptionError
                    raise kind(msg, directory=self.folder)
                if stage == "climb" or band.status != "converged" or reason != "complete":
                    break
        if band is None:
            msg = f"neb.x in {self.folder} completed no iteration."
            raise EngineError(msg, directory=self.folder)
        self.program_version = parse_log(read_text(self.folder / NEB_OUTPUT)).version
        return band.model_copy(update={"wall_time": time.monotonic() - began})

    def _is_done(self, band: NebPath | None) -> bool:
        """Whether the log bears out what was asked for, whatever stage the folder is in.

        A worker may have been killed between writing down a stage and starting it.
        """
        if band is None or band.status != "converged":
            return False
        return band.climbed or not self.settings.climb

    def _stage(self) -> tuple[Stage, int]:
        """Return the stage this folder is in, and the iteration it began at."""
        file = self.folder / STAGE_FILE
        if not file.exists():
            return "plain", 0
        content = json.loads(file.read_text())
        return content["stage"], content["first"]

    def _iteration(self) -> int:
        path = parse_path(read_text(self.folder / f"{PREFIX}.path"))
        return 0 if path is None else path.iteration

    def _write(self, stage: Stage, first: int) -> None:
        restart = parse_path(read_text(self.folder / f"{PREFIX}.path")) is not None
        path = PathSettings(
            fmax=self.settings.fmax,
            max_steps=first + self.settings.max_steps,
            climb=stage == "climb",
            restart=restart,
        )
        text = neb_input(
            self.images,
            self.pseudos,
            path=path,
            options=self.options,
            kpoints=self.kpoints,
            magmoms=self.magmoms,
        )
        text = corrected(text, self.folder, NEB_INPUT)
        content = json.dumps({"stage": stage, "first": first})
        write_atomically(self.folder / STAGE_FILE, content.encode())
        write_atomically(self.folder / NEB_INPUT, text.encode())

    def _read(self) -> NebPath | None:
        """Read the latest log that says anything, with the history of those before it."""
        logs = attempts(self.folder / NEB_OUTPUT)
        while logs and not parse_log(read_text(logs[-1])).iterations:
            logs.pop()
        if not logs:
            return None
        earlier = [record for file in logs[:-1] for record in records(parse_log(read_text(file)))]
        return read_band(self.folder, self.images[0], output=logs[-1].name, earlier=earlier)
