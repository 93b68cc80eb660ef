"""The folder of a band of VASP: where its images stand, and what earlier runs have come to.

    folder/00, 01 ... NN    the images, the ends among them
    folder/band.json        which stage the band is in, and the iterations of earlier runs

A run that ended is folded: its iterations go into the note, the geometries it left become the
POSCARs of the next one, and its OUTCARs are kept as ``OUTCAR.1.gz`` and so on.
"""

import gzip
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure
from pymatgen.io.vasp import Poscar
from pymatgen.io.vasp.inputs import BadPoscarWarning

from ssefw.documents import NebIterationRecord
from ssefw.engines.band import displacements
from ssefw.engines.run_directory import write_atomically
from ssefw.engines.vasp.band_output import BandLog, read_band_log
from ssefw.engines.vasp.inputs import VaspCell, poscar_text

__all__ = ["BandFolder", "End", "Note"]

FloatArray = npt.NDArray[np.float64]

NOTE_FILE = "band.json"
NEAR = 0.5
"""A CONTCAR farther (A) than this from the last iteration is not the step after it."""


@dataclass(frozen=True)
class End:
    """Energy (eV) and largest force (eV/A) of a relaxed end."""

    energy: float
    max_force: float


@dataclass
class Note:
    """What the folder says of itself.

    Attributes
    ----------
    runs, folded
        Runs of VASP that were begun, and those whose iterations are in `history`.
    corrections
        INCAR tags that remedies changed; None removes a tag.
    """

    stage: Literal["plain", "climb"] = "plain"
    runs: int = 0
    folded: int = 0
    seconds: float = 0.0
    corrections: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class BandFolder:
    """The files of a band.

    Attributes
    ----------
    images
        As they start, both ends included.
    """

    path: Path
    images: list[Structure]
    ends: tuple[End, End]
    note: Note = field(default_factory=Note)

    def __post_init__(self) -> None:
        self.cell = VaspCell.of(self.images[0])

    @property
    def climbs(self) -> bool:
        """Whether the band is in its climbing stage."""
        return self.note.stage == "climb"

    @property
    def has_unfolded_run(self) -> bool:
        """Whether there is a run whose iterations are not in the history."""
        return self.note.folded < self.note.runs

    def load(self) -> None:
        """Take up the note of an earlier process."""
        file = self.path / NOTE_FILE
        if file.exists():
            self.note = Note(**json.loads(file.read_text()))

    def save(self) -> None:
        """Write the note."""
        write_atomically(self.path / NOTE_FILE, json.dumps(asdict(self.note)).encode())

    def log(self) -> BandLog:
        """Read what the present run has written."""
        return read_band_log(self.path, n_images=len(self.images), n_atoms=len(self.cell.structure))

    def history(self) -> list[NebIterationRecord]:
        """Return the iterations of the runs that are folded."""
        return [NebIterationRecord(**record) for record in self.note.history]

    def records(self, log: BandLog) -> list[NebIterationRecord]:
        """Return the whole history, the present run last."""
        known = self.history()
        start, end = self.ends
        for k in range(log.n_iterations):
            energies = [start.energy, *log.energies(k), end.energy]
            known.append(
                NebIterationRecord(
                    iteration=len(known),
                    highest=max(energies) - start.energy,
                    max_force=log.max_force(k),
                    climbing=self.climbs,
                )
            )
        return known

    def done(self, records: list[NebIterationRecord]) -> int:
        """Return how many of the iterations belong to the present stage."""
        return sum(record.climbing == self.climbs for record in records)

    def fold(self, log: BandLog, *, next_stage: Literal["climb"] | None = None) -> None:
        """Take the run that ended into the history, and let the next one start where it stood."""
        history = [record.model_dump() for record in self.records(log)]
        for k, positions in enumerate(self._geometries(log), start=1):
            self._write_poscar(k, positions)
        self.note.history, self.note.folded = history, self.note.runs
        self.note.stage = next_stage or self.note.stage
        self.save()
        for file in self.path.glob("[0-9][0-9]/OUTCAR"):
            packed = file.with_name(f"OUTCAR.{self.note.runs}.gz")
            with file.open("rb") as source, gzip.open(packed, "wb") as target:
                shutil.copyfileobj(source, target)

    def prepare(self) -> None:
        """Write what images lack, and remove what a run before must not leave to the next."""
        (self.path / "POSCAR").unlink(missing_ok=True)
        for k, image in enumerate(self.images):
            if not (self.path / f"{k:02d}/POSCAR").exists():
                self._write_poscar(k, VaspCell.of(image).structure.cart_coords)
            # VASP 6 with HDF5 compares the k-points of each folder with those beside the INCAR.
            shutil.copy(self.path / "KPOINTS", self.path / f"{k:02d}/KPOINTS")
        for name in ("STOPCAR", "[0-9][0-9]/STOPCAR", "[0-9][0-9]/OUTCAR", "[0-9][0-9]/CONTCAR"):
            for file in self.path.glob(name):
                file.unlink()

    def _geometries(self, log: BandLog) -> list[FloatArray]:
        """Return where the images stand: as CONTCARs say, where all are whole and fit."""
        last = [step.positions for step in log.last]
        ahead = []
        for k, positions in enumerate(last, start=1):
            contcar = _read_positions(self.path / f"{k:02d}/CONTCAR", like=self.cell.structure)
            if contcar is None or not _near(self.cell.structure, contcar, positions):
                return last
            ahead.append(contcar)
        return ahead

    def _write_poscar(self, number: int, positions: FloatArray) -> None:
        frac = positions @ np.linalg.inv(self.cell.structure.lattice.matrix)
        folder = self.path / f"{number:02d}"
        folder.mkdir(exist_ok=True)
        write_atomically(folder / "POSCAR", poscar_text(self.cell, frac_coords=frac).encode())


def _read_positions(path: Path, *, like: Structure) -> FloatArray | None:
    """Return the Cartesian positions of a CONTCAR if it is whole and of the same crystal."""
    try:
        text = path.read_text()
        structure = Poscar.from_str(text).structure
    except (OSError, ValueError, IndexError, KeyError, BadPoscarWarning):
        return None
    if not text.endswith("\n") or len(structure) != len(like):
        return None
    if not np.allclose(structure.lattice.matrix, like.lattice.matrix, atol=1e-4):
        return None
    return np.asarray(structure.frac_coords @ like.lattice.matrix)


def _near(like: Structure, one: FloatArray, other: FloatArray) -> bool:
    structures = [
        Structure(like.lattice, like.species, rows, coords_are_cartesian=True)
        for rows in (one, other)
    ]
    return bool(np.linalg.norm(displacements(*structures), axis=1).max() < NEAR)
