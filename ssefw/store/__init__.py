"""Where everything is kept: one address gives launch pad, job outputs, results and blobs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssefw.store.address import Address
    from ssefw.store.connection import Connection, connect
    from ssefw.store.frames.blobs import BlobStore, open_blobs
    from ssefw.store.results.result_store import ResultStore
    from ssefw.store.server.client import outages_reported
    from ssefw.store.upkeep.transfer import copy_store

__all__ = [
    "Address",
    "BlobStore",
    "Connection",
    "ResultStore",
    "connect",
    "copy_store",
    "open_blobs",
    "outages_reported",
]

_HOMES = {
    "Address": "address",
    "BlobStore": "frames.blobs",
    "Connection": "connection",
    "ResultStore": "results.result_store",
    "connect": "connection",
    "copy_store": "upkeep.transfer",
    "open_blobs": "frames.blobs",
    "outages_reported": "server.client",
}


def __getattr__(name: str) -> Any:
    # Who wants only blobs does not pay for FireWorks, jobflow and maggma (1.5 s).
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
