"""Students: fast potentials taught by a slower one, and the loop that teaches them."""

from ssefw.engines.students.acceptance import compare_runs, long_run, moved_by, quiet_run
from ssefw.engines.students.card import read_card, write_card
from ssefw.engines.students.engine import StudentEngine
from ssefw.engines.students.excursions import FARTHEST
from ssefw.engines.students.frame_files import labelled_files, read_together
from ssefw.engines.students.judgement import STABLE, described, judge, teach, teach_frames
from ssefw.engines.students.learning import learn
from ssefw.engines.students.lesson_records import LearnedStudent, LearnSettings, Round
from ssefw.engines.students.lessons import (
    frames_bytes,
    read_frames,
    read_student,
    read_weights,
    write_frames,
    write_student,
    write_weights,
)
from ssefw.engines.students.shelf import (
    add_potential,
    find_potential,
    potential_files,
    take_in,
    weights_key,
)

__all__ = [
    "FARTHEST",
    "STABLE",
    "LearnSettings",
    "LearnedStudent",
    "Round",
    "StudentEngine",
    "add_potential",
    "compare_runs",
    "described",
    "find_potential",
    "frames_bytes",
    "judge",
    "labelled_files",
    "learn",
    "long_run",
    "moved_by",
    "potential_files",
    "quiet_run",
    "read_card",
    "read_frames",
    "read_student",
    "read_together",
    "read_weights",
    "take_in",
    "teach",
    "teach_frames",
    "weights_key",
    "write_card",
    "write_frames",
    "write_student",
    "write_weights",
]

# Stored records, and what is hashed of them, name this path.
LearnSettings.__module__ = StudentEngine.__module__ = __name__
