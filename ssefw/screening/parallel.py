"""Many independent fits or descriptors, side by side in processes."""

from collections.abc import Iterable, Iterator
from typing import Any

from sklearn.utils.parallel import Parallel

from ssefw.processes import end_with_parent

__all__ = ["run_tasks"]


def run_tasks(tasks: Iterable[Any], *, workers: int) -> Iterator[Any]:
    """Yield what tasks return, in their order, each as soon as it and those before it are ready.

    Parameters
    ----------
    tasks
        Calls made with ``sklearn.utils.parallel.delayed``.
    workers
        Processes; with one, the tasks run in this process. They end when this process does,
        however it ends.
    """
    options = {"initializer": end_with_parent} if workers != 1 else {}
    yield from Parallel(n_jobs=workers, return_as="generator", **options)(tasks)
