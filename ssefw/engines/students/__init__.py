"""Students: fast potentials taught by a slower one, and the loop that teaches them."""

from ssefw.engines.students.acceptance import (
    Check,
    compare_runs,
    is_accepted,
    long_run,
    quiet_run,
)
from ssefw.engines.students.card import make_card, read_card, write_card
from ssefw.engines.students.engine import FARTHEST, StudentEngine
from ssefw.engines.students.learning import Learned, LearnSettings, Round, learn
from ssefw.engines.students.lessons import read_frames, read_student, write_frames, write_student
from ssefw.engines.students.shelf import add_potential, find_potential, potential_files

__all__ = [
    "FARTHEST",
    "Check",
    "LearnSettings",
    "Learned",
    "Round",
    "StudentEngine",
    "add_potential",
    "compare_runs",
    "find_potential",
    "is_accepted",
    "learn",
    "long_run",
    "make_card",
    "potential_files",
    "quiet_run",
    "read_card",
    "read_frames",
    "read_student",
    "write_card",
    "write_frames",
    "write_student",
]

# Stored records, and what is hashed of them, name this path.
StudentEngine.__module__ = __name__
