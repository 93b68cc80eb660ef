"""The part of the build that pyproject.toml cannot say: folders beside the package go into it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("workflows", "launchers")
"""Folders of the repository that an installed ssefw finds below its own, see ssefw/shipped.py."""


class BuildWithShippedFolders(build_py):
    """Copy the folders into the wheel; an editable installation finds them where they are."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if not self.editable_mode:
            for name in SHIPPED:
                target = Path(self.build_lib) / "ssefw" / name
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(name, target)


setup(cmdclass={"build_py": BuildWithShippedFolders})
