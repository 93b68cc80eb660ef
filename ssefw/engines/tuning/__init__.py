"""Fine-tuning: a universal potential brought to the level of theory of labelled frames."""

from ssefw.engines.tuning.active import ActiveSettings
from ssefw.engines.tuning.engine import TunedEngine
from ssefw.engines.tuning.judgement import judge_tuned, moved_by_tuned, tuned_to_frames
from ssefw.engines.tuning.settings import TuneSettings
from ssefw.engines.tuning.training import Tuned, tune

__all__ = [
    "ActiveSettings",
    "TuneSettings",
    "Tuned",
    "TunedEngine",
    "judge_tuned",
    "moved_by_tuned",
    "tune",
    "tuned_to_frames",
]

# Stored records, and what is hashed of them, name this path.
ActiveSettings.__module__ = TuneSettings.__module__ = TunedEngine.__module__ = __name__
