"""A short sequence of records that shows itself as a table."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice
from typing import Any, Generic, TypeVar, overload

import numpy as np
import pandas as pd

from ssefw.documents import Document
from ssefw.report.tables import ColumnType, columns, row
from ssefw.report.whose import NOBODY, Whose

__all__ = ["Records", "html_table"]

D = TypeVar("D", bound=Document)

ROWS_SHOWN = 20
"""Of a table in a notebook; more are looked at as a data frame."""


class Records(Sequence[D], Generic[D]):
    """Records of one kind, in order: a list that becomes a data frame.

    Parameters
    ----------
    kind
        The class of the records, whose columns an empty table has too.
    name
        What they are, in the plural.
    whose
        Of each record its candidate and campaign, where these are known beside it.
    """

    def __init__(
        self, kind: type[D], records: Iterable[D], *, name: str, whose: Iterable[Whose] = ()
    ) -> None:
        self._kind = kind
        self._records = tuple(records)
        self._name = name
        self._whose = tuple(whose) or (NOBODY,) * len(self._records)

    @overload
    def __getitem__(self, index: int) -> D: ...
    @overload
    def __getitem__(self, index: slice) -> "Records[D]": ...
    def __getitem__(self, index: int | slice) -> "D | Records[D]":
        if isinstance(index, slice):
            return Records(
                self._kind, self._records[index], name=self._name, whose=self._whose[index]
            )
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with a row for each.

        Names of numbers carry the unit, and what is absent is NaN. The columns are those of
        ``ssefw results find --csv``.
        """
        rows = [row(*pair) for pair in zip(self._records, self._whose, strict=True)]
        return pd.DataFrame(
            {
                name: _column([line[name] for line in rows], kind)
                for name, kind in columns(self._kind).items()
            }
        )

    def __repr__(self) -> str:
        return f"<{len(self)} {self._name}>"

    def _repr_html_(self) -> str:
        first = islice(zip(self._records, self._whose, strict=True), ROWS_SHOWN)
        shown = [row(*pair) for pair in first]
        if not shown:
            return f"<p>No {escape(self._name)}.</p>"
        more = len(self) - len(shown)
        end = f"<p>and {more} more; <code>.to_pandas()</code> has all</p>" if more else ""
        return html_table(shown) + end


def _column(values: Sequence[Any], kind: ColumnType) -> "pd.Series[Any]":
    """Return a column of a data frame, NaN where there is no value."""
    full = [np.nan if value is None else value for value in values]
    if kind == "text":
        return pd.Series(full, dtype=object)
    # Counts stay whole numbers where all are there.
    return pd.Series(full, dtype=None if kind == "count" and full else float)


def html_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a table; columns in which nothing stands are left out."""
    names = [name for name in rows[0] if any(line[name] not in {None, ""} for line in rows)]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(_cell(line[name]) for name in names)}</tr>" for line in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


SENTENCE = 40
"""Letters from which on a text is given room, so that it makes no row of twenty lines."""


def _cell(value: Any) -> str:
    if value is None:
        return "<td>–</td>"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    room = ' style="min-width: 24em"' if len(text) > SENTENCE else ""
    return f"<td{room}>{escape(text)}</td>"
