"""Tables as CSV: rows with their numbers, and cells that no spreadsheet takes for a formula.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@``. Such texts are written with
an apostrophe before them, as spreadsheets mark text, and read back without it; numbers stay.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ssefw.errors import DataError
from ssefw.files.plain import listed
from ssefw.files.reading import LONGEST_LINE, open_input

__all__ = [
    "TableRow",
    "TableWriter",
    "guarded",
    "table_rows",
    "text_lines",
    "unguarded",
    "write_table",
]

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True)
class TableRow:
    """A row of a table.

    Attributes
    ----------
    number
        Counted from the header, which is row 1 even where there is none.
    cells
        Text by column.
    problem
        Why the row cannot be used, or nothing.
    """

    number: int
    cells: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def text_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 text with their ends, without the mark that Excel writes.

    Raises
    ------
    DataError
        While it is read: if it is not UTF-8, not packed though it is called so, or cut off.
    """
    with open_input(path) as file:
        if path.suffix == ".gz" and not file.archive and file.size:
            raise DataError(f"{path} is not compressed by gzip, though its name says so.")
        for number, line in enumerate(file.lines(), start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8") + "\n"
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path} is not UTF-8 text in line {number} ({error.reason}); save it as UTF-8."
                ) from error


def table_rows(
    path: Path, *, columns: Sequence[str] | None = None
) -> tuple[list[str], Iterator[TableRow]]:
    """Return the columns of a table, and its rows as they are read.

    Parameters
    ----------
    columns
        Their names where the table has no header.

    Raises
    ------
    DataError
        If it cannot be read, has no header, or names a column twice.
    """
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(text_lines(path), strict=True)
    if columns is not None:
        # Counted as if there were a header: versions of label sets hash the numbers of rows.
        return list(columns), _rows(reader, columns, first=2)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise DataError(f"{path}: the header cannot be read ({error}).") from error
    if not any(header):
        raise DataError(f"The table {path} is empty or has no header.")
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"The table {path} has two columns {listed([twice])!r}. Rename one of them."
        )
    return header, _rows(reader, header, first=2)


def _rows(reader: Any, columns: Sequence[str], *, first: int) -> Iterator[TableRow]:
    number = first - 1
    while True:
        number += 1
        begin = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines = f"lines {begin} to {reader.line_num}"
            yield TableRow(number, problem=f"no row of a table ({error}; {lines})")
            continue
        if not cells:
            number -= 1
            continue
        if any(cells[len(columns) :]):
            yield TableRow(
                number,
                problem=f"has {len(cells)} cells under {len(columns)} columns; quote its commas",
            )
            continue
        # Spreadsheets leave out the empty cells at the end of a row.
        padded = [*cells, *[""] * (len(columns) - len(cells))]
        named = zip(columns, padded, strict=False)
        yield TableRow(number, {name: unguarded(cell) for name, cell in named})


def guarded(value: Any) -> Any:
    """Return a cell that a spreadsheet takes for text where it is text."""
    if isinstance(value, str) and _FORMULA.match(value) and not _is_number(value):
        return f"'{value}"
    return value


def unguarded(cell: str) -> str:
    """Return the text that `guarded` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell


class TableWriter:
    """Writes rows of a table as CSV, texts guarded against spreadsheets.

    Parameters
    ----------
    columns
        Names in the order in which they stand; None writes no header.
    """

    def __init__(self, file: TextIO, columns: Sequence[str] | None = None) -> None:
        self._columns = columns
        self._table = csv.writer(file)
        if columns is not None:
            self._table.writerow([guarded(name) for name in columns])

    def write(self, row: Mapping[str, Any] | Iterable[Any]) -> None:
        """Write a row, by name or in order."""
        if isinstance(row, Mapping):
            row = [row.get(name, "") for name in self._columns or row]
        self._table.writerow([guarded(cell) for cell in row])


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as a table whose columns are the names that occur in them."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = TableWriter(file, columns)
        for row in rows:
            table.write(row)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
