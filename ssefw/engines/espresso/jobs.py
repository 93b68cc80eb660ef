"""custodian's jobs, validators and handlers for pw.x and neb.x.

They follow custodian's conventions: a job runs what lies in a directory, a handler finds one kind
of error in its outputs and changes its inputs. A handler walks down a ladder of remedies; where it
stands is read from the input, so that it needs no memory.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from custodian.custodian import ErrorHandler, Job, Validator

from ssefw.documents import EndReason  # noqa: TC001
from ssefw.engines.espresso.inputs import (
    NEB_INPUT,
    PREFIX,
    PW_INPUT,
    change_option,
    read_option,
)
from ssefw.engines.espresso.neb_output import parse_log, parse_path
from ssefw.engines.espresso.pw_output import parse_pw
from ssefw.engines.espresso.symptoms import CRASH_FILE, GROUP_OUTPUTS, diagnose_folder, read_text
from ssefw.engines.stopping import StopCheck

__all__ = [
    "BfgsHandler",
    "DeathHandler",
    "DiagonalizationHandler",
    "EspressoJob",
    "FatalHandler",
    "MixingHandler",
    "NebValidator",
    "PathLengthHandler",
    "PwValidator",
    "RestartHandler",
    "ScfHandler",
    "StopHandler",
    "WalltimeHandler",
    "default_handlers",
]

Change = tuple[str, str, Any]
"""Namelist, keyword and new value."""

NEB_OUTPUT, PW_OUTPUT = "neb.out", "pw.out"
PID_FILE = "program.pid"
FALLING = 0.7
"""A band whose largest force fell to this share of its first is on its way."""

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
    while _works_in(pid, folder) and time.monotonic() < end:
        (folder / f"{prefix}.EXIT").touch()
        time.sleep(0.2)
    if _works_in(pid, folder):
        os.killpg(pid, signal.SIGKILL)
        while _works_in(pid, folder):
            time.sleep(0.1)
    (folder / PID_FILE).unlink()


def _works_in(pid: int, folder: Path) -> bool:
    process = Path(f"/proc/{pid}")
    try:
        if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        return (process / "cwd").readlink() == folder.resolve()
    except (OSError, IndexError):
        return False


def keep_output(file: Path) -> None:
    """Rename an output, if there is one, to the next free number."""
    if file.exists() and file.stat().st_size:
        number = 1
        while (target := file.with_suffix(f".{number}{file.suffix}")).exists():
            number += 1
        file.rename(target)


class _Handler(ErrorHandler):
    """A handler of certain symptoms.

    Attributes
    ----------
    codes
        What it is for, see `ssefw.engines.espresso.symptoms`.
    """

    codes: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, input_file: str = PW_INPUT, output_file: str = PW_OUTPUT) -> None:
        self.input_file = input_file
        self.output_file = output_file

    def symptoms(self, directory: str) -> dict[str, str]:
        """Return code and message of what the run complains of."""
        found = diagnose_folder(Path(directory), (self.output_file, f"{self.output_file}.err"))
        codes = {symptom.code: symptom.message for symptom in found}
        if codes.keys() & {"asked_to_stop", "walltime"}:
            # The program was stopped: that images did not converge is a consequence.
            codes.pop("scf_not_converged", None)
        return codes

    def check(self, directory: str = "./") -> bool:
        """Whether the run has one of the symptoms."""
        return bool(self.codes & self.symptoms(directory).keys())

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Apply the next remedy; there are none left where actions are None."""
        found = {c: m for c, m in self.symptoms(directory).items() if c in self.codes}
        folder = Path(directory)
        file = folder / self.input_file
        text = file.read_text()
        changes = self.remedy(text)
        if changes is None:
            return {"errors": list(found.values()), "actions": None}
        for namelist, key, value in (*changes, *_continuation(text, folder)):
            text = change_option(text, namelist, key, value)
        file.write_text(text)
        actions = [f"&{name} {key} = {value}" for name, key, value in changes]
        return {"errors": list(found.values()), "actions": actions or ["run again"]}

    def remedy(self, text: str) -> list[Change] | None:
        """Return options to change (namelist, key, value), or None if there is no remedy."""
        raise NotImplementedError


def _continuation(text: str, folder: Path) -> list[Change]:
    """Let neb.x continue from its path file, where it has a sound one."""
    if read_option(text, "path", "string_method") is None:
        return []
    prefix = read_option(text, "control", "prefix") or "pwscf"
    sound = parse_path(read_text(folder / f"{prefix}.path")) is not None
    return [("path", "restart_mode", "restart" if sound else "from_scratch")]


class ScfHandler(_Handler):
    """Self-consistency not reached: mix less, then another mixing, then more steps."""

    codes = frozenset({"scf_not_converged"})

    def remedy(self, text: str) -> list[Change] | None:
        """Go one step down the ladder."""
        beta = _number(read_option(text, "electrons", "mixing_beta"), 0.7)
        mode = read_option(text, "electrons", "mixing_mode") or "plain"
        if mode == "plain" and beta > 0.15:
            return [("electrons", "mixing_beta", round(max(0.1, beta / 2), 3))]
        if mode == "plain":
            return [("electrons", "mixing_mode", "local-TF"), ("electrons", "mixing_beta", 0.3)]
        if beta > 0.15:
            return [("electrons", "electron_maxstep", 300), ("electrons", "mixing_beta", 0.1)]
        return None


class DiagonalizationHandler(_Handler):
    """The eigensolver broke down: a slower one that does not need a positive overlap."""

    codes = frozenset({"cholesky", "s_matrix", "diagonalization", "bands_not_converged"})

    def remedy(self, text: str) -> list[Change] | None:
        """Change to conjugate gradients, then to more careful ones."""
        solver = read_option(text, "electrons", "diagonalization") or "david"
        if solver != "cg":
            return [("electrons", "diagonalization", "cg")]
        if _number(read_option(text, "electrons", "diago_cg_maxiter"), 20) < 100:
            return [("electrons", "diago_cg_maxiter", 100)]
        return None


class MixingHandler(_Handler):
    """Broyden mixing could not factorize: forget more of its history."""

    codes = frozenset({"broyden", "charge_is_wrong"})

    def remedy(self, text: str) -> list[Change] | None:
        """Halve history and mixing."""
        history = _number(read_option(text, "electrons", "mixing_ndim"), 8)
        beta = _number(read_option(text, "electrons", "mixing_beta"), 0.7)
        if history < 4:
            return None
        return [
            ("electrons", "mixing_ndim", int(history // 2)),
            ("electrons", "mixing_beta", round(max(0.1, beta / 2), 3)),
        ]


class BfgsHandler(_Handler):
    """The optimizer of pw.x is stuck: start it again with sharper forces."""

    codes = frozenset({"bfgs_history"})

    def remedy(self, text: str) -> list[Change] | None:
        """Tighten self-consistency, from which noise in forces comes."""
        threshold = _number(read_option(text, "electrons", "conv_thr"), 1e-6)
        if threshold < 1e-10:
            return None
        return [("electrons", "conv_thr", threshold / 100)]


class RestartHandler(_Handler):
    """Restart files are missing or broken: start from scratch, once."""

    codes = frozenset({"restart_broken"})
    max_num_corrections = 1

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Remove the broken files, so that nothing finds them again."""
        folder = Path(directory)
        file = folder / self.input_file
        text = file.read_text()
        found = self.symptoms(directory)
        prefix = read_option(text, "control", "prefix") or "pwscf"
        for broken in (folder / f"{prefix}.path", folder / f"{prefix}.broyden"):
            broken.unlink(missing_ok=True)
        path = read_option(text, "path", "string_method") is not None
        namelist = "path" if path else "control"
        file.write_text(change_option(text, namelist, "restart_mode", "from_scratch"))
        return {"errors": list(found.values()), "actions": ["start from scratch"]}


class WalltimeHandler(_Handler):
    """The program used up its own ``max_seconds`` and stopped cleanly: go on where it stopped.

    Each attempt has the same time again. A band that did not end an iteration in it never will.
    """

    codes = frozenset({"walltime"})
    max_num_corrections = 5

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Restart, if there is something to restart from."""
        folder = Path(directory)
        text = (folder / self.input_file).read_text()
        if read_option(text, "path", "string_method") is None:
            return super().correct(directory)
        if not parse_log(read_text(folder / self.output_file)).iterations:
            errors = ["max_seconds is too short for one iteration of the path"]
            return {"errors": errors, "actions": None}
        return super().correct(directory)

    def remedy(self, text: str) -> list[Change] | None:
        """Let pw.x read its own files; neb.x has its path file."""
        if read_option(text, "path", "string_method") is not None:
            return []
        return [("control", "restart_mode", "restart")]


class PathLengthHandler(_Handler):
    """Out of iterations: go on for as many again, once, where forces still fall."""

    codes = frozenset({"nstep_exceeded"})
    max_num_corrections = 1

    def check(self, directory: str = "./") -> bool:
        """Whether a run ended that had come nearer to its goal."""
        if not super().check(directory):
            return False
        log = parse_log(read_text(Path(directory) / self.output_file))
        worst = [max(iteration.errors[1:-1], default=0.0) for iteration in log.iterations]
        return bool(worst) and worst[-1] < FALLING * worst[0]

    def remedy(self, text: str) -> list[Change] | None:
        """Double the number of iterations."""
        namelist, key, default = (
            ("path", "nstep_path", 1)
            if read_option(text, "path", "string_method")
            else ("control", "nstep", 50)
        )
        return [(namelist, key, 2 * int(_number(read_option(text, namelist, key), default)))]


class DeathHandler(_Handler):
    """neb.x ended without a word (killed, out of memory): continue from the path file."""

    max_num_corrections = 2

    def check(self, directory: str = "./") -> bool:
        """Whether the log breaks off."""
        log = parse_log(
            read_text(Path(directory) / self.output_file),
            symptoms=diagnose_folder(Path(directory), (f"{self.output_file}.err",)),
        )
        return log.end == "interrupted"

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Run again, if there is something to continue from."""
        folder = Path(directory)
        file = folder / self.input_file
        text = file.read_text()
        changes = _continuation(text, folder)
        errors = ["neb.x ended without saying why"]
        if not changes or changes[0][2] != "restart":
            return {"errors": errors, "actions": None}
        file.write_text(change_option(text, *changes[0]))
        return {"errors": errors, "actions": ["continue from the path file"]}


class FatalHandler(_Handler):
    """What no change of an option mends; the program's words are the reason."""

    codes = frozenset(
        {
            "pseudo_missing",
            "pseudo_wrong",
            "electrons_odd",
            "input_wrong",
            "out_of_memory",
            "unknown_error",
        }
    )

    def remedy(self, text: str) -> list[Change] | None:  # noqa: ARG002
        """Know none."""
        return None


class StopHandler(ErrorHandler):
    """Ask the program to stop, by its EXIT file, when the process is asked to.

    It then ends its iteration of self-consistency and writes what a restart needs.
    """

    is_monitor = True
    is_terminating = False
    raises_runtime_error = False

    def __init__(self, stop: StopCheck, prefix: str = PREFIX) -> None:
        self._stop = stop
        self.prefix = prefix
        self.reason: EndReason | None = None

    def check(self, directory: str = "./") -> bool:  # noqa: ARG002
        """Whether it is time to stop; says so once."""
        if self.reason is None:
            self.reason = self._stop()
            return self.reason is not None
        return False

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Write the EXIT file."""
        (Path(directory) / f"{self.prefix}.EXIT").touch()
        return {"errors": [str(self.reason)], "actions": None}

    def as_dict(self) -> dict[str, Any]:
        """Return what custodian logs; a stop check is of this process and not stored."""
        name = type(self)
        return {"@module": name.__module__, "@class": name.__name__, "prefix": self.prefix}


class PwValidator(Validator):
    """pw.x came to its end and its last geometry is self-consistent."""

    def __init__(self, output_file: str = PW_OUTPUT) -> None:
        self.output_file = output_file

    def check(self, directory: str = "./") -> bool:
        """Whether something is wrong."""
        run = parse_pw(read_text(Path(directory) / self.output_file))
        return not run.finished or not run.energies or bool(run.codes - {"nstep_exceeded"})


class NebValidator(Validator):
    """neb.x says how its path ended, and no image complains."""

    def __init__(self, output_file: str = NEB_OUTPUT) -> None:
        self.output_file = output_file

    def check(self, directory: str = "./") -> bool:
        """Whether something is wrong: JOB DONE and the exit code say nothing."""
        folder = Path(directory)
        log = parse_log(read_text(folder / self.output_file), symptoms=diagnose_folder(folder, ()))
        return log.end not in ("converged", "nstep") or not log.iterations


def default_handlers(input_file: str, output_file: str) -> list[ErrorHandler]:
    """Return the handlers for a run, the most specific first."""
    kinds: list[type[_Handler]] = [
        FatalHandler,
        RestartHandler,
        DiagonalizationHandler,
        MixingHandler,
        ScfHandler,
        WalltimeHandler,
    ]
    kinds += [PathLengthHandler, DeathHandler] if input_file == NEB_INPUT else [BfgsHandler]
    return [kind(input_file, output_file) for kind in kinds]


def _number(text: str | None, default: float) -> float:
    return default if text is None else float(text.lower().replace("d", "e"))
