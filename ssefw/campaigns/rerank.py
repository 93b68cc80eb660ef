"""The ranking before and after new labels, what moved each candidate, and the order of the queue.

A model is a function of its labels, its system and its settings; a hash of these names it, and the
fitted model is kept under that name. So the same labels give the same ranking, a ranking says what
made it, and an old one can be made again.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from monty.json import MontyDecoder
from pymatgen.core import Structure

from ssefw.campaigns.acquisition import Choice, acquisition_order
from ssefw.campaigns.control import Part, set_priority
from ssefw.campaigns.feedback import (
    base_labels,
    ingest,
    stored_label_set,
    without_compositions,
)
from ssefw.campaigns.reasons import Known, Why
from ssefw.campaigns.spec import FeedbackSpec
from ssefw.data.dataset import dataset_of
from ssefw.data.label_kinds import mix_labels
from ssefw.data.materials import Material
from ssefw.documents import (
    CampaignRecord,
    Candidate,
    Label,
    LabelSet,
    Outcome,
    Provenance,
    RankChange,
    Ranking,
    Reranking,
)
from ssefw.errors import DataError, StoreError
from ssefw.screening.base import Screener, load_screener, make_screener, save_screener
from ssefw.screening.ranking import rank_materials
from ssefw.store import Connection

__all__ = [
    "Difference",
    "Reranked",
    "campaign_materials",
    "feedback_of",
    "fitted_model",
    "reproduce",
    "rerank",
    "update_priorities",
]


@dataclass(frozen=True)
class Reranked:
    """What a re-ranking found, and the ranking that now holds."""

    record: Reranking
    ranking: Ranking


def feedback_of(record: CampaignRecord) -> FeedbackSpec:
    """Return how a campaign learns from its outcomes; the defaults where its file does not say."""
    return FeedbackSpec.model_validate(record.spec.get("feedback") or {})


def rerank(
    connection: Connection,
    record: CampaignRecord,
    *,
    feedback: FeedbackSpec | None = None,
    methods: Mapping[str, str] | None = None,
) -> Reranked:
    """Ingest the outcomes of all campaigns, refit, and rank the candidates of one anew.

    Doing it again without new outcomes changes nothing and returns what is there.

    Raises
    ------
    DataError
        If the labels cannot train the system, or no candidate can be scored.
    """
    spec = feedback or feedback_of(record)
    specie = str(record.spec.get("specie", "Li"))
    reference = base = base_labels(spec.labels)
    if spec.blind:
        base = without_compositions(base, (item.formula for item in record.candidates))
    computed = ingest(connection, specie=specie, methods=methods)
    mixed, offsets, conflicts = mix_labels(
        base, computed.labels, threshold=spec.threshold, reference=reference
    )
    materials = campaign_materials(connection, record)
    after_key, after = _ranked(connection, record, mixed, spec, materials)
    earlier = _earlier(connection, record.campaign, spec, after_key)
    if earlier is None:
        before_key, before = _ranked(connection, record, base, spec, materials)
    else:
        # Without new labels it is the same step again, perhaps with other outcomes refused.
        is_same = earlier.ranking_after == after_key
        before_key = earlier.ranking_before if is_same else earlier.ranking_after
        before = _ranking(connection, before_key)
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
                threshold=spec.threshold,
            )
        ),
        provenance=_provenance(after.screener),
    )
    key = connection.results.add(found, candidate="", campaign=record.campaign)
    kept = connection.results.get(key)
    return Reranked(kept if isinstance(kept, Reranking) else found, after)


def _statement(label: Label) -> tuple[str, str]:
    """Return what makes a label another one: its row, and by which analysis."""
    return label.row_id, label.reference


def campaign_materials(connection: Connection, record: CampaignRecord) -> list[Material]:
    """Return the candidates of a campaign as a screen sees them.

    A structure is read from the candidate's jobs on the launch pad when a system asks for it.
    """

    def builder(candidate_id: str) -> Any:
        return lambda: _submitted(connection, record.campaign, candidate_id)

    return [
        Material(
            name=item.candidate_id,
            formula=item.formula,
            source=item.source,
            build=builder(item.candidate_id),
        )
        for item in record.candidates
    ]


def _submitted(connection: Connection, campaign: str, candidate_id: str) -> Structure:
    query = {"spec.campaign": campaign, "spec.candidate": candidate_id}
    for firework in connection.launchpad.fireworks.find(query, {"spec._tasks": True}):
        found = _candidate_in(firework["spec"].get("_tasks"))
        if found is not None:
            return found.structure
    raise DataError(
        f"The structure of candidate {candidate_id} is not on the launch pad any more; rank it "
        "with a system that needs the composition only."
    )


def _candidate_in(value: Any) -> Candidate | None:
    """Return the candidate among the arguments of a job."""
    if isinstance(value, Mapping):
        if value.get("@class") == "Candidate":
            found = MontyDecoder().process_decoded(dict(value))
            return found if isinstance(found, Candidate) else None
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((found for item in value if (found := _candidate_in(item))), None)
    return None


def fitted_model(
    connection: Connection, labels: LabelSet, spec: FeedbackSpec
) -> tuple[Screener, str]:
    """Return the model that some labels make, from the store if it is there, and its hash.

    Raises
    ------
    DataError
        If the labels cannot train the system.
    """
    screener = make_screener(spec.system, spec.settings)
    recipe = [spec.system, screener.settings(), spec.threshold, labels.name, labels.version,
              version("ssefw")]  # fmt: skip
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    key = f"models/{digest}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model"
        if connection.blobs.exists(key):
            file.write_bytes(connection.blobs.get(key))
            return load_screener(file), digest
        screener.fit(dataset_of(labels, threshold=spec.threshold))
        save_screener(screener, file)
        connection.blobs.put(key, file.read_bytes())
    return screener, digest


def _ranked(
    connection: Connection,
    record: CampaignRecord,
    labels: LabelSet,
    spec: FeedbackSpec,
    materials: Sequence[Material],
) -> tuple[str, Ranking]:
    connection.results.add(labels, candidate="", campaign="")
    screener, digest = fitted_model(connection, labels, spec)
    ranking = _scored(materials, screener, labels, spec.threshold)
    ranking = ranking.model_copy(
        update={
            "model": digest,
            "label_set": f"{labels.name} {labels.version}",
            "provenance": _provenance(ranking.screener, recipe=_recipe(spec)),
        }
    )
    return connection.results.add(ranking, candidate="", campaign=record.campaign), ranking


def _scored(
    materials: Sequence[Material], screener: Screener, labels: LabelSet, threshold: float
) -> Ranking:
    """Rank materials by the model, and those that have a label of their own by that."""
    ranking = rank_materials(_scorable(materials, screener), screener).ranking
    known = Known(labels, threshold=threshold)
    entries = []
    for entry in ranking.entries:
        # Structures are named by the pool's id of them, whatever a system was given.
        mine = entry.model_copy(update={"candidate_id": entry.source})
        chance = known.probability(mine)
        if chance is not None:
            update = {"score": chance, "spread": 0.0, "lower": chance, "upper": chance}
            mine = mine.model_copy(update=update)
        entries.append(mine)
    entries.sort(key=lambda entry: (-entry.score, entry.candidate_id))
    meaning = f"{ranking.meaning}; of a material that has a label itself, what that label gives"
    return ranking.model_copy(update={"entries": tuple(entries), "meaning": meaning})


def _scorable(materials: Sequence[Material], screener: Screener) -> list[Material]:
    """Return materials without structures where the system reads none: reading them takes long."""
    if screener.name != "composition" or screener.settings().get("cell") != "none":
        return list(materials)
    return [
        Material(name=item.name, formula=item.formula, source=item.source) for item in materials
    ]


def _recipe(spec: FeedbackSpec) -> dict[str, Any]:
    return {"system": spec.system, "settings": spec.settings, "threshold": spec.threshold}


def _provenance(screener: str, *, recipe: Mapping[str, Any] | None = None) -> Provenance:
    text = json.dumps(recipe, sort_keys=True) if recipe else ""
    return Provenance(
        engine=f"screen:{screener}",
        settings_hash=hashlib.sha256(text.encode()).hexdigest()[:16] if text else "",
        versions={"ssefw": version("ssefw")},
    )


def _ranking(connection: Connection, key: str) -> Ranking:
    found = connection.results.get(key)
    if not isinstance(found, Ranking):
        raise StoreError(f"The record {key!r} is a {type(found).__name__}, not a ranking.")
    return found


def _earlier(
    connection: Connection, campaign: str, spec: FeedbackSpec, after_key: str
) -> Reranking | None:
    """Return the re-ranking that led to this ranking, else the last one of the campaign."""
    found = [
        item
        for item in connection.results.find(Reranking, campaign=campaign)
        if item.screener == spec.system and item.threshold == spec.threshold
    ]
    same = [item for item in found if item.ranking_after == after_key]
    return next(reversed(same or found), None)


def _changes(
    before: Ranking,
    after: Ranking,
    *,
    new: Sequence[Label],
    mixed: LabelSet,
    computed: LabelSet,
    threshold: float,
) -> list[RankChange]:
    places = {entry.candidate_id: (n, entry) for n, entry in enumerate(before.entries, start=1)}
    own = {label.candidate_id: label for label in computed.labels}
    kept = {label.row_id for label in mixed.labels}
    why = Why(new, mixed, threshold=threshold)
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
) -> list[Choice]:
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
        specie=str(record.spec.get("specie", "Li")),
    )
    for place, choice in enumerate(choices):
        part = Part(record.campaign, (choice.candidate_id,))
        set_priority(connection, part, len(choices) - place)
    return choices


@dataclass(frozen=True)
class Difference:
    """Where a ranking that was made again is not what is stored."""

    n_entries: int
    largest: float


def reproduce(connection: Connection, record: CampaignRecord, key: str) -> Difference:
    """Fit the model of a stored ranking again from its labels and compare the scores.

    Raises
    ------
    StoreError
        If there is no such ranking, or its labels are gone.
    DataError
        If the campaign now asks for another system or other settings.
    """
    stored = _ranking(connection, key)
    spec = feedback_of(record)
    recipe = _provenance(stored.screener, recipe=_recipe(spec)).settings_hash
    if stored.screener != spec.system or stored.provenance.settings_hash != recipe:
        raise DataError(
            f"The ranking {key} was made with other settings of {stored.screener!r} than the "
            "campaign's block feedback now has; restore them to make it again."
        )
    labels = stored_label_set(connection, stored.label_set)
    screener = make_screener(spec.system, spec.settings)
    screener.fit(dataset_of(labels, threshold=spec.threshold))
    materials = campaign_materials(connection, record)
    ranking = _scored(materials, screener, labels, spec.threshold)
    again = {entry.candidate_id: entry.score for entry in ranking.entries}
    gaps = [abs(again.get(entry.candidate_id, np.inf) - entry.score) for entry in stored.entries]
    return Difference(len(gaps), float(max(gaps, default=0.0)))
