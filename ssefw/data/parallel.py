"""Items of a pool on several processes, in their order and without holding the pool."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from ssefw.processes import end_with_parent

__all__ = ["chunks", "mapping"]

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 100
"""Items that a process takes at a time: a fifth of a second of work."""


@contextmanager
def mapping(workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give a function that maps lists of items in order, on this process or on several.

    What it maps with is a function of a module: lists of items to lists of results, which travel
    between processes. A script that asks for several must not run again where it is imported.
    """
    if workers == 1:
        yield lambda function, chunks: (x for chunk in chunks for x in function(chunk))
        return
    # Fresh processes: a forked one could inherit a lock of a thread that does not exist in it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        yield lambda function, chunks: _in_order(pool, function, chunks, ahead=4 * workers)


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield items in lists as long as a process takes at a time."""
    stream = iter(items)
    while chunk := list(islice(stream, CHUNK)):
        yield chunk


def _in_order(
    pool: ProcessPoolExecutor,
    function: Callable[[Sequence[T]], list[R]],
    chunks: Iterable[Sequence[T]],
    *,
    ahead: int,
) -> Iterator[R]:
    """Yield results in order, with so many chunks under way: a pool is not read far ahead."""
    stream = iter(chunks)
    waiting = [pool.submit(function, chunk) for chunk in islice(stream, ahead)]
    while waiting:
        yield from waiting.pop(0).result()
        waiting += [pool.submit(function, chunk) for chunk in islice(stream, 1)]
