"""How a calculation runs in a given directory, one module for each code."""

from ssefw.engines.base import Engine, MDSettings, NebSettings, settings_hash
from ssefw.engines.run_directory import RunDirectory, read_progress

__all__ = ["Engine", "MDSettings", "NebSettings", "RunDirectory", "read_progress", "settings_hash"]
