"""What pw.x printed: energies, forces, geometry, and whether they can be believed."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase.units import Bohr, Rydberg
from pymatgen.core import Lattice, Structure

from ssefw.engines.espresso.symptoms import Symptom, diagnose

__all__ = ["PwRun", "parse_pw"]

FloatArray = npt.NDArray[np.float64]

NUMBER = r"[-+]?\d+\.\d*(?:[EDed][-+]?\d+)?"


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
    cell, positions
        Of the geometry that would come next, or of the final one, in A; None where none is printed.
    relaxed
        Whether the optimizer found that forces are below its threshold.
    finished
        Whether the program came to its regular end.
    symptoms
        What it complained of.
    """

    version: str
    energies: tuple[float, ...]
    forces: FloatArray | None
    cell: FloatArray | None
    positions: FloatArray | None
    symbols: tuple[str, ...]
    relaxed: bool
    finished: bool
    symptoms: tuple[Symptom, ...]

    @property
    def codes(self) -> set[str]:
        """The codes of the symptoms."""
        return {symptom.code for symptom in self.symptoms}

    def structure(self, start: Structure) -> Structure:
        """Return the last geometry, `start` where there is none."""
        if self.positions is None or len(self.positions) != len(start):
            return start
        lattice = start.lattice if self.cell is None else Lattice(self.cell)
        return Structure(lattice, start.species, self.positions, coords_are_cartesian=True)


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
    symbols, positions = _positions(text, float(alat.group(1)) * Bohr if alat else None)
    return PwRun(
        version=version.group(1) if version else "",
        energies=tuple(energies),
        forces=_forces(text),
        cell=_cell(text),
        positions=positions,
        symbols=symbols,
        relaxed="End of BFGS Geometry Optimization" in text
        and "nstep_exceeded" not in {s.code for s in symptoms},
        finished="JOB DONE" in text,
        symptoms=symptoms,
    )


def _forces(text: str) -> FloatArray | None:
    """Read the last whole block of forces."""
    count = re.search(r"number of atoms/cell\s+=\s+(\d+)", text)
    if count is None:
        return None
    n = int(count.group(1))
    blocks = text.split("Forces acting on atoms")[1:]
    for block in reversed(blocks):
        rows = re.findall(r"atom\s+(\d+) type\s+\d+\s+force =\s+(.*)", block)[:n]
        values = [row[1].split() for row in rows]
        if [int(row[0]) for row in rows] == list(range(1, n + 1)) and all(map(_plain, values)):
            return np.array(values, dtype=np.float64) * Rydberg / Bohr
    return None


def _cell(text: str) -> FloatArray | None:
    """Read the last cell of a relaxation, printed in units of alat, bohr or A."""
    pattern = rf"CELL_PARAMETERS\s*\(([^)]*)\)\s*\n((?:\s*(?:{NUMBER}\s*){{3}}\n){{3}})"
    matches = re.findall(pattern, text)
    if not matches:
        return None
    unit, rows = matches[-1]
    cell = np.array([row.split() for row in rows.strip().splitlines()], dtype=np.float64)
    alat = re.search(rf"alat=\s*({NUMBER})", unit)
    if alat:
        return cell * float(alat.group(1)) * Bohr
    return cell * Bohr if "bohr" in unit else cell


def _positions(text: str, alat: float | None) -> tuple[tuple[str, ...], FloatArray | None]:
    """Read the last whole block of positions of a relaxation, in A."""
    count = re.search(r"number of atoms/cell\s+=\s+(\d+)", text)
    if count is None:
        return (), None
    n = int(count.group(1))
    for block in reversed(text.split("ATOMIC_POSITIONS")[1:]):
        unit, _, body = block.partition("\n")
        rows = [row.split() for row in body.splitlines()[:n]]
        if len(rows) < n or not all(len(row) >= 4 and _plain(row[1:4]) for row in rows):
            continue
        values = np.array([row[1:4] for row in rows], dtype=np.float64)
        symbols = tuple(re.sub(r"[^A-Za-z].*", "", row[0]) for row in rows)
        if "angstrom" in unit:
            return symbols, values
        if "bohr" in unit:
            return symbols, values * Bohr
        if "alat" in unit and alat is not None:
            return symbols, values * alat
        cell = _cell(text)
        if "crystal" in unit and cell is not None:
            return symbols, values @ cell
    return (), None


def _plain(words: list[str]) -> bool:
    return len(words) == 3 and all(re.fullmatch(NUMBER, word) for word in words)
