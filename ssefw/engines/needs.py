"""What a calculation needs of the machine that runs it, looked for before anything is submitted."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import Any

from pymatgen.core import Lattice, Structure

from ssefw.errors import ConfigurationError, EngineError

__all__ = ["cell_with", "complaint_of", "missing_program", "words_of"]

LAUNCHERS = ("aprun", "ibrun", "jsrun", "mpiexec", "mpirun", "orterun", "prun", "srun")
"""Programs that start another on several ranks; what a container or a script starts is its own."""
SPACING = 4.0
"""Angstrom between the atoms of a cell that is for looking up files of elements only."""


def missing_program(command: str, *, setting: str, code: str) -> Iterator[str]:
    """Yield what is wrong with the command that runs a program: it is not there, or its launcher.

    Parameters
    ----------
    setting
        Name of the setting that holds the command.
    code
        The program as people call it.
    """
    words = words_of(command)
    wanted = words[:1]
    if words and PurePath(words[0]).name in LAUNCHERS:
        wanted.append(words[-1])
    absent = [word for word in wanted if shutil.which(word) is None]
    if absent or not words:
        yield (
            f"Cannot find the program {absent[0] if absent else command!r} of the command "
            f"{command!r}. Load the module of {code} or set SSEFW_{setting.upper()} to the command "
            f"that runs it."
        )


def words_of(command: str) -> list[str]:
    """Return the words of a command as a shell reads it; none where a quote is not closed."""
    try:
        return shlex.split(os.path.expandvars(command))
    except ValueError:
        return []


def complaint_of(look: Callable[[], Any]) -> Iterator[str]:
    """Yield what something says that refuses to go on."""
    try:
        look()
    except (ConfigurationError, EngineError) as error:
        yield str(error)


def cell_with(elements: Iterable[str]) -> Structure:
    """Return a cell with an atom of each element, to find out which files they need."""
    symbols = sorted(set(elements))
    lattice = Lattice.orthorhombic(SPACING * len(symbols), SPACING, SPACING)
    places = [[k / len(symbols), 0.0, 0.0] for k in range(len(symbols))]
    return Structure(lattice, symbols, places)
