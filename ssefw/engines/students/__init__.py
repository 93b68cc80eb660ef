"""Students: fast potentials taught by a slower one, and the loop that teaches them."""

from ssefw.engines.students.learning import Learned, LearnSettings, Round, learn
from ssefw.engines.students.lessons import read_frames, read_student, write_frames, write_student

__all__ = [
    "LearnSettings",
    "Learned",
    "Round",
    "learn",
    "read_frames",
    "read_student",
    "write_frames",
    "write_student",
]
