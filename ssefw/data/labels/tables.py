"""Files of labels: the published tables of conductivities, a plain table, CIFs, clusters.

Which table a file is follows from its columns (`label_formats`). Every row becomes a label or a
reject with the reason.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from ssefw.data.compositions import parse_formula
from ssefw.data.labels.formats import LARGEST, ROOM_TEMPERATURE, TABLES, LabelRow, conductivity_of
from ssefw.data.pools import candidate_from_text
from ssefw.data.reading.archives import zip_members
from ssefw.data.reading.structure_files import LARGEST_STRUCTURE, decode_structure_text
from ssefw.documents import Candidate, Label, LabelSet
from ssefw.errors import DataError
from ssefw.files import check_plain, listed, printable, read_bytes
from ssefw.files.tables import TableRow, TableWriter, table_rows, text_lines
from ssefw.progress import counted

__all__ = [
    "ROOM_TEMPERATURE",
    "TABLES",
    "assign_clusters",
    "conductivity_of",
    "read_label_table",
    "read_structures",
    "write_label_table",
]


def read_structures(path: Path) -> tuple[dict[str, Candidate], list[tuple[str, str]]]:
    """Read a zip or folder of CIFs as candidates by file name without suffix, and the rejects."""
    found: dict[str, Candidate] = {}
    rejects: list[tuple[str, str]] = []
    for name, data in _cifs(path):
        try:
            if isinstance(data, DataError):
                raise data
            text = decode_structure_text(data)
            found[Path(name).stem] = candidate_from_text(text, name=Path(name).name)
        except DataError as error:
            rejects.append((printable(name), printable(str(error))))
    if not found:
        raise DataError(f"{path} holds no readable CIF. Give a zip or a folder of .cif files.")
    return found, rejects


def _cifs(path: Path) -> Iterator[tuple[str, bytes | DataError]]:
    if not path.is_dir():
        yield from zip_members(path, wanted=lambda name: name.lower().endswith(".cif"))
        return
    for file in sorted(path.glob("*.cif")):
        try:
            yield file.name, read_bytes(file, largest=LARGEST_STRUCTURE)
        except DataError as error:
            yield file.name, error


def read_label_table(
    path: Path, *, structures: Path | None = None, name: str | None = None
) -> LabelSet:
    """Read a table of conductivities, whose kind follows from its columns.

    Parameters
    ----------
    structures
        Zip or folder of CIFs named by row id (OBELiX) or by the column ``cif`` or ``id``.

    Raises
    ------
    DataError
        If it is not there, its columns are not those of a known table, ids repeat, or no row reads.
    """
    columns, cells = _read_rows(path)
    table = next((t for t in TABLES.values() if t.columns <= set(columns)), None)
    if table is None:
        raise DataError(
            f"The columns of {path} are {listed(sorted(columns))}; they are of no "
            "known table. A plain table has 'formula', a conductivity with its unit such as "
            "'sigma (S/cm)', and may have 'T (K)', 'doi', 'id', 'quantity' and 'group'."
        )
    known, bad_files = read_structures(structures) if structures else ({}, [])
    labels: list[Label] = []
    rejects = list(bad_files)
    for line in counted(cells, "reading labels", total=lambda: sum(1 for _ in _read_rows(path)[1])):
        row = LabelRow(printable(f"{path.name}:{line.number}"), line.cells, known)
        try:
            _check_row(line)
            labels.append(table.read(row))
        except DataError as error:
            rejects.append((row.source, printable(str(error))))
        except (ValueError, ArithmeticError) as error:
            rejects.append((row.source, f"no label ({_line(error)})"))
    if not labels:
        raise DataError(
            f"No row of {path} is a label: {rejects[0][1] if rejects else 'it is empty'}"
        )
    if table.has_own_ids:
        _refuse_repeated_ids(labels, path)
    return LabelSet(
        name=name or path.stem,
        labels=tuple(labels),
        convention=table.convention,
        rejects=tuple(rejects),
    )


def assign_clusters(labels: LabelSet, paths: Sequence[Path]) -> LabelSet:
    """Give labels the clusters that tables state by id, as the official splits of a set do.

    Each table has a column ``cluster`` and one of ``icsd_collectioncode`` or ``id``.

    Raises
    ------
    DataError
        If a column is missing, or no label is named.
    """
    cluster_of: dict[str, str] = {}
    for path in paths:
        for line in _read_rows(path)[1]:
            _check_row(line)
            row = line.cells
            code = row.get("icsd_collectioncode") or row.get("id")
            if not code or not row.get("cluster"):
                raise DataError(
                    f"{path} needs the columns 'cluster' and 'icsd_collectioncode' or 'id'; it has "
                    f"{listed(row)}."
                )
            cluster_of[code.strip()] = row["cluster"].strip()
    named = [
        label.model_copy(update={"group": cluster_of.get(label.row_id, label.group)})
        for label in labels.labels
    ]
    if not any(label.row_id in cluster_of for label in labels.labels):
        raise DataError(f"None of the {len(named)} labels is named in the tables of clusters.")
    return labels.model_copy(update={"labels": tuple(named)})


def write_label_table(labels: LabelSet, path: Path) -> None:
    """Write a set as a plain table that `read_label_table` reads back; structures are left out."""
    with path.open("w", newline="", encoding="utf-8") as file:
        names = ["id", "formula", "sigma (S/cm)", "T (K)", "quantity", "group", "reports", "doi"]
        table = TableWriter(file, names)
        for label in labels.labels:
            sigma = label.conductivity
            sign = {"upper_bound": "< ", "lower_bound": "> "}.get(sigma.kind, "")
            number = sigma.value if sigma.value is not None else sigma.upper or sigma.lower
            table.write(
                [
                    label.row_id,
                    label.formula,
                    f"{sign}{number!r}",
                    label.temperature,
                    "" if label.quantity == "unspecified" else label.quantity,
                    label.group,
                    label.n_reports,
                    label.reference,
                ]
            )


def _refuse_repeated_ids(labels: list[Label], path: Path) -> None:
    seen: dict[str, str] = {}
    for label in labels:
        if label.row_id and label.row_id in seen:
            raise DataError(
                f"The id {label.row_id!r} stands twice in {path}: {seen[label.row_id]} and "
                f"{label.sources[0]}. Ids name rows, so each may stand once."
            )
        seen[label.row_id] = label.sources[0]


def _read_rows(path: Path) -> tuple[list[str], Iterator[TableRow]]:
    first = next(text_lines(path), "")
    if _is_laskowski(first):
        fields = ["laskowski_formula", "laskowski_sigma", "laskowski_column", "laskowski_icsd"]
        return table_rows(path, columns=fields)
    return table_rows(path)


def _check_row(line: TableRow) -> None:
    if line.problem:
        raise DataError(line.problem)
    for name, cell in line.cells.items():
        try:
            check_plain(cell)
        except DataError as error:
            raise DataError(f"column {printable(name)!r}: {error}") from error


def _line(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:160] or type(error).__name__


def _is_laskowski(first: str) -> bool:
    """Whether a table without header has formula, sigma, a number and an ICSD code."""
    try:
        parts = next(csv.reader([first], strict=True), [])
        parse_formula(parts[0])
        return len(parts) == 4 and float(parts[1]) < LARGEST
    except (csv.Error, DataError, ValueError, IndexError):
        return False
