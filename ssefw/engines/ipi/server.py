"""A program that computes forces at positions it is sent, over the socket protocol of i-PI.

The program is started once and connects to a Unix socket of this process; for each geometry it gets
the positions and answers with energy, forces and virial (V. Kapil et al., Comput. Phys. Commun.
236, 214 (2019), DOI 10.1016/j.cpc.2018.09.020). Wavefunctions and density stay in its memory, which
is what makes the next geometry cheap. While it computes, this process looks every fraction of a
second whether it still lives and works, and whether it is time to stop.
"""

import contextlib
import secrets
import select
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ase.calculators.socketio import IPIProtocol, SocketClosed

from ssefw.engines.programs import end_left_behind, end_program, start_program
from ssefw.engines.stopping import StepStoppedError, StopCheck
from ssefw.errors import EngineError

__all__ = ["Answer", "ForceServer", "ProgramEndedError"]

FloatArray = npt.NDArray[np.float64]

FOLDER = "/tmp/ipi_"
"""Where sockets lie: it is compiled into the programs."""
POLL = 0.2
"""Seconds between two looks at the program."""
ANSWER = 60.0
"""Seconds in which a message that has begun to arrive must be there."""
SILENT = 1800.0
"""Seconds without a word, after which a program counts as frozen, at least."""
SILENT_STEPS = 20.0
"""So many times its longest step so far it may also be silent."""
EXIT = 10.0
"""Seconds a program has to end by itself when it is told to."""


@dataclass(frozen=True)
class Answer:
    """What a program computed at a geometry.

    Attributes
    ----------
    energy
        eV.
    forces
        eV/A, shape (n_atoms, 3).
    stress
        eV/A^3, tension positive, shape (3, 3); zeros from a program that computes none.
    """

    energy: float
    forces: FloatArray
    stress: FloatArray


class ProgramEndedError(EngineError):
    """The program ended, or had to be ended, before it had answered."""


class ForceServer:
    """One program in a folder, from its start to its end.

    Parameters
    ----------
    command
        Gives the words of the command for the name of the socket.
    output
        File of the folder that takes what the program prints; its growth is a sign of life.
    """

    def __init__(
        self,
        folder: Path,
        command: Callable[[str], Sequence[str]],
        *,
        output: str,
        stop: StopCheck,
    ) -> None:
        self.folder = folder
        self._command = command
        self._output = output
        self._stop = stop
        self._longest = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._protocol: IPIProtocol | None = None

    def start(self) -> None:
        """Start the program and wait until it has connected.

        Raises
        ------
        ProgramEndedError
            If it ends before it has.
        StepStoppedError
            If it is time to stop.
        """
        end_left_behind(self.folder)
        name = f"ssefw-{secrets.token_hex(6)}"
        path = Path(FOLDER + name)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            try:
                listener.listen(1)
                words = self._command(name)
                self._process = start_program(words, self.folder, output=self._output)
                self._wait_for(listener)
                self._socket, _ = listener.accept()
            finally:
                path.unlink(missing_ok=True)  # a connection needs no name
        self._socket.settimeout(ANSWER)
        self._protocol = IPIProtocol(self._socket)

    def ask(self, positions: FloatArray, cell: FloatArray) -> Answer:
        """Return energy and forces at positions (A).

        Raises
        ------
        ProgramEndedError
            If the program ends, freezes, or says what is no answer; it is then gone.
        StepStoppedError
            If it is time to stop.
        """
        if (reason := self._stop()) is not None:
            raise StepStoppedError(reason)
        if self._protocol is None:
            self.start()
        began = time.monotonic()
        try:
            answer = self._exchange(positions, cell)
        except (OSError, AssertionError) as error:  # ASE asserts what the other side must say
            self._end()
            raise self._ended(f"{self._how()} before it had answered") from error
        self._longest = max(self._longest, time.monotonic() - began)
        return answer

    def close(self) -> None:
        """Tell the program to end, and see that it does."""
        if self._protocol is not None and self._process is not None:
            with contextlib.suppress(OSError):
                self._protocol.end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=EXIT)
        self._end()

    def _exchange(self, positions: FloatArray, cell: FloatArray) -> Answer:
        protocol = self._protocol
        if protocol is None:
            raise RuntimeError("not started")
        status = protocol.status()
        if status == "NEEDINIT":
            protocol.sendinit()
            status = protocol.status()
        if status != "READY":
            raise SocketClosed(f"it is {status}")
        protocol.sendposdata(cell, np.linalg.inv(cell).T, positions)
        protocol.sendmsg("STATUS")
        self._wait_for(self._socket)
        if protocol.recvmsg() != "HAVEDATA":
            raise SocketClosed("it has no data")
        energy, forces, virial, _ = protocol.sendrecv_force()
        volume = abs(float(np.linalg.det(cell)))
        return Answer(float(energy), forces, -virial / volume)

    def _wait_for(self, end: socket.socket | None) -> None:
        """Wait until a socket can be read; look at program and clock meanwhile."""
        process = self._process
        if end is None or process is None:
            raise RuntimeError("not started")
        heard, size = time.monotonic(), -1
        while not select.select([end], [], [], POLL)[0]:
            if (reason := self._stop()) is not None:
                self._end()
                raise StepStoppedError(reason)
            if process.poll() is not None:
                self._end()
                raise self._ended(self._how())
            if (now := self._printed()) != size:
                heard, size = time.monotonic(), now
            quiet = time.monotonic() - heard
            if quiet > max(SILENT, SILENT_STEPS * self._longest):
                self._end()
                raise self._ended(f"said nothing for {quiet:.0f} s and was killed")

    def _printed(self) -> int:
        try:
            return (self.folder / self._output).stat().st_size
        except OSError:
            return -1

    def _how(self) -> str:
        """Return in words how the program ended."""
        code = None if self._process is None else self._process.poll()
        if code is not None and code < 0:
            return f"was killed by signal {-code}"
        return f"ended with exit code {code}"

    def _ended(self, how: str) -> ProgramEndedError:
        return ProgramEndedError(how, directory=self.folder)

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            end_program(self._process)
        self._socket = self._protocol = None
