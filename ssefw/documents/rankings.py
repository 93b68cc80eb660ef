"""How materials were judged and put in order, and how good such an order is."""

from typing import Annotated, Any

from pydantic import Field

from ssefw.documents.base import Document, Estimate, Provenance
from ssefw.documents.materials import Conflict, KindOffset
from ssefw.units import Pure, SPerCm, Unit


class Gate(Document):
    """A decision to go on with a candidate or not, with the numbers it was made on.

    Attributes
    ----------
    code
        Machine-readable reason, for example ``volume_change``; ``ok`` when passed.
    numbers
        What was compared; keys carry the unit.
    """

    name: str
    passed: bool
    code: str
    message: str
    numbers: dict[str, Annotated[float, Unit("as the key says")]] = Field(default_factory=dict)


class RankedCandidate(Document):
    """One line of a ranking; a larger score is better.

    Attributes
    ----------
    lower, upper
        Interval of the score over the members of an ensemble (95 %).
    votes, n_votes
        Members of the ensemble that say superionic, of how many.
    distance
        To the nearest labeled material, in units of the labels' mean distance to their center;
        far above 1 the score is an extrapolation.
    trail
        What the cascade said of it, filter by filter.
    sigma
        The predicted conductivity near room temperature in S/cm, with its 90 % interval; None of
        systems that predict classes only.
    votes_by_kind
        The votes of each kind of member, where an ensemble has several (``gb``, ``lgbm``).
    """

    candidate_id: str
    formula: str
    score: Pure
    spread: Pure | None = None
    source: str = ""
    lower: Pure | None = None
    upper: Pure | None = None
    votes: int | None = None
    n_votes: int | None = None
    distance: Pure | None = None
    trail: tuple[Gate, ...] = ()
    sigma: Estimate | None = None
    votes_by_kind: dict[str, int] = Field(default_factory=dict)


class CascadeStep(Document):
    """How many materials one filter of a cascade let through.

    Attributes
    ----------
    n_undetermined
        Of those stopped, how many for want of the number the filter asks for.
    """

    name: str
    n_in: int
    n_passed: int
    n_undetermined: int = 0


class Ranking(Document):
    """An ordered pool, best first, and what made the order.

    Attributes
    ----------
    label_set
        Name and version of the labels the model learned from.
    model
        Hash of what made the model, and its name among the stored ones; empty where it is a file.
    pool
        Rows of a pool, one for each entry that has a structure; of a ranking in a file only.
    """

    entries: tuple[RankedCandidate, ...]
    screener: str
    meaning: str
    label_set: str = ""
    model: str = ""
    cascade: tuple[CascadeStep, ...] = ()
    pool: tuple[dict[str, Any], ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)


class RankedPart(Document):
    """What a screen says of some rows of a large pool, in the order of the pool.

    Attributes
    ----------
    entries
        Rows that passed the filters and have a score.
    cascade
        Counts of these rows.
    rejects, unscored
        Rows that cannot be read, or scored, each with the reason.
    without_ion
        Names of rows without lithium.
    """

    entries: tuple[RankedCandidate, ...]
    screener: str
    meaning: str
    label_set: str = ""
    cascade: tuple[CascadeStep, ...] = ()
    rejects: tuple[tuple[str, str], ...] = ()
    unscored: tuple[tuple[str, str], ...] = ()
    without_ion: tuple[str, ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)


class RankChange(Document):
    """What new labels did to the place of one candidate.

    Attributes
    ----------
    before, after
        Place in the ranking, the best being 1; None where the candidate could not be scored.
    sigma
        Conductivity that was computed for it, where an outcome has become a label.
    sigma_before, sigma_after
        Conductivity by either ranking, with its interval: predicted, or that of a label of its
        own; None of systems that predict classes only.
    why
        What moved it, in words.
    """

    candidate_id: str
    formula: str
    before: int | None
    after: int | None
    score_before: Pure | None = None
    score_after: Pure | None = None
    sigma: Estimate | None = None
    sigma_before: Estimate | None = None
    sigma_after: Estimate | None = None
    why: str = ""


class Reranking(Document):
    """A ranking before and after the outcomes of a campaign became labels.

    Attributes
    ----------
    labels_before, labels_after
        Name and version of the label sets.
    ranking_before, ranking_after
        Keys of the stored rankings.
    new_labels
        Row ids of the labels that are new, with their conductivity.
    refused
        Outcomes that made no label, each with the reason.
    changes
        Candidates in their new order.
    """

    campaign: str
    screener: str
    threshold: SPerCm
    labels_before: str
    labels_after: str
    ranking_before: str
    ranking_after: str
    new_labels: tuple[tuple[str, Estimate], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    offsets: tuple[KindOffset, ...] = ()
    changes: tuple[RankChange, ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)


class Evaluation(Document):
    """How well a screener did on labels it had not seen.

    Attributes
    ----------
    protocol
        How the held-out labels were chosen, in words.
    threshold
        Conductivity in S/cm from which a material counts as superionic.
    metrics
        Name to value with interval.
    controls
        The same metrics for a constant score and for shuffled labels.
    reliability
        Bins of the predicted probability: mean prediction, share of positives, number.
    record
        What is needed to repeat it: seeds, sizes, settings.
    """

    screener: str
    label_set: str
    label_version: str
    protocol: str
    threshold: SPerCm
    n: int
    n_positive: int
    metrics: dict[str, Estimate]
    controls: dict[str, dict[str, Estimate]] = Field(default_factory=dict)
    reliability: tuple[tuple[Pure, Pure, int], ...] = ()
    record: dict[str, Any] = Field(default_factory=dict)
    provenance: Provenance = Field(default_factory=Provenance)
