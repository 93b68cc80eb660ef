"""Results of stages by what they were computed from, so that nothing is computed twice.

Like trajectories they lie in the blob store, which every worker reaches: a campaign that overlaps
with another, one whose settings were changed, and one whose database failed at the wrong moment
find there what exists.
"""

import json
import logging
from typing import TypeVar

from ssefw.documents import Document
from ssefw.errors import StoreError
from ssefw.store.decoding import decoded_json
from ssefw.store.frames.blobs import BlobStore

__all__ = ["StageStore"]

logger = logging.getLogger(__name__)

D = TypeVar("D", bound=Document)


class StageStore:
    """Documents by a key that hashes the input and the settings of a stage."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def get(self, key: str, kind: type[D]) -> D | None:
        """Return the result of a key; None if there is none, or one that is damaged."""
        name = f"stages/{key}"
        stored = self._blobs.get_sound(name)
        if stored is None:
            return None
        try:
            found = decoded_json(stored)
        except (ValueError, TypeError) as error:
            # Of a store that had no checksums yet, or of a version with other fields.
            reason = " ".join(str(error).split())[:200]
            logger.warning("Blob %r cannot be read (%s) and is computed again.", name, reason)
            return None
        if not isinstance(found, kind):
            raise StoreError(f"The blob {name} is no {kind.__name__}; delete or restore it.")
        return found

    def put(self, key: str, result: Document) -> None:
        """Keep a result."""
        self._blobs.put(f"stages/{key}", json.dumps(result.as_dict()).encode())
