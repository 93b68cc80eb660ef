"""The typed records that cross a boundary: between rooms, into the store, onto disk.

Every record is frozen and closed (an unknown field is an error), every float carries its unit, and
what is uncertain is an `Estimate`. The import path of a class is part of the database schema, since
monty stores it with each record: it is `ssefw.documents` whatever module of this package holds the
class, and no class is renamed without a migration.

    pool --> Candidate --> Ranking --> campaign --> Trajectory (Segments), RelaxResult
                                                --> Diffusivity, Conductivity, Barrier --> Outcome
    Outcome --> Label --> the next Ranking
"""

from ssefw.documents.bands import (
    Barrier,
    BarrierPart,
    Batch,
    Convergence,
    ConvergencePoint,
    HopRecord,
    NebIterationRecord,
    NebPath,
    NebStatus,
)
from ssefw.documents.base import ESTIMATE_SCHEMA, Document, Estimate, Provenance
from ssefw.documents.campaigns import (
    DETERMINED_WITHIN,
    OUTCOME_STATUSES,
    CampaignRecord,
    ExcludedCandidate,
    FoundConductivity,
    Outcome,
    OutcomeStatus,
    PlannedCandidate,
)
from ssefw.documents.cards import BarrierCheck, ForceCheck, PotentialCard, VolumeCheck
from ssefw.documents.materials import (
    Candidate,
    Cell,
    Conflict,
    KindOffset,
    Label,
    LabelKind,
    LabelSet,
)
from ssefw.documents.orderings import Arrangement, Ordering, Orderings, OrderingSettings
from ssefw.documents.potentials import (
    AskedFrame,
    FitError,
    LearnedPotential,
    Lesson,
    LessonRound,
    Parity,
    PhysicsCheck,
)
from ssefw.documents.rankings import (
    CascadeStep,
    Evaluation,
    Gate,
    RankChange,
    RankedCandidate,
    RankedPart,
    Ranking,
    Reranking,
)
from ssefw.documents.runs import (
    Cost,
    EndReason,
    Failure,
    Labels,
    RelaxResult,
    Segment,
    StaticResult,
    Trajectory,
)
from ssefw.documents.transport import (
    ArrheniusPoint,
    Conductivity,
    Confirmation,
    Diffusivity,
)
from ssefw.documents.volumes import PressurePoint, ThermalVolume

__all__ = [
    "DETERMINED_WITHIN",
    "ESTIMATE_SCHEMA",
    "OUTCOME_STATUSES",
    "Arrangement",
    "ArrheniusPoint",
    "AskedFrame",
    "Barrier",
    "BarrierCheck",
    "BarrierPart",
    "Batch",
    "CampaignRecord",
    "Candidate",
    "CascadeStep",
    "Cell",
    "Conductivity",
    "Confirmation",
    "Conflict",
    "Convergence",
    "ConvergencePoint",
    "Cost",
    "Diffusivity",
    "Document",
    "EndReason",
    "Estimate",
    "Evaluation",
    "ExcludedCandidate",
    "Failure",
    "FitError",
    "ForceCheck",
    "FoundConductivity",
    "Gate",
    "HopRecord",
    "KindOffset",
    "Label",
    "LabelKind",
    "LabelSet",
    "Labels",
    "LearnedPotential",
    "Lesson",
    "LessonRound",
    "NebIterationRecord",
    "NebPath",
    "NebStatus",
    "Ordering",
    "OrderingSettings",
    "Orderings",
    "Outcome",
    "OutcomeStatus",
    "Parity",
    "PhysicsCheck",
    "PlannedCandidate",
    "PotentialCard",
    "PressurePoint",
    "Provenance",
    "RankChange",
    "RankedCandidate",
    "RankedPart",
    "Ranking",
    "RelaxResult",
    "Reranking",
    "Segment",
    "StaticResult",
    "ThermalVolume",
    "Trajectory",
    "VolumeCheck",
]

# Stored records name this path, so that a class can change its module without a migration.
for _record in list(globals().values()):
    if isinstance(_record, type) and issubclass(_record, Document):
        _record.__module__ = __name__
