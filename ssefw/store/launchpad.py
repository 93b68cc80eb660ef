"""FireWorks' launch pad over a database that is open already."""

from typing import Any, Self

from fireworks import LaunchPad
from fireworks.fw_config import GRIDFS_FALLBACK_COLLECTION
from fireworks.utilities.fw_utilities import get_fw_logger
from gridfs import GridFS

from ssefw.store.server.patience import PatientDatabase

__all__ = ["OpenLaunchPad", "ServerLaunchPad"]


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
