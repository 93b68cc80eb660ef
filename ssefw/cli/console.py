"""How tables and messages look."""

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from ssefw.documents import Estimate

__all__ = ["console", "errors", "show_estimate"]

PLAIN_WIDTH = 160


def console() -> Console:
    """Return the console of stdout; a file or pipe gets wide, plain lines."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=PLAIN_WIDTH)


def errors() -> Console:
    """Return the console of stderr, where everything goes that is not a result."""
    return Console(stderr=True)


def show_estimate(estimate: "Estimate | None", *, digits: int = 2) -> str:
    """Return a value with its interval, a bound, or a dash."""
    if estimate is None or estimate.kind == "undetermined":
        return "–"
    if estimate.kind == "upper_bound":
        return f"< {estimate.upper:.{digits}g}"
    if estimate.kind == "lower_bound":
        return f"> {estimate.lower:.{digits}g}"
    return (
        f"{estimate.value:.{digits}g}  [{estimate.lower:.{digits}g}, {estimate.upper:.{digits}g}]"
    )
