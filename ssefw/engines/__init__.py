"""How a calculation runs in a given directory, one module for each code."""

from ssefw.engines.base import Engine, MDSettings, NebSettings, settings_hash
from ssefw.engines.folder_lock import noted_folder, noting_folder
from ssefw.engines.run_directory import RunDirectory, read_progress

__all__ = [
    "Engine",
    "MDSettings",
    "NebSettings",
    "RunDirectory",
    "noted_folder",
    "noting_folder",
    "read_progress",
    "settings_hash",
]
