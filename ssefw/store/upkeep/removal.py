"""Taking a campaign out of a store, at once or, where that is not possible, to its end."""

from typing import Any

from ssefw.errors import StoreError
from ssefw.store.connection import Connection
from ssefw.store.upkeep.part import CampaignPart

__all__ = ["INTENTIONS", "delete_campaign", "finish_deletions"]

INTENTIONS = "deletions"
"""What is being deleted: whoever deletes or repairs next ends what a killed process began."""


def delete_campaign(connection: Connection, part: CampaignPart) -> None:
    """Delete the records and blobs of a campaign, but the blobs that others share.

    Raises
    ------
    StoreError
        If a job of it runs.
    """
    running = connection.database.fireworks.count_documents(
        {**part.filters["fireworks"], "state": {"$in": ["RUNNING", "RESERVED"]}}
    )
    if running:
        raise StoreError(
            f"{running} jobs of {part.campaign} run: `ssefw cancel {part.campaign}` first, and "
            "wait until they have stopped."
        )
    store: Any = connection.job_store
    own = [key for key in part.blobs if key not in part.shared]
    intentions = connection.database[INTENTIONS]
    with connection.whole():
        intentions.replace_one(
            {"_id": part.campaign}, {"_id": part.campaign, "blobs": own}, upsert=True
        )
        # Workers look at the jobs: these go first, where not all goes at once.
        for name in reversed(list(part.filters)):
            connection.database[name].delete_many(part.filters[name])
        store.additional_stores["data"].remove_docs({"job_uuid": {"$in": list(part.uuids)}})
    finish_deletions(connection)


def finish_deletions(connection: Connection) -> int:
    """Delete the blobs of campaigns that are deleted; return of how many campaigns."""
    intentions = connection.database[INTENTIONS]
    found = list(intentions.find())
    for intention in found:
        for key in intention["blobs"]:
            connection.blobs.delete(key)
        intentions.delete_one({"_id": intention["_id"]})
    return len(found)
