"""Where everything is kept: one address gives launch pad, job outputs, results and blobs."""

from typing import TYPE_CHECKING

from ssefw.lazy import on_demand

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

# Who wants only blobs does not pay for FireWorks, jobflow and maggma (1.5 s).
__getattr__ = on_demand(
    __name__,
    {
        "Address": "address",
        "BlobStore": "frames.blobs",
        "Connection": "connection",
        "ResultStore": "results.result_store",
        "connect": "connection",
        "copy_store": "upkeep.transfer",
        "open_blobs": "frames.blobs",
        "outages_reported": "server.client",
    },
)
