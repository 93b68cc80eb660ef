"""The ranking before and after new labels, what moved each candidate, and the queue's order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssefw.campaigns.file import FeedbackSpec, campaign_of
from ssefw.campaigns.learning.acquisition import NextCandidate, acquisition_order
from ssefw.campaigns.learning.feedback import (
    base_labels,
    ingest,
    stored_label_set,
    without_compositions,
)
from ssefw.campaigns.learning.models import (
    campaign_materials,
    feedback_of,
    provenance_of,
    ranked,
    stored_ranking,
)
from ssefw.campaigns.learning.reasons import Why
from ssefw.campaigns.steering.control import Part, set_priority
from ssefw.data.labels.kinds import mix_labels
from ssefw.documents import (
    CampaignRecord,
    Label,
    LabelSet,
    Outcome,
    RankChange,
    Ranking,
    Reranking,
)
from ssefw.store import Connection

__all__ = ["Reranked", "rerank", "steps_of", "update_priorities"]


@dataclass(frozen=True)
class Reranked:
    """What a re-ranking found, and the ranking that now holds."""

    record: Reranking
    ranking: Ranking


def rerank(
    connection: Connection,
    record: CampaignRecord,
    *,
    feedback: FeedbackSpec | None = None,
    methods: Mapping[str, str] | None = None,
) -> Reranked:
    """Ingest the outcomes of all campaigns, refit, and rank the candidates of one anew.

    Doing it again without new outcomes changes nothing and returns what is there.

    Parameters
    ----------
    connection
        The store.
    record
        The campaign whose candidates are ranked.
    feedback
        How it learns; what the campaign says without.
    methods
        Kind of label by the name of an engine, where the name does not tell.

    Raises
    ------
    DataError
        If the labels cannot train the system, or no candidate can be scored.
    """
    spec = feedback or feedback_of(record)
    specie = campaign_of(record).specie
    reference = base = base_labels(spec.labels)
    if spec.blind:
        base = without_compositions(base, (item.formula for item in record.candidates))
    computed = ingest(connection, specie=specie, methods=methods)
    mixed, offsets, conflicts = mix_labels(
        base, computed.labels, threshold=spec.threshold, reference=reference
    )
    materials = campaign_materials(connection, record)
    after_key, after = ranked(connection, record, mixed, spec, materials)
    earlier = _earlier(connection, record.campaign, spec, after_key)
    if earlier is None:
        before_key, before = ranked(connection, record, base, spec, materials)
    else:
        # Without new labels it is the same step again, perhaps with other outcomes refused.
        is_same = earlier.ranking_after == after_key
        before_key = earlier.ranking_before if is_same else earlier.ranking_after
        before = stored_ranking(connection, before_key)
    old = {_statement(label) for label in stored_label_set(connection, before.label_set).labels}
    new = [
        label
        for label in mixed.labels
        if label.kind != "experiment" and _statement(label) not in old
    ]
    found = Reranking(
        campaign=record.campaign,
        screener=after.screener,
        threshold=spec.threshold,
        labels_before=before.label_set,
        labels_after=after.label_set,
        ranking_before=before_key,
        ranking_after=after_key,
        new_labels=tuple((f"{label.row_id} {label.formula}", label.conductivity) for label in new),
        refused=computed.labels.rejects,
        conflicts=tuple(conflicts),
        offsets=tuple(offsets),
        changes=tuple(
            _changes(
                before,
                after,
                new=new,
                mixed=mixed,
                computed=computed.labels,
            )
        ),
        provenance=provenance_of(after.screener),
    )
    key = connection.results.add(found, candidate="", campaign=record.campaign)
    kept = connection.results.get(key)
    return Reranked(kept if isinstance(kept, Reranking) else found, after)


def _statement(label: Label) -> tuple[str, str]:
    """Return what makes a label another one: its row, and by which analysis."""
    return label.row_id, label.reference


def _earlier(
    connection: Connection, campaign: str, spec: FeedbackSpec, after_key: str
) -> Reranking | None:
    """Return the re-ranking that led to this ranking, else the last one of the campaign."""
    found = _steps(connection, campaign, spec.system, spec.threshold)
    same = [item for item in found if item.ranking_after == after_key]
    return next(reversed(same or found), None)


def steps_of(connection: Connection, record: Reranking) -> list[Reranking]:
    """Return the re-rankings of a campaign by the system of one of them, in order."""
    return _steps(connection, record.campaign, record.screener, record.threshold)


def _steps(connection: Connection, campaign: str, system: str, threshold: float) -> list[Reranking]:
    return [
        item
        for item in connection.results.find(Reranking, campaign=campaign)
        if item.screener == system and item.threshold == threshold
    ]


def _changes(
    before: Ranking,
    after: Ranking,
    *,
    new: Sequence[Label],
    mixed: LabelSet,
    computed: LabelSet,
) -> list[RankChange]:
    places = {entry.candidate_id: (n, entry) for n, entry in enumerate(before.entries, start=1)}
    own = {label.candidate_id: label for label in computed.labels}
    kept = {label.row_id for label in mixed.labels}
    why = Why(new, mixed)
    changes = []
    for place, entry in enumerate(after.entries, start=1):
        old = places.get(entry.candidate_id)
        label = own.get(entry.candidate_id)
        changes.append(
            RankChange(
                candidate_id=entry.candidate_id,
                formula=entry.formula,
                before=old[0] if old else None,
                after=place,
                score_before=old[1].score if old else None,
                score_after=entry.score,
                sigma=label.conductivity if label else None,
                sigma_before=old[1].sigma if old else None,
                sigma_after=entry.sigma,
                why=why.of(entry, label, is_kept=label is not None and label.row_id in kept),
            )
        )
    return changes


def update_priorities(
    connection: Connection,
    record: CampaignRecord,
    ranking: Ranking,
    *,
    candidates: Sequence[str] | None = None,
    feedback: FeedbackSpec | None = None,
) -> list[NextCandidate]:
    """Put the unfinished candidates of a campaign into the order in which they should run.

    Parameters
    ----------
    candidates
        Only these, by id; those without an outcome if None.

    Returns
    -------
    The candidates that were given a place, best first.
    """
    spec = feedback or feedback_of(record)
    concluded = {o.candidate_id for o in connection.results.find(Outcome, campaign=record.campaign)}
    wanted = set(candidates) if candidates is not None else None
    choices = acquisition_order(
        [
            entry
            for entry in ranking.entries
            if entry.candidate_id not in concluded
            and (wanted is None or entry.candidate_id in wanted)
        ],
        core_hours={item.candidate_id: item.core_hours for item in record.candidates},
        exploration=spec.exploration,
        per_framework=spec.per_framework,
        specie=campaign_of(record).specie,
    )
    for place, choice in enumerate(choices):
        part = Part(record.campaign, (choice.candidate_id,))
        set_priority(connection, part, len(choices) - place)
    return choices
