"""custodian's job for pw.x and neb.x: how they start, stop, and what they leave."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from custodian.custodian import Job

from ssefw.engines.espresso.inputs import PREFIX, PW_INPUT
from ssefw.engines.espresso.symptoms import CRASH_FILE, GROUP_OUTPUTS
from ssefw.engines.programs import PID_FILE, works_in

__all__ = ["NEB_OUTPUT", "PW_OUTPUT", "EspressoJob", "attempts", "end_orphan", "keep_output"]

NEB_OUTPUT, PW_OUTPUT = "neb.out", "pw.out"

GRACE = 60.0
"""Seconds a program has to stop after it was asked."""


class EspressoJob(Job):
    """Run pw.x or neb.x in a directory that holds its input.

    Outputs of earlier attempts are kept, as ``neb.1.out`` and so on, oldest first.
    """

    def __init__(
        self,
        command: Sequence[str] | str,
        input_file: str = PW_INPUT,
        output_file: str = PW_OUTPUT,
        prefix: str = PREFIX,
        grace: float = GRACE,
    ) -> None:
        self.command = shlex.split(command) if isinstance(command, str) else list(command)
        self.input_file = input_file
        self.output_file = output_file
        self.prefix = prefix
        self.grace = grace
        self._process: subprocess.Popen[bytes] | None = None

    def setup(self, directory: str = "./") -> None:
        """Need nothing."""

    def run(self, directory: str = "./") -> subprocess.Popen[bytes]:
        """Start the program; it gets a process group of its own."""
        folder = Path(directory)
        end_orphan(folder, self.prefix, grace=self.grace)
        keep_output(folder / self.output_file)
        leftover = (folder / f"{self.prefix}.EXIT", folder / CRASH_FILE)
        for stale in (*leftover, *folder.glob(GROUP_OUTPUTS)):
            stale.unlink(missing_ok=True)
        with (
            (folder / self.output_file).open("wb") as output,
            (folder / f"{self.output_file}.err").open("wb") as errors,
        ):
            self._process = subprocess.Popen(
                [*self.command, "-inp", self.input_file],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        (folder / PID_FILE).write_text(str(self._process.pid))
        return self._process

    def postprocess(self, directory: str = "./") -> None:
        """Leave everything: a restart wants all files."""

    def terminate(self, directory: str = "./") -> None:
        """Ask the program to stop by its EXIT file, then by signals to its process group."""
        process = self._process
        if process is None:
            return
        (Path(directory) / f"{self.prefix}.EXIT").touch()
        end = time.monotonic() + self.grace
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        for signum in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, signum)
                try:
                    process.wait(timeout=10.0)
                except subprocess.TimeoutExpired:
                    continue


def end_orphan(folder: Path, prefix: str, *, grace: float) -> None:
    """End a program that still runs in a folder though the worker that started it was killed.

    It is known by its process id, and that it works in this folder. Where there is no /proc none is
    found.
    """
    try:
        pid = int((folder / PID_FILE).read_text())
    except (OSError, ValueError):
        return
    end = time.monotonic() + grace
    while works_in(pid, folder) and time.monotonic() < end:
        (folder / f"{prefix}.EXIT").touch()
        time.sleep(0.2)
    if works_in(pid, folder):
        os.killpg(pid, signal.SIGKILL)
        while works_in(pid, folder):
            time.sleep(0.1)
    (folder / PID_FILE).unlink()


def keep_output(file: Path) -> None:
    """Rename an output, if there is one, to the next free number."""
    if file.exists() and file.stat().st_size:
        number = 1
        while (target := file.with_suffix(f".{number}{file.suffix}")).exists():
            number += 1
        file.rename(target)


def attempts(file: Path) -> list[Path]:
    """Return the outputs of all attempts, oldest first, the latest by its own name."""
    kept = file.parent.glob(f"{file.stem}.*{file.suffix}")
    numbered = [path for path in kept if path.suffixes[-2][1:].isdigit()]
    return [*sorted(numbered, key=lambda path: int(path.suffixes[-2][1:])), file]
