"""What is calculated, as jobflow Makers over any engine."""

from ssefw.makers.adaptive import AdaptivePolicy
from ssefw.makers.candidate import BarrierMaker, CandidateMaker
from ssefw.makers.confirm import ConfirmMaker
from ssefw.makers.diffusivity import DiffusivityMaker
from ssefw.makers.disordered import DisorderedMaker
from ssefw.makers.ladder import LadderMaker, Triage
from ssefw.makers.length import LengthPolicy
from ssefw.makers.md import MDMaker
from ssefw.makers.neb import BandMaker, EndMaker, NebMaker
from ssefw.makers.relax import RelaxMaker
from ssefw.makers.volume import VolumeMaker, VolumePolicy

__all__ = [
    "AdaptivePolicy",
    "BandMaker",
    "BarrierMaker",
    "CandidateMaker",
    "ConfirmMaker",
    "DiffusivityMaker",
    "DisorderedMaker",
    "EndMaker",
    "LadderMaker",
    "LengthPolicy",
    "MDMaker",
    "NebMaker",
    "RelaxMaker",
    "Triage",
    "VolumeMaker",
    "VolumePolicy",
]
