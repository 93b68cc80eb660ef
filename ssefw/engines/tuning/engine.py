"""A tuned potential as an engine."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from ase.calculators.calculator import Calculator
from pymatgen.core import Structure

from ssefw.engines.ase import AseEngine
from ssefw.engines.ase.dynamics import Driver
from ssefw.engines.ase.tasks import plain_atoms
from ssefw.engines.base import MDSettings
from ssefw.engines.potentials.tuned import TunedCalculator, TunedPotential
from ssefw.engines.students import FARTHEST
from ssefw.engines.students.shelf import has_potential, load_tuned, take_in, weights_key
from ssefw.engines.tuning.driver import TunedDriver
from ssefw.errors import ConfigurationError

__all__ = ["TunedEngine"]


@dataclass(frozen=True, kw_only=True)
class TunedEngine(AseEngine):
    """Run a universal potential that was fine-tuned to a level of theory.

    Attributes
    ----------
    potential
        Its content hash, which is what results are known by. The weights lie in the folder of the
        setting `potentials`, or in the store.
    farthest
        Excess over the range of training from which a step of dynamics is made up; see
        `ssefw.engines.students.StudentEngine`.
    """

    calculator: str = "ssefw.engines.potentials.tuned.TunedCalculator"
    potential: str
    farthest: float = FARTHEST

    @property
    def name(self) -> str:
        """Short name with the beginning of the hash."""
        return f"tuned-{self.potential[:8]}"

    @property
    def nominal_speed(self) -> float | None:
        """That of the universal potential, beside which the correction costs nothing."""
        try:
            return self.base().nominal_speed
        except ConfigurationError:  # its weights are on another machine
            return None

    def check(self) -> None:
        """Read the potential, compare its hash, and check the potential below it."""
        self.base().check()

    def missing(self, elements: Collection[str], *, has_bands: bool = False) -> Iterator[str]:
        """Yield what the potential lacks, and what that below it does."""
        if unknown := sorted(set(elements) - set(self.model().species)):
            yield (
                f"The potential {self.potential[:8]} was tuned for "
                f"{', '.join(self.model().species)}, not {', '.join(unknown)}: tune one on frames "
                "that hold them"
            )
        yield from self.base().missing(elements, has_bands=has_bands)

    def versions(self) -> dict[str, str]:
        """Return those of the potential below."""
        return self.base().versions()

    def belongings(self) -> Iterator[tuple[str, bytes]]:
        """Yield the weights."""
        yield weights_key(self.potential, TunedPotential), self.model().to_bytes()

    def fetch(self, get: Callable[[str], bytes | None]) -> None:
        """Put the weights on the shelf of this machine, if it lacks them and the store has them."""
        if not has_potential(self.potential) and (
            found := get(weights_key(self.potential, TunedPotential))
        ):
            take_in(TunedPotential.from_bytes(found))

    def model(self) -> TunedPotential:
        """Return the potential, read once in a process.

        Raises
        ------
        ConfigurationError
            If it is not there, or is a student.
        """
        return load_tuned(self.potential)

    def base(self) -> AseEngine:
        """Return the engine of the universal potential below."""
        model = self.model()
        return AseEngine(calculator=model.calculator, options=dict(model.options))

    def calculator_instance(self) -> Calculator:
        """Return the potential as a calculator of ASE."""
        return TunedCalculator(self.model())

    def _driver(self, structure: Structure, settings: MDSettings) -> Driver:
        return TunedDriver(
            plain_atoms(structure),
            TunedCalculator(self.model()),
            settings,
            farthest=self.farthest,
        )
