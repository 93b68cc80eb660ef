"""Job outputs as files, for a job whose node reaches no database.

Such a job has a folder. Whoever reaches the store puts in the outputs that a job refers to; on the
node the folder is a job store of its own, and what the job puts out lies in it as files, which are
taken into the store afterwards.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bson import json_util
from jobflow import Job, JobStore
from jobflow.core.reference import find_and_get_references
from maggma.stores import MemoryStore

from ssefw.documents import Failure

__all__ = ["open_offline_job", "pack", "unpack"]

INPUTS, JOBS, DATA = "inputs.json", "outputs-jobs.json", "outputs-data.json"


class OfflineJobStore(MemoryStore):
    """Documents in memory; those that are updated are also in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path
        self._updated: dict[tuple[Any, ...], dict[str, Any]] = {}

    def update(self, docs: Any, key: Any = None) -> None:
        """Insert or replace documents, and write them down before anything else happens."""
        found = docs if isinstance(docs, list) else [docs]
        super().update(found, key)
        fields = key if isinstance(key, list) else [key or self.key]
        for document in found:
            # The order of updates is kept: the last is the newest.
            identity = tuple(str(document.get(field)) for field in fields)
            self._updated.pop(identity, None)
            self._updated[identity] = {k: v for k, v in document.items() if k != "_id"}
        _write(self.path, list(self._updated.values()))


def pack(job: Job, folder: Path, store: JobStore) -> None:
    """Put into a folder what a job refers to, and what failed before it."""
    wanted = {reference.uuid for reference in job.input_references}
    documents: list[dict[str, Any]] = []
    known: set[str] = set()
    while wanted - known:
        found = list(store.query({"uuid": {"$in": sorted(wanted - known)}}, load=True))
        known |= wanted
        documents += found
        # An output may refer to another one's.
        references = find_and_get_references([document["output"] for document in found])
        wanted |= {reference.uuid for reference in references}
    about = {f"metadata.{name}": job.metadata.get(name, "") for name in ("campaign", "candidate")}
    documents += store.query({"output.@class": Failure.__name__, **about}, load=True)
    _write(folder / INPUTS, [{k: v for k, v in d.items() if k != "_id"} for d in documents])


def open_offline_job(folder: Path) -> JobStore:
    """Return the job store in the folder of a job."""
    documents = OfflineJobStore(folder / JOBS)
    store = JobStore(documents, additional_stores={"data": OfflineJobStore(folder / DATA)})
    store.connect()
    if inputs := _read(folder / INPUTS):
        MemoryStore.update(documents, inputs, key=["uuid", "index"])
    return store


def unpack(folder: Path, store: JobStore) -> int:
    """Take what a job has put out into a store, and return how many documents it was."""
    target: Any = store  # jobflow leaves its type open
    large, small = _read(folder / DATA), _read(folder / JOBS)
    if large:
        target.additional_stores["data"].update(large, key="blob_uuid")
    if small:
        target.docs_store.update(small, key=["uuid", "index"])
    return len(large) + len(small)


def _read(path: Path) -> list[dict[str, Any]]:
    return list(json_util.loads(path.read_text())) if path.exists() else []


def _write(path: Path, documents: Iterable[dict[str, Any]]) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(json_util.dumps(list(documents)))
    draft.replace(path)
