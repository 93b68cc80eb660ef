"""What pw.x printed: energies, forces, geometry, and whether they can be believed."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase.units import Bohr, Rydberg

from ssefw.engines.espresso.symptoms import Symptom, diagnose

__all__ = ["Geometry", "PwRun", "parse_pw"]

FloatArray = npt.NDArray[np.float64]

NUMBER = r"[-+]?\d+\.\d*(?:[EDed][-+]?\d+)?"


STOPPED = frozenset({"walltime", "asked_to_stop"})
"""Symptoms of a run that was ended from outside, whatever else it then complains of."""


@dataclass(frozen=True)
class Geometry:
    """Positions of all atoms and, where the cell may change, its vectors (A)."""

    positions: FloatArray
    cell: FloatArray | None


@dataclass(frozen=True)
class PwRun:
    """A run of pw.x, as far as it came. Only whole blocks of the output count.

    Attributes
    ----------
    version
        Of QE; empty if the output does not even say that.
    energies
        Of each self-consistent geometry, in eV.
    forces
        On the atoms of the last such geometry, in eV/A, shape (n, 3).
    n_geometries
        Geometries whose forces were printed.
    geometries
        Those a relaxation went on to, and the final one again. The one of the input is not printed.
    relaxed
        Whether the optimizer found that forces are below its threshold.
    finished
        Whether the program came to its regular end.
    symptoms
        What it complained of.
    seconds
        How long it ran: what it printed at its end, else what it had told last; 0 where it told
        nothing.
    """

    version: str
    energies: tuple[float, ...]
    forces: FloatArray | None
    n_geometries: int
    geometries: tuple[Geometry, ...]
    symbols: tuple[str, ...]
    relaxed: bool
    finished: bool
    symptoms: tuple[Symptom, ...]
    seconds: float

    @property
    def codes(self) -> set[str]:
        """The codes of the symptoms."""
        return {symptom.code for symptom in self.symptoms}

    @property
    def latest(self) -> Geometry | None:
        """The geometry that forces and energy belong to; None if it is that of the input."""
        if self.relaxed and self.geometries:
            return self.geometries[-1]
        sound = self.n_geometries - 2  # that of the input comes before the first that is printed
        return self.geometries[sound] if 0 <= sound < len(self.geometries) else None

    @property
    def onward(self) -> Geometry | None:
        """The geometry to go on from; None if that is the one of the input.

        Where the program failed, the last one with sound forces: the step that led away from it may
        be what failed. Where it was only stopped, the one its optimizer chose next.
        """
        stopped = not self.codes - {"nstep_exceeded"} or bool(self.codes & STOPPED)
        if stopped and self.geometries:
            return self.geometries[-1]
        return self.latest


def parse_pw(text: str) -> PwRun:
    """Parse the standard output of pw.x, whole or cut off anywhere."""
    symptoms = diagnose(text)
    text = text[: text.rfind("\n") + 1]  # a line that is not whole holds a wrong number
    version = re.search(r"Program PWSCF v\.(\S+)", text)
    energies = [
        float(x) * Rydberg
        for x in re.findall(rf"^!\s+total energy\s+=\s+({NUMBER}) Ry", text, re.M)
    ]
    alat = re.search(rf"lattice parameter \(alat\)\s+=\s+({NUMBER})", text)
    count = re.search(r"number of atoms/cell\s+=\s+(\d+)", text)
    n = int(count.group(1)) if count else 0
    symbols, geometries = _geometries(text, n, float(alat.group(1)) * Bohr if alat else None)
    forces = _forces(text, n)
    return PwRun(
        version=version.group(1) if version else "",
        energies=tuple(energies),
        forces=forces[-1] if forces else None,
        n_geometries=len(forces),
        geometries=geometries,
        symbols=symbols,
        relaxed="End of BFGS Geometry Optimization" in text
        and "nstep_exceeded" not in {s.code for s in symptoms},
        finished="JOB DONE" in text,
        symptoms=symptoms,
        seconds=_seconds(text),
    )


def _seconds(text: str) -> float:
    """Read how long a run took: 2h 3m WALL, 1m49.45s WALL, or what it had spent up to its end."""
    unit = r"(?:(\d+) ?d)? *(?:(\d+) ?h)? *(?:(\d+) ?m)? *(?:([\d.]+) ?s)? *"
    told = re.findall(rf"PWSCF +:.*CPU +{unit}WALL", text)
    if told and any(told[-1]):
        return sum(float(n or 0) * of for n, of in zip(told[-1], (86400, 3600, 60, 1), strict=True))
    # By the clock as well, whatever the line says: 10.3 s before an end at 3.0 s CPU, 12.2 s WALL.
    spent = re.findall(rf"total cpu time spent up to now is +({NUMBER}) secs", text)
    return float(spent[-1]) if spent else 0.0


def _forces(text: str, n: int) -> list[FloatArray]:
    """Read all whole blocks of forces on `n` atoms."""
    found = []
    for block in text.split("Forces acting on atoms")[1:]:
        rows = re.findall(r"atom\s+(\d+) type\s+\d+\s+force =\s+(.*)", block)[:n]
        values = [row[1].split() for row in rows]
        if n and [int(row[0]) for row in rows] == list(range(1, n + 1)) and _all_plain(values):
            found.append(np.array(values, dtype=np.float64) * Rydberg / Bohr)
    return found


def _cells(text: str) -> list[tuple[int, FloatArray]]:
    """Read the cells of a relaxation (A), in whatever unit, and where they end."""
    pattern = rf"CELL_PARAMETERS\s*\(([^)]*)\)\s*\n((?:\s*(?:{NUMBER}\s*){{3}}\n){{3}})"
    found = []
    for match in re.finditer(pattern, text):
        unit, rows = match.groups()
        cell = np.array([row.split() for row in rows.strip().splitlines()], dtype=np.float64)
        alat = re.search(rf"alat=\s*({NUMBER})", unit)
        scale = float(alat.group(1)) * Bohr if alat else Bohr if "bohr" in unit else 1.0
        found.append((match.end(), cell * scale))
    return found


def _geometries(
    text: str, n: int, alat: float | None
) -> tuple[tuple[str, ...], tuple[Geometry, ...]]:
    """Read all whole blocks of positions of `n` atoms, each with the cell before it."""
    cells = _cells(text)
    symbols: tuple[str, ...] = ()
    found = []
    for start in re.finditer("ATOMIC_POSITIONS", text):
        unit, _, body = text[start.end() :].partition("\n")
        rows = [row.split() for row in body.split("\n", n)[:n]]
        if not n or len(rows) < n or not _all_plain([row[1:4] for row in rows]):
            continue
        cell = next((cell for end, cell in reversed(cells) if end <= start.start()), None)
        values = np.array([row[1:4] for row in rows], dtype=np.float64)
        if "bohr" in unit:
            values = values * Bohr
        elif "alat" in unit and alat is not None:
            values = values * alat
        elif "crystal" in unit and cell is not None:
            values = values @ cell
        elif "angstrom" not in unit:
            continue
        symbols = tuple(re.sub(r"[^A-Za-z].*", "", row[0]) for row in rows)
        found.append(Geometry(values, cell))
    return symbols, tuple(found)


def _all_plain(rows: list[list[str]]) -> bool:
    return all(len(row) == 3 and all(re.fullmatch(NUMBER, word) for word in row) for row in rows)
