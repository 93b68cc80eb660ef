"""The level of theory that a file of a DFT run states, and which of its frames are not converged.

Files are scanned, not parsed: what is looked for stands in lines of a fixed form, whatever became
of the rest of a run that was killed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ssefw.errors import DataError
from ssefw.files import open_input

__all__ = ["MOST_BYTES", "Theory", "compare_theories", "format_of", "read_theory"]


MOST_BYTES = 4 * 2**30
"""Of a file, which is read as a whole: a vasprun.xml of 10,000 steps of 200 atoms has 0.5 GB."""


@dataclass(frozen=True)
class Theory:
    """What a file says of how its numbers were made.

    Attributes
    ----------
    settings
        Functional, cutoffs and the like by name, as the file writes them.
    pseudopotentials
        By element.
    unconverged
        Frames, counted from one, whose electrons were not converged.
    timestep, temperature
        fs and K, of molecular dynamics at one temperature; None where the file does not tell.
    n_kpoints
        Points of the Brillouin zone that it sums over; None where the file does not tell.
    """

    settings: Mapping[str, str]
    pseudopotentials: Mapping[str, str]
    unconverged: frozenset[int] = frozenset()
    timestep: float | None = None
    temperature: float | None = None
    n_kpoints: int | None = None

    @property
    def name(self) -> str:
        """All of it in a line."""
        words = [f"{key} {value}" for key, value in self.settings.items()]
        return ", ".join([*words, *self.pseudopotentials.values()])


def format_of(path: Path) -> str:
    """Return the format of a file, by its first bytes, as ASE calls it.

    Raises
    ------
    DataError
        If it is none of those that hold forces.
    """
    with open_input(path) as file:
        begin = file.head(4096)
    if b"<modeling>" in begin:
        return "vasp-xml"
    if b"vasp." in begin[:40] or b"executed on" in begin:
        return "vasp-out"
    if b"Program PWSCF" in begin:
        return "espresso-out"
    first = begin.split(b"\n", 2)
    if first[0].strip().isdigit() and len(first) > 1 and b"Lattice=" in first[1]:
        return "extxyz"
    if begin.startswith(b"ITEM: TIMESTEP"):
        raise DataError(
            f"{path} is a dump of LAMMPS, which holds no energies of frames. Write extended XYZ "
            "with the energy of each frame from the log."
        )
    raise DataError(
        f"{path} is no vasprun.xml, OUTCAR, output of pw.x or extended XYZ; forces are read from "
        "these."
    )


def read_theory(path: Path, file_format: str) -> Theory:
    """Return what a file says of its level of theory; extended XYZ says nothing."""
    readers: dict[str, Callable[[str], Theory]] = {
        "vasp-xml": _of_vasprun,
        "vasp-out": _of_outcar,
        "espresso-out": _of_pw,
    }
    if file_format not in readers:
        return Theory({"program": "not stated"}, {})
    with open_input(path) as file:
        return readers[file_format](file.read(MOST_BYTES).decode(errors="replace"))


def compare_theories(one: Theory, other: Theory) -> str:
    """Return how two levels of theory differ; empty if numbers of both may be learned together."""
    # An OUTCAR says less than a vasprun.xml: what one of them does not say is no difference.
    for key in sorted({*one.settings} & {*other.settings}):
        ours, theirs = one.settings[key], other.settings[key]
        if ours != theirs:
            return f"{key} is {theirs}, and {ours}"
    for element in sorted({*one.pseudopotentials} & {*other.pseudopotentials}):
        ours, theirs = one.pseudopotentials[element], other.pseudopotentials[element]
        if ours != theirs:
            return f"the pseudopotential of {element} is {theirs}, and {ours}"
    return ""


VASP_KEYS = ("GGA", "METAGGA", "ENMAX", "LHFCALC", "IVDW", "LDAU", "ISPIN", "LUSE_VDW")
OUTCAR_KEYS = {
    "ENMAX": r"^\s*ENCUT\s*=\s*([\d.]+)",
    "GGA": r"^\s*GGA\s*=\s*(\S+)",
    "METAGGA": r"^\s*METAGGA\s*=\s*(\S+)",
    "LHFCALC": r"^\s*LHFCALC\s*=\s*(\S+)",
    "IVDW": r"^\s*IVDW\s*=\s*(\d+)",
    "LDAU": r"^\s*LDAU\s*=\s*(\S+)",
    "ISPIN": r"^\s*ISPIN\s*=\s*(\d+)",
}


def _of_vasprun(text: str) -> Theory:
    header, *steps = text.split("<calculation>")

    def value(key: str) -> str | None:
        found = re.findall(rf'<i[^>]*name="{key}"[^>]*>\s*([^<]*?)\s*</i>', header)
        return found[-1] if found else None

    settings = {"program": "VASP"}
    settings |= {key: _plain(word) for key in VASP_KEYS if (word := value(key)) is not None}
    rows = re.findall(r"<rc>(.*?)</rc>", _between(header, '<array name="atomtypes"', "</array>"))
    pseudopotentials: dict[str, str] = {}
    for row in rows:
        cells = [cell.strip() for cell in re.findall(r"<c>(.*?)</c>", row)]
        if len(cells) >= 5:
            pseudopotentials[cells[1]] = cells[4]
    most = int(value("NELM") or 60)
    lost = {n for n, step in enumerate(steps, 1) if step.count("<scstep>") >= most}
    return Theory(
        settings,
        pseudopotentials,
        frozenset(lost),
        **_dynamics(value("IBRION"), value("POTIM"), value("TEBEG"), value("TEEND")),
        n_kpoints=_between(header, '<varray name="kpointlist"', "</varray>").count("<v>") or None,
    )


def _plain(word: str) -> str:
    """Return a number without the digits that one file writes and another does not."""
    try:
        return f"{float(word):g}"
    except ValueError:
        return " ".join(word.split())


def _between(text: str, begin: str, end: str) -> str:
    _, _, rest = text.partition(begin)
    return rest.partition(end)[0]


def _dynamics(
    ibrion: str | None, potim: str | None, first: str | None, last: str | None
) -> dict[str, float | None]:
    if ibrion is None or potim is None or int(ibrion) != 0:
        return {"timestep": None, "temperature": None}
    temperature = float(first) if first and last and float(first) == float(last) else None
    return {"timestep": float(potim), "temperature": temperature}


def _of_outcar(text: str) -> Theory:
    header = text.partition("Iteration ")[0]

    def value(pattern: str) -> str | None:
        found = re.search(pattern, header, re.MULTILINE)
        return found.group(1) if found else None

    settings = {"program": "VASP"}
    settings |= {key: _plain(word) for key, form in OUTCAR_KEYS.items() if (word := value(form))}
    pseudopotentials: dict[str, str] = {}
    for title in re.findall(r"^\s*TITEL\s*=\s*(.*?)\s*$", header, re.MULTILINE):
        words = title.split()
        if len(words) > 1:
            pseudopotentials[words[1].partition("_")[0]] = title
    steps = text.split("TOTAL-FORCE")[:-1]
    lost = {n for n, step in enumerate(steps, 1) if "EDIFF is reached" not in step}
    return Theory(
        settings,
        pseudopotentials,
        frozenset(lost),
        **_dynamics(
            value(r"IBRION\s*=\s*(-?\d+)"),
            value(r"POTIM\s*=\s*([\d.]+)"),
            value(r"TEBEG\s*=\s*([\d.]+)"),
            value(r"TEEND\s*=\s*([\d.]+)"),
        ),
        n_kpoints=_count(value(r"NKPTS\s*=\s*(\d+)")),
    )


def _count(word: str | None) -> int | None:
    return int(word) if word else None


RYDBERG_TIME_FS = 0.0483776865
"""One atomic unit of time of pw.x, in which it states its time step."""

PW_KEYS = {
    "ecutwfc": r"kinetic-energy cutoff\s*=\s*([\d.]+)",
    "ecutrho": r"charge density cutoff\s*=\s*([\d.]+)",
    "functional": r"Exchange-correlation\s*=\s*(.+?)\s*(?:\(|$)",
}


def _of_pw(text: str) -> Theory:
    def value(pattern: str) -> str | None:
        found = re.search(pattern, text, re.MULTILINE)
        return found.group(1).strip() if found else None

    settings = {"program": "Quantum ESPRESSO"}
    settings |= {key: _plain(word) for key, form in PW_KEYS.items() if (word := value(form))}
    files = re.findall(
        r"PseudoPot\. #\s*\d+ for\s+(\w+)\s+read from file:\s*\n\s*(\S+)"
        r"(?:\s*\n\s*MD5 check sum:\s*(\w+))?",
        text,
    )
    pseudopotentials = {
        element: " ".join(filter(None, (file.rsplit("/", 1)[-1], digest)))
        for element, file, digest in files
    }
    # An energy that is not converged has no exclamation mark, and is no frame.
    frames = re.split(r"^!\s+total energy", text, flags=re.MULTILINE)
    lost = {n for n, part in enumerate(frames[1:], 1) if "convergence NOT achieved" in part}
    step = value(r"Time step\s*=\s*([\d.]+) a\.u\.")
    return Theory(
        settings,
        pseudopotentials,
        frozenset(lost),
        timestep=float(step) * RYDBERG_TIME_FS if step else None,
        n_kpoints=_count(value(r"number of k points=\s*(\d+)")),
    )
