"""Which records and blobs of a store belong to a campaign."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bson

from ssefw.documents import CampaignRecord, Document, Labels, LearnedPotential, Trajectory
from ssefw.errors import StoreError
from ssefw.store.connection import CANDIDATES, Connection
from ssefw.store.frames.blobs import BlobError
from ssefw.store.frames.trajectories import ledger_key

__all__ = ["CampaignPart", "campaign_part", "campaigns_of"]

OF_CAMPAIGN = (CANDIDATES, "incidents", "holds", "conductivities")
"""Collections whose records name their campaign in a field of that name."""
SPENDING = "spending"


@dataclass(frozen=True)
class CampaignPart:
    """What belongs to a campaign.

    Attributes
    ----------
    filters
        The records of each collection; in the order in which they are written, since who sees the
        jobs must find what they need.
    blobs
        Keys of the frames and ledgers of its trajectories, and of the potentials that it taught.
    shared
        Those of the blobs that other campaigns need too.
    """

    campaign: str
    filters: Mapping[str, Mapping[str, Any]]
    uuids: tuple[str, ...]
    blobs: tuple[str, ...]
    shared: frozenset[str]

    def records(self, connection: Connection, name: str) -> Iterator[dict[str, Any]]:
        """Yield the records of one of its collections."""
        yield from connection.database[name].find(self.filters[name])

    def large(self, connection: Connection) -> Iterator[dict[str, Any]]:
        """Yield the large parts of its outputs, which jobflow keeps apart."""
        store: Any = connection.job_store
        yield from store.additional_stores["data"].query({"job_uuid": {"$in": list(self.uuids)}})

    def size(self, connection: Connection) -> tuple[int, int, int]:
        """Return how many records there are, how many blobs of its own, and the bytes of both."""
        n_records, n_bytes = 0, 0
        for name in self.filters:
            for record in self.records(connection, name):
                n_records += 1
                n_bytes += len(bson.encode(record))
        for record in self.large(connection):
            n_records += 1
            n_bytes += len(bson.encode({"data": record.get("data")}))
        own = [key for key in self.blobs if key not in self.shared]
        return n_records, len(own), n_bytes + sum(map(connection.blobs.size, own))


def campaigns_of(connection: Connection) -> list[str]:
    """Return the names of the campaigns that left a record, in alphabetical order."""
    found = set(connection.database.workflows.distinct("metadata.campaign"))
    found |= set(connection.database.jobs.distinct("metadata.campaign"))
    return sorted(name for name in found if isinstance(name, str) and name)


def campaign_part(connection: Connection, campaign: str) -> CampaignPart:
    """Return what belongs to a campaign.

    Raises
    ------
    StoreError
        If nothing does; the message lists the campaigns that there are.
    """
    known = campaigns_of(connection)
    if campaign not in known:
        there = f"it holds {', '.join(known)}" if known else "it holds none"
        raise StoreError(f"{connection.address} holds no campaign {campaign!r}: {there}.")
    database = connection.database
    ours = {"metadata.campaign": campaign}
    workflows = list(database.workflows.find(ours, {"nodes": 1}))
    fireworks = sorted({number for workflow in workflows for number in workflow["nodes"]})
    filters: dict[str, Mapping[str, Any]] = {
        "jobs": ours,
        **{name: {"campaign": campaign} for name in OF_CAMPAIGN},
        SPENDING: {"_id": campaign},
        "launches": {"fw_id": {"$in": fireworks}},
        "fireworks": {"fw_id": {"$in": fireworks}},
        "workflows": ours,
    }
    own, others = _trajectories(connection, campaign)
    blobs = [
        key for run in sorted(own) for key in connection.blobs.keys(f"trajectories/{run}/")
    ]  # fmt: skip
    shared = {key for key in blobs if key.split("/")[1] in others}
    mine, theirs = _computed_with(connection, campaign)
    blobs += sorted(mine)
    shared |= mine & theirs
    uuids = tuple(str(uuid) for uuid in database.jobs.distinct("uuid", ours))
    return CampaignPart(campaign, filters, uuids, tuple(blobs), frozenset(shared))


def _computed_with(connection: Connection, campaign: str) -> tuple[set[str], set[str]]:
    """Return what a campaign's jobs need of the blobs beside trajectories, and those of others.

    Weights and training sets of potentials that it trained, weights of those that it computes
    with, and the labels that it has not learned yet.
    """
    jobs, blobs = connection.database.jobs, connection.blobs
    there = {*blobs.keys("potentials/"), *blobs.keys("stages/")}

    def named(metadata: Mapping[str, Any]) -> set[str]:
        about = {"output.@class": LearnedPotential.__name__, **metadata}
        hashes = [str(found) for found in jobs.distinct("output.potential", about)]
        # Those of students, and of universal potentials that were tuned.
        weights = {f"potentials/{x}{end}" for x in hashes for end in (".nep", ".tuned")}
        frames = {f"potentials/{x}.npz" for x in jobs.distinct("output.training_set", about)}
        labels = {f"stages/{key}" for key in listed(Labels, "keys", metadata)}
        used = listed(CampaignRecord, "belongings", metadata)
        return (weights | frames | labels | used) & there

    def listed(kind: type[Document], field: str, metadata: Mapping[str, Any]) -> set[str]:
        about = {"output.@class": kind.__name__, **metadata}
        records = jobs.find(about, {f"output.{field}": 1})
        return {str(key) for one in records for key in one["output"].get(field) or ()}

    is_other = {"metadata.campaign": {"$ne": campaign}}
    return named({"metadata.campaign": campaign}), named(is_other)


def _trajectories(connection: Connection, campaign: str) -> tuple[set[str], set[str]]:
    """Return the keys of a campaign's trajectories, and of those that others use.

    A run that is not complete has no record yet: its ledger says for which candidate it is.
    """
    jobs, workflows = connection.database.jobs, connection.database.workflows
    about = {"output.@class": Trajectory.__name__}
    is_other = {"metadata.campaign": {"$ne": campaign}}
    own = set(jobs.distinct("output.key", {**about, "metadata.campaign": campaign}))
    others = set(jobs.distinct("output.key", {**about, **is_other}))
    candidates = set(workflows.distinct("metadata.candidate", {"metadata.campaign": campaign}))
    strangers = set(workflows.distinct("metadata.candidate", is_other))
    runs = {key.split("/")[1] for key in connection.blobs.keys("trajectories/")}
    for run in runs - own - others:
        candidate = _candidate(connection, run)
        if candidate in candidates:
            own.add(run)
            if candidate in strangers:
                others.add(run)
    return own & runs, others


def _candidate(connection: Connection, run: str) -> str | None:
    try:
        found = json.loads(connection.blobs.get(ledger_key(run)))
    except (BlobError, ValueError):
        return None
    return found.get("candidate_id") if isinstance(found, dict) else None
