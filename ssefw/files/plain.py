"""Values as JSON has them, and text without what a terminal or a database would take amiss."""

import json
import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from ssefw.errors import DataError, SsefwError

__all__ = ["check_plain", "listed", "printable", "read_json"]

DEEPEST = 64
"""Lists within lists; a structure has six levels, and Python's own limit is near a thousand."""

# The controls but tab and line ends, those of Latin-1, and halves of pairs that are no characters.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """Return a text with its control characters written out, so that no terminal obeys them."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def listed(names: Iterable[object]) -> str:
    """Return names as a message can show them: a dozen, each shortened, fit for a terminal."""
    shown = [printable(str(name))[:40] for name in islice(names, 13)]
    return ", ".join([*shown[:12], *(["..."] if len(shown) > 12 else [])]) or "nothing"


def read_json(text: str | bytes, *, error: type[SsefwError] = DataError) -> Any:
    """Return what a JSON text holds.

    Raises
    ------
    SsefwError
        Of the kind `error`: no JSON, nested too deeply or with a number of thousands of digits.
        The message begins with a small letter, to be put behind the name of the file.
    """
    try:
        return json.loads(text)
    except RecursionError as problem:
        raise error("not read: its lists are nested too deeply") from problem
    except ValueError as problem:
        raise error(f"not JSON ({_one_line(problem)})") from problem


def check_plain(
    value: Any,
    *,
    error: type[SsefwError] = DataError,
    also: Callable[[dict[Any, Any]], object] = len,
) -> None:
    """Refuse what no JSON document can hold, or no database.

    Parameters
    ----------
    also
        Called with every mapping, to refuse what it may not hold beside that; by default it says
        nothing.

    Raises
    ------
    SsefwError
        Of the kind `error`: a value that is neither number, text, list nor mapping, one nested too
        deeply, an integer of more than 64 bits, a control character. The message begins with a
        small letter, to be put behind a name.
    """
    level, depth = [value], 0
    while level:  # all values of one depth at a time: a pool has hundreds of millions
        if depth > DEEPEST:
            raise error(f"lists are nested more than {DEEPEST} deep")
        deeper: list[Any] = []
        for item in level:
            if type(item) is float or (type(item) is str and item.isprintable()):
                continue
            if isinstance(item, dict):
                deeper.extend(item.values())
                also(item)
                if strange := [key for key in item if not isinstance(key, str)]:
                    raise error(f"the key {strange[0]!r} is {type(strange[0]).__name__}, not text")
                if not "".join(item).isprintable() and (problem := _first_problem(item)):
                    raise error(problem)
            elif isinstance(item, list | tuple):
                deeper.extend(item)
            elif problem := _problem(item):
                raise error(problem)
        level, depth = deeper, depth + 1


def _first_problem(items: Iterable[Any]) -> str:
    return next(filter(None, map(_problem, items)), "")


def _problem(item: Any) -> str:
    """Return why a single value is none that a document can hold."""
    if isinstance(item, str):
        found = _CONTROLS.search(item)
        return f"a text holds the control character {found[0]!a}" if found else ""
    if isinstance(item, int):
        bits = item.bit_length()
        return f"an integer has {bits} bits, more than 63" if bits > 63 else ""
    if isinstance(item, float) or item is None:
        return ""
    return f"a value is of the kind {type(item).__name__}; give numbers, text, lists or mappings"


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:160]
