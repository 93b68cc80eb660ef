"""Which files of slow tests come first: another one with each commit.

Continuous integration has minutes for slow tests, not hours. In a fixed order the last files would
never run there; here each commit deals the files out anew, and the same commit always in one way.
"""

import subprocess
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

__all__ = ["commit_of", "in_turn"]


def commit_of(folder: Path) -> str:
    """Return the commit that is checked out in a folder; nothing where git does not know one."""
    try:
        asked = subprocess.run(
            ["git", "-C", folder, "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10.0,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def in_turn(names: Iterable[str], commit: str) -> list[str]:
    """Return names in an order that a commit decides; by the alphabet without one."""
    known = sorted(set(names))
    if not commit:
        return known
    return sorted(known, key=lambda name: sha256(f"{commit} {name}".encode()).digest())
