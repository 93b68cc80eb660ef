"""From one address to everything that is stored: launch pad, job outputs, results, blobs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self

from fireworks import LaunchPad
from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore

from ssefw.store.address import Address
from ssefw.store.embedded.database import open_database
from ssefw.store.embedded.stores import EmbeddedLaunchPad, EmbeddedStore
from ssefw.store.frames.blobs import BlobStore, FileBlobs, GridFSBlobs
from ssefw.store.launchpad import ServerLaunchPad
from ssefw.store.results.job_indices import job_indices
from ssefw.store.results.result_store import ResultStore
from ssefw.store.server.client import dial, plain_errors
from ssefw.store.server.patience import Patience, PatientDatabase
from ssefw.store.server.stores import PatientGridFSStore, documents_over
from ssefw.store.tenure import TenuredJobStore

__all__ = ["CANDIDATES", "JOBS", "Connection", "connect"]

JOBS, JOB_DATA = "jobs", "jobs_data"
CANDIDATES = "candidates"


class Connection:
    """An open store.

    Attributes
    ----------
    address
        What opens the same store again; shown, it hides its password.
    launchpad
        FireWorks' LaunchPad.
    job_store
        jobflow's JobStore, with an additional store ``data``.
    database
        pymongo's or mongomock's Database for collections of our own.
    blobs
        Byte strings by key.
    results
        Typed view of the job outputs.
    """

    def __init__(
        self,
        address: Address,
        *,
        launchpad: LaunchPad,
        job_store: JobStore,
        database: Any,
        blobs: BlobStore,
        on_close: Callable[[], None],
    ) -> None:
        self.address = address
        self.launchpad = launchpad
        self.job_store = job_store
        self.database = database
        self.blobs = blobs
        self.results = ResultStore(job_store, database)
        self._on_close = on_close

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Write what a block writes all at once; on a server, one after the other."""
        is_folder = not self.address.is_server
        with self.database.file.transaction(write=True) if is_folder else nullcontext():
            yield

    def writes(self) -> int | None:
        """Return a number that changes as others write to the folder; None of a server.

        What this connection writes itself does not count.
        """
        if self.address.is_server:
            return None
        with self.database.file.transaction():
            (number,) = self.database.file.connection.execute("PRAGMA data_version").fetchone()
        return int(number)

    def close(self) -> None:
        """Close the connection; what was written stays."""
        self._on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Connection({self.address!r})"


def connect(
    address: str | Path,
    *,
    read_only: bool = False,
    create: bool = True,
    timeout: float = 5.0,
    patience: float = 0.0,
    stop: Event | None = None,
    at_once: bool = True,
) -> Connection:
    """Open the store of an address.

    Parameters
    ----------
    address
        A folder (the embedded store), or a MongoDB URI whose path names the database.
    read_only
        For looking at a campaign while it runs: nothing is written, nobody waits.
    create
        Make the folder if there is no store in it.
    timeout
        Seconds until a server that does not answer is given up.
    patience
        Seconds for which a server that stops answering is tried again.
    stop
        Set when this process is asked to end; patience then ends soon.
    at_once
        Whether a server that does not answer now is an error all the same.

    Raises
    ------
    StoreError
        When there is no store at the address or it cannot be used; nothing is half-written.
    """
    place = Address(address)
    if place.is_server:
        how_long = Patience(patience, stop)
        database = dial(place, timeout=timeout, patience=how_long, at_once=at_once)
        return _over_server(place, database, read_only=read_only)
    return _connect_folder(place, read_only=read_only, create=create)


def _connect_folder(address: Address, *, read_only: bool, create: bool) -> Connection:
    database = open_database(address, read_only=read_only, create=create)
    launchpad = EmbeddedLaunchPad(database)
    data = EmbeddedStore.over(database, JOB_DATA)
    job_store = TenuredJobStore(
        EmbeddedStore.over(database, JOBS), additional_stores={"data": data}
    )
    job_store.connect()
    if not read_only:
        # A new store is prepared all at once; an old one is looked at without waiting for anyone.
        is_new = launchpad.fw_id_assigner.find_one({}) is None
        with database.file.transaction(write=True) if is_new else nullcontext():
            _prepare(database, launchpad, data)
    return Connection(
        address,
        launchpad=launchpad,
        job_store=job_store,
        database=database,
        blobs=FileBlobs(address.folder / "blobs", read_only=read_only, shared=address.folder),
        on_close=database.file.close,
    )


def _over_server(address: Address, database: PatientDatabase, *, read_only: bool) -> Connection:
    with ExitStack() as stack, plain_errors(address):
        stack.callback(database.client.close)
        launchpad = ServerLaunchPad(database, uri=address.uri)
        data = PatientGridFSStore.over(database, JOB_DATA, uri=address.uri)
        job_store = TenuredJobStore(
            documents_over(database, JOBS, uri=address.uri), additional_stores={"data": data}
        )
        job_store.connect()
        if not read_only:
            _prepare(database, launchpad, data)
        on_close = stack.pop_all().close
    files = address.blob_folder
    return Connection(
        address,
        launchpad=launchpad,
        job_store=job_store,
        database=database,
        blobs=FileBlobs(files, read_only=read_only)
        if files is not None
        else GridFSBlobs(database, read_only=read_only),
        on_close=on_close,
    )


def _prepare(database: Any, launchpad: LaunchPad, data: MongoStore | GridFSStore) -> None:
    """Give a new store its counters and every store its indices."""
    counters = launchpad.fw_id_assigner
    if counters.find_one({}) is None:
        first = {"next_fw_id": 1, "next_launch_id": 1}
        counters.update_one({"_id": "first"}, {"$setOnInsert": first}, upsert=True)
    launchpad.tuneup()
    launchpad.fireworks.create_index("spec.campaign")
    # How a campaign stands is read from the keys of these alone.
    launchpad.fireworks.create_index([("spec.campaign", 1), ("state", 1), ("name", 1)])
    # And how a candidate stands, job by job.
    of_candidate = ("spec.campaign", "spec.candidate", "name", "state")
    launchpad.fireworks.create_index([(field, 1) for field in of_candidate])
    launchpad.offline_runs.create_index("completed")
    launchpad.workflows.create_index("metadata.campaign")
    for fields in job_indices():
        database[JOBS].create_index(fields)
    database[CANDIDATES].create_index([("campaign", 1), ("candidate", 1)])
    data.ensure_index("blob_uuid")
