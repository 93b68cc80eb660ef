"""What VASP has written so far, read step by step while it runs and after it was cut short.

Only complete ionic steps are returned; memory does not grow with the length of the run.
"""

import gzip
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pymatgen.io.vasp import Poscar
from pymatgen.io.vasp.inputs import BadPoscarWarning

from ssefw.errors import EngineError

__all__ = [
    "Contcar",
    "IonicStep",
    "StepReader",
    "last_words",
    "pack_outputs",
    "read_contcar",
    "was_aborted",
]

FloatArray = npt.NDArray[np.float64]

END = b"</calculation>"
PIECE = 1 << 20
BASIS = re.compile(rb'<varray name="basis" *>(.*?)</varray>', re.DOTALL)
POSITIONS = re.compile(rb'<varray name="positions" *>(.*?)</varray>', re.DOTALL)
ENERGY = re.compile(rb"<energy>(.*?)</energy>", re.DOTALL)
ITEM = re.compile(rb'<i name="([^"]+)">([^<]*)</i>')
LARGE = ("OUTCAR", "vasprun.xml", "OSZICAR", "XDATCAR", "REPORT", "vasp.out")
TAIL = 4096
LAST_STEP = 1 << 21
"""Bytes of OUTCAR that surely hold its last ionic step."""


@dataclass(frozen=True)
class IonicStep:
    """One complete ionic step.

    Attributes
    ----------
    cell
        Cell vectors in rows, angstrom.
    frac_coords
        Fractional positions as VASP wraps them, shape (n_atoms, 3).
    energy
        Free energy of the electrons, whose gradient the forces are (eV).
    kinetic
        Kinetic energy of the ions (eV); none outside dynamics.
    total
        Energy of ions, electrons and thermostat (eV), the conserved quantity of Nose-Hoover.
    n_electronic
        Electronic steps it took; as many as NELM permits means that it did not converge.
    """

    cell: FloatArray
    frac_coords: FloatArray
    energy: float
    kinetic: float | None
    total: float | None
    n_electronic: int


class StepReader:
    """Reads the complete ionic steps that were added to a vasprun.xml since the last call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._rest = b""

    def new_steps(self) -> Iterator[IonicStep]:
        """Yield complete steps not yielded before.

        Raises
        ------
        EngineError
            If a step holds no numbers (Fortran's asterisks): the run exploded.
        """
        while piece := self._next_piece():
            *complete, self._rest = (self._rest + piece).split(END)
            for block in complete:
                yield self._step(block)

    def _next_piece(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                piece = file.read(PIECE)
        except FileNotFoundError:
            return b""
        self._offset += len(piece)
        return piece

    def _step(self, block: bytes) -> IonicStep:
        here = block.rfind(b"<structure>")
        body = block[max(0, here) :]
        basis, positions = BASIS.search(body), POSITIONS.search(body)
        energies = ENERGY.findall(body)
        if here < 0 or basis is None or positions is None or not energies:
            raise EngineError(
                f"{self.path} has an ionic step without structure or energy; is it VASP 5 or 6?",
                directory=self.path.parent,
            )
        try:
            values = {name.decode(): float(text) for name, text in ITEM.findall(energies[-1])}
            step = IonicStep(
                cell=_vectors(basis[1]),
                frac_coords=_vectors(positions[1]),
                energy=values["e_fr_energy"],
                kinetic=values.get("kinetic"),
                total=values.get("total"),
                n_electronic=block.count(b"<scstep>"),
            )
        except (ValueError, KeyError) as error:
            raise EngineError(
                f"{self.path} has an ionic step that is no number ({error}): the run exploded. "
                "Relax the structure first, or lower the time step.",
                directory=self.path.parent,
            ) from error
        return step


def _vectors(text: bytes) -> FloatArray:
    plain = text.replace(b"<v>", b" ").replace(b"</v>", b" ")
    return np.array(plain.split(), dtype=np.float64).reshape(-1, 3)


@dataclass(frozen=True)
class Contcar:
    """A readable CONTCAR of dynamics: its text, positions, and velocities in A/fs."""

    text: str
    frac_coords: FloatArray
    velocities: FloatArray


def read_contcar(path: Path, *, n_atoms: int) -> Contcar | None:
    """Return a CONTCAR if it is whole, with velocities; VASP may have died while writing it."""
    try:
        text = path.read_text()
        poscar = Poscar.from_str(text)
    except (OSError, ValueError, IndexError, KeyError, BadPoscarWarning):
        return None  # pymatgen raises its warning
    # A number cut short may still be a number.
    if not text.endswith("\n") or len(poscar.structure) != n_atoms:
        return None
    if poscar.velocities is None:
        return None
    velocities = np.asarray(poscar.velocities, dtype=np.float64)
    if velocities.shape != (n_atoms, 3):
        return None
    return Contcar(text, poscar.structure.frac_coords, velocities)


def was_aborted(folder: Path) -> bool:
    """Whether VASP was stopped within an ionic step (LABORT), whose energy is then no result."""
    # OUTCAR: aborting loop because hard stop was set; stdout: hard stop encountered!
    texts = (_tail(folder / "OUTCAR", LAST_STEP), _tail(folder / "vasp.out", LAST_STEP))
    return any(b"hard stop" in text for text in texts)


def pack_outputs(folder: Path) -> None:
    """Compress the large files of a run of VASP that is over; they are 5 to 10 times smaller then.

    A file is there plain or packed, also if this is interrupted.
    """
    for name in LARGE:
        plain, packed = folder / name, folder / f"{name}.gz"
        if plain.exists():
            partial = folder / f".{name}.gz"
            with plain.open("rb") as source, gzip.open(partial, "wb", compresslevel=3) as target:
                shutil.copyfileobj(source, target, PIECE)
            partial.replace(packed)
            plain.unlink()


def last_words(folder: Path) -> str:
    """Return the last line that VASP printed, preferably to stderr."""
    for name in ("std_err.txt", "vasp.out"):
        lines = _tail(folder / name).decode(errors="replace").split("\n")
        spoken = [line.strip(" |\t*") for line in lines]
        spoken = [line for line in spoken if line]
        if spoken:
            return spoken[-1][:200]
    return "it printed nothing"


def _tail(path: Path, size: int = TAIL) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - size))
            return file.read()
    except FileNotFoundError:
        return b""
