"""Representations of a pool, a descriptor of a simplification each, computed once and kept.

A row is computed for the content of a structure, so the same crystal in two pools is computed once.
What fails is a row with a reason and stops nothing. Rows lie in one SQLite file, which several
processes may fill.
"""

import json
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure

from ssefw.data.structures import content_id
from ssefw.errors import ConfigurationError, DataError
from ssefw.progress import counted
from ssefw.screening.features.descriptors import DESCRIPTORS, describe, descriptor
from ssefw.screening.features.simplify import SIMPLIFICATIONS, simplified
from ssefw.screening.parallel import delayed, run_tasks

__all__ = ["FeatureCache", "Features", "Representation", "all_representations", "represent"]

VERSION: Final = 2
"""Raised when a descriptor or a simplification changes, so that old rows are not read."""

BATCH: Final = 64


@dataclass(frozen=True, order=True)
class Representation:
    """A descriptor of a simplification, written ``soap-CAN`` or ``mxrd-A-40``."""

    descriptor: str
    simplification: str

    def __post_init__(self) -> None:
        descriptor(self.descriptor)
        if self.simplification not in SIMPLIFICATIONS:
            raise ConfigurationError(
                f"Unknown simplification {self.simplification!r}. Known: "
                f"{', '.join(SIMPLIFICATIONS)}."
            )

    def __str__(self) -> str:
        return f"{self.descriptor}-{self.simplification}"

    @classmethod
    def parse(cls, text: str) -> "Representation":
        """Read ``descriptor-simplification``."""
        name, _, simplification = text.partition("-")
        return cls(name, simplification)


@dataclass(frozen=True)
class Features:
    """A representation of some structures.

    Attributes
    ----------
    values
        Shape (n, d), float32; rows that failed are NaN.
    problems
        Row to the reason why it failed.
    names
        Names of the columns where they differ between pools, else empty.
    """

    values: npt.NDArray[np.float32]
    problems: Mapping[int, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which rows have numbers, shape (n,)."""
        return np.asarray(~np.isnan(self.values).any(axis=1))


@dataclass(frozen=True)
class Row:
    """What one structure gave: numbers, perhaps by name, or the reason why there are none."""

    values: npt.NDArray[np.float32] | None
    names: tuple[str, ...] = ()
    problem: str = ""


class FeatureCache:
    """Rows by content id in one SQLite file; None keeps nothing."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    def read(self, group: str, ids: Iterable[str]) -> dict[str, Row]:
        """Return the rows of a group that are there, by id.

        Raises
        ------
        DataError
            If the file is no cache.
        """
        if self.path is None or not self.path.exists():
            return {}
        wanted = set(ids)
        query = "SELECT id, numbers, names, problem FROM rows WHERE grp = ?"
        try:
            with closing(self._connect()) as base:
                return {
                    key: _row(numbers, names, problem)
                    for key, numbers, names, problem in base.execute(query, (group,))
                    if key in wanted
                }
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from error

    def write(self, group: str, rows: Mapping[str, Row]) -> None:
        """Keep rows of a group by id."""
        if self.path is None or not rows:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = [
            (
                group,
                key,
                None if row.values is None else row.values.tobytes(),
                json.dumps(row.names) if row.names else None,
                row.problem,
            )
            for key, row in rows.items()
        ]
        try:
            with closing(self._connect()) as base, base:
                base.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)", content)
        except sqlite3.DatabaseError as error:
            raise self._broken(error) from error

    def _connect(self) -> sqlite3.Connection:
        base = sqlite3.connect(str(self.path), timeout=60)
        base.execute(
            "CREATE TABLE IF NOT EXISTS rows (grp TEXT, id TEXT, numbers BLOB, names TEXT,"
            " problem TEXT, PRIMARY KEY (grp, id)) WITHOUT ROWID"
        )
        return base

    def _broken(self, error: Exception) -> DataError:
        return DataError(
            f"{self.path} is no cache of descriptors ({error}). Delete it or name another file."
        )


def all_representations(
    descriptors: Sequence[str] = tuple(DESCRIPTORS),
    simplifications: Sequence[str] = SIMPLIFICATIONS,
) -> list[Representation]:
    """Return every descriptor with every simplification; all of them are 180."""
    return [Representation(d, s) for d in descriptors for s in simplifications]


def represent(
    structures: Sequence[Structure],
    representations: Sequence[Representation],
    *,
    mobile: str = "Li",
    cache: FeatureCache | None = None,
    ids: Sequence[str] | None = None,
    workers: int = 1,
) -> dict[Representation, Features]:
    """Compute representations of structures; see `Features` for what fails.

    Parameters
    ----------
    ids
        Content ids of the structures, where they are known.
    workers
        Processes; the result does not depend on it.
    """
    cache = cache or FeatureCache()
    keys = list(ids) if ids is not None else [content_id(structure) for structure in structures]
    found = {r: cache.read(_group(r, mobile), keys) for r in representations}
    missing: dict[str, tuple[Structure, list[Representation]]] = {}
    for key, structure in zip(keys, structures, strict=True):
        wanted = [r for r in representations if key not in found[r]]
        if wanted:
            missing[key] = (structure, wanted)
    batches = list(_batches(missing))
    for start in counted(range(0, len(batches), 4 * workers), "computing descriptors"):
        part = batches[start : start + 4 * workers]
        done = run_tasks((delayed(_compute)(batch, mobile) for batch in part), workers=workers)
        fresh: dict[Representation, dict[str, Row]] = {}
        for rows in done:
            for key, representation, row in rows:
                fresh.setdefault(representation, {})[key] = row
        for representation, rows in fresh.items():
            cache.write(_group(representation, mobile), rows)
            found[representation].update(rows)
    return {r: _stack([found[r][key] for key in keys]) for r in representations}


def _group(representation: Representation, mobile: str) -> str:
    return f"{VERSION}:{mobile}:{representation}"


def _batches(
    missing: Mapping[str, tuple[Structure, list[Representation]]],
) -> Iterator[list[tuple[str, Structure, list[Representation]]]]:
    stream = iter((key, *rest) for key, rest in missing.items())
    while batch := list(islice(stream, BATCH)):
        yield batch


def _compute(
    batch: Sequence[tuple[str, Structure, list[Representation]]], mobile: str
) -> list[tuple[str, Representation, Row]]:
    result = []
    for key, structure, wanted in batch:
        names = tuple(dict.fromkeys(r.simplification for r in wanted))
        try:
            made = simplified(structure, names, mobile=mobile)
        except DataError as error:
            result += [(key, r, Row(None, problem=str(error))) for r in wanted]
            continue
        result += [(key, r, _describe(r, made[r.simplification])) for r in wanted]
    return result


def _describe(representation: Representation, structure: Structure) -> Row:
    is_whole = representation.simplification == "unperturbed"
    try:
        values = describe(representation.descriptor, structure, unperturbed=is_whole)
    except DataError as error:
        return Row(None, problem=str(error))
    if isinstance(values, dict):
        return Row(np.array(list(values.values()), dtype=np.float32), tuple(values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        numbers = np.asarray(values, dtype=np.float32)
    if not np.isfinite(numbers).all():
        return Row(None, problem="A number is too large for single precision.")
    return Row(numbers)


def _row(numbers: bytes | None, names: str | None, problem: str) -> Row:
    values = None if numbers is None else np.frombuffer(numbers, dtype=np.float32)
    return Row(values, tuple(json.loads(names)) if names else (), problem)


def _stack(rows: Sequence[Row]) -> Features:
    """Join rows to a matrix: numbers by name into their columns, short rows filled with zeros."""
    problems = {i: row.problem for i, row in enumerate(rows) if row.values is None}
    names = tuple(sorted({name for row in rows for name in row.names}))
    column = {name: i for i, name in enumerate(names)}
    width = len(names) or max((len(r.values) for r in rows if r.values is not None), default=1)
    values = np.zeros((len(rows), width), dtype=np.float32)
    for i, row in enumerate(rows):
        if row.values is None:
            values[i] = np.nan
        elif names:
            values[i, [column[name] for name in row.names]] = row.values
        else:
            values[i, : len(row.values)] = row.values
    return Features(values, problems, names)
