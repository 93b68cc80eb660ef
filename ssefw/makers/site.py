"""Where a job runs: the scratch folder and blob stores of this process's settings."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from ssefw.documents import Document
from ssefw.engines import Engine
from ssefw.engines.stopping import stop_event
from ssefw.errors import StoreError
from ssefw.settings import load_settings
from ssefw.store import Address, BlobStore, open_blobs
from ssefw.store.frames.stages import StageStore
from ssefw.store.frames.trajectories import TrajectoryStore
from ssefw.store.tenure import ensure_tenure

__all__ = [
    "computed_once",
    "equip",
    "fetch_blob",
    "keep_blob",
    "require_store",
    "run_folder",
    "stored",
    "trajectories",
]

D = TypeVar("D", bound=Document)


def computed_once(key: str, kind: type[D], compute: Callable[[], D]) -> D:
    """Return what is stored under a key, or compute it and store it.

    The key hashes everything that the result depends on. In somebody's own flow, where no store
    was named and none is there, it is computed.
    """
    if _is_without_store():
        return compute()
    stages = StageStore(_blobs())
    found = stages.get(key, kind)
    if found is None:
        found = compute()
        ensure_tenure()
        stages.put(key, found)
    return found


def stored(key: str, kind: type[D]) -> D:
    """Return what `computed_once` has stored under a key.

    Raises
    ------
    StoreError
        If there is nothing, or it is damaged.
    """
    found = StageStore(_blobs()).get(key, kind)
    if found is None:
        raise StoreError(
            f"The store has lost stages/{key}, a {kind.__name__} that was there. Restore its blobs "
            "from a copy; `ssefw store check` says what else is missing."
        )
    return found


def keep_blob(key: str, payload: bytes) -> None:
    """Keep bytes in the store under a key that hashes them; nothing where there is no store."""
    if _is_without_store():
        return
    blobs = _blobs()
    if blobs.get_sound(key) is None:
        ensure_tenure()
        blobs.put(key, payload)


def fetch_blob(key: str) -> bytes:
    """Return the bytes under a key of the store."""
    return _blobs().get(key)


def equip(engine: Engine) -> None:
    """Bring what an engine needs from the store, where this machine lacks it."""
    engine.fetch(lambda key: None if _is_without_store() else _blobs().get_sound(key))


def trajectories() -> TrajectoryStore:
    """Return the trajectory store of the settings.

    Raises
    ------
    StoreError
        If there is none.
    """
    require_store("Dynamics keep their frames")
    return _trajectories(load_settings().settings.store)


@cache
def _trajectories(_address: str) -> TrajectoryStore:
    return TrajectoryStore(_blobs())


def require_store(what: str) -> None:
    """Check that there is a store, which somebody's own flow may lack.

    Raises
    ------
    StoreError
        If there is none; `what` says who needs it.
    """
    if _is_without_store():
        raise StoreError(
            f"{what} in a store, and none was named: make one with "
            "ssefw.store.connect('/path/of/a/folder'), and set SSEFW_STORE to that path."
        )


def _is_without_store() -> bool:
    """Whether the store is the default, a folder below wherever a job runs, and not there."""
    found = load_settings()
    return found.sources["store"] == "default" and not Address(found.settings.store).file.exists()


def _blobs() -> BlobStore:
    settings = load_settings().settings
    return open_blobs(settings.store, patience=settings.patience, stop=stop_event())


def run_folder(key: str) -> Path:
    """Return the folder of a run, the same for every process that may continue it."""
    return load_settings().settings.scratch_folder() / "runs" / key
