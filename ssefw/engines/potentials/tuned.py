"""A universal potential fine-tuned to one level of theory: itself, plus a learned correction.

The weights of the universal potential stay as they are. What it lacks, an energy for each element
and a smooth function of the surroundings of each atom, is learned from labelled frames by a few
NEPs, whose mean is taken: their errors differ, and how far they do says where they know nothing.
All together cost a tenth of the potential that they correct.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ssefw.engines.ase.calculators import make_calculator
from ssefw.errors import DataError, EngineError
from ssefw.files.arrays import pack_npz, unpack_npz
from ssefw.nep import NEP, evaluate

__all__ = ["Addition", "TunedCalculator", "TunedPotential"]

FloatArray = npt.NDArray[np.float64]


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
    corrections
        What is added by the surroundings of atoms, their mean; all know the same elements.
    """

    base: str
    calculator: str
    shifts: Mapping[str, float]
    corrections: tuple[NEP, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def species(self) -> tuple[str, ...]:
        """Symbols of the elements that the corrections know."""
        return self.corrections[0].species

    @property
    def form(self) -> str:
        """What it is, in two words."""
        return f"{self.base} + NEP4"

    @property
    def knows_its_range(self) -> bool:
        """Whether it can tell surroundings that were not in its training set."""
        return all(one.knows_its_range for one in self.corrections)

    @cached_property
    def digest(self) -> str:
        """Content hash: the same for the same numbers, whatever file held them."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return all of it as bytes; the same potential always gives the same bytes."""
        what = {"base": self.base, "calculator": self.calculator, "options": dict(self.options)}
        arrays = {
            "base": np.array(json.dumps(what, sort_keys=True)),
            "shifts": np.array([self.shifts[symbol] for symbol in self.species]),
        }
        for k, one in enumerate(self.corrections):
            arrays[f"correction-{k}"] = np.frombuffer(one.to_bytes(), dtype=np.uint8)
        return pack_npz(arrays)

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
            names = [f"correction-{k}" for k in range(len(arrays) - 2)]
            corrections = tuple(NEP.from_bytes(arrays[name].tobytes()) for name in names)
            species = {one.species for one in corrections}
            shifts = np.asarray(arrays["shifts"], dtype=np.float64)
            made = cls(
                base=str(what["base"]),
                calculator=str(what["calculator"]),
                options=dict(what["options"]),
                shifts=dict(zip(*species, shifts.tolist(), strict=True)),
                corrections=corrections,
            )
        except (DataError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"These are not the bytes of a tuned potential: {error}") from error
        if not np.isfinite(shifts).all():
            raise DataError("The shifts of the tuned potential are not finite.")
        return made

    def added(self, symbols: Sequence[str], positions: FloatArray, cell: FloatArray) -> "Addition":
        """Return what is added for the surroundings of atoms; shifts are not among it.

        Parameters
        ----------
        symbols, positions, cell
            Of the atoms, A.

        Raises
        ------
        DataError
            If an element is unknown.
        """
        types = self.corrections[0].types_of(list(symbols))
        found = [evaluate(one, positions, types, cell) for one in self.corrections]
        forces = np.array([one.forces for one in found])
        spread = np.sqrt(forces.var(axis=0).sum(axis=1))
        return Addition(
            energy=float(np.mean([one.energy for one in found])),
            forces=forces.mean(axis=0),
            stress=np.mean([one.stress for one in found], axis=0),
            excess=max(one.excess for one in found),
            disagreement=float(spread.max(initial=0.0)),
        )


class Addition(NamedTuple):
    """What the corrections add to a potential, and how sure they are.

    Energy in eV, forces in eV/A, stress in eV/A^3; by how many ranges of training the surroundings
    of an atom lie outside of it at most; and how far they differ on the force of an atom, eV/A.
    """

    energy: float
    forces: FloatArray
    stress: FloatArray
    excess: float
    disagreement: float


class TunedCalculator(Calculator):
    """Energies, forces and stresses of a tuned potential.

    `results` also holds `excess` and `disagreement` of the corrections, see `Addition`. The largest
    excess since it was last set to zero is `largest_excess`; a list `excesses` takes each of them.
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
        self.excesses: list[float] | None = None
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
        found = self.model.added(symbols, atoms.positions, atoms.cell.array)
        # A copy, since the calculator below may be shared with others that use it unchanged.
        plain = Atoms(symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
        plain.calc = self._base
        forces: FloatArray = plain.get_forces() + found.forces
        energy = float(plain.get_potential_energy()) + found.energy
        energy += sum(self.model.shifts[symbol] for symbol in symbols)
        self.largest_excess = max(self.largest_excess, found.excess)
        if self.excesses is not None:
            self.excesses.append(found.excess)
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": forces,
            "excess": found.excess,
            "disagreement": found.disagreement,
        }
        if "stress" in properties:
            stress = plain.get_stress() + full_3x3_to_voigt_6_stress(found.stress)
            self.results["stress"] = stress
