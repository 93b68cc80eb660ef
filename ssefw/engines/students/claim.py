"""A folder in which something is computed step by step belongs to what is computed there."""

from pathlib import Path

from ssefw.engines.run_directory import write_atomically
from ssefw.errors import DataError

__all__ = ["claim"]


def claim(folder: Path, key: str) -> None:
    """Make a folder that of a content key, if it is of no other.

    Raises
    ------
    DataError
        If frames of another key are learned there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / "frames.key"
    if marker.exists() and marker.read_text() != key:
        raise DataError(f"{folder} holds other frames or settings. Name another folder.")
    write_atomically(marker, key.encode())
