"""The engine for ML potentials, and for any calculator that ASE can drive."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any, Self

from ase import Atoms
from ase.calculators.calculator import Calculator
from pymatgen.core import Structure

from ssefw.documents import EndReason
from ssefw.engines.ase.calculators import (
    EXAMPLE,
    check_calculator,
    make_calculator,
)
from ssefw.engines.ase.dynamics import AseDriver, Driver, advance_dynamics
from ssefw.engines.ase.tasks import CalculatorEngine, plain_atoms
from ssefw.engines.base import MDSettings
from ssefw.engines.needs import complaint_of
from ssefw.engines.potentials.device import check_device
from ssefw.engines.potentials.names import (
    DEFAULT_POTENTIAL,
    POTENTIALS,
    name_of,
    no_potential,
)
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.stopping import StopCheck, never_stop
from ssefw.errors import ConfigurationError

__all__ = ["AseEngine"]

CHGNET = POTENTIALS["chgnet"].calculator
"""Its records hold no model, and say CHGNet's 0.3.0 in their name."""


@cache
def _distributions_with(package: str) -> tuple[str, ...]:
    """Return what was installed to have a package; looking takes most of a second."""
    if package in {"ase", "ssefw"}:
        return (package,)
    return tuple(packages_distributions().get(package, []))


@dataclass(frozen=True, kw_only=True)
class AseEngine(CalculatorEngine):
    """Run an ASE calculator, by default the ML potential SevenNet-l3i5.

    Attributes
    ----------
    calculator
        Import path of the calculator class. If empty that of the default potential, which the
        engine then says, as records of it do.
    options
        Keyword arguments for it.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.7), ["Cu"], [[0, 0, 0]])
    >>> engine = AseEngine(calculator="ase.calculators.emt.EMT")
    >>> result = engine.relax(copper, fmax=0.01, max_steps=100, relax_cell=True)
    >>> round(result.structure.lattice.a, 2)
    3.59
    """

    calculator: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write down what the default is, which another version may change."""
        if not self.calculator:
            default = POTENTIALS[DEFAULT_POTENTIAL]
            object.__setattr__(self, "calculator", default.calculator)
            object.__setattr__(self, "options", default.with_options(self.options))

    @classmethod
    def of(cls, potential: str, **options: Any) -> Self:
        """Return the engine of a potential by its short name, with further options.

        Raises
        ------
        ConfigurationError
            If there is no potential of this name, or an option would make it another one.
        """
        if potential not in POTENTIALS:
            raise ConfigurationError(no_potential(potential))
        known = POTENTIALS[potential]
        return cls(calculator=known.calculator, options=known.with_options(options))

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the engine of a potential by its short name, or of a calculator by its path.

        Raises
        ------
        ConfigurationError
            If it is neither.
        """
        if name in POTENTIALS:
            return cls.of(name)
        if "." not in name:
            raise ConfigurationError(f"{no_potential(name)} {EXAMPLE}")
        return cls(calculator=name)

    @property
    def name(self) -> str:
        """Short name with the model, and of one of several levels of theory with that."""
        if self.calculator == CHGNET:
            return f"chgnet-{self.options.get('model', '0.3.0')}"
        if known := name_of(self.calculator, self.options):
            return known
        parts = (self.options.get(key) for key in ("model", "modality"))
        return "-".join(str(x) for x in (self.calculator.split(".")[-1], *parts) if x)

    @property
    def nominal_speed(self) -> float | None:
        """What is known of the potentials that have a short name."""
        if self.options.get("device") is not None:
            return None
        if self.calculator == CHGNET:
            return POTENTIALS["chgnet"].speed
        known = name_of(self.calculator, self.options)
        return POTENTIALS[known].speed if known else None

    def check(self) -> None:
        """Import the calculator's class and check the options against it; it is not made.

        A potential with a short name takes seconds to import and is there: it is imported for
        further options only.
        """
        known = name_of(self.calculator, self.options)
        if known is None or self.options != POTENTIALS[known].options:
            check_calculator(self.calculator, self.options)

    def missing(self, elements: Collection[str], *, has_bands: bool = False) -> Iterator[str]:  # noqa: ARG002
        """Yield that the device is not there on which a potential of ssefw is to compute."""
        device = self.options.get("device")
        if device is not None and self.calculator.startswith("ssefw."):
            yield from complaint_of(lambda: check_device(str(device)))

    def versions(self) -> dict[str, str]:
        """Return the versions of ASE, ssefw and the calculator's package."""
        names = {"ase", "ssefw", *_distributions_with(self.calculator.partition(".")[0])}
        known = "chgnet" if self.calculator == CHGNET else None
        if known := known or name_of(self.calculator, self.options):
            names |= set(POTENTIALS[known].packages)
        if self.options.get("device") is not None:
            names.add("torch")
        found = {}
        for name in sorted(names):
            try:
                found[name] = version(name)
            except PackageNotFoundError:  # run from a source tree that is not installed
                continue
        return found

    def md(
        self,
        structure: Structure,
        settings: MDSettings,
        run: RunDirectory,
        *,
        until: int,
        stop: StopCheck = never_stop,
    ) -> EndReason:
        """Advance the dynamics; see `Engine.md`. What was interrupted goes on bit by bit."""
        if until % settings.steps_per_frame:
            raise ValueError(f"{until} steps are no whole number of frames")
        with run.lock():
            driver = self._driver(structure, settings)
            return advance_dynamics(driver, settings, run, until=until, stop=stop)

    def _driver(self, structure: Structure, settings: MDSettings) -> Driver:
        """Return what moves the atoms."""
        return AseDriver(self._atoms(structure), settings)

    @contextmanager
    def calculating(
        self,
        structure: Structure,
        *,
        task: str,  # noqa: ARG002
        directory: Path | None,  # noqa: ARG002
        stop: StopCheck,  # noqa: ARG002
    ) -> Iterator[Atoms]:
        """Give the atoms the calculator of this process; see `CalculatorEngine.calculating`."""
        yield self._atoms(structure)

    def _atoms(self, structure: Structure) -> Atoms:
        atoms = plain_atoms(structure)
        atoms.calc = self.calculator_instance()
        atoms.calc.reset()
        return atoms

    def calculator_instance(self) -> Calculator:
        """Return the calculator, loaded once in a process.

        Raises
        ------
        ConfigurationError
            If there is none at the import path or it does not take the options.
        """
        return make_calculator(self.calculator, self.options)
