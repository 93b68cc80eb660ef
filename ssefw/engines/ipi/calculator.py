"""Forces of a served program as a calculator of ASE."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ssefw.engines.ipi.forces import ServedForces

__all__ = ["ServedCalculator"]


class ServedCalculator(Calculator):
    """Ask a program that lives on from geometry to geometry, of one number of atoms."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]  # type: ignore[misc]

    def __init__(self, forces: ServedForces) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._served = forces

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Ask for all of it: the program computes it anyway."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        here = cast("Atoms", self.atoms)
        answer = self._served(np.array(here.positions), np.array(here.cell.array))
        found: dict[str, Any] = {
            "energy": answer.energy,
            "free_energy": answer.energy,
            "forces": answer.forces,
            "stress": full_3x3_to_voigt_6_stress(answer.stress),
        }
        self.results = found
