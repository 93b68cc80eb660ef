"""How far a long loop is, told to whoever listens.

A loop that may take long goes over ``counted(items, "reading structures")``. It knows nothing of
screens, and what calls it passes nothing through: a command listens, a script does not, and then
counting costs nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

__all__ = ["Listener", "counted", "listening"]

T = TypeVar("T")


class Listener(Protocol):
    """Who is told how far a loop is."""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Take note that so many of `total` (None where nobody knows) are done."""


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have loops within the block tell a listener how far they are."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def counted(
    items: Iterable[T], what: str, *, total: Callable[[], int | None] | None = None
) -> Iterator[T]:
    """Yield items, and tell who listens how many are done.

    Parameters
    ----------
    what
        What is done with them, for people.
    total
        Asked how many there are, where `items` do not know it; only if somebody listens.
    """
    listener = _listener.get()
    if listener is None:
        yield from items
        return
    number = len(items) if isinstance(items, Sized) else total() if total else None
    listener(what, 0, number)
    for done, item in enumerate(items, start=1):
        yield item
        listener(what, done, number)
