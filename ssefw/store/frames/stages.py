"""Results of stages by what they were computed from, so that nothing is computed twice.

Like trajectories they lie in the blob store, which every worker reaches: a campaign that overlaps
with another, one whose settings were changed, and one whose database failed at the wrong moment
find there what exists.
"""

import json
from typing import TypeVar

from monty.json import MontyDecoder

from ssefw.documents import Document
from ssefw.errors import StoreError
from ssefw.store.frames.blobs import BlobStore

__all__ = ["StageStore"]

D = TypeVar("D", bound=Document)


class StageStore:
    """Documents by a key that hashes the input and the settings of a stage."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def get(self, key: str, kind: type[D]) -> D | None:
        """Return the result of a key, or None if nothing was stored under it."""
        name = f"stages/{key}"
        if not self._blobs.exists(name):
            return None
        found = MontyDecoder().process_decoded(json.loads(self._blobs.get(name)))
        if not isinstance(found, kind):
            raise StoreError(f"The blob {name} is no {kind.__name__}; delete or restore it.")
        return found

    def put(self, key: str, result: Document) -> None:
        """Keep a result."""
        self._blobs.put(f"stages/{key}", json.dumps(result.as_dict()).encode())
