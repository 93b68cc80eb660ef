"""Short names of the potentials that come with ssefw's dependencies."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ssefw.errors import ConfigurationError
from ssefw.mistakes import close_to, shown

__all__ = ["DEFAULT_POTENTIAL", "POTENTIALS", "Potential", "name_of", "no_potential"]

DEFAULT_POTENTIAL = "sevennet-l3i5"
"""What computes where no engine is named: its barriers are the nearest to those of DFT."""


@dataclass(frozen=True)
class Potential:
    """What a short name stands for.

    Attributes
    ----------
    calculator, options
        Import path and keyword arguments, as stored records name them. With a checkpoint's hash
        among the options no other weights are ever taken for these.
    speed
        Atom-steps of dynamics a second on one core, by benchmarks/potentials_speed.py.
    packages
        Whose versions belong to a result.
    """

    calculator: str
    options: Mapping[str, Any]
    speed: float
    packages: tuple[str, ...]

    def with_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return all options of the calculator, those of the model and further ones.

        Raises
        ------
        ConfigurationError
            If one of these would make it another model.
        """
        for option, value in options.items():
            if self.options.get(option, value) != value:
                raise ConfigurationError(
                    f"The option {option!r} of this potential is {self.options[option]!r}, not "
                    f"{value!r}. Leave it out, or name the calculator {self.calculator} instead."
                )
        return {**self.options, **options}


_SEVENNET = "ssefw.engines.potentials.sevennet.FastSevenNet"

POTENTIALS: Mapping[str, Potential] = MappingProxyType(
    {
        "chgnet": Potential("ssefw.engines.chgnet.FastCHGNet", {}, 700.0, ("chgnet", "torch")),
        "sevennet-0": Potential(
            _SEVENNET, {"model": "0", "checkpoint": "7052cb42b7b3be42"}, 3500.0, ("sevenn",)
        ),
        "sevennet-l3i5": Potential(
            _SEVENNET, {"model": "l3i5", "checkpoint": "a7ff190d41efe5b8"}, 1500.0, ("sevenn",)
        ),
    }
)


def name_of(calculator: str, options: Mapping[str, Any]) -> str | None:
    """Return the short name of a calculator with the options that make the model, if it has one."""
    for name, potential in POTENTIALS.items():
        if calculator == potential.calculator and potential.options.get("model") == options.get(
            "model"
        ):
            return name
    return None


def no_potential(name: str) -> str:
    """Return a sentence or two on a name that no potential has: what was meant, what there is."""
    close = close_to(name, list(POTENTIALS))
    meant = f"; did you mean {close[0]!r}?" if close else "."
    return (
        f"There is no potential {shown(name)}{meant} Those with a short name are "
        f"{', '.join(POTENTIALS)}."
    )
