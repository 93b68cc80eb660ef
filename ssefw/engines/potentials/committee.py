"""Several potentials that say how sure they are by how far they agree."""

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from ssefw.engines.ase import DEFAULT_CALCULATOR, AseEngine
from ssefw.errors import ConfigurationError

__all__ = ["Member", "load_calculator", "load_committee"]


@dataclass(frozen=True)
class Member:
    """A calculator and the name of its level of theory."""

    name: str
    calculator: Calculator


def load_calculator(path: str = DEFAULT_CALCULATOR) -> Member:
    """Return a calculator by its import path, by default CHGNet.

    Raises
    ------
    ConfigurationError
        If the path is that of no calculator.
    """
    engine = AseEngine(calculator=path)
    return Member(engine.name, engine.calculator_instance())


def load_committee(paths: Sequence[str] = ()) -> list[Member]:
    """Return calculators by their import paths, by default two versions of CHGNet.

    The checkpoints 0.3.0 and 0.2.0 of its wheel were trained on the same data with other cutoffs
    and other settings; what both have learned they agree on. The r2SCAN checkpoint is another level
    of theory, and differs for another reason than want of data.

    Raises
    ------
    ConfigurationError
        If one is named alone, or a path is that of no calculator.
    """
    if len(paths) == 1:
        raise ConfigurationError(
            f"{paths[0]} alone cannot disagree; name two potentials for a committee, or none for "
            "two versions of CHGNet."
        )
    if paths:
        return [load_calculator(path) for path in paths]
    return [load_calculator(), _packaged_chgnet("0.2.0")]


def _packaged_chgnet(model: str) -> Member:
    # Seconds of import that only a committee pays.
    from chgnet.model.dynamics import CHGNetCalculator  # noqa: PLC0415
    from chgnet.model.model import CHGNet  # noqa: PLC0415

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its number of parameters
        network = CHGNet.load(model_name=model, use_device="cpu", verbose=False)
        calculator = CHGNetCalculator(model=network, use_device="cpu")
    return Member(f"chgnet-{model}", _Quiet(calculator))


class _Quiet(Calculator):
    """A calculator without the warnings that it gives in each evaluation."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]  # type: ignore[misc]

    def __init__(self, original: Calculator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._original = original

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] | None = None,
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Let the other one calculate."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._original.calculate(self.atoms, properties, system_changes)
        self.results = dict(self._original.results)
