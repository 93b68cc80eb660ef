"""Taking a store from one address to another: from a folder to a server, or back."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from ssefw.errors import StoreError
from ssefw.store.connection import JOB_DATA, Connection

__all__ = ["copy_store"]

T = TypeVar("T")

BATCH = 100


def copy_store(source: Connection, target: Connection) -> dict[str, int]:
    """Copy everything of one store into another that is empty.

    No worker may be at work on either: what it writes meanwhile may be missed.

    Returns
    -------
    dict
        Number of documents by collection, and of blobs.

    Raises
    ------
    StoreError
        If there is anything in the target.
    """
    if target.launchpad.fireworks.find_one({}) or target.job_store.query_one({}):
        raise StoreError(
            f"The store {target.address} is not empty: give a new folder, or a database of another "
            "name."
        )
    copied: dict[str, int] = {}
    for name in sorted(source.database.list_collection_names()):
        if not _is_copied_by_itself(name):
            # Preparing the target has given it counters: those of the source count.
            target.database[name].delete_many({})
            copied[name] = 0
            for batch in _batches(source.database[name].find()):
                target.database[name].insert_many(batch)
                copied[name] += len(batch)
    # Large data are documents in a folder and pieces on a server: jobflow's stores know how.
    copied[JOB_DATA] = 0
    source_jobs: Any = source.job_store
    target_jobs: Any = target.job_store
    for batch in _batches(source_jobs.additional_stores["data"].query()):
        records = [{key: record[key] for key in record if key != "_id"} for record in batch]
        target_jobs.additional_stores["data"].update(records, key="blob_uuid")
        copied[JOB_DATA] += len(batch)
    copied["blobs"] = 0
    for key in source.blobs.keys():  # noqa: SIM118 -- a store is no dictionary
        target.blobs.put(key, source.blobs.get(key))
        copied["blobs"] += 1
    return copied


def _is_copied_by_itself(name: str) -> bool:
    parts = ("", ".files", ".chunks")
    return name.startswith("system.") or name in {
        base + part for base in (JOB_DATA, "blobs") for part in parts
    }


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
