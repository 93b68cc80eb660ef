"""The campaign file: what a user wants, as YAML, checked key by key.

Lengths are in angstrom, durations in ps (time steps in fs), temperatures in K, energies in eV.
"""

from ssefw.campaigns.file.campaign import CampaignSpec
from ssefw.campaigns.file.confirm import ConfirmSpec
from ssefw.campaigns.file.dynamics import (
    AdaptiveSpec,
    ConductivitySpec,
    ConvergeSpec,
    HeatingSpec,
    MDSpec,
    SupercellSpec,
    TriageSpec,
)
from ssefw.campaigns.file.engine import EngineSpec
from ssefw.campaigns.file.feedback import FeedbackSpec
from ssefw.campaigns.file.gates import BvseSpec, RelaxSpec
from ssefw.campaigns.file.learn import LearnSpec
from ssefw.campaigns.file.neb import NebSpec
from ssefw.campaigns.file.pool import PoolSpec, ScreenSpec, StructureSpec
from ssefw.campaigns.file.reading import read_campaign
from ssefw.campaigns.file.recorded import campaign_of, unknown_blocks
from ssefw.campaigns.file.resources import BudgetSpec, ResourcesSpec
from ssefw.campaigns.file.volume import VolumeSpec

__all__ = [
    "AdaptiveSpec",
    "BudgetSpec",
    "BvseSpec",
    "CampaignSpec",
    "ConductivitySpec",
    "ConfirmSpec",
    "ConvergeSpec",
    "EngineSpec",
    "FeedbackSpec",
    "HeatingSpec",
    "LearnSpec",
    "MDSpec",
    "NebSpec",
    "PoolSpec",
    "RelaxSpec",
    "ResourcesSpec",
    "ScreenSpec",
    "StructureSpec",
    "SupercellSpec",
    "TriageSpec",
    "VolumeSpec",
    "campaign_of",
    "read_campaign",
    "unknown_blocks",
]
