"""What a candidate has to pass before dynamics."""

from pydantic import Field

from ssefw.campaigns.file.block import Block
from ssefw.units import Energy, Fraction, Length, Pure

__all__ = ["BvseSpec", "RelaxSpec"]


class BvseSpec(Block):
    """The bond-valence precheck."""

    max_barrier: Energy = Field(0.6, gt=0)
    resolution: Length = Field(0.2, gt=0)


class RelaxSpec(Block):
    """Relaxation before dynamics; forces in eV/A.

    Attributes
    ----------
    skip
        Take structures as they are, from a database of relaxed ones; their forces are computed.
    """

    fmax: Pure = Field(0.05, gt=0)
    max_steps: int = Field(500, ge=1)
    relax_cell: bool = True
    skip: bool = False
    max_volume_change: Fraction = Field(0.3, gt=0)
