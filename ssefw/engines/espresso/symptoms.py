"""What the programs of Quantum ESPRESSO say when something is wrong, and what we call it.

One table serves the parsers, the validators and the handlers. Messages are those of 6.4 to 7.x.
"""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CRASH_FILE", "Symptom", "diagnose", "diagnose_folder", "read_text"]

CRASH_FILE = "CRASH"
"""Where the programs repeat the message with which they stop."""

GROUP_OUTPUTS = "out.*_0"
"""What the further groups of ranks print, where images are computed side by side."""

PATTERNS: dict[str, tuple[str, ...]] = {
    "scf_not_converged": (
        r"convergence NOT achieved after",
        r"scf convergence\s+NOT achieved on image",
    ),
    "cholesky": (r"problems? computing cholesky", r"zheevd failed", r"p[zd]potrf"),
    "s_matrix": (r"S matrix not positive definite",),
    "diagonalization": (r"Error in routine\s+[crp]+diaghg", r"eigenvectors failed to converge"),
    "bands_not_converged": (r"too many bands are not converged",),
    "broyden": (r"Error in routine\s+(mix_rho|broyden)", r"error in factorization"),
    "bfgs_history": (r"history already reset at previous step",),
    "symmetry_lost": (
        r"Error in routine\s+checkallsym",
        r"some of the original symmetry operations not satisfied",
    ),
    "charge_is_wrong": (r"charge is wrong",),
    "out_of_memory": (r"cannot allocate", r"Out of memory", r"oom-kill", r"std::bad_alloc"),
    "disk_full": (r"error writing( the)? file", r"No space left on device", r"Disk quota exceeded"),
    "pseudo_missing": (r"file \S+ not found", r"Error in routine\s+(readpp|read_upf|upf_ctrl)"),
    "pseudo_wrong": (r"conflicting values for (igcx|iexch|icorr|igcc)", r"inconsistent DFT"),
    "electrons_odd": (r"fixed occupations and lsda", r"system is metallic"),
    "restart_broken": (
        r"RESTART INFORMATION missing",
        r"ENERGIES, POSITIONS AND GRADIENTS missing",
        r"wrong number of images in the restart",
        r"Error in routine\s+(read_restart|pw_restart|read_xml_file|path_read\w*)",
    ),
    "no_slots": (r"There are not enough slots available",),
    "nstep_exceeded": (
        r"reached the maximum number of steps",
        r"maximum number of steps has been reached",
    ),
    "walltime": (r"Maximum CPU time exceeded",),
    "asked_to_stop": (r"Program stopped by user request",),
    "input_wrong": (r"Error in routine\s+(read_namelists|read_cards|card_\w+|iosys|reading)",),
}
_COMPILED = tuple(
    (code, re.compile("|".join(patterns), re.IGNORECASE)) for code, patterns in PATTERNS.items()
)
_BLOCK = re.compile(r"%{20,}\s*\n(.*?)\n\s*%{20,}", re.DOTALL)


@dataclass(frozen=True)
class Symptom:
    """Something that went wrong: our word for it and the program's words."""

    code: str
    message: str


def diagnose(text: str) -> tuple[Symptom, ...]:
    """Return what an output complains of, each symptom once.

    A fatal message that is in no list has the code ``unknown_error``.
    """
    found: dict[str, str] = {}
    blocks = [(block.span(), _words(block.group(1))) for block in _BLOCK.finditer(text)]
    for code, pattern in _COMPILED:
        match = pattern.search(text)
        if match:
            inside = [words for (a, b), words in blocks if a <= match.start() < b]
            found[code] = inside[0] if inside else _line_of(text, match.start())
    for _, words in blocks:
        if not any(pattern.search(words) for _, pattern in _COMPILED):
            found.setdefault("unknown_error", words)
    return tuple(Symptom(code, message) for code, message in found.items())


def diagnose_folder(folder: Path, outputs: tuple[str, ...]) -> tuple[Symptom, ...]:
    """Return what a run's files complain of: outputs, the crash file, and those of images."""
    files = [folder / name for name in (*outputs, CRASH_FILE)]
    files += sorted(folder.glob(f"*/{CRASH_FILE}"))
    files += sorted(folder.glob(GROUP_OUTPUTS))
    texts = [read_text(file) for file in files]
    # Each image appends to its own file; what it said before its latest geometry is past.
    texts += [
        read_text(file).rpartition("coordinates at iteration")[2]
        for file in sorted(folder.glob("*/PW.out"))
    ]
    seen: dict[str, Symptom] = {}
    for text in texts:
        for symptom in diagnose(text):
            seen.setdefault(symptom.code, symptom)
    return tuple(seen.values())


def read_text(file: Path) -> str:
    """Return the text of a file, whatever bytes it holds; empty if there is none."""
    try:
        return file.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _words(text: str) -> str:
    return " ".join(text.split())


def _line_of(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return " ".join(text[start : end if end >= 0 else None].split())
