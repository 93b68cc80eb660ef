"""Processes: who one is, whether it lives, and children that do not outlive their parent.

A process is named by host, place, pid and start time, so that its death can be told from a slow
answer. Pids count within one boot of one machine, and within a container only there: the place
says which. A pid that is looked up in another place would say that a live process is dead.
"""

import atexit
import contextlib
import hashlib
import io
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TextIO

__all__ = [
    "Process",
    "drop_what_cannot_be_written",
    "end_with_main_thread",
    "end_with_parent",
    "process_of",
    "this_process",
]

INTERVAL = 2.0
"""Seconds between two looks."""
GRACE = 30.0
"""Seconds in which threads may end after the main thread has; one that writes to a store may take
some."""
FIRST_NAMESPACE = 0xEFFFFFFC
"""Inode of the namespace of pids outside of any container, the same on every Linux."""


@dataclass(frozen=True)
class Process:
    """A process on some machine.

    Attributes
    ----------
    started
        When it started, in clock ticks since the boot of its machine: no two processes of one
        place have the same pid and start.
    place
        ``machine.boot.namespace``; empty where the system does not tell, as outside of Linux.
    """

    host: str
    pid: int
    started: str
    place: str = ""

    @property
    def name(self) -> str:
        """What `process_of` reads; it can be the name of a file."""
        host = f"{self.host}~{self.place}" if self.place else self.host
        return f"{host}+{self.pid}+{self.started}"

    @property
    def is_here(self) -> bool:
        """Whether its pid means the same process to it and to us, whatever the host is called."""
        here = _place()
        if self.place and here:
            return self.place == here
        return self.host == socket.gethostname()

    @property
    def is_gone(self) -> bool:
        """Whether it is certain that it has ended.

        True where its pid can be looked up, or where this machine was started anew since.
        """
        return not self.is_alive if self.is_here else self._was_rebooted

    @property
    def is_alive(self) -> bool:
        """Whether it lives; only where `is_here` can that be told."""
        return _started(self.pid) == self.started

    @property
    def _was_rebooted(self) -> bool:
        machine, _, rest = self.place.partition(".")
        boot, _, space = rest.partition(".")
        ours, _, rest = _place().partition(".")
        now, _, our_space = rest.partition(".")
        return (
            bool(machine and boot and now)
            and (self.host, machine, space, our_space) == (socket.gethostname(), ours, "0", "0")
            and boot != now
        )


def this_process() -> Process:
    """Return this process."""
    pid = os.getpid()
    return Process(socket.gethostname(), pid, _started(pid) or "", _place())


def process_of(name: str) -> Process | None:
    """Return the process of a name, or None if it is none."""
    host, _, rest = name.partition("+")
    pid, _, started = rest.partition("+")
    host, _, place = host.partition("~")
    return Process(host, int(pid), started, place) if pid.isdigit() else None


def end_with_parent() -> None:
    """Let this process end soon after its parent has: the initializer of a pool."""
    thread = threading.Thread(target=_watch, args=(os.getppid(),), daemon=True)
    thread.start()


def end_with_main_thread(*, grace: float = GRACE) -> None:
    """Let this process end soon after its main thread has, whatever threads are left.

    Python waits for every thread that was not made a daemon, for good, deaf to signals. One that a
    library has left behind when something went wrong would keep a process that does nothing.
    """
    are_gone = threading.Event()
    atexit.register(are_gone.set)  # Python gets there when all threads have ended
    thread = threading.Thread(target=_outlast, args=(are_gone, grace), name="end", daemon=True)
    thread.start()


def _outlast(are_gone: threading.Event, grace: float) -> None:
    threading.main_thread().join()
    if not are_gone.wait(grace):
        os._exit(1)


def drop_what_cannot_be_written() -> None:
    """Let printing never fail in this process: on a full disk its log ends, and its work does not.

    A library that prints what went wrong, before it cleans up, would not come to clean up.
    """
    sys.stdout = _Lenient(sys.stdout)
    sys.stderr = _Lenient(sys.stderr)


class _Lenient(io.TextIOBase):
    """A stream that writes each line at once, or not at all."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream: TextIO) -> None:
        self._descriptor = stream.fileno()
        self._name = getattr(stream, "name", "")

    @property
    def name(self) -> str:
        """What the stream was called."""
        return str(self._name)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Whether it takes text."""
        return True

    def write(self, text: str, /) -> int:
        """Write text; what the disk does not take is lost."""
        rest = text.encode(self.encoding, self.errors)
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return len(text)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os._exit(1)


def _started(pid: int) -> str | None:
    """Return when a process started, or None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


@cache
def _place() -> str:
    """Return the machine, its boot and the namespace of pids that this process lives in."""
    try:
        boot = _digest(Path("/proc/sys/kernel/random/boot_id").read_text())
        inode = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return ""
    try:
        machine = _digest(Path("/etc/machine-id").read_text())
    except OSError:
        machine = ""
    return f"{machine}.{boot}.{0 if inode == FIRST_NAMESPACE else format(inode, 'x')}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:6] if text.strip() else ""
