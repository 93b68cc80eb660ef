"""A universal potential tuned for one candidate to an engine whose forces are dear."""

from ssefw.makers.tune.ladder import TuningLadderMaker
from ssefw.makers.tune.maker import FEWEST, TuneMaker

__all__ = ["FEWEST", "TuneMaker", "TuningLadderMaker"]

# Stored jobs name this path.
TuneMaker.__module__ = TuningLadderMaker.__module__ = __name__
