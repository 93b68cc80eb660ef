"""A band relaxed with ASE's NEB, by any calculator; it continues after a kill.

Improved tangents (DOI 10.1063/1.1323224), then a climbing image (DOI 10.1063/1.1329672), both moved
by FIRE. All images share one calculator.
"""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.mep import NEB
from ase.optimize import FIRE
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.documents import NebIterationRecord, NebPath, NebStatus, Provenance
from ssefw.engines.ase.calculators import BREAKDOWNS
from ssefw.engines.band import band_document, path_lengths
from ssefw.engines.base import NebSettings
from ssefw.engines.run_directory import RunDirectory, write_atomically
from ssefw.engines.stopping import StopCheck
from ssefw.errors import DataError, EngineError
from ssefw.files.arrays import unpack_npz

__all__ = ["AseBand", "read_history"]

Stage = Literal["plain", "climb"]
BAND_FILE = "band.npz"
RUNAWAY = 1e3
"""A force (eV/A) beyond this is an explosion, not a step of a relaxation."""


class _Stopped(Exception):  # noqa: N818 - a signal, not an error
    """The band was asked to stop."""


class _Band(NEB):
    """ASE's NEB that evaluates each set of positions once.

    With a shared calculator ASE would compute all images again whenever it is asked.
    """

    last_positions: npt.NDArray[np.float64] | None = None
    last_forces: npt.NDArray[np.float64]

    def get_forces(self) -> npt.NDArray[np.float64]:
        """Return the forces on all free images, shape (n_free * n_atoms, 3)."""
        positions = self.get_positions()  # type: ignore[no-untyped-call]
        if self.last_positions is None or not np.array_equal(positions, self.last_positions):
            self.last_forces = super().get_forces()  # type: ignore[no-untyped-call]
            self.last_positions = positions.copy()
        return self.last_forces.copy()


@dataclass
class AseBand:
    """A band in a folder.

    Attributes
    ----------
    images
        As they start; both ends stay.
    history
        Of all stages and processes that worked at it.
    """

    folder: Path
    images: Sequence[Structure]
    calculator: Calculator
    settings: NebSettings
    key: str
    provenance: Provenance
    stage: Stage = "plain"
    history: list[NebIterationRecord] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    forces: list[float] = field(default_factory=list)

    def execute(self, stop: StopCheck) -> NebPath:
        """Relax what is left to relax."""
        began = time.monotonic()
        record = RunDirectory(self.folder, key=self.key)
        with record.lock():
            atoms = [AseAtomsAdaptor.get_atoms(s, msonable=False) for s in self.images]
            self._restore(atoms)
            self._fix_ends(atoms)
            status, reason = self._relax(atoms, stop)
            if status == "converged" and self.settings.climb and self.stage == "plain":
                self.stage = "climb"
                status, reason = self._relax(atoms, stop)
            return self._document(atoms, status, reason, time.monotonic() - began)

    def _fix_ends(self, atoms: list[Atoms]) -> None:
        """Evaluate both ends once, and give the images between the shared calculator."""
        for end in (atoms[0], atoms[-1]):
            end.calc = self.calculator
            energy, forces = end.get_potential_energy(), end.get_forces()
            end.calc = SinglePointCalculator(end, energy=energy, forces=forces)
        for image in atoms[1:-1]:
            image.calc = self.calculator

    def _relax(self, atoms: list[Atoms], stop: StopCheck) -> tuple[NebStatus, str]:
        band = _Band(  # type: ignore[no-untyped-call]
            atoms,
            k=self.settings.spring,
            climb=self.stage == "climb",
            method="improvedtangent",
            allow_shared_calculator=True,
        )
        optimizer = FIRE(band, logfile=None)

        def watch() -> None:
            forces = np.linalg.norm(band.get_forces(), axis=1)
            if not forces.max() < RUNAWAY:
                msg = f"a force of {forces.max():.3g} eV/A: atoms collide between the images"
                raise ArithmeticError(msg)
            energies = np.array(band.energies)
            self.energies = [float(energy) for energy in energies]
            self.forces = [float(f) for f in forces.reshape(len(atoms) - 2, -1).max(axis=1)]
            self.history.append(
                NebIterationRecord(
                    iteration=len(self.history),
                    highest=float(energies.max() - energies[0]),
                    max_force=float(forces.max()),
                    climbing=self.stage == "climb",
                )
            )
            self._save(atoms)
            if stop() is not None:
                raise _Stopped

        optimizer.attach(watch)
        try:
            converged = optimizer.run(fmax=self.settings.fmax, steps=self.settings.max_steps)
        except _Stopped:
            return "interrupted", f"asked to stop at iteration {len(self.history)}"
        except BREAKDOWNS as error:
            msg = f"The band in {self.folder} broke down: {error}. Give images that are closer to "
            raise EngineError(f"{msg}the path, or more of them.", directory=self.folder) from error
        if converged:
            return "converged", ""
        worst = self.history[-1].max_force
        return "unconverged", (
            f"{self.settings.max_steps} iterations left a force of {worst:.3f} eV/A "
            f"(asked for {self.settings.fmax:g})"
        )

    def _document(
        self, atoms: list[Atoms], status: NebStatus, reason: str, elapsed: float
    ) -> NebPath:
        structures = [
            Structure(s.lattice, s.species, a.positions, coords_are_cartesian=True)
            for s, a in zip(self.images, atoms, strict=True)
        ]
        ends = [float(np.linalg.norm(a.get_forces(), axis=1).max()) for a in (atoms[0], atoms[-1])]
        return band_document(
            structures=structures,
            energies=self.energies,
            lengths=[float(x) for x in path_lengths(structures)],
            forces=[ends[0], *self.forces, ends[1]],
            status=status,
            climbed=self.stage == "climb" and status == "converged",
            reason=reason,
            history=self.history,
            wall_time=elapsed,
            provenance=self.provenance,
        )

    def _save(self, atoms: list[Atoms]) -> None:
        buffer = io.BytesIO()
        np.savez(
            buffer,
            positions=np.array([image.positions for image in atoms]),
            climb=self.stage == "climb",
            history=np.array([[h.highest, h.max_force, h.climbing] for h in self.history]),
        )
        write_atomically(self.folder / BAND_FILE, buffer.getvalue())

    def _restore(self, atoms: list[Atoms]) -> None:
        file = self.folder / BAND_FILE
        if not file.exists():
            return
        try:
            saved = unpack_npz(file.read_bytes())
            positions = saved["positions"]
            history = _history(saved["history"])
            stage: Stage = "climb" if saved["climb"] else "plain"
        except (DataError, OSError, KeyError, ValueError):
            return  # damaged on disk: what it held is computed again
        self.stage, self.history = stage, history
        for image, saved_positions in zip(atoms, positions, strict=True):
            image.positions = saved_positions


def read_history(file: Path) -> list[NebIterationRecord]:
    """Return the iterations that a band has noted in its file."""
    return _history(unpack_npz(file.read_bytes())["history"])


def _history(rows: npt.NDArray[np.float64]) -> list[NebIterationRecord]:
    return [
        NebIterationRecord(iteration=k, highest=float(h), max_force=float(f), climbing=bool(c))
        for k, (h, f, c) in enumerate(rows)
    ]
