"""Barriers of many structures on all cores, in the order in which they are ready."""

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pymatgen.core import Structure

from ssefw.bvse.barrier import site_energy_barrier
from ssefw.documents import Barrier
from ssefw.errors import SsefwError
from ssefw.processes import end_with_parent

__all__ = ["BatchItem", "barriers_of_many"]


@dataclass(frozen=True)
class BatchItem:
    """What became of one structure: a barrier, or the reason why there is none."""

    name: str
    formula: str
    barrier: Barrier | None
    reason: str = ""


def barriers_of_many(
    structures: Iterable[tuple[str, Structure]], *, workers: int, **settings: Any
) -> Iterator[BatchItem]:
    """Yield the barrier of each named structure, or why it has none, as they are ready.

    Parameters
    ----------
    structures
        Names and structures; read as workers become free.
    workers
        Processes. With one, everything runs in this process.
    **settings
        For `site_energy_barrier`.
    """
    if workers == 1:
        for name, structure in structures:
            yield _one(name, structure, settings)
        return
    queue = iter(structures)
    # Fresh processes: a forked one could inherit a lock of a thread that does not exist in it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        pending: set[Future[BatchItem]] = set()
        while True:
            for name, structure in islice(queue, 4 * workers - len(pending)):
                pending.add(pool.submit(_one, name, structure, settings))
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def _one(name: str, structure: Structure, settings: dict[str, Any]) -> BatchItem:
    formula = structure.composition.reduced_formula
    try:
        barrier = site_energy_barrier(structure, **settings)
    except SsefwError as error:
        return BatchItem(name, formula, None, str(error))
    return BatchItem(name, formula, barrier)
