"""Example campaigns and files for clusters that come with ssefw, wherever it is installed."""

from pathlib import Path
from typing import Literal

from ssefw.errors import ConfigurationError

__all__ = ["shipped_folder"]


def shipped_folder(name: Literal["workflows", "launchers"]) -> Path:
    """Return a folder that a wheel carries inside the package and a repository beside it.

    Raises
    ------
    ConfigurationError
        If the folder did not come with this installation.
    """
    package = Path(__file__).parent
    for folder in (package / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise ConfigurationError(
        f"The folder {name!r} did not come with this ssefw in {package}: install it again with pip."
    )
