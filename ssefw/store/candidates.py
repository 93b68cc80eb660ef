"""Candidates as they were submitted, crystals and all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssefw.documents import CampaignRecord, Candidate
from ssefw.errors import DataError
from ssefw.store.connection import CANDIDATES, Connection
from ssefw.store.decoding import decoded_record

__all__ = ["keep_candidates", "submitted_candidate", "submitted_candidates"]


def keep_candidates(
    connection: Connection, records: Sequence[Mapping[str, Any]], *, campaign: str, plan: str
) -> None:
    """Keep candidates of a campaign; those that are there stay as they are.

    Parameters
    ----------
    connection
        The store.
    records
        What `Candidate.as_dict` gives.
    campaign
        Its name.
    plan
        The key of its settings. What earlier settings gave has the campaign's name no more, and
        keeps candidates of its own.
    """
    kept = [
        {
            "_id": f"{campaign}/{plan}/{record['id']}",
            "campaign": campaign,
            "candidate": record["id"],
            "document": record,
        }
        for record in records
    ]
    connection.launchpad.add_new(connection.database[CANDIDATES], kept, key="_id")


def submitted_candidate(connection: Connection, campaign: str, candidate_id: str) -> Candidate:
    """Return a candidate of a campaign, its crystal disordered where it was.

    Raises
    ------
    DataError
        If the store has it no more.
    """
    about = {"campaign": campaign, "candidate": candidate_id}
    kept = connection.database[CANDIDATES].find_one(about, {"document": True})
    if kept is not None:
        given: Candidate = decoded_record(kept["document"])
        return given
    found = next(_among_arguments(connection, campaign, candidate_id), None)
    if found is None:
        raise DataError(
            f"The structure of candidate {candidate_id} is not in the store any more; rank it "
            "with a system that needs the composition only."
        )
    return found


def submitted_candidates(connection: Connection, record: CampaignRecord) -> Iterator[Candidate]:
    """Yield the candidates of a campaign that the store has, each once."""
    seen = set()
    about = {"campaign": record.campaign}
    for kept in connection.database[CANDIDATES].find(about, {"document": True}):
        given: Candidate = decoded_record(kept["document"])
        seen.add(given.id)
        yield given
    for item in record.candidates:
        if item.candidate_id not in seen:
            found = next(_among_arguments(connection, record.campaign, item.candidate_id), None)
            if found is not None:
                yield found


def _among_arguments(
    connection: Connection, campaign: str, candidate_id: str
) -> Iterator[Candidate]:
    """Yield a candidate as its jobs were given it.

    Earlier versions kept no candidates: there are only these arguments, on the launch pad.
    """
    query = {"spec.campaign": campaign, "spec.candidate": candidate_id}
    for firework in connection.launchpad.fireworks.find(query, {"spec._tasks.job": True}):
        for task in firework["spec"]["_tasks"]:
            job = task["job"]
            for value in (*job["function_args"], *job["function_kwargs"].values()):
                if isinstance(value, dict) and value.get("@class") == Candidate.__name__:
                    yield decoded_record(value)
