"""A universal potential tuned for one candidate to an engine whose forces are dear."""

from ssefw.makers.tune.ladder import TuningDisorderedMaker, TuningLadderMaker
from ssefw.makers.tune.maker import FEWEST, TuneMaker

__all__ = ["FEWEST", "TuneMaker", "TuningDisorderedMaker", "TuningLadderMaker"]

# Stored jobs name this path.
TuneMaker.__module__ = TuningLadderMaker.__module__ = __name__
TuningDisorderedMaker.__module__ = __name__
