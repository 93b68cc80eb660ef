"""What a candidate has to pass before dynamics."""

from ssefw.campaigns.file.block import Block
from ssefw.units import AskedCount, AskedEnergy, AskedForce, AskedRatio, AskedResolution

__all__ = ["BvseSpec", "RelaxSpec"]


class BvseSpec(Block):
    """The bond-valence precheck."""

    max_barrier: AskedEnergy = 0.6
    resolution: AskedResolution = 0.2


class RelaxSpec(Block):
    """Relaxation before dynamics; forces in eV/A.

    Attributes
    ----------
    skip
        Take structures as they are, from a database of relaxed ones; their forces are computed.
    """

    fmax: AskedForce = 0.05
    max_steps: AskedCount = 500
    relax_cell: bool = True
    skip: bool = False
    max_volume_change: AskedRatio = 0.3
