"""Which candidates a table shows: those that a search and a state leave, in an order, page by page.

A selection is the query of an address, so that a page can be kept, sent to somebody, and gone back
to.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from ssefw.documents import Estimate
from ssefw.serve.board import CandidateLine

__all__ = ["COLUMNS", "PAGE_ROWS", "SORTS", "STATES", "TableView", "page_count", "state_counts"]

PAGE_ROWS = 50
STATES = (
    "running", "waiting", "failed", "determined", "indicative", "bound", "undetermined", "rejected",
)  # fmt: skip
"""Of candidates, in the order of a candidate's life."""
ORDER_OF_WORTH = (
    "determined", "indicative", "bound", "undetermined", "running", "failed", "waiting", "rejected",
)  # fmt: skip
"""Without a number to sort by: what has an answer first, then what is to come."""


def _number(estimate: Estimate | None) -> float | None:
    if estimate is None:
        return None
    ends = (estimate.value, estimate.upper, estimate.lower)
    return next((number for number in ends if number is not None), None)


def _worth(line: CandidateLine) -> tuple[Any, ...]:
    sigma = _number(line.outcome.sigma) if line.outcome else None
    return ORDER_OF_WORTH.index(line.state), -(sigma or 0.0), line.place


COLUMNS = {
    "place": "place",
    "state": "state",
    "axis": "σ on an axis",
    "sigma": "σ and interval",
    "ea": "activation energy",
    "jobs": "jobs",
    "atoms": "atoms",
    "cost": "core-hours",
    "predicted": "predicted core-hours",
    "ended": "concluded",
    "source": "source",
    "why": "why",
}
"""What a table may show of a candidate beside its name."""
USUAL_COLUMNS = ("place", "state", "axis", "sigma", "ea", "jobs", "atoms", "cost", "why")

Key = Callable[[CandidateLine], Any]

SORTS: dict[str, tuple[Key, bool]] = {
    "best": (_worth, False),
    "place": (lambda line: line.place, False),
    "compound": (lambda line: line.title.casefold(), False),
    "state": (lambda line: STATES.index(line.state), False),
    "sigma": (lambda line: _number(line.outcome.sigma) if line.outcome else None, True),
    "ea": (lambda line: _number(line.outcome.energy) if line.outcome else None, False),
    "atoms": (lambda line: line.planned.n_atoms, False),
    "cost": (lambda line: line.outcome.core_hours if line.outcome else None, True),
    "predicted": (lambda line: line.planned.core_hours, True),
    "ended": (lambda line: line.outcome.ended if line.outcome else None, True),
    "source": (lambda line: line.planned.source.casefold() or None, False),
}
"""By name: what is compared, and whether the largest comes first."""


@dataclass(frozen=True)
class TableView:
    """What somebody wants to see of a table.

    Attributes
    ----------
    search
        Text in the formula, name, id, source or reference.
    columns
        What is shown beside the name, of `COLUMNS`.
    page
        The first is 1.
    """

    sort: str = "best"
    is_reversed: bool = False
    state: str = ""
    search: str = ""
    page: int = 1
    columns: tuple[str, ...] = USUAL_COLUMNS

    @classmethod
    def of(cls, query: Mapping[str, str], columns: Iterable[str] = ()) -> "TableView":
        """Return what the query of an address asks for; what makes no sense is left out."""
        chosen = set(columns)
        sort, state, page = query.get("sort", ""), query.get("state", ""), query.get("page", "")
        return cls(
            sort=sort if sort in SORTS else "best",
            is_reversed=query.get("reverse") == "1",
            state=state if state in STATES else "",
            search=query.get("q", "").strip()[:200],
            page=max(1, int(page)) if page.isdecimal() and len(page) < 10 else 1,
            columns=tuple(name for name in COLUMNS if name in chosen) or USUAL_COLUMNS,
        )

    def query(self, **changes: Any) -> str:
        """Return the query of the address of this selection, with some of it changed."""
        other = replace(self, **changes)
        given = {
            "sort": other.sort if other.sort != "best" else "",
            "reverse": "1" if other.is_reversed else "",
            "state": other.state,
            "q": other.search,
            "page": other.page if other.page > 1 else "",
        }
        pairs = [(name, value) for name, value in given.items() if value]
        if other.columns != USUAL_COLUMNS:
            pairs += [("column", name) for name in other.columns]
        return "?" + urlencode(pairs)

    def sorted_by(self, sort: str) -> str:
        """Return the query that sorts by something, and the other way round the second time."""
        again = sort == self.sort
        return self.query(sort=sort, is_reversed=again and not self.is_reversed, page=1)

    def choose(self, lines: Iterable[CandidateLine]) -> list[CandidateLine]:
        """Return the candidates, all pages of them; what has no number comes last."""
        words = self.search.lower().split()
        found = [
            line
            for line in lines
            if (not self.state or line.state == self.state)
            and all(word in line.searched for word in words)
        ]
        key, largest_first = SORTS[self.sort]
        known = [(key(line), line) for line in found]
        nothing = [line for value, line in known if value is None]
        there = [(value, line) for value, line in known if value is not None]
        there.sort(key=lambda pair: pair[0], reverse=largest_first != self.is_reversed)
        return [line for _, line in there] + nothing

    def rows(self, chosen: list[CandidateLine]) -> list[CandidateLine]:
        """Return those of this page."""
        start = (self.page - 1) * PAGE_ROWS
        return chosen[start : start + PAGE_ROWS]


def page_count(count: int) -> int:
    """Return how many pages so many rows take."""
    return max(1, -(-count // PAGE_ROWS))


def state_counts(lines: Iterable[CandidateLine]) -> dict[str, int]:
    """Return how many candidates are in each state."""
    found = Counter(line.state for line in lines)
    return {state: found[state] for state in STATES if found[state]}
