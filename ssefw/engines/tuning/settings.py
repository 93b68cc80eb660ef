"""How a universal potential is tuned."""

from dataclasses import dataclass, field

from monty.json import MSONable

from ssefw.nep import TrainingSettings
from ssefw.units import AskedCount, AskedMembers, AskedSeed, AskedTimePs

__all__ = ["TuneSettings"]


def _form() -> TrainingSettings:
    """Return a form that is fitted in half the steps of a student.

    Energies and stresses are weighed low: what a universal potential lacks of them is small, and
    with the widths of a student forces took 8000 steps to where they come in 3000.
    """
    return TrainingSettings(steps=3000, width_energy=0.1, width_stress=0.02)


@dataclass(frozen=True)
class TuneSettings(MSONable):
    """How a universal potential is tuned to labelled frames, and how it is judged.

    Attributes
    ----------
    fit
        Form of the corrections and their first fit.
    members
        Corrections, alike but for their seeds, whose mean is taken.
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

    fit: TrainingSettings = field(default_factory=_form)
    members: AskedMembers = 4
    refit_steps: AskedCount = 1500
    refits: AskedMembers = 4
    windows: AskedMembers = 6
    longest: AskedTimePs = 2.0
    stable: AskedTimePs = 5.0
    seed: AskedSeed = 0
