"""Whether what a store holds fits together: blobs, ledgers, records, jobs, locks, modes."""

import contextlib
import json
import stat
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ssefw.data import decode_chunk
from ssefw.documents import Trajectory
from ssefw.errors import DataError
from ssefw.store.checksum import has_checksum
from ssefw.store.connection import Connection
from ssefw.store.frames.blobs import BlobError, FileBlobs
from ssefw.store.frames.salvage import sound_part, with_stored_frames
from ssefw.store.frames.trajectories import TrajectoryStore
from ssefw.store.sharing import file_mode
from ssefw.store.upkeep.findings import Finding
from ssefw.store.upkeep.removal import INTENTIONS, finish_deletions
from ssefw.store.upkeep.transfer import COPIES

__all__ = ["check_contents"]

ASIDE = "damaged/"
"""Damaged blobs lie behind this, out of everybody's way."""
RUNS = "trajectories/"
FRESH_SECONDS = 3600.0
"""What is younger may be the work of a process that has not yet said so."""


def check_contents(connection: Connection, *, repair: bool) -> Iterator[Finding]:
    """Yield what does not fit together, mended where that is wanted and can be."""
    yield from _check_begun(connection, repair=repair)
    yield from _check_blobs(connection, repair=repair)
    yield from _check_trajectories(connection, repair=repair)
    yield from _check_doubles(connection, repair=repair)
    yield from _check_jobs(connection)
    yield from _check_locks(connection, repair=repair)
    if isinstance(connection.blobs, FileBlobs):
        yield from _check_files(connection.blobs, repair=repair)


def _check_begun(connection: Connection, *, repair: bool) -> Iterator[Finding]:
    """Yield the deletions and copies that were killed before their end."""
    for item in list(connection.database[INTENTIONS].find()):
        what = f"its deletion was not finished: {len(item['blobs'])} blobs were left"
        yield Finding("orphan", f"campaign {item['_id']}", what, "deleted", mended=repair)
    if repair:
        finish_deletions(connection)
    for item in connection.database[COPIES].find():
        where = "the store" if item.get("whole") else f"campaign {item['_id']}"
        what = "the copy into this store was not finished"
        yield Finding("missing", where, what, "give the same `ssefw store copy` again")


def _check_blobs(connection: Connection, *, repair: bool) -> Iterator[Finding]:
    """Yield the blobs beside trajectories that are not what was stored."""
    for key in connection.blobs.keys():  # noqa: SIM118 -- a store is no dictionary
        if key.startswith((ASIDE, RUNS)) or (why := _problem_of(connection, key)) is None:
            continue
        if repair:
            _set_aside(connection, key)
        done = "set aside: " if repair else ""
        yield Finding("blob", key, why, f"{done}whoever needs it computes it again", mended=repair)


def _problem_of(connection: Connection, key: str) -> str | None:
    blobs = connection.blobs
    try:
        payload = blobs.get(key)
        if has_checksum(blobs.read_stored(key)):
            return None
    except BlobError as error:
        return error.why
    try:
        if key.startswith(RUNS) and key.rpartition("/")[2].isdigit():
            decode_chunk(payload)
        elif key.startswith((RUNS, "stages/")):
            json.loads(payload)
    except (DataError, ValueError) as error:
        return f"is damaged ({' '.join(str(error).split())[:200]})"
    return None


def _set_aside(connection: Connection, key: str) -> None:
    connection.blobs.write_stored(ASIDE + key, connection.blobs.read_stored(key))
    connection.blobs.delete(key)


def _check_trajectories(connection: Connection, *, repair: bool) -> Iterator[Finding]:
    """Yield what is wrong with the frames of trajectories and with the ledgers of these."""
    blobs: dict[str, list[str]] = defaultdict(list)
    for name in connection.blobs.keys(RUNS):
        blobs[name.split("/")[1]].append(name)
    for key, names in blobs.items():
        bad = {name: why for name in names if (why := _problem_of(connection, name)) is not None}
        try:
            ledger = TrajectoryStore(connection.blobs).ledger(key)
        except BlobError as error:
            bad[error.key] = error.why
            ledger = None
        if ledger is None:
            yield from _damaged(connection, bad, "its job goes on from what is left", repair=repair)
        else:
            yield from _check_frames(connection, ledger, names, bad, repair=repair)


def _damaged(
    connection: Connection, bad: Mapping[str, str], remedy: str, *, repair: bool
) -> Iterator[Finding]:
    for name, why in bad.items():
        if repair:
            _set_aside(connection, name)
        done = "set aside: " if repair else ""
        yield Finding("blob", name, why, f"{done}{remedy}", mended=repair)


def _check_frames(
    connection: Connection,
    ledger: Trajectory,
    names: Sequence[str],
    bad: Mapping[str, str],
    *,
    repair: bool,
) -> Iterator[Finding]:
    """Yield what is wrong with the frames that a ledger names, or does not name.

    Parameters
    ----------
    names
        The blobs that are there.
    bad
        What is wrong with some of them.
    """
    store = TrajectoryStore(connection.blobs)
    named = {name for segment in ledger.segments for name in segment.blobs}
    left, lost = sound_part(store, ledger)
    remedy = (
        f"the run ends there: {left.n_frames} of {ledger.n_frames} frames are left, and a job that "
        "needs it computes the rest"
    )
    yield from _damaged(connection, bad, remedy, repair=repair)
    # Of those that are not in the list some may have been stored since it was made.
    for name in sorted(name for name in named - set(names) if not connection.blobs.exists(name)):
        yield Finding("missing", name, "is not there", remedy, mended=repair)
    if lost and repair:
        store.save(left)
    kept = {name for segment in left.segments for name in segment.blobs}
    loose = [
        name
        for name in store.frame_blobs(ledger.key)
        if name not in kept and name not in bad and not _is_fresh(connection, name)
    ]
    if loose:
        yield _orphans(connection, left, loose, repair=repair)


def _orphans(
    connection: Connection, ledger: Trajectory, loose: Sequence[str], *, repair: bool
) -> Finding:
    """Return what is said of blobs that are in no ledger."""
    store = TrajectoryStore(connection.blobs)
    longer = with_stored_frames(store, ledger)
    taken = {name for segment in longer.segments for name in segment.blobs}
    rest = [name for name in loose if name not in taken]
    if repair:
        if len(rest) < len(loose):
            store.save(longer)
        for name in rest:
            connection.blobs.delete(name)
    return Finding(
        "orphan",
        f"{RUNS}{ledger.key}",
        f"{len(loose)} blobs of frames are in no ledger",
        f"{len(loose) - len(rest)} go on where it ends and are taken up, {len(rest)} can be joined "
        "to nothing and are deleted",
        mended=repair,
    )


def _is_fresh(connection: Connection, key: str) -> bool:
    blobs = connection.blobs
    if not isinstance(blobs, FileBlobs):
        return False
    try:
        return time.time() - (blobs.folder / key).stat().st_mtime < FRESH_SECONDS
    except FileNotFoundError:
        return True


def _check_doubles(connection: Connection, *, repair: bool) -> Iterator[Finding]:
    """Yield the outputs that are there twice: the same run of the same job."""
    jobs = connection.database["jobs"]
    seen: dict[tuple[str, int], list[tuple[str, object]]] = defaultdict(list)
    for record in jobs.find({}, {"uuid": 1, "index": 1, "completed_at": 1}):
        place = (str(record.get("uuid")), record.get("index", 1))
        seen[place].append((str(record.get("completed_at")), record["_id"]))
    for (uuid, index), records in seen.items():
        if len(records) > 1:
            ordered = sorted(records, key=lambda item: item[0])
            if repair:
                for _, identity in ordered[:-1]:
                    jobs.delete_one({"_id": identity})
            yield Finding(
                "double",
                f"jobs/{uuid}",
                f"the output of run {index} is there {len(records)} times",
                "the one that was completed last is kept",
                mended=repair,
            )


def _check_jobs(connection: Connection) -> Iterator[Finding]:
    """Yield the workflows and jobs of which a part is gone."""
    launchpad = connection.launchpad
    fireworks = {
        item["fw_id"]: item
        for item in launchpad.fireworks.find({}, {"fw_id": 1, "launches": 1, "state": 1})
    }
    launches = {item["launch_id"] for item in launchpad.launches.find({}, {"launch_id": 1})}
    again = "submit its campaign again: what is computed is not computed again"
    in_workflows = set()
    for workflow in launchpad.workflows.find({}, {"nodes": 1}):
        in_workflows.update(workflow["nodes"])
        gone = sorted(set(workflow["nodes"]) - set(fireworks))
        if gone:
            where = f"workflows/{min(workflow['nodes'])}"
            yield Finding("job", where, f"its jobs {gone[:5]} are gone", again)
    for number, item in fireworks.items():
        if number not in in_workflows:
            yield Finding("job", f"fireworks/{number}", "it is in no workflow", again)
        gone = sorted(set(item.get("launches", ())) - launches)
        if gone:
            where = f"fireworks/{number}"
            yield Finding("job", where, f"the notes of its launches {gone[:5]} are gone", again)


def _check_locks(connection: Connection, *, repair: bool) -> Iterator[Finding]:
    """Yield the workflows that a process has locked and not unlocked.

    In a folder no lock outlives the operation that sets it; on a server it may be at work.
    """
    workflows = connection.launchpad.workflows
    can_mend = repair and not connection.address.is_server
    for workflow in list(workflows.find({"locked": {"$exists": True}}, {"nodes": 1})):
        if can_mend:
            workflows.update_one({"_id": workflow["_id"]}, {"$unset": {"locked": True}})
        yield Finding(
            "lock",
            f"workflows/{min(workflow['nodes'])}",
            "it is locked",
            "unlocked"
            if can_mend
            else "if that lasts, its process is dead: the next worker or `ssefw resume` unlocks it",
            mended=can_mend,
        )


def _check_files(blobs: FileBlobs, *, repair: bool) -> Iterator[Finding]:
    """Yield the files that a killed writer left, and those that not all may read who should."""
    if not blobs.shared.exists():
        return
    wanted = file_mode(blobs.shared)
    files = [path for path in sorted(blobs.folder.rglob("*")) if path.is_file()]
    others = [
        path
        for path in (blobs.shared / "store.sqlite", *files)
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o666 != wanted
    ]
    for path in files:
        if path.suffix == ".part" and time.time() - path.stat().st_mtime > FRESH_SECONDS:
            if repair:
                path.unlink(missing_ok=True)
            what = "a killed process left it half written"
            yield Finding("orphan", str(path), what, "deleted", mended=repair)
    if others:
        is_mended = repair and _give_mode(others, wanted)
        yield Finding(
            "mode",
            str(blobs.shared),
            f"{len(others)} files have not its mode ({wanted:o}): others read half of the store",
            "set" if is_mended else "`--repair` by the owner of the files sets it",
            mended=is_mended,
        )


def _give_mode(paths: list[Path], mode: int) -> bool:
    try:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                path.chmod(mode)
    except PermissionError:
        return False
    return True
