"""What VASP with VTST wrote of a band: one OUTCAR in the folder of each image that moves.

An iteration counts once every image has written it whole: energy, positions, force along the band,
and the line LOOP+ that ends an ionic step. A file may break off anywhere.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["BandLog", "ImageLog", "ImageStep", "parse_image", "read_band_log"]

FloatArray = npt.NDArray[np.float64]

NUMBER = r"([-+]?\d+\.\d*(?:[eEdD][-+]?\d+)?)"
ITERATION = re.compile(r"-+ Iteration +(\d+)\( *(\d+)\) +-+\n")
ENERGY = re.compile(rf"energy  without entropy= *\S+ +energy\(sigma->0\) = *{NUMBER} *\n")
FORCE = re.compile(rf"FORCES: max atom, RMS +{NUMBER} +{NUMBER} *\n")
TANGENT = re.compile(rf"NEB: projections on to tangent \(spring, REAL\) +{NUMBER} +{NUMBER}")
VTST = re.compile(r"VTST: version +([\w.]+)")
PROGRAM = re.compile(r"^ *vasp\.([\w.]+)", re.MULTILINE)
TABLE = "TOTAL-FORCE (eV/Angst)"
ENDED = "LOOP+:"
ACCURATE = "reached required accuracy"
UNCONVERGED = "EDIFF was not reached"


@dataclass(frozen=True)
class ImageStep:
    """One ionic step of an image.

    Attributes
    ----------
    energy
        Extrapolated to zero smearing, eV.
    positions
        In A, VASP's order, shape (n, 3).
    max_force
        Largest force on an atom that the optimizer sees (eV/A): across the path, and the springs.
    along
        What the true force has along the path (eV/A), where it is told.
    n_electronic
        Electronic steps it took.
    is_self_consistent
        Whether VASP did not complain that the electrons did not converge.
    """

    energy: float
    positions: FloatArray
    max_force: float
    along: float | None
    n_electronic: int
    is_self_consistent: bool


@dataclass(frozen=True)
class ImageLog:
    """The OUTCAR of an image.

    Attributes
    ----------
    vtst
        Version of the VTST tools; empty where the program has none.
    has_begun
        Whether the first electronic step was begun: then a program with VTST has said so.
    is_accurate
        Whether VASP stopped because the forces are small.
    """

    version: str
    vtst: str
    has_begun: bool
    steps: tuple[ImageStep, ...]
    is_accurate: bool


@dataclass(frozen=True)
class BandLog:
    """The images of a band that move, up to the last iteration that all of them have."""

    images: tuple[ImageLog, ...]

    @property
    def n_iterations(self) -> int:
        """Iterations that are whole."""
        return min((len(image.steps) for image in self.images), default=0)

    @property
    def last(self) -> tuple[ImageStep, ...]:
        """The images at the last whole iteration."""
        return tuple(image.steps[self.n_iterations - 1] for image in self.images)

    @property
    def lacks_vtst(self) -> bool:
        """Whether the program has shown that it is without VTST."""
        return any(image.has_begun and not image.vtst for image in self.images)

    @property
    def is_accurate(self) -> bool:
        """Whether each image ended in small forces, all at the same iteration."""
        counts = {len(image.steps) for image in self.images}
        return len(counts) == 1 and all(image.is_accurate for image in self.images)

    def energies(self, iteration: int) -> list[float]:
        """Return the energies of the images that move at an iteration, eV."""
        return [image.steps[iteration].energy for image in self.images]

    def max_force(self, iteration: int) -> float:
        """Return the largest force of an iteration, eV/A."""
        return max(image.steps[iteration].max_force for image in self.images)


def parse_image(text: str, *, n_atoms: int) -> ImageLog:
    """Read an OUTCAR, whole or cut off anywhere."""
    found = list(ITERATION.finditer(text))
    begins: dict[int, list[int]] = {}
    for match in found:
        begins.setdefault(int(match[1]), []).append(match.start())
    starts = [begins[number][0] for number in sorted(begins)]
    steps: list[ImageStep] = []
    for index, start in enumerate(starts):
        end = starts[index + 1] if index + 1 < len(starts) else len(text)
        n_electronic = sum(start <= match.start() < end for match in found)
        step = _step(text[start:end], n_atoms=n_atoms, n_electronic=n_electronic)
        if step is None:
            break
        steps.append(step)
    program, vtst = PROGRAM.search(text), VTST.search(text)
    tail = text[starts[len(steps) - 1] :] if steps else ""
    return ImageLog(
        version=program[1] if program else "",
        vtst=vtst[1] if vtst else "",
        has_begun=bool(found),
        steps=tuple(steps),
        is_accurate=ACCURATE in tail and len(steps) == len(starts),
    )


def read_band_log(folder: Path, *, n_images: int, n_atoms: int) -> BandLog:
    """Read the OUTCAR of each image between the ends; one that is missing has no steps."""
    logs = []
    for k in range(1, n_images - 1):
        try:
            text = (folder / f"{k:02d}/OUTCAR").read_text(errors="replace")
        except FileNotFoundError:
            text = ""
        logs.append(parse_image(text, n_atoms=n_atoms))
    return BandLog(tuple(logs))


def _step(block: str, *, n_atoms: int, n_electronic: int) -> ImageStep | None:
    """Return an ionic step if its text is whole."""
    ended = block.find(ENDED)
    if ended < 0 or block.find("\n", ended) < 0:
        return None
    energies, forces = ENERGY.findall(block), FORCE.findall(block)
    positions = _positions(block, n_atoms)
    if not energies or not forces or positions is None:
        return None
    along = TANGENT.findall(block)
    return ImageStep(
        energy=float(energies[-1]),
        positions=positions,
        max_force=float(forces[-1][0]),
        along=float(along[-1][1]) if along else None,
        n_electronic=n_electronic,
        is_self_consistent=UNCONVERGED not in block,
    )


def _positions(block: str, n_atoms: int) -> FloatArray | None:
    _, found, table = block.rpartition(TABLE)
    rows = table.splitlines()[2 : 2 + n_atoms]
    if not found or len(rows) < n_atoms:
        return None
    try:
        values = np.array([[float(x) for x in row.split()] for row in rows], dtype=np.float64)
    except ValueError:  # Fortran's asterisks, or another table
        return None
    if values.shape != (n_atoms, 6):
        return None
    return np.asarray(values[:, :3])
