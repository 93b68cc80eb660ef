"""FireWorks' launch pad over a database that is open already.

It knows whose a launch is. A job whose worker counted as dead is given to another; when the first
one comes back all the same, it writes nothing any more. And a job that cannot be done now, through
no fault of its own, is taken back and not put down as failed.
"""

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from fireworks import FWAction, LaunchPad, Workflow
from fireworks.fw_config import GRIDFS_FALLBACK_COLLECTION
from fireworks.utilities.fw_utilities import get_fw_logger
from gridfs import GridFS
from pymongo.errors import BulkWriteError

from ssefw.errors import DiskFullError
from ssefw.store.server.patience import PatientDatabase

__all__ = ["Held", "OpenLaunchPad", "PutOff", "ServerLaunchPad"]

logger = logging.getLogger(__name__)

DUPLICATE = 11000
"""MongoDB's code of an error about a key that is there already."""
FULL = re.compile(r"No space left|Disk quota exceeded|database or disk is full")


@dataclass(frozen=True)
class Held:
    """The job that this process runs.

    Attributes
    ----------
    since
        When it began, by the monotonic clock of this process.
    """

    firework_id: int
    launch_id: int
    since: float


@dataclass(frozen=True)
class PutOff:
    """A job that was taken back since it could not be done now."""

    firework_id: int
    kind: str
    reason: str


class OpenLaunchPad(LaunchPad):  # type: ignore[misc]
    """FireWorks' LaunchPad with the indices that its questions want.

    LaunchPad's own constructor can do nothing but dial a server: it is left out.
    """

    def __init__(self, database: Any, *, host: str, strm_lvl: str = "ERROR") -> None:
        self.host, self.port, self.name = host, None, database.name
        self.username = self.password = self.authsource = None
        self.uri_mode = False
        self.mongoclient_kwargs: dict[str, Any] = {}
        self.logdir = None
        self.strm_lvl = strm_lvl
        self.m_logger = get_fw_logger("launchpad", l_dir=None, stream_level=strm_lvl)
        self.user_indices: list[str] = []
        self.wf_user_indices: list[str] = []
        self.connection = database.client
        self.db = database
        self.fireworks = database.fireworks
        self.launches = database.launches
        self.offline_runs = database.offline_runs
        self.fw_id_assigner = database.fw_id_assigner
        self.workflows = database.workflows
        self.gridfs_fallback: Any = None
        self.backup_launch_data: dict[int, Any] = {}
        self.backup_fw_data: dict[int, Any] = {}
        self.held: Held | None = None
        self.put_off: PutOff | None = None

    def checkout_fw(self, *args: Any, **options: Any) -> tuple[Any, Any]:
        """Take a job, and remember which this process holds."""
        self.put_off = None
        firework, launch_id = super().checkout_fw(*args, **options)
        if firework is not None and firework.state == "RUNNING":
            self.held = Held(firework.fw_id, launch_id, time.monotonic())
        return firework, launch_id

    def is_ours(self, launch_id: int) -> bool:
        """Whether a launch is still that of its job, which nobody has given to another worker."""
        wanted = {"fw_id": True, "released": True}
        launch = self.launches.find_one({"launch_id": launch_id}, wanted)
        if launch is None or launch.get("released"):
            return False
        job = {"fw_id": launch["fw_id"], "launches": launch_id}
        return self.fireworks.find_one(job, {"_id": True}) is not None

    def holds_its_job(self) -> bool:
        """Whether the job that this process runs is still its own."""
        return self.held is None or self.is_ours(self.held.launch_id)

    def complete_launch(
        self, launch_id: int, action: FWAction | None = None, state: str = "COMPLETED"
    ) -> Any:
        """Note how a launch ended; nothing if its job was given to another worker meanwhile."""
        if not self.is_ours(launch_id):
            logger.warning("launch %d was given to another worker: its end is not kept", launch_id)
            return {}
        put_off = _put_off(action) if state == "FIZZLED" and action is not None else None
        if put_off is None:
            if action is not None:
                self._hand_on_priority(launch_id, action)
            return super().complete_launch(launch_id, action, state)
        self._take_back(launch_id, *put_off)
        return {}

    def mark_fizzled(self, launch_id: int) -> None:
        """Note that a launch failed, whosever it is."""
        super().complete_launch(launch_id, state="FIZZLED")

    def restore_backup_data(self, launch_id: int, fw_id: int) -> None:
        """Restore what a launch began with, unless its job was given to another worker."""
        if self.is_ours(launch_id):
            super().restore_backup_data(launch_id, fw_id)

    @staticmethod
    def add_new(collection: Any, documents: Sequence[dict[str, Any]], *, key: str) -> int:
        """Insert, in their order, those documents whose key is not there, and return how many.

        Whoever inserts the same at the same time makes no difference: the collection has each
        value of the key once.
        """
        keys = [document[key] for document in documents]
        there = {item[key] for item in collection.find({key: {"$in": keys}}, {key: True})}
        rest, added = [document for document in documents if document[key] not in there], 0
        while rest:
            try:
                collection.insert_many(rest)
            except BulkWriteError as error:
                failed = error.details["writeErrors"][0]
                if failed.get("code") != DUPLICATE:
                    raise
                done = int(failed["index"])
                rest, added = rest[done + 1 :], added + done
            else:
                return added + len(rest)
        return added

    def _hand_on_priority(self, launch_id: int, action: FWAction) -> None:
        """Give jobs that a job of a campaign brings forth the priority that it has now.

        They come with the one it was submitted with, which somebody may have changed since, also
        while it ran.
        """
        brought = [*action.detours, *action.additions]
        if not brought:
            return
        wanted = {"spec._priority": True, "spec.campaign": True}
        spec = (self.fireworks.find_one({"launches": launch_id}, wanted) or {}).get("spec", {})
        if "campaign" not in spec or "_priority" not in spec:
            return
        for flow in brought:
            for firework in flow.fws if isinstance(flow, Workflow) else [flow]:
                firework.spec["_priority"] = spec["_priority"]

    def _take_back(self, launch_id: int, kind: str, reason: str) -> None:
        """Make the job of a launch ready again, as if it had not been launched."""
        firework_id = self.launches.find_one({"launch_id": launch_id}, {"fw_id": True})["fw_id"]
        self.rerun_fw(firework_id)
        job = {"fw_id": firework_id}
        self.fireworks.update_one(job, {"$pull": {"archived_launches": launch_id}})
        self.launches.delete_one({"launch_id": launch_id})
        self.put_off = PutOff(firework_id, kind, reason)

    def tuneup(self, bkground: bool = True) -> None:  # noqa: FBT001, FBT002 -- FireWorks' signature
        """Make the indices that FireWorks' questions use."""
        super().tuneup(bkground)
        # "The next to run" is the READY one of the highest priority, by age if so configured.
        self.fireworks.create_index([("state", 1), ("spec._priority", -1)])
        self.fireworks.create_index([("state", 1), ("spec._priority", -1), ("created_on", 1)])
        self.fireworks.create_index([("state", 1), ("spec._priority", -1), ("created_on", -1)])
        self.fireworks.create_index("archived_launches")  # deleting a workflow asks for these
        self.workflows.create_index("state")
        self.offline_runs.create_index("launch_id")


class ServerLaunchPad(OpenLaunchPad):
    """FireWorks' LaunchPad on a server, over the connection that everything else uses too."""

    def __init__(self, database: PatientDatabase, *, uri: str) -> None:
        super().__init__(database, host=uri)
        self.uri_mode = True
        if GRIDFS_FALLBACK_COLLECTION:
            self.gridfs_fallback = GridFS(database, GRIDFS_FALLBACK_COLLECTION)

    def tuneup(self, bkground: bool = True) -> None:  # noqa: FBT001, FBT002 -- FireWorks' signature
        """Make the indices that FireWorks' questions use, and that of locked workflows."""
        super().tuneup(bkground)
        self.workflows.create_index("locked", sparse=True)

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Self:
        """Refuse: a worker opens the store of its settings."""
        raise NotImplementedError(f"connect to {d['name']!r} with ssefw.store.connect")


def _put_off(action: FWAction) -> tuple[str, str] | None:
    """Return kind and reason where a job ended with what is no fault of its own."""
    exception = (action.stored_data or {}).get("_exception") or {}
    details = exception.get("_details")
    if isinstance(details, dict) and "not_now" in details:
        return str(details["not_now"]), str(details["message"])
    lines = str(exception.get("_stacktrace") or "").strip().splitlines()
    if lines and FULL.search(lines[-1]):
        return DiskFullError.__name__, lines[-1].strip()
    return None
