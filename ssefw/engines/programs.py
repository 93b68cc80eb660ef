"""Programs that an engine starts in a folder: none is left behind.

Each has a process group of its own, so that all ranks of an MPI launcher end together. It is asked
to end when the process that started it dies (`setpriv` of util-linux, where that is there), and who
comes next to its folder ends it if it still lives.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["PID_FILE", "end_left_behind", "end_program", "start_program", "works_in"]

PID_FILE = "program.pid"
HARD = 10.0
"""Seconds between SIGTERM and SIGKILL."""


def start_program(
    command: Sequence[str], folder: Path, *, output: str
) -> "subprocess.Popen[bytes]":
    """Start a program in a folder; it prints into the file `output` there."""
    words = list(command)
    if (tied := shutil.which("setpriv")) is not None:
        words = [tied, "--pdeathsig", "TERM", *words]
    with (folder / output).open("wb") as out, (folder / f"{output}.err").open("wb") as errors:
        process = subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )
    (folder / PID_FILE).write_text(str(process.pid))
    return process


def end_program(process: "subprocess.Popen[bytes]", *, soft: float = HARD) -> None:
    """End a program and all of its process group: SIGTERM, then after `soft` seconds SIGKILL."""
    for signum, patience in ((signal.SIGTERM, soft), (signal.SIGKILL, HARD)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, signum)
        # A stopped process takes no SIGTERM before it goes on.
        os.killpg(process.pid, signal.SIGCONT)
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            continue


def end_left_behind(folder: Path) -> bool:
    """End a program that still runs in a folder though the worker that started it was killed.

    It is known by its process id, and that it works in this folder. Where there is no /proc none is
    found.

    Returns
    -------
    Whether there was one.
    """
    try:
        pid = int((folder / PID_FILE).read_text())
    except (OSError, ValueError):
        return False
    found = works_in(pid, folder)
    end = time.monotonic() + HARD
    while works_in(pid, folder):
        os.killpg(pid, signal.SIGKILL if time.monotonic() > end else signal.SIGTERM)
        time.sleep(0.1)
    (folder / PID_FILE).unlink()
    return found


def works_in(pid: int, folder: Path) -> bool:
    """Whether a process lives and has a folder as its working directory."""
    process = Path(f"/proc/{pid}")
    try:
        if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        return (process / "cwd").readlink() == folder.resolve()
    except (OSError, IndexError):
        return False
