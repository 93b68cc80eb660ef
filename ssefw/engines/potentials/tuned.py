"""A universal potential fine-tuned to one level of theory: itself, plus a learned correction.

The weights of the universal potential stay as they are. What it lacks, an energy for each element
and a smooth function of the surroundings of each atom, is learned from labelled frames by a NEP,
whose evaluation costs a hundredth of that of the potential it corrects.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ssefw.engines.ase.calculators import make_calculator
from ssefw.errors import DataError, EngineError
from ssefw.files.arrays import pack_npz, unpack_npz
from ssefw.nep import NEP, evaluate

__all__ = ["TunedCalculator", "TunedPotential"]


@dataclass(frozen=True, eq=False)
class TunedPotential:
    """The numbers that make a universal potential another one.

    Attributes
    ----------
    base
        Name of the universal potential.
    calculator, options
        Its import path and keyword arguments; those of a short name hold the hash of its weights.
    shifts
        Energy that is added for each atom of an element, eV.
    correction
        What is added by the surroundings of atoms; its elements are those that it knows.
    """

    base: str
    calculator: str
    shifts: Mapping[str, float]
    correction: NEP
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def species(self) -> tuple[str, ...]:
        """Symbols of the elements that the correction knows."""
        return self.correction.species

    @property
    def form(self) -> str:
        """What it is, in two words."""
        return f"{self.base} + NEP4"

    @property
    def knows_its_range(self) -> bool:
        """Whether it can tell surroundings that were not in its training set."""
        return self.correction.knows_its_range

    @cached_property
    def digest(self) -> str:
        """Content hash: the same for the same numbers, whatever file held them."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return all of it as bytes; the same potential always gives the same bytes."""
        what = {"base": self.base, "calculator": self.calculator, "options": dict(self.options)}
        return pack_npz(
            {
                "base": np.array(json.dumps(what, sort_keys=True)),
                "shifts": np.array([self.shifts[symbol] for symbol in self.species]),
                "correction": np.frombuffer(self.correction.to_bytes(), dtype=np.uint8),
            }
        )

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises
        ------
        DataError
            If the bytes are something else.
        """
        try:
            arrays = unpack_npz(payload)
            what = json.loads(str(arrays["base"]))
            correction = NEP.from_bytes(arrays["correction"].tobytes())
            shifts = np.asarray(arrays["shifts"], dtype=np.float64)
            made = cls(
                base=str(what["base"]),
                calculator=str(what["calculator"]),
                options=dict(what["options"]),
                shifts=dict(zip(correction.species, shifts.tolist(), strict=True)),
                correction=correction,
            )
        except (DataError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"These are not the bytes of a tuned potential: {error}") from error
        if not np.isfinite(shifts).all():
            raise DataError("The shifts of the tuned potential are not finite.")
        return made


class TunedCalculator(Calculator):
    """Energies, forces and stresses of a tuned potential.

    `results` also holds `excess`: by how many ranges of training the surroundings of an atom lie
    outside of it. The largest since it was last set to zero is `largest_excess`.
    """

    implemented_properties: ClassVar[list[str]] = [  # type: ignore[misc]
        "energy",
        "free_energy",
        "forces",
        "stress",
    ]

    def __init__(self, model: TunedPotential, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.model = model
        self.largest_excess = 0.0
        self._base = make_calculator(model.calculator, model.options)

    def reset(self) -> None:
        """Forget what was computed before, and let the universal potential forget it."""
        super().reset()  # type: ignore[no-untyped-call]
        if hasattr(self, "_base") and hasattr(self._base, "reset"):
            self._base.reset()

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute what is asked for; see `ase.calculators.calculator.Calculator`."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        atoms = cast("Atoms", self.atoms)
        if not atoms.pbc.all():
            raise EngineError("A correction knows crystals that repeat in three directions only.")
        symbols = atoms.get_chemical_symbols()
        correction = self.model.correction
        types = correction.types_of(symbols)
        found = evaluate(correction, atoms.positions, types, atoms.cell.array)
        # A copy, since the calculator below may be shared with others that use it unchanged.
        plain = Atoms(symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
        plain.calc = self._base
        forces: npt.NDArray[np.float64] = plain.get_forces() + found.forces
        energy = float(plain.get_potential_energy()) + found.energy
        energy += sum(self.model.shifts[symbol] for symbol in symbols)
        self.largest_excess = max(self.largest_excess, found.excess)
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": forces,
            "excess": found.excess,
        }
        if "stress" in properties:
            stress = plain.get_stress() + full_3x3_to_voigt_6_stress(found.stress)
            self.results["stress"] = stress
