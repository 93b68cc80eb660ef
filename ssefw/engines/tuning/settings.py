"""How a universal potential is tuned."""

from dataclasses import dataclass, field

from monty.json import MSONable

from ssefw.nep import TrainingSettings
from ssefw.units import AskedCount, AskedMembers, AskedSeed, AskedTimePs

__all__ = ["TuneSettings"]


@dataclass(frozen=True)
class TuneSettings(MSONable):
    """How a universal potential is tuned to labelled frames, and how it is judged.

    Attributes
    ----------
    fit
        Form of the correction and its first fit.
    refit_steps, refits
        Steps of each fit after it, and how many there are at most: they end as soon as forces on
        frames that are kept for this no longer improve.
    windows
        Runs beside each of those that are learned, to compare motion.
    longest
        ps of those runs at most: the potential is slow, and a part of a long run will do.
    stable
        ps that it must run at the hottest temperature without leaving what it was taught.
    seed
        Of everything drawn.
    """

    fit: TrainingSettings = field(default_factory=lambda: TrainingSettings(steps=3000))
    refit_steps: AskedCount = 1500
    refits: AskedMembers = 4
    windows: AskedMembers = 6
    longest: AskedTimePs = 2.0
    stable: AskedTimePs = 5.0
    seed: AskedSeed = 0
