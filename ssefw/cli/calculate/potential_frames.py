"""Frames of AIMD runs that are named on the command line, and what is said of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssefw.cli.say import say

if TYPE_CHECKING:
    from ssefw.engines.students.frame_files import LabelledRun

__all__ = ["gathered"]


def gathered(places: Sequence[Path]) -> "list[LabelledRun]":
    """Return the runs of files and folders, which are of one level of theory, and tell of them.

    Raises
    ------
    DataError
        If they are not, or there is nothing to learn.
    """
    from ssefw.engines.students import labelled_files, read_together
    from ssefw.engines.students.frame_files import coarse_sampling

    files = {path.resolve(): path for place in places for path in labelled_files(place)}
    runs = read_together(list(files.values()))
    for run in runs:
        for line in run.refused:
            say(f"left out: {line}", err=True)
        say(f"{run.path}: {len(run.frames)} frames, {run.theory.name}", err=True)
    for warning in dict.fromkeys(map(coarse_sampling, runs)):
        if warning:
            say(f"Warning: {warning}", err=True)
    return runs
