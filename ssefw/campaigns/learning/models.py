"""The model that labels make, the ranking it gives of a campaign's candidates, and both made again.

A model is a function of its labels, its system and its settings; a hash of these names it, and the
fitted model is kept under that name. So the same labels give the same ranking, a ranking says what
made it, and an old one can be made again.
"""

import hashlib
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ssefw.campaigns.file import FeedbackSpec, campaign_of
from ssefw.campaigns.learning.feedback import stored_label_set
from ssefw.campaigns.learning.reasons import Known
from ssefw.data.dataset import Dataset, dataset_of
from ssefw.data.materials import Material
from ssefw.documents import CampaignRecord, LabelSet, Provenance, Ranking, Reranking
from ssefw.errors import DataError, StoreError
from ssefw.screening.base import (
    Screener,
    load_screener,
    make_screener,
    save_screener,
    usable_rows,
)
from ssefw.screening.ranking import rank_materials
from ssefw.store import Connection
from ssefw.store.candidates import submitted_candidate

logger = logging.getLogger(__name__)

__all__ = [
    "Difference",
    "campaign_materials",
    "feedback_of",
    "fitted_model",
    "provenance_of",
    "ranked",
    "reproduce",
    "stored_ranking",
]


def feedback_of(record: CampaignRecord) -> FeedbackSpec:
    """Return how a campaign learns from its outcomes; the defaults where its file does not say."""
    return campaign_of(record).feedback or FeedbackSpec()


def campaign_materials(connection: Connection, record: CampaignRecord) -> list[Material]:
    """Return the candidates of a campaign as a screen sees them.

    A structure is read from the store when a system asks for it.
    """

    def builder(candidate_id: str) -> Any:
        return lambda: submitted_candidate(connection, record.campaign, candidate_id).structure

    return [
        Material(
            name=item.candidate_id,
            formula=item.formula,
            source=item.source,
            build=builder(item.candidate_id),
        )
        for item in record.candidates
    ]


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
        if (kept := connection.blobs.get_sound(key)) is not None:
            file.write_bytes(kept)
            return load_screener(file), digest
        screener.fit(_learnable(labels, screener, spec))
        save_screener(screener, file)
        connection.blobs.put(key, file.read_bytes())
    return screener, digest


def _learnable(labels: LabelSet, screener: Screener, spec: FeedbackSpec) -> Dataset:
    """Return what a system learns from.

    Bounds that decide no class are part of it only where the system can use them, and labels that
    lack what it needs are not.
    """
    undecided = screener.learns_from_bounds
    data = dataset_of(labels, threshold=spec.threshold, undecided=undecided)
    usable, left_out = usable_rows(screener, data)
    for what, count in left_out.items():
        logger.warning("%d labels have %s, and %s leaves them out", count, what, screener.name)
    return usable


def ranked(
    connection: Connection,
    record: CampaignRecord,
    labels: LabelSet,
    spec: FeedbackSpec,
    materials: Sequence[Material],
) -> tuple[str, Ranking]:
    """Rank candidates by the model that labels make; keep both, and return the ranking's key.

    Parameters
    ----------
    connection
        The store.
    record
        The campaign.
    labels
        What the model learns from.
    spec
        The system, its settings and the threshold.
    materials
        The candidates that are ranked.
    """
    connection.results.add(labels, candidate="", campaign="")
    screener, digest = fitted_model(connection, labels, spec)
    ranking = _scored(materials, screener, labels, spec.threshold)
    ranking = ranking.model_copy(
        update={
            "model": digest,
            "label_set": f"{labels.name} {labels.version}",
            "provenance": provenance_of(ranking.screener, recipe=_recipe(spec)),
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
            mine = mine.model_copy(
                update={
                    "score": chance,
                    "spread": 0.0,
                    "lower": chance,
                    "upper": chance,
                    "sigma": known.conductivity(mine),
                }
            )
        entries.append(mine)
    entries.sort(key=lambda entry: (-entry.score, entry.candidate_id))
    meaning = f"{ranking.meaning}; of a material that has a label itself, what that label gives"
    return ranking.model_copy(update={"entries": tuple(entries), "meaning": meaning})


def _scorable(materials: Sequence[Material], screener: Screener) -> list[Material]:
    """Return materials without structures where the system reads none: reading them takes long."""
    if screener.settings().get("cell") != "none":
        return list(materials)
    return [
        Material(name=item.name, formula=item.formula, source=item.source) for item in materials
    ]


def _recipe(spec: FeedbackSpec) -> dict[str, Any]:
    return {"system": spec.system, "settings": spec.settings, "threshold": spec.threshold}


def provenance_of(screener: str, *, recipe: Mapping[str, Any] | None = None) -> Provenance:
    """Return what made a ranking, with a hash of the settings."""
    text = json.dumps(recipe, sort_keys=True) if recipe else ""
    return Provenance(
        engine=f"screen:{screener}",
        settings_hash=hashlib.sha256(text.encode()).hexdigest()[:16] if text else "",
        versions={"ssefw": version("ssefw")},
    )


def stored_ranking(connection: Connection, key: str) -> Ranking:
    """Return the ranking of a key; another record, or none, is a `StoreError`."""
    found = connection.results.get(key)
    if not isinstance(found, Ranking):
        raise StoreError(f"The record {key!r} is a {type(found).__name__}, not a ranking.")
    return found


@dataclass(frozen=True)
class Difference:
    """Where a ranking that was made again is not what is stored."""

    n_entries: int
    largest: float


def _whole_key(connection: Connection, campaign: str, key: str) -> str:
    """Return the key of the one ranking of a campaign that begins so."""
    steps = connection.results.find(Reranking, campaign=campaign)
    known = {name for step in steps for name in (step.ranking_before, step.ranking_after)}
    fits = sorted(name for name in known if name.startswith(key))
    if len(fits) == 1:
        return fits[0]
    many = f"{len(fits)} rankings begin" if fits else "No ranking begins"
    raise StoreError(
        f"{many} with {key!r} in campaign {campaign}; `ssefw feedback history` lists them."
    )


def reproduce(connection: Connection, record: CampaignRecord, key: str) -> Difference:
    """Fit the model of a stored ranking again from its labels and compare the scores.

    Raises
    ------
    StoreError
        If there is no such ranking, or its labels are gone.
    DataError
        If the campaign now asks for another system or other settings.
    """
    stored = stored_ranking(connection, _whole_key(connection, record.campaign, key))
    spec = feedback_of(record)
    recipe = provenance_of(stored.screener, recipe=_recipe(spec)).settings_hash
    if stored.screener != spec.system or stored.provenance.settings_hash != recipe:
        raise DataError(
            f"The ranking {key} was made with other settings of {stored.screener!r} than the "
            "campaign's block feedback now has; restore them to make it again."
        )
    labels = stored_label_set(connection, stored.label_set)
    screener = make_screener(spec.system, spec.settings)
    screener.fit(_learnable(labels, screener, spec))
    materials = campaign_materials(connection, record)
    ranking = _scored(materials, screener, labels, spec.threshold)
    again = {entry.candidate_id: entry.score for entry in ranking.entries}
    gaps = [abs(again.get(entry.candidate_id, np.inf) - entry.score) for entry in stored.entries]
    return Difference(len(gaps), float(max(gaps, default=0.0)))
