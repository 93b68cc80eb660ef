"""Taking a store, or a campaign of it, from one address to another."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from ssefw.errors import StoreError
from ssefw.store.connection import JOB_DATA, Connection
from ssefw.store.upkeep.part import CampaignPart, campaign_part, campaigns_of

__all__ = ["COPIES", "copy_campaign", "copy_store", "is_empty"]

T = TypeVar("T")

BATCH = 100
COPIES = "copies"
"""What is being copied into a store: a copy that was killed is known, and done again."""
LAST = ("launches", "fireworks", "workflows")
"""Collections by which workers find jobs: these come when all else is there."""


def is_empty(connection: Connection) -> bool:
    """Whether a store holds no job and no output, or only half of a copy that was killed."""
    if connection.database[COPIES].find_one({"whole": True}):
        return True
    has_jobs = connection.launchpad.fireworks.find_one({}) is not None
    return not has_jobs and connection.job_store.query_one({}) is None


def copy_store(source: Connection, target: Connection) -> dict[str, int]:
    """Copy everything of one store into another that is empty.

    No worker may be at work on either: what it writes meanwhile may be missed. One that was killed
    is done again.

    Returns
    -------
    dict
        Number of documents by collection, and of blobs.

    Raises
    ------
    StoreError
        If there is anything in the target.
    """
    if not is_empty(target):
        raise StoreError(
            f"The store {target.address} is not empty: give a new folder, or a database of another "
            "name."
        )
    target.database[COPIES].replace_one(
        {"_id": "store"}, {"_id": "store", "whole": True}, upsert=True
    )
    copied = {"blobs": 0}
    for key in source.blobs.keys():  # noqa: SIM118 -- a store is no dictionary
        target.blobs.put(key, source.blobs.get(key))
        copied["blobs"] += 1
    # Large data are documents in a folder and pieces on a server: jobflow's stores know how.
    copied[JOB_DATA] = _copy_large(_large(source).query(), target)
    names = [
        name for name in source.database.list_collection_names() if not _is_copied_by_itself(name)
    ]
    for name in sorted(names, key=lambda name: (name in LAST, name)):
        # Preparing the target has given it counters: those of the source count.
        target.database[name].delete_many({})
        copied[name] = 0
        for batch in _batches(source.database[name].find()):
            target.database[name].insert_many(batch)
            copied[name] += len(batch)
    target.database[COPIES].delete_many({})
    return copied


def copy_campaign(source: Connection, target: Connection, campaign: str) -> dict[str, int]:
    """Copy the records and blobs of a campaign into a store that may hold others.

    Its jobs get numbers that are free there. In a folder the records come all at once; on a server
    the jobs come last, and a copy that was killed is gone on with.

    Returns
    -------
    dict
        Number of documents by collection, and of blobs.

    Raises
    ------
    StoreError
        If the source has no such campaign, or the target has one of that name.
    """
    part = campaign_part(source, campaign)
    begun = target.database[COPIES].find_one({"_id": campaign})
    if begun is None and campaign in campaigns_of(target):
        raise StoreError(
            f"{target.address} has a campaign {campaign!r} already: delete that one first with "
            f"`ssefw store delete {campaign}`, or give another store."
        )
    copied = {"blobs": 0}
    for key in part.blobs:
        target.blobs.put(key, source.blobs.get(key))
        copied["blobs"] += 1
    with target.whole():
        shift = begun or _numbers(source, target, part)
        copied[JOB_DATA] = _copy_large(part.large(source), target)
        for name in part.filters:
            copied[name] = 0
            for record in part.records(source, name):
                moved = _renumbered(record, shift)
                target.database[name].replace_one({"_id": moved["_id"]}, moved, upsert=True)
                copied[name] += 1
        target.database[COPIES].delete_one({"_id": campaign})
    return copied


def _numbers(source: Connection, target: Connection, part: CampaignPart) -> dict[str, Any]:
    """Reserve numbers for jobs and launches in a store, and keep down by how much they move."""
    shift: dict[str, Any] = {"_id": part.campaign}
    for field, collection in (("fw_id", "fireworks"), ("launch_id", "launches")):
        numbers = [record[field] for record in part.records(source, collection)]
        first, last = min(numbers, default=1), max(numbers, default=0)
        counters = target.launchpad.fw_id_assigner.find_one_and_update(
            {}, {"$inc": {f"next_{field}": last - first + 1}}
        )
        shift[field] = counters[f"next_{field}"] - first
    target.database[COPIES].replace_one({"_id": part.campaign}, shift, upsert=True)
    return shift


def _renumbered(record: Mapping[str, Any], shift: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with the numbers of jobs and launches as they are in the target."""
    by, launch_by = shift["fw_id"], shift["launch_id"]
    moved = dict(record)
    for field in ("fw_id", "launch_id"):
        if isinstance(moved.get(field), int):
            moved[field] += shift[field]
    for field in ("launches", "archived_launches"):
        if field in moved:
            moved[field] = [number + launch_by for number in moved[field]]
    if "nodes" in moved:
        moved["nodes"] = [number + by for number in moved["nodes"]]
    for field in ("links", "parent_links"):
        if isinstance(moved.get(field), Mapping):
            moved[field] = {
                str(int(number) + by): [other + by for other in others]
                for number, others in moved[field].items()
            }
    if isinstance(moved.get("fw_states"), Mapping):
        states = moved["fw_states"].items()
        moved["fw_states"] = {str(int(number) + by): state for number, state in states}
    return moved


def _large(connection: Connection) -> Any:
    stores: Any = connection.job_store
    return stores.additional_stores["data"]


def _copy_large(records: Iterable[Mapping[str, Any]], target: Connection) -> int:
    count = 0
    for batch in _batches(records):
        clean = [{key: record[key] for key in record if key != "_id"} for record in batch]
        _large(target).update(clean, key="blob_uuid")
        count += len(batch)
    return count


def _is_copied_by_itself(name: str) -> bool:
    parts = ("", ".files", ".chunks")
    own = {base + part for base in (JOB_DATA, "blobs") for part in parts}
    return name.startswith("system.") or name in own | {COPIES}


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
