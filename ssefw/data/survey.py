"""What of a pool is there twice and what cannot be read, on all cores, without holding the pool.

`read_pool` returns structures; this only looks. Entries are read in the order of the pool, by
processes that return what the comparison needs: a crystal as arrays, which waits in a temporary
file. Crystals of different formulas are never the same, so that formulas are compared
independently, and only crystals that share theirs are read back.
"""

import pickle
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition, Lattice, Structure

from ssefw.data.parallel import chunks, mapping
from ssefw.data.pools import Reject, entries_in, first_name, pool_entries, try_entry
from ssefw.data.structures import site_kinds
from ssefw.data.twins import Crystals
from ssefw.documents import Candidate
from ssefw.errors import DataError
from ssefw.progress import counted

__all__ = ["Survey", "survey_pool"]

WORTH_PROCESSES = 1000
"""Entries from which further processes are started, each of which takes two seconds to begin."""


@dataclass
class Survey:
    """What was found.

    Attributes
    ----------
    n_candidates
        Crystals that differ.
    merged
        Source of each duplicate, and the source of the crystal it is, in the order of the pool.
    disordered
        Candidates whose sites are shared or partly occupied; only of these the structure is kept.
    """

    n_candidates: int = 0
    rejects: list[Reject] = field(default_factory=list)
    merged: list[tuple[str, str]] = field(default_factory=list)
    disordered: list[Candidate] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Packed:
    """A crystal as arrays: sites hold a kind, and kinds hold elements."""

    matrix: npt.NDArray[np.float64]
    frac_coords: npt.NDArray[np.float64]
    kinds: tuple[dict[str, float], ...]
    numbers: npt.NDArray[np.int16]

    @classmethod
    def of(cls, structure: Structure) -> "_Packed":
        kinds, numbers = site_kinds(structure)
        matrix, coords = structure.lattice.matrix, structure.frac_coords
        return cls(matrix, coords, tuple(kinds), np.array(numbers, dtype=np.int16))

    def structure(self) -> Structure:
        kinds = [Composition(kind) for kind in self.kinds]
        return Structure(Lattice(self.matrix), [kinds[n] for n in self.numbers], self.frac_coords)


@dataclass(frozen=True, slots=True)
class _Seen:
    """An entry that could be read; its crystal is a `_Packed` as bytes, for the shelf."""

    place: str
    source: str
    id: str
    formula: str
    crystal: bytes
    candidate: Candidate | None


@dataclass(frozen=True, slots=True)
class _Group:
    """Crystals of one formula, by id."""

    formula: str
    crystals: list[tuple[str, bytes]]


class _Shelf:
    """A temporary file of crystals."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._end = 0

    def put(self, crystal: bytes) -> tuple[int, int]:
        """Return where the crystal lies: beginning and length."""
        place = self._end, len(crystal)
        self._file.write(crystal)
        self._end += len(crystal)
        return place

    def get(self, start: int, length: int) -> bytes:
        self._file.seek(start)
        return self._file.read(length)


def survey_pool(path: Path, *, workers: int = 1, strict: bool = False) -> Survey:
    """Return what `read_pool` would keep, merge and reject of a pool.

    Parameters
    ----------
    workers
        Processes; small pools take one. The result does not depend on it.
    strict
        Stop at the first entry that cannot be read.

    Raises
    ------
    DataError
        As `read_pool`.
    """
    survey, number = Survey(), entries_in(path)
    is_small = number is not None and number < WORTH_PROCESSES
    named: set[str] = set()
    kept: dict[str, str] = {}
    disordered: dict[str, Candidate] = {}
    by_formula: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    same: dict[str, str] = {}
    with mapping(1 if is_small else workers) as mapped, tempfile.TemporaryFile() as file:
        shelf = _Shelf(file)
        found = mapped(_seen, chunks(pool_entries(path)))
        for entry in counted(found, "reading structures", total=lambda: number):
            if isinstance(entry, Reject):
                if strict:
                    raise DataError(entry.reason)
                survey.rejects.append(entry)
                continue
            source = first_name(entry.source, entry.place, named)
            if entry.id in kept:
                survey.merged.append((source, kept[entry.id]))
                continue
            kept[entry.id] = source
            by_formula[entry.formula].append((entry.id, *shelf.put(entry.crystal)))
            if entry.candidate:
                disordered[entry.id] = entry.candidate
        shared = {f: places for f, places in by_formula.items() if len(places) > 1}
        by_formula.clear()
        groups = (
            _Group(formula, [(id_, shelf.get(*place)) for id_, *place in places])
            for formula, places in shared.items()
        )
        compared = counted(mapped(_twins, chunks(groups)), "comparing structures",
                           total=lambda: len(shared))  # fmt: skip
        for pairs in compared:
            same |= pairs
    if not kept:
        why = f": {survey.rejects[0].reason}" if survey.rejects else ""
        raise DataError(f"The pool {path} holds no readable structure{why}")
    survey.merged += [(source, kept[same[id_]]) for id_, source in kept.items() if id_ in same]
    survey.disordered = [c for id_, c in disordered.items() if id_ not in same]
    survey.n_candidates = len(kept) - len(same)
    return survey


def _seen(entries: Sequence[tuple[str, Any]]) -> list[_Seen | Reject]:
    """Return what is to be known of entries of a pool."""
    found: list[_Seen | Reject] = []
    for source, one in map(try_entry, entries):
        if isinstance(one, Reject):
            found.append(one)
            continue
        own = None if one.structure.is_ordered else one
        crystal = pickle.dumps(_Packed.of(one.structure), pickle.HIGHEST_PROTOCOL)
        found.append(_Seen(source, one.source, one.id, one.formula, crystal, own))
    return found


def _twins(groups: Sequence[_Group]) -> list[dict[str, str]]:
    """Return for each group the ids that are twins, and of which id."""
    found = []
    for group in groups:
        crystals, twins = Crystals(), {}
        for id_, crystal in group.crystals:
            packed: _Packed = pickle.loads(crystal)
            other = crystals.twin_or_add(id_, group.formula, packed.structure())
            if other is not None:
                twins[id_] = other
        found.append(twins)
    return found
