"""Large pools as jobs of a thousand rows each, through the launch pad of campaigns.

What is asked of a pool has a name made of everything that the answer depends on. Asked again, it is
the same batches: those that are missing are added, and once all are done the answers are there.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from jobflow import Flow, Job
from jobflow.managers.fireworks import flow_to_workflow

from ssefw.campaigns.planning.template import WorkflowEntry
from ssefw.campaigns.running.submission import put_on
from ssefw.data.materials import Material, read_materials
from ssefw.data.pools import pool_entries, read_entry, stated_name
from ssefw.documents import CampaignRecord, Document, PlannedCandidate
from ssefw.engines import settings_hash
from ssefw.errors import DataError, StoreError
from ssefw.files import read_json
from ssefw.files.tables import text_lines
from ssefw.makers.batches import Rows, input_key, part_keys
from ssefw.progress import counted
from ssefw.store import Connection
from ssefw.store.frames.stages import StageStore

__all__ = ["BATCH", "Batches", "collected", "materials_named", "prepare_batches", "submit_batches"]

BATCH = 1000
"""Rows of a job: minutes of site energies, so that starting a job costs little beside it."""
AT_A_TIME = 100
"""Jobs that are put on the launch pad at once."""

D = TypeVar("D", bound=Document)


class BatchMaker(Protocol):
    """A maker of `ssefw.makers.batches`."""

    name: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """Keys of what must be in the store beside the rows."""

    def make(self, rows: str) -> Job:
        """Return the job of the rows under a key."""


@dataclass(frozen=True)
class Batches:
    """A pool in parts, and what is asked of it.

    Attributes
    ----------
    name
        As a campaign is called; the same for the same pool and question.
    rows
        Of each batch, where the rows lie and how many there are.
    parts
        Of each batch, the keys of the stages with its answers.
    repeated, unread
        Rows that repeat a name, and those that cannot be read, with the reason.
    """

    name: str
    maker: BatchMaker
    rows: tuple[tuple[str, int], ...]
    parts: tuple[tuple[str, ...], ...]
    repeated: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()

    def done(self, connection: Connection) -> list[bool]:
        """Return of each batch whether all of its answers are there."""
        there = {key.removeprefix("stages/") for key in connection.blobs.keys("stages/")}
        return [there.issuperset(keys) for keys in self.parts]


def prepare_batches(
    connection: Connection, pool: Path, maker: BatchMaker, *, names_differ: bool, size: int = BATCH
) -> Batches:
    """Put the rows of a pool into a store, a batch at a time.

    Parameters
    ----------
    names_differ
        Whether of rows with one name the first counts, as in a ranking.
    size
        Rows of a batch.

    Raises
    ------
    DataError
        If the pool has no row.
    """
    repeated: list[str] = []
    unread: list[tuple[str, str]] = []
    lines = _lines(pool, unread) if names_differ else _crystals(pool, unread)
    if names_differ:
        lines = _unique(lines, repeated)
    rows: list[tuple[str, int]] = []
    parts: list[tuple[str, ...]] = []
    stream = counted(lines, "reading the pool")
    while chunk := tuple(islice(stream, size)):
        batch = Rows(pool.name, chunk)
        payload = batch.payload()
        key = input_key(payload)
        if not connection.blobs.exists(key):
            connection.blobs.put(key, payload)
        rows.append((key, len(chunk)))
        parts.append(tuple(part_keys(maker, batch)))
    if not rows:
        why = f": {unread[0][1]}" if unread else ""
        raise DataError(f"The pool {pool} has no row that can be read{why}")
    name = f"{maker.name}-{settings_hash(parts)[:8]}"
    return Batches(name, maker, tuple(rows), tuple(parts), tuple(repeated), tuple(unread))


def _lines(pool: Path, unread: list[tuple[str, str]]) -> Iterator[tuple[int, str]]:
    """Yield the rows of any pool as numbered lines of JSON; those of a .jsonl as they stand."""
    if pool.is_file() and pool.name.removesuffix(".gz").endswith(".jsonl"):
        for number, line in enumerate(text_lines(pool), start=1):
            if line.strip():
                yield number, line.strip()
        return
    for number, row in enumerate(read_materials(pool), start=1):
        if not isinstance(row, Material):
            unread.append((row.source, row.reason))
            continue
        record = {"formula": row.formula, **row.properties, "name": row.name}
        if row.build is not None:
            record["structure"] = row.structure.as_dict()
        yield number, json.dumps(record, default=float)


def _crystals(pool: Path, unread: list[tuple[str, str]]) -> Iterator[tuple[int, str]]:
    """Yield the crystals of any pool as numbered lines of JSON; those of a .jsonl as they stand."""
    for number, (source, entry) in enumerate(pool_entries(pool), start=1):
        if isinstance(entry, str):
            yield int(source.rpartition(":")[2]), entry.strip()
            continue
        try:
            one = read_entry(source, entry)
        except DataError as error:
            unread.append((source, str(error)))
            continue
        record = {**one.properties, "name": one.source, "structure": one.structure.as_dict()}
        yield number, json.dumps(record, default=float)


def _unique(lines: Iterable[tuple[int, str]], repeated: list[str]) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for number, line in lines:
        try:
            record = read_json(line)
            name = stated_name(record) if isinstance(record, dict) else None
        except DataError:
            name = None  # the job says what is wrong with it
        if name in seen:
            repeated.append(str(name))
            continue
        if name is not None:
            seen.add(name)
        yield number, line


def submit_batches(connection: Connection, batches: Batches) -> int:
    """Put the batches that are not done on the launch pad, each once, and return how many were new.

    Raises
    ------
    StoreError
        If the store lacks what the jobs read.
    """
    for key in batches.maker.inputs:
        if not connection.blobs.exists(key):
            raise StoreError(f"The store {connection.address} lacks the blob {key}.")
    wanted = [
        (number, key, count)
        for number, ((key, count), is_done) in enumerate(
            zip(batches.rows, batches.done(connection), strict=True), start=1
        )
        if not is_done
    ]
    if next(connection.results.find(CampaignRecord, campaign=batches.name), None) is None:
        connection.results.add(_record(batches), candidate="", campaign=batches.name)
    added = 0
    for start in range(0, len(wanted), AT_A_TIME):
        chunk = wanted[start : start + AT_A_TIME]
        entries = [_entry(batches, number, key) for number, key, _ in chunk]
        ids = [f"{batches.name}/{_called(number)}" for number, _, _ in chunk]
        added += put_on(connection, entries, partial(tuple, ids))
    return added


def collected(connection: Connection, batches: Batches, kind: type[D]) -> list[D]:
    """Return the answers of all batches, in the order of the pool.

    Raises
    ------
    StoreError
        If one is missing or damaged.
    """
    stages = StageStore(connection.blobs)
    found = []
    for number, keys in enumerate(batches.parts, start=1):
        for key in keys:
            part = stages.get(key, kind)
            if part is None:
                raise StoreError(f"{_called(number)} of {batches.name} is not done; submit again.")
            found.append(part)
    return found


def materials_named(pool: Path) -> Callable[[Iterable[str]], list[Material]]:
    """Return what reads the materials of some names from a pool, the first of each."""

    def read(names: Iterable[str]) -> list[Material]:
        wanted = set(names)
        found: dict[str, Material] = {}
        for row in read_materials(pool):
            if isinstance(row, Material) and row.name in wanted:
                found.setdefault(row.name, row)
        return list(found.values())

    return read


def _called(number: int) -> str:
    return f"batch-{number:05d}"


def _record(batches: Batches) -> CampaignRecord:
    """Return what `status` and `jobs` know of the batches, which stand for candidates."""
    return CampaignRecord(
        campaign=batches.name,
        plan_key=settings_hash(batches.parts),
        spec={"campaign": batches.name, "batches": len(batches.rows)},
        candidates=tuple(
            PlannedCandidate(
                candidate_id=_called(number), formula=f"{count} rows", n_atoms=0, md_steps=0
            )
            for number, (_, count) in enumerate(batches.rows, start=1)
        ),
    )


def _entry(batches: Batches, number: int, key: str) -> WorkflowEntry:
    called = _called(number)
    flow = Flow([batches.maker.make(key)], name=f"{batches.name}: {called}")
    flow.update_metadata({"campaign": batches.name, "candidate": called})
    light = {"_category": "light", "_priority": -number}
    flow.update_config({"manager_config": light, "pass_manager_config": False})
    metadata = {"campaign": batches.name, "candidate": called}
    workflow = flow_to_workflow(flow, metadata=metadata)
    return WorkflowEntry(
        {}, workflow.to_db_dict(), {job.fw_id: job.to_db_dict() for job in workflow.fws}
    )
