"""custodian's handlers for pw.x and neb.x.

They follow custodian's conventions: a handler finds one kind of error in the outputs of a run and
changes its inputs. It walks down a ladder of remedies; where it stands is read from the input, so
that it needs no memory. What was computed is kept: the input that goes on begins where the last
attempt came to, see `ssefw.engines.espresso.continuation`.
"""

from pathlib import Path
from typing import Any, ClassVar

from custodian.custodian import ErrorHandler

from ssefw.documents import EndReason  # noqa: TC001
from ssefw.engines.espresso.bands.neb_output import parse_log
from ssefw.engines.espresso.continuation import continued, is_path, pw_attempts
from ssefw.engines.espresso.inputs import NEB_INPUT, PREFIX, PW_INPUT, change_option, read_option
from ssefw.engines.espresso.job import PW_OUTPUT
from ssefw.engines.espresso.pw_output import parse_pw
from ssefw.engines.espresso.symptoms import diagnose_folder, read_text
from ssefw.engines.stopping import StopCheck

__all__ = [
    "BfgsHandler",
    "DeathHandler",
    "DiagonalizationHandler",
    "FatalHandler",
    "MixingHandler",
    "PathLengthHandler",
    "RestartHandler",
    "ScfHandler",
    "StopHandler",
    "SymmetryHandler",
    "WalltimeHandler",
    "default_handlers",
    "force_handlers",
]

Change = tuple[str, str, Any]
"""Namelist, keyword and new value."""

ADVICE = {
    "disk_full": "free space or quota, then run it again to continue",
    "no_slots": "start no more ranks in SSEFW_PW_CMD and SSEFW_NEB_CMD than there are cores",
    "out_of_memory": "use more ranks or nodes, or a smaller cell",
}
"""What to do where no option of the input helps."""

FALLING = 0.7
"""A band whose largest force fell to this share of its first is on its way."""


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
        text, came_to = continued(text, folder, self.output_file)
        for namelist, key, value in changes:
            text = change_option(text, namelist, key, value)
        file.write_text(text)
        actions = [f"&{name} {key} = {value}" for name, key, value in changes]
        actions += [came_to] if came_to else []
        return {"errors": list(found.values()), "actions": actions or ["run again"]}

    def remedy(self, text: str) -> list[Change] | None:
        """Return options to change (namelist, key, value), or None if there is no remedy."""
        raise NotImplementedError


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


class SymmetryHandler(_Handler):
    """Rounding took a symmetry from the cell on the way, which stops pw.x: go on without any."""

    codes = frozenset({"symmetry_lost"})

    def remedy(self, text: str) -> list[Change] | None:
        """Look for no symmetry."""
        if (read_option(text, "system", "nosym") or "").lower().startswith((".t", "t")):
            return None
        return [("system", "nosym", True)]


class RestartHandler(_Handler):
    """Restart files are missing or broken: start without them, once."""

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
        namelist = "path" if is_path(text) else "control"
        text = change_option(text, namelist, "restart_mode", "from_scratch")
        text, words = continued(text, folder, self.output_file)
        file.write_text(text)
        return {"errors": list(found.values()), "actions": [words or "start from scratch"]}


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
        if is_path(text) and not parse_log(read_text(folder / self.output_file)).iterations:
            errors = ["max_seconds is too short for one iteration of the path"]
            return {"errors": errors, "actions": None}
        answer = super().correct(directory)
        if not is_path(text) and not pw_attempts(folder, self.output_file)[-1].n_geometries:
            # Its first geometry takes longer than that: pw.x goes on within it.
            text = (folder / self.input_file).read_text()
            text = change_option(text, "control", "restart_mode", "restart")
            (folder / self.input_file).write_text(text)
            answer["actions"] = ["&control restart_mode = restart"]
        return answer

    def remedy(self, text: str) -> list[Change] | None:  # noqa: ARG002
        """Change nothing but where the run goes on from."""
        return []


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
            ("path", "nstep_path", 1) if is_path(text) else ("control", "nstep", 50)
        )
        return [(namelist, key, 2 * int(_number(read_option(text, namelist, key), default)))]


class DeathHandler(_Handler):
    """The program ended without a word (killed, out of memory): continue with what it left.

    A run that had come to nothing is not tried again.
    """

    max_num_corrections = 2

    def check(self, directory: str = "./") -> bool:
        """Whether the log breaks off."""
        folder = Path(directory)
        text = read_text(folder / self.output_file)
        symptoms = diagnose_folder(folder, (f"{self.output_file}.err",))
        if is_path((folder / self.input_file).read_text()):
            return parse_log(text, symptoms=symptoms).end == "interrupted"
        run = parse_pw(text)
        return not (run.finished or run.symptoms or symptoms)

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Run again, if there is something to continue from."""
        folder = Path(directory)
        file = folder / self.input_file
        errors = [f"{self.input_file.removesuffix('.in')}.x ended without saying why"]
        text, words = continued(file.read_text(), folder, self.output_file)
        if not words:
            return {"errors": errors, "actions": None}
        file.write_text(text)
        return {"errors": errors, "actions": [words]}


class FatalHandler(_Handler):
    """What no change of an option mends; the program's words are the reason."""

    codes = frozenset(
        {
            "pseudo_missing",
            "pseudo_wrong",
            "electrons_odd",
            "input_wrong",
            "disk_full",
            "no_slots",
            "out_of_memory",
            "unknown_error",
        }
    )

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Say what the user may do, where that is known."""
        answer = super().correct(directory)
        hints = [ADVICE[code] for code in self.symptoms(directory) if code in ADVICE]
        return answer | {"errors": [*answer["errors"], *hints]}

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


def force_handlers(input_file: str, output_file: str) -> list[ErrorHandler]:
    """Return the handlers for pw.x as a server of forces, which moves no atoms itself."""
    kinds: list[type[_Handler]] = [
        FatalHandler,
        DiagonalizationHandler,
        MixingHandler,
        ScfHandler,
        SymmetryHandler,
    ]
    return [kind(input_file, output_file) for kind in kinds]


def default_handlers(input_file: str, output_file: str) -> list[ErrorHandler]:
    """Return the handlers for a run, the most specific first."""
    kinds: list[type[_Handler]] = [
        FatalHandler,
        RestartHandler,
        DiagonalizationHandler,
        MixingHandler,
        ScfHandler,
        SymmetryHandler,
        WalltimeHandler,
        PathLengthHandler if input_file == NEB_INPUT else BfgsHandler,
        DeathHandler,
    ]
    return [kind(input_file, output_file) for kind in kinds]


def _number(text: str | None, default: float) -> float:
    return default if text is None else float(text.lower().replace("d", "e"))
