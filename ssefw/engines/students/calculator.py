"""A student as a calculator of ASE, for relaxations, bands, and scripts of one's own."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ssefw.errors import EngineError
from ssefw.nep import NEP, evaluate

__all__ = ["StudentCalculator"]


class StudentCalculator(Calculator):
    """Energies, forces and stresses of a NEP.

    Results depend on the atoms alone, never on the steps before. `results` also holds `excess`: by
    how many ranges of training the surroundings of an atom lie outside of it.
    """

    implemented_properties: ClassVar[list[str]] = [  # type: ignore[misc]
        "energy",
        "free_energy",
        "forces",
        "stress",
    ]

    def __init__(self, model: NEP, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.model = model

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute everything; see `ase.calculators.calculator.Calculator`."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        atoms = cast("Atoms", self.atoms)
        if not atoms.pbc.all():
            raise EngineError("A student knows crystals that repeat in all three directions only.")
        types = self.model.types_of(atoms.get_chemical_symbols())
        found = evaluate(self.model, atoms.positions, types, atoms.cell.array)
        self.results = {
            "energy": found.energy,
            "free_energy": found.energy,
            "forces": found.forces,
            "stress": full_3x3_to_voigt_6_stress(found.stress),
            "excess": found.excess,
        }
