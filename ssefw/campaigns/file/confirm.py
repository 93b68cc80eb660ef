"""A second look at hits."""

from ssefw.campaigns.file.block import Block
from ssefw.campaigns.file.engine import EngineSpec
from ssefw.units import AskedArrangements, AskedConductivity, AskedTemperature

__all__ = ["ConfirmSpec"]


class ConfirmSpec(Block):
    """One more run of each hit at one temperature, to compare with.

    Attributes
    ----------
    size
        In a cell twice as long in its shortest direction.
    above
        What counts as a hit, S/cm.
    temperature
        Of the run; by default that of the ladder at which D is known best.
    arrangements
        Of a disordered crystal, so many are run.
    engine
        Another one than that of the ladder.
    """

    size: bool = True
    above: AskedConductivity = 1e-4
    temperature: AskedTemperature | None = None
    arrangements: AskedArrangements = 1
    engine: EngineSpec | None = None
