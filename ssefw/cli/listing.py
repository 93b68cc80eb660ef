"""Tables for people that fit the width of a terminal, with what is said of a row below it."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from ssefw.cli.console import CONTROL, console

__all__ = ["Heading", "Listing"]

GAP = 2
"""Columns of characters between two columns of a table."""
NARROWEST = 12
"""Characters that a column of text keeps before others are left out."""
INDENT = "    "


@dataclass(frozen=True)
class Heading:
    """A column: what it is called, with the unit, and when it is left out.

    Attributes
    ----------
    spare
        Of columns that do not fit, that with the highest goes first; those with 0 stay.
    side
        On which side numbers and texts stand.
    """

    title: str
    spare: int = 0
    side: Literal["left", "right"] = "left"


@dataclass
class Listing:
    """Rows below headings; `add` them, then `show` the table."""

    headings: Sequence[Heading]
    title: str = ""
    caption: str = ""
    _rows: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)

    def add(self, *cells: Any, notes: Iterable[str] = ()) -> None:
        """Add a row; each of the notes gets lines of its own below it."""
        self._rows.append((tuple(map(_plain, cells)), tuple(filter(None, map(_plain, notes)))))

    def show(self) -> None:
        """Print the table: in a terminal as wide as that is, in a file as wide as need be."""
        out = console()
        limit = out.width if out.is_terminal else None
        columns = [[title, *(row[k] for row, _ in self._rows)] for k, title in self._titles()]
        widths = [max(map(cell_len, cells)) for cells in columns]
        kept = list(range(len(widths)))
        if limit is not None:
            least = [self._least(k, widths[k], columns[k]) for k in kept]
            kept = self._fitting(least, limit)
            _squeeze(widths, least, kept, limit)
        for text, style in self._lines(widths, kept, limit):
            out.print(Text(text, style=style), soft_wrap=True, highlight=False)

    def _lines(
        self, widths: Sequence[int], kept: Sequence[int], limit: int | None
    ) -> Iterator[tuple[str, str]]:
        """Yield the lines of the table with their styles."""
        for text in _wrapped(self.title, limit, indent="") if self.title else ():
            yield text, "italic"
        for text in self._folded([title for _, title in self._titles()], widths, kept):
            yield text, "bold"
        yield "─" * _wide(widths, kept), ""
        for cells, notes in self._rows:
            for text in self._folded(cells, widths, kept):
                yield text, ""
            for note in notes:
                for text in _wrapped(note, limit):
                    yield text, "dim"
        left_out = [title for k, title in self._titles() if k not in kept]
        more = f"Too narrow for {', '.join(left_out)}: a wider window or --json has them."
        for told in filter(None, (self.caption, more if left_out else "")):
            for text in _wrapped(told, limit, indent=""):
                yield text, "dim italic"

    def _folded(
        self, cells: Sequence[str], widths: Sequence[int], kept: Sequence[int]
    ) -> Iterator[str]:
        """Yield the lines of a row."""
        parts = [chop_cells(cells[k], widths[k]) or [""] for k in kept]
        for line in zip_longest(*parts, fillvalue=""):
            aligned = (
                self._aligned(text, k, widths[k]) for text, k in zip(line, kept, strict=True)
            )
            yield (" " * GAP).join(aligned).rstrip()

    def _titles(self) -> Iterable[tuple[int, str]]:
        return enumerate(heading.title for heading in self.headings)

    def _aligned(self, text: str, k: int, width: int) -> str:
        if self.headings[k].side == "right":
            return " " * (width - cell_len(text)) + text
        return set_cell_size(text, width)

    def _least(self, k: int, width: int, cells: Iterable[str]) -> int:
        """Return how narrow a column may be: texts are folded, values with intervals are not."""
        is_value = any("[" in cell or cell.startswith(("<", ">")) for cell in cells)
        if is_value or self.headings[k].side == "right":
            return width
        return min(width, max(NARROWEST, cell_len(self.headings[k].title)))

    def _fitting(self, least: Sequence[int], limit: int) -> list[int]:
        """Return which columns fit, those of text at their narrowest."""
        kept = list(range(len(least)))
        while _wide(least, kept) > limit:
            first = max(kept, key=lambda k: (self.headings[k].spare, k))
            if self.headings[first].spare == 0:
                break
            kept.remove(first)
        return kept


def _plain(cell: Any) -> str:
    """Return a cell on one line, without what would command the terminal."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(cell).split()))


def _wide(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[k] for k in kept) + GAP * (len(kept) - 1)


def _squeeze(widths: list[int], least: Sequence[int], kept: Sequence[int], limit: int) -> None:
    """Make columns of text narrower until a line fits, the widest first."""
    while _wide(widths, kept) > limit:
        soft = [k for k in kept if widths[k] > least[k]]
        if not soft:
            return
        widths[max(soft, key=lambda k: widths[k])] -= 1


def _wrapped(text: str, limit: int | None, *, indent: str = INDENT) -> list[str]:
    if limit is None:
        return [f"{indent}{text}"]
    return textwrap.wrap(
        text, max(limit, 20), initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    ) or [indent]  # fmt: skip
