"""Many independent fits or descriptors, side by side in processes."""

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from ssefw.processes import end_with_parent
from ssefw.progress import counted

__all__ = ["Task", "delayed", "run_tasks"]

Task = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""A call that is to be made: a function and its arguments."""


def delayed(function: Callable[..., Any]) -> Callable[..., Task]:
    """Return a function that notes its arguments as a task for `run_tasks`."""
    return lambda *args, **kwargs: (function, args, kwargs)


def run_tasks(tasks: Iterable[Task], *, workers: int, total: int | None = None) -> Iterator[Any]:
    """Yield what tasks return, in their order, each as soon as it and those before it are ready.

    Parameters
    ----------
    tasks
        Calls noted with `delayed`.
    workers
        Processes; with one, the tasks run in this process. They end when this process does,
        however it ends.
    total
        How many tasks there are, where they are made one by one.
    """
    # More than a second to import, and who only checks the settings of a system runs nothing.
    from sklearn.utils import parallel  # noqa: PLC0415

    options = {"initializer": end_with_parent} if workers != 1 else {}
    calls = (parallel.delayed(function)(*args, **kwargs) for function, args, kwargs in tasks)
    done = parallel.Parallel(n_jobs=workers, return_as="generator", **options)(calls)
    number = len(tasks) if isinstance(tasks, Sized) else total
    # Parts of a longer loop, which counts itself, come as a generator.
    yield from done if number is None else counted(done, "fitting", total=lambda: number)
