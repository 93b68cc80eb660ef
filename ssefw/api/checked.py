"""Arguments that are checked before hours of work and not after."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from pymatgen.core import Structure

from ssefw.data import read_pool
from ssefw.errors import DataError
from ssefw.mistakes import check_settings

__all__ = ["checked", "crystal_of"]

P = ParamSpec("P")
T = TypeVar("T")


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Have a function refuse keywords whose values are not of the types it is annotated with.

    With an error of ssefw that says what they must be, as options of a command are.
    """
    signature = inspect.signature(function)
    by_place = {p.name for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY}

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        given = {name: value for name, value in kwargs.items() if name not in by_place}
        fixed = check_settings(function, given, of=f"ssefw.{function.__name__}")
        kwargs.update(fixed)
        return function(*args, **kwargs)

    return call


def crystal_of(structure: object) -> Structure:
    """Return a crystal that is given as such, or as a file.

    Raises
    ------
    DataError
        If it is neither, or the file holds no crystal.
    """
    if isinstance(structure, Structure):
        return structure
    if isinstance(structure, str | Path):
        return read_pool(Path(structure), strict=True).candidates[0].structure
    kind = type(structure).__name__
    raise DataError(f"A crystal is a pymatgen Structure or a file with one, not a {kind}.")
