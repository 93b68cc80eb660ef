"""A student as an engine: dynamics in compiled chunks, everything else as any calculator."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ase.calculators.calculator import Calculator
from pymatgen.core import Structure

from ssefw.engines.ase import AseEngine
from ssefw.engines.ase.dynamics import Driver
from ssefw.engines.base import MDSettings
from ssefw.engines.students.calculator import StudentCalculator
from ssefw.engines.students.driver import StudentDriver
from ssefw.engines.students.excursions import FARTHEST
from ssefw.engines.students.shelf import has_potential, load_potential, take_in, weights_key
from ssefw.nep import NEP

__all__ = ["StudentEngine"]

STUDENT_SPEED = 150_000.0
"""Atom-steps a second on one core at 50 to 200 atoms, by benchmarks/student.py: 130,000 to 205,000
on a machine with more or less else to do."""


@dataclass(frozen=True, kw_only=True)
class StudentEngine(AseEngine):
    """Run a fast potential that was taught by a slower one.

    Attributes
    ----------
    potential
        Its content hash, which is what results are known by. The weights lie in the folder of the
        setting `potentials`, or in the store. Empty in a plan, where a lesson is to come first.
    farthest
        Excess over the range of training from which a step of dynamics is made up; they end where
        that is far, long or often, see `ssefw.engines.students.excursions`.
    """

    calculator: str = "ssefw.engines.students.StudentCalculator"
    potential: str = ""
    farthest: float = FARTHEST

    @property
    def name(self) -> str:
        """Short name with the beginning of the hash, which one that is yet to be taught lacks."""
        return f"student-{self.potential[:8]}" if self.potential else "student"

    @property
    def nominal_speed(self) -> float | None:
        """See `STUDENT_SPEED`."""
        return STUDENT_SPEED

    def check(self) -> None:
        """Read the potential and compare its hash; there is none yet before a lesson."""
        if self.potential:
            self.model()

    def belongings(self) -> Iterator[tuple[str, bytes]]:
        """Yield the weights."""
        if self.potential:
            yield weights_key(self.potential), self.model().to_bytes()

    def fetch(self, get: Callable[[str], bytes | None]) -> None:
        """Put the weights on the shelf of this machine, if it lacks them and the store has them."""
        if not has_potential(self.potential) and (found := get(weights_key(self.potential))):
            take_in(NEP.from_bytes(found))

    def model(self) -> NEP:
        """Return the potential, read once in a process."""
        return load_potential(self.potential)

    def calculator_instance(self) -> Calculator:
        """Return the student as a calculator of ASE."""
        return StudentCalculator(self.model())

    def _driver(self, structure: Structure, settings: MDSettings) -> Driver:
        atoms = self._atoms(structure)
        return StudentDriver(
            self.model(),
            symbols=atoms.get_chemical_symbols(),
            masses=atoms.get_masses(),
            positions=atoms.get_positions(),
            cell=atoms.cell.array,
            settings=settings,
            farthest=self.farthest,
        )
