"""Results of any kind as rows of plain values, as lines of JSON, CSV and parquet."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, TextIO

from ssefw.documents import (
    Barrier,
    Diffusivity,
    Document,
    Estimate,
    FoundConductivity,
    Label,
    Outcome,
    PlannedCandidate,
    RankedCandidate,
    Trajectory,
)
from ssefw.errors import DataError, MissingDependencyError
from ssefw.files.tables import TableWriter
from ssefw.report.rows import CSV_COLUMNS, flat
from ssefw.report.whose import NOBODY, WHOSE, Whose

__all__ = ["ColumnType", "columns", "row", "write_csv", "write_json_lines", "write_parquet"]

ROWS_AT_A_TIME = 1000

ColumnType = Literal["text", "count", "number"]


@dataclass(frozen=True)
class Column:
    """A column of a table: its name with the unit, where its value is found, and of which type."""

    name: str
    value: Callable[[Any], Any]
    type: ColumnType


def _text(name: str, path: str = "") -> Column:
    return Column(name, attrgetter(path or name), "text")


def _count(name: str, path: str = "") -> Column:
    return Column(name, attrgetter(path or name), "count")


def _number(name: str, path: str = "") -> Column:
    return Column(name, attrgetter(path or name), "number")


def _estimate(name: str, unit: str, path: str) -> tuple[Column, ...]:
    """Return the columns of an estimate, which may be absent: its kind, value and bounds."""
    absent = Estimate.undetermined("absent", unit="")

    def bound(which: str) -> Callable[[Any], Any]:
        return lambda item: getattr(attrgetter(path)(item) or absent, which)

    def kind(item: Any) -> str | None:
        estimate: Estimate | None = attrgetter(path)(item)
        return estimate.kind if estimate else None

    return (
        Column(f"{name}_kind", kind, "text"),
        Column(f"{name}_{unit}", bound("value"), "number"),
        Column(f"{name}_lower_{unit}", bound("lower"), "number"),
        Column(f"{name}_upper_{unit}", bound("upper"), "number"),
    )


_CANDIDATE = (_text("candidate_id"), _text("formula"))

_TABLES: dict[type[Document], tuple[Column, ...]] = {
    Trajectory: (
        _text("key"),
        _text("formula", "structure.composition.reduced_formula"),
        _number("temperature_k", "temperature"),
        _count("steps", "n_steps"),
        _count("target_steps"),
        Column("duration_ps", lambda item: item.n_steps * item.timestep / 1000.0, "number"),
        _count("frames", "n_frames"),
        Column("atoms", lambda item: len(item.structure), "count"),
        Column("segments", lambda item: len(item.segments), "count"),
        Column(
            "ended", lambda item: item.segments[-1].end_reason if item.segments else None, "text"
        ),
        _text("engine", "provenance.engine"),
    ),
    Diffusivity: (
        _text("trajectory_key"),
        _text("specie"),
        _number("temperature_k", "temperature"),
        _text("regime"),
        *_estimate("diffusivity", "cm2_per_s", "tracer"),
        _number("n_hops"),
        _number("duration_ps", "duration"),
        _text("reason"),
    ),
    Barrier: (
        *_CANDIDATE,
        _text("specie"),
        _text("method"),
        *_estimate("barrier_1d", "ev", "barrier_1d"),
        *_estimate("barrier_3d", "ev", "barrier_3d"),
        _text("engine", "provenance.engine"),
    ),
    Label: (
        *_CANDIDATE,
        _text("kind"),
        _text("level_of_theory"),
        _number("temperature_k", "temperature"),
        *_estimate("sigma", "s_per_cm", "conductivity"),
        *_estimate("sigma_as_computed", "s_per_cm", "as_computed"),
        _text("reference"),
    ),
    FoundConductivity: (
        *_CANDIDATE,
        _number("temperature_k", "temperature"),
        *_estimate("sigma", "s_per_cm", "conductivity"),
        *_estimate("ea", "ev", "activation_energy"),
        Column("from", lambda item: "run" if item.is_simulated else "fit", "text"),
        Column(
            "used",
            lambda item: ", ".join(f"{p.temperature:g}" for p in item.fit.points if p.is_used),
            "text",
        ),
        _text("engine"),
        _text("analysis", "analysis_version"),
    ),
    PlannedCandidate: (
        *_CANDIDATE,
        _count("atoms", "n_atoms"),
        _count("steps", "md_steps"),
        _number("core_hours"),
        _text("reference"),
    ),
    RankedCandidate: (
        *_CANDIDATE,
        _number("score"),
        _number("lower"),
        _number("upper"),
        _count("votes"),
        _count("n_votes"),
        _number("distance"),
    ),
}

_TEXTS_OF_OUTCOMES = {*WHOSE, "status", "sigma_kind", "reason"}


def columns(kind: type[Document]) -> dict[str, ColumnType]:
    """Return the columns of the table of a kind of records; names of numbers carry the unit.

    Every table begins with whose the record is.
    """
    if issubclass(kind, Outcome):
        return {name: "text" if name in _TEXTS_OF_OUTCOMES else "number" for name in CSV_COLUMNS}
    whose: dict[str, ColumnType] = dict.fromkeys(WHOSE, "text")
    return whose | {column.name: column.type for column in _columns(kind)}


def _columns(kind: type[Document]) -> tuple[Column, ...]:
    """Return the columns of a kind, or of the one that it is a kind of."""
    return next(_TABLES[base] for base in kind.__mro__ if base in _TABLES)


def row(document: Document, whose: Whose = NOBODY) -> dict[str, Any]:
    """Return a record as one row; names of numbers carry the unit.

    Parameters
    ----------
    whose
        Candidate and campaign, where the record does not say so itself.
    """
    if isinstance(document, Outcome):
        return flat(document, name=whose.name, source=whose.source)
    own = {column.name: column.value(document) for column in _columns(type(document))}
    told = whose.columns()
    for name in WHOSE:
        if said := own.get(name) or getattr(document, name, None):
            told[name] = said
    if isinstance(document, Label):
        told |= {"name": document.row_id, "source": "; ".join(document.sources)}
    return told | {name: value for name, value in own.items() if name not in WHOSE}


Rows = Iterable[tuple[Document, Whose]]
"""Records, each with whose it is."""


def write_json_lines(rows: Rows, file: TextIO) -> int:
    """Write one object a line as the records come; return how many."""
    count = 0
    for document, whose in rows:
        file.write(json.dumps(row(document, whose), default=str) + "\n")
        count += 1
    return count


def write_csv(rows: Rows, file: TextIO, *, kind: type[Document]) -> int:
    """Write a table of a kind of records as they come; return how many."""
    writer = TableWriter(file, list(columns(kind)))
    count = 0
    for document, whose in rows:
        writer.write(row(document, whose))
        count += 1
    return count


def write_parquet(rows: Rows, path: Path) -> int:
    """Write a parquet file, a thousand rows at a time; return how many there are.

    Raises
    ------
    MissingDependencyError
        If pyarrow is not installed.
    DataError
        If there is nothing to write: a table of no rows has no types.
    """
    try:
        pyarrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingDependencyError(
            "pyarrow", purpose="Writing parquet", extra="tables"
        ) from error
    count, writer, schema = 0, None, None
    try:
        for batch in _batches(rows):
            if writer is None:
                schema = _schema(pyarrow, batch[0][0])
                writer = parquet.ParquetWriter(path, schema)
            lines = [row(document, whose) for document, whose in batch]
            writer.write_table(pyarrow.Table.from_pylist(lines, schema=schema))
            count += len(batch)
    finally:
        if writer is not None:
            writer.close()
    if not count:
        raise DataError("Nothing fits, so there is no table to write.")
    return count


def _batches(rows: Rows) -> Iterator[list[tuple[Document, Whose]]]:
    rest = iter(rows)
    while batch := list(islice(rest, ROWS_AT_A_TIME)):
        yield batch


def _schema(pyarrow: Any, document: Document) -> Any:
    """Return the types of the columns of a record's table."""
    types = {"text": pyarrow.string(), "count": pyarrow.int64(), "number": pyarrow.float64()}
    return pyarrow.schema([(name, types[kind]) for name, kind in columns(type(document)).items()])
