"""Lines of text for people: names in them are data, and no terminal obeys them."""

import re

import click

__all__ = ["number_of", "say"]

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All but the tabs and line ends that a text is laid out with."""


def say(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a text with its control characters written out.

    Parameters
    ----------
    err
        Whether it goes to stderr, as all does that is not the result.
    nl
        Whether the line ends here.
    """
    click.echo(_CONTROLS.sub(lambda found: ascii(found[0])[1:-1], str(text)), err=err, nl=nl)


def number_of(count: int, noun: str, many: str = "") -> str:
    """Return how many there are of something: 1 job, 2 jobs; `many` where it takes no s."""
    return f"{count} {noun}" if count == 1 else f"{count} {many or f'{noun}s'}"
