"""Several potentials that say how sure they are by how far they agree."""

from collections.abc import Sequence
from dataclasses import dataclass

from ase.calculators.calculator import Calculator

from ssefw.engines.ase import AseEngine
from ssefw.engines.potentials.names import DEFAULT_POTENTIAL
from ssefw.errors import ConfigurationError

__all__ = ["COMMITTEE", "CommitteeMember", "load_calculator", "load_committee"]

COMMITTEE = (DEFAULT_POTENTIAL, "sevennet-0")
"""Potentials that were trained on the same data, with messages of other degrees."""


@dataclass(frozen=True)
class CommitteeMember:
    """A calculator and the name of its level of theory."""

    name: str
    calculator: Calculator


def load_calculator(name: str = DEFAULT_POTENTIAL) -> CommitteeMember:
    """Return a potential by its short name, or a calculator by its import path.

    Raises
    ------
    ConfigurationError
        If there is none of this name.
    """
    engine = AseEngine.named(name)
    return CommitteeMember(engine.name, engine.calculator_instance())


def load_committee(names: Sequence[str] = COMMITTEE) -> list[CommitteeMember]:
    """Return potentials that agree on what they have learned alike.

    Those of other data or another level of theory differ for other reasons than want of data.

    Parameters
    ----------
    names
        Short names or import paths, two or more.

    Raises
    ------
    ConfigurationError
        If one is named alone, or there is none of a name.
    """
    if len(names) < 2:
        raise ConfigurationError(
            f"{names[0]} alone cannot disagree; name two potentials for a committee, or none for "
            f"{' and '.join(COMMITTEE)}."
        )
    return [load_calculator(name) for name in names]
