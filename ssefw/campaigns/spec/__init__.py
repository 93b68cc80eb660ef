"""The campaign file: what a user wants, as YAML, checked key by key.

Lengths are in angstrom, durations in ps (time steps in fs), temperatures in K, energies in eV.
"""

from ssefw.campaigns.spec.campaign import CampaignSpec
from ssefw.campaigns.spec.dynamics import (
    AdaptiveSpec,
    ConductivitySpec,
    ConvergeSpec,
    HeatingSpec,
    MDSpec,
    SupercellSpec,
    TriageSpec,
)
from ssefw.campaigns.spec.engine import EngineSpec
from ssefw.campaigns.spec.feedback import FeedbackSpec
from ssefw.campaigns.spec.gates import BvseSpec, RelaxSpec
from ssefw.campaigns.spec.neb import NebSpec
from ssefw.campaigns.spec.pool import PoolSpec, ScreenSpec, StructureSpec
from ssefw.campaigns.spec.reading import read_campaign
from ssefw.campaigns.spec.resources import BudgetSpec, ResourcesSpec

__all__ = [
    "AdaptiveSpec",
    "BudgetSpec",
    "BvseSpec",
    "CampaignSpec",
    "ConductivitySpec",
    "ConvergeSpec",
    "EngineSpec",
    "FeedbackSpec",
    "HeatingSpec",
    "MDSpec",
    "NebSpec",
    "PoolSpec",
    "RelaxSpec",
    "ResourcesSpec",
    "ScreenSpec",
    "StructureSpec",
    "SupercellSpec",
    "TriageSpec",
    "read_campaign",
]
