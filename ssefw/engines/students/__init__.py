"""Students: fast potentials taught by a slower one, and the loop that teaches them."""

from ssefw.engines.students.engine import StudentEngine
from ssefw.engines.students.learning import Learned, LearnSettings, Round, learn
from ssefw.engines.students.lessons import read_frames, read_student, write_frames, write_student
from ssefw.engines.students.shelf import add_potential, find_potential, potential_files

__all__ = [
    "LearnSettings",
    "Learned",
    "Round",
    "StudentEngine",
    "add_potential",
    "find_potential",
    "learn",
    "potential_files",
    "read_frames",
    "read_student",
    "write_frames",
    "write_student",
]

# Stored records, and what is hashed of them, name this path.
StudentEngine.__module__ = __name__
