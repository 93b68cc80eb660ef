"""Where everything is kept: one address gives launch pad, job outputs, results and blobs."""

from ssefw.store.blobs import BlobStore
from ssefw.store.connect import Connection, connect
from ssefw.store.results import ResultStore

__all__ = ["BlobStore", "Connection", "ResultStore", "connect"]
