"""Everything the store knows of one candidate: where it came from, what was done, what came out."""

from typing import Any

from ssefw.data.compositions import spellings
from ssefw.documents import CampaignRecord, Label, LabelSet, Outcome, Reranking, Trajectory
from ssefw.errors import StoreError
from ssefw.report.rows import summary
from ssefw.store import Connection
from ssefw.store.lookup import candidate_ids
from ssefw.store.results.arrangements import arrangement_of_runs

__all__ = ["candidate_stories", "find_outcomes"]


def find_outcomes(connection: Connection, word: str) -> list[Outcome]:
    """Return the outcomes of a candidate that is named by id, formula, name, or an id's beginning.

    Raises
    ------
    StoreError
        If there is none; the message has what is near.
    """
    # An id or a formula is looked up in an index; for a name, campaigns are read.
    for where in ({"candidate_id": word}, {"formula": {"$in": list(spellings(word))}}):
        if found := list(connection.results.find(Outcome, where=where)):
            return found
    ids = candidate_ids(connection, word)
    if found := list(connection.results.find(Outcome, where={"candidate_id": {"$in": ids}})):
        return found
    raise StoreError(
        f"The candidate {word!r} ({', '.join(ids)}) has no outcome yet. `ssefw status` shows how "
        "far its campaign is."
    )


def candidate_stories(connection: Connection, word: str) -> list[dict[str, Any]]:
    """Return, for each outcome of a candidate, all that is stored about it as plain values."""
    labels = [
        (labels, label)
        for labels in connection.results.find(LabelSet)
        for label in labels.labels
        if label.kind != "experiment"
    ]
    return [_story(connection, item, labels) for item in find_outcomes(connection, word)]


def _story(
    connection: Connection, outcome: Outcome, labels: list[tuple[LabelSet, Label]]
) -> dict[str, Any]:
    results = connection.results
    places = arrangement_of_runs(outcome)
    found = results.find(Trajectory, campaign=outcome.campaign, candidate=outcome.candidate_id)
    # A run that was continued is on record as it was after each job; the longest is how it stands.
    ledgers = {ledger.key: ledger for ledger in sorted(found, key=lambda run: run.n_steps)}
    return {
        **summary(outcome),
        "provenance": outcome.provenance.model_dump(mode="json"),
        "planned": _planned(connection, outcome),
        "relaxation": outcome.relaxed.model_dump(mode="json", exclude={"structure", "provenance"})
        if outcome.relaxed
        else None,
        "trajectories": [_run(ledger, places.get(key)) for key, ledger in ledgers.items()],
        "labels": [
            {"label_set": f"{labels_.name} {labels_.version}", "kind": label.kind}
            for labels_, label in labels
            if label.row_id == f"{outcome.campaign}/{outcome.candidate_id}"
        ],
        "rankings": _places(connection, outcome),
    }


def _planned(connection: Connection, outcome: Outcome) -> dict[str, Any] | None:
    for record in connection.results.find(CampaignRecord, campaign=outcome.campaign):
        for item in record.candidates:
            if item.candidate_id == outcome.candidate_id:
                return item.model_dump(mode="json")
    return None


def _run(ledger: Trajectory, arrangement: int | None) -> dict[str, Any]:
    return {
        "key": ledger.key,
        "arrangement": arrangement,
        "temperature_k": ledger.temperature,
        "steps": ledger.n_steps,
        "target_steps": ledger.target_steps,
        "frames": ledger.n_frames,
        "segments": [
            {
                "steps": [segment.first_step, segment.last_step],
                "velocities": segment.velocities,
                "ended": segment.end_reason,
                "wall_time_s": segment.wall_time,
                "events": list(segment.events),
            }
            for segment in ledger.segments
        ],
    }


def _places(connection: Connection, outcome: Outcome) -> list[dict[str, Any]]:
    return [
        {
            "ranking": item.ranking_after,
            "labels": item.labels_after,
            "before": change.before,
            "after": change.after,
            "score": change.score_after,
            "why": change.why,
        }
        for item in connection.results.find(Reranking, campaign=outcome.campaign)
        for change in item.changes
        if change.candidate_id == outcome.candidate_id
    ]
