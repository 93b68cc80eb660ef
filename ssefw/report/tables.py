"""Results of any kind as rows of plain values, as lines of JSON, CSV and parquet."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from ssefw.documents import (
    Barrier,
    Diffusivity,
    Document,
    Estimate,
    FoundConductivity,
    Label,
    Outcome,
    PlannedCandidate,
    Trajectory,
)
from ssefw.errors import DataError, MissingDependencyError
from ssefw.report.rows import CSV_COLUMNS, flat

__all__ = ["COLUMNS", "row", "write_csv", "write_json_lines", "write_parquet"]

ROWS_AT_A_TIME = 1000


def _numbers(name: str, unit: str, estimate: Estimate | None) -> dict[str, Any]:
    suffix = f"_{unit}" if unit else ""
    known = estimate or Estimate.undetermined("absent", unit="")
    return {
        f"{name}_kind": estimate.kind if estimate else None,
        f"{name}{suffix}": known.value,
        f"{name}_lower{suffix}": known.lower,
        f"{name}_upper{suffix}": known.upper,
    }


def _trajectory(item: Trajectory) -> dict[str, Any]:
    return {
        "key": item.key,
        "candidate_id": item.candidate_id,
        "formula": item.structure.composition.reduced_formula,
        "temperature_k": item.temperature,
        "steps": item.n_steps,
        "target_steps": item.target_steps,
        "duration_ps": item.n_steps * item.timestep / 1000.0,
        "frames": item.n_frames,
        "atoms": len(item.structure),
        "segments": len(item.segments),
        "ended": item.segments[-1].end_reason if item.segments else None,
        "engine": item.provenance.engine,
    }


def _diffusivity(item: Diffusivity) -> dict[str, Any]:
    return {
        "trajectory_key": item.trajectory_key,
        "specie": item.specie,
        "temperature_k": item.temperature,
        "regime": item.regime,
        **_numbers("diffusivity", "cm2_per_s", item.tracer),
        "n_hops": item.n_hops,
        "duration_ps": item.duration,
        "reason": item.reason,
    }


def _barrier(item: Barrier) -> dict[str, Any]:
    return {
        "candidate_id": item.candidate_id,
        "formula": item.formula,
        "specie": item.specie,
        "method": item.method,
        **_numbers("barrier_1d", "ev", item.barrier_1d),
        **_numbers("barrier_3d", "ev", item.barrier_3d),
        "engine": item.provenance.engine,
    }


def _label(item: Label) -> dict[str, Any]:
    return {
        "candidate_id": item.candidate_id,
        "formula": item.formula,
        "kind": item.kind,
        "level_of_theory": item.level_of_theory,
        "temperature_k": item.temperature,
        **_numbers("sigma", "s_per_cm", item.conductivity),
        **_numbers("sigma_as_computed", "s_per_cm", item.as_computed),
        "reference": item.reference,
    }


def _conductivity(item: FoundConductivity) -> dict[str, Any]:
    return {
        "campaign": item.campaign,
        "candidate_id": item.candidate_id,
        "formula": item.formula,
        "temperature_k": item.temperature,
        **_numbers("sigma", "s_per_cm", item.conductivity),
        **_numbers("ea", "ev", item.activation_energy),
        "from": "run" if item.is_simulated else "fit",
        "used": ", ".join(f"{p.temperature:g}" for p in item.fit.points if p.is_used),
        "engine": item.engine,
        "analysis": item.analysis_version,
    }


def _planned(item: PlannedCandidate) -> dict[str, Any]:
    return {
        "candidate_id": item.candidate_id,
        "formula": item.formula,
        "source": item.source,
        "atoms": item.n_atoms,
        "steps": item.md_steps,
        "core_hours": item.core_hours,
        "reference": item.reference,
    }


_ROWS: dict[type[Document], Callable[[Any], dict[str, Any]]] = {
    Outcome: flat,
    Trajectory: _trajectory,
    Diffusivity: _diffusivity,
    Barrier: _barrier,
    Label: _label,
    FoundConductivity: _conductivity,
    PlannedCandidate: _planned,
}

COLUMNS: dict[str, tuple[str, ...]] = {"outcomes": CSV_COLUMNS}
"""Columns of a table that is empty, where they are known beforehand."""


def row(document: Document) -> dict[str, Any]:
    """Return a record as one row; names of numbers carry the unit."""
    return _ROWS[type(document)](document)


def write_json_lines(documents: Iterable[Document], file: TextIO) -> int:
    """Write one object a line as the records come; return how many."""
    count = 0
    for document in documents:
        file.write(json.dumps(row(document), default=str) + "\n")
        count += 1
    return count


def write_csv(documents: Iterable[Document], file: TextIO, *, kind: str = "outcomes") -> int:
    """Write a table as the records come; return how many."""
    rows = map(row, documents)
    first = next(rows, None)
    columns = list(first) if first is not None else list(COLUMNS.get(kind, ()))
    writer = csv.DictWriter(file, columns)
    writer.writeheader()
    if first is None:
        return 0
    writer.writerow(first)
    count = 1
    for item in rows:
        writer.writerow(item)
        count += 1
    return count


def write_parquet(documents: Iterable[Document], path: Path) -> int:
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
        for batch in _batches(map(row, documents)):
            if writer is None:
                schema = _schema(pyarrow, batch[0])
                writer = parquet.ParquetWriter(path, schema)
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    finally:
        if writer is not None:
            writer.close()
    if not count:
        raise DataError("Nothing fits, so there is no table to write.")
    return count


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, ROWS_AT_A_TIME)):
        yield batch


def _schema(pyarrow: Any, first: dict[str, Any]) -> Any:
    """Return the types of columns: whole numbers by name, texts by value, else real numbers."""
    counts = {"steps", "target_steps", "frames", "atoms", "segments"}
    texts = {
        "campaign", "candidate_id", "formula", "status", "reason", "key", "ended", "engine",
        "trajectory_key", "specie", "regime", "method", "kind", "source", "level_of_theory",
        "reference", "from", "used", "analysis",
    }  # fmt: skip

    def kind_of(name: str) -> Any:
        if name in counts:
            return pyarrow.int64()
        if name in texts or name.endswith("_kind"):
            return pyarrow.string()
        return pyarrow.float64()

    return pyarrow.schema([(name, kind_of(name)) for name in first])
