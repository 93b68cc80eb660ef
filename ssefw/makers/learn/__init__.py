"""Potentials that are taught for a candidate before its dynamics, and the labels they learn."""

from ssefw.makers.learn.labels import LabelMaker, labels_of
from ssefw.makers.learn.lessons import climbing_with, keep_potential, lesson_first
from ssefw.makers.learn.students import (
    LearningDisorderedMaker,
    LearningLadderMaker,
    LearnMaker,
)

__all__ = [
    "LabelMaker",
    "LearnMaker",
    "LearningDisorderedMaker",
    "LearningLadderMaker",
    "climbing_with",
    "keep_potential",
    "labels_of",
    "lesson_first",
]

# Stored jobs name this path.
LearnMaker.__module__ = LearningLadderMaker.__module__ = __name__
LearningDisorderedMaker.__module__ = LabelMaker.__module__ = __name__
