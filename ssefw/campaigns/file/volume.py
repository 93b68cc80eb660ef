"""Which volume dynamics have."""

from typing import Literal, Self

from pydantic import model_validator

from ssefw.campaigns.file.block import Block
from ssefw.units import AskedPressure, AskedStart, AskedTemperature, AskedTimePs

__all__ = ["VolumeSpec"]


class VolumeSpec(Block):
    """The volume of the cell that is simulated.

    Attributes
    ----------
    mode
        ``relaxed``: that of lowest energy; ``experiment``: that of the structure in the pool, of
        which atoms are relaxed only; ``thermal``: that at which dynamics at `temperature` have no
        pressure.
    length, equilibration
        Of each run that tells the pressure, and of its start that is left out.
    tolerance
        A pressure (GPa) that counts as none.
    """

    mode: Literal["relaxed", "experiment", "thermal"] = "relaxed"
    temperature: AskedTemperature | None = None
    length: AskedTimePs = 4.0
    equilibration: AskedStart = 1.0
    tolerance: AskedPressure = 0.1

    @model_validator(mode="after")
    def _check(self) -> Self:
        # A record states every key; one that stands at its default was not asked for.
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        given = {name for name, value in self if name != "mode" and value != defaults[name]}
        if self.mode != "thermal" and given:
            raise ValueError(f"{min(given)!r} is for mode: thermal, not for {self.mode}")
        if self.mode == "thermal" and self.temperature is None:
            raise ValueError("mode: thermal needs a temperature, for example 300")
        if self.equilibration >= self.length:
            raise ValueError(
                f"equilibration ({self.equilibration:g} ps) must be shorter than length "
                f"({self.length:g} ps)"
            )
        return self
