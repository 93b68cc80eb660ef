"""The results of a store, asked for as by `ssefw results find`: as a table, a figure and files."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from pymatgen.core import Composition, Element
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ssefw.documents import OUTCOME_STATUSES, Estimate
from ssefw.errors import DataError
from ssefw.report.readable import LONG, column_words, readable
from ssefw.report.tables import row, write_csv, write_json_lines, write_parquet
from ssefw.report.whose import Owners, Whose
from ssefw.report.wording import estimate_words
from ssefw.serve.curves import plain_point
from ssefw.serve.pages.screening import first_scores
from ssefw.serve.render import board_of, page, path_of
from ssefw.serve.selection import PAGE_ROWS
from ssefw.store import Connection
from ssefw.store.asking import understood
from ssefw.store.results.query import ANSWERS, SORTS, Ask
from ssefw.units import (
    AskedConductivity,
    AskedLevelOfEnergy,
    AskedTemperature,
    limits_in,
)

__all__ = ["results_download", "results_page", "results_points"]

WORDS = ("formula", "system", "campaign", "candidate", "status", "engine", "gate")
LISTS = ("elements", "without")
NUMBERS: dict[str, Any] = {
    "temperature": AskedTemperature,
    "min_sigma": AskedConductivity,
    "max_sigma": AskedConductivity,
    "min_ea": AskedLevelOfEnergy,
    "max_ea": AskedLevelOfEnergy,
}
MOST_POINTS = 5000
"""In a figure; more would be a blot."""
HIDDEN = {"candidate_id", "source"}
"""Columns that a table for people leaves out; files have them."""


class _Question:
    """What an address asks for.

    Raises
    ------
    DataError
        If it makes no sense; the message says what would.
    """

    def __init__(self, query: QueryParams) -> None:
        self._query = query
        self.kind = query.get("kind") or "outcomes"
        if self.kind not in ANSWERS:
            raise DataError(f"There is no kind of results {self.kind[:40]!r}.")
        sort = query.get("sort", "")
        self.sort = sort if sort in SORTS.get(self.kind, {}) else None
        self.is_reversed = query.get("reverse") == "1"
        number = query.get("page", "")
        self.page = max(1, int(number)) if number.isdecimal() and len(number) < 7 else 1

    @property
    def given(self) -> dict[str, str]:
        """The filters that are filled in."""
        names = (*WORDS, *LISTS, *NUMBERS, "reading")
        return {name: value for name in names if (value := self._query.get(name, "").strip())}

    def ask(self) -> Ask:
        """Return the question to the store."""
        given = self.given
        asked: dict[str, Any] = {name: given[name] for name in WORDS if name in given}
        for name in LISTS:
            asked[name] = given.get(name, "").replace(",", " ").split()
        for name, kind in NUMBERS.items():
            if name in given:
                (limits,) = limits_in(kind)
                try:
                    asked[name] = limits.check(given[name])
                except ValueError as error:
                    raise DataError(f"{name.replace('_', ' ')}: {error}.") from error
        if given.get("reading") == "possible":
            asked["reading"] = "possible"
        known = {item.name for item in fields(Ask)}
        return Ask(**{name: value for name, value in asked.items() if name in known})

    def query(self, **changes: Any) -> str:
        """Return the query of an address that asks the same, with some of it changed."""
        asked: dict[str, Any] = {
            "kind": self.kind,
            "sort": self.sort or "",
            "reverse": "1" if self.is_reversed else "",
            "page": self.page,
            **self.given,
            **changes,
        }
        return "?" + urlencode({name: value for name, value in asked.items() if value})


def _found(request: Request, question: _Question, **window: Any) -> Iterator[tuple[Any, Whose]]:
    """Yield the results that are asked for, each with whose it is."""
    connection = board_of(request).connection
    ask = understood(connection, question.kind, question.ask())
    found = connection.results.found(
        question.kind, ask, sort=question.sort, reverse=question.is_reversed, **window
    )
    return Owners(connection).named(found)


def results_page(request: Request) -> Response:
    """Show a page of results, with the filters that found them."""
    problem, found = "", []
    try:
        question = _Question(request.query_params)
        start = (question.page - 1) * PAGE_ROWS
        found = list(_found(request, question, skip=start, limit=PAGE_ROWS + 1))
    except DataError as error:
        problem = str(error)
        question = _Question(QueryParams())
    rows = [
        (_path(item), readable(row(item, whose), estimate_words))
        for item, whose in found[:PAGE_ROWS]
    ]
    return page(
        request,
        "results.html",
        title="Results",
        campaign="",
        question=question,
        given=dict(request.query_params) if problem else question.given,
        problem=problem,
        rows=rows,
        columns=_columns([line for _, line in rows]),
        long=LONG,
        is_more=len(found) > PAGE_ROWS,
        kinds=tuple(ANSWERS),
        sorts=tuple(SORTS.get(question.kind, {})),
        statuses=OUTCOME_STATUSES,
        campaigns=board_of(request).names(),
    )


def _columns(lines: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the columns that hold anything with their headings, sentences last."""
    shown = [
        name
        for name in (lines[0] if lines else ())
        if name not in HIDDEN
        and not name.endswith("_level")
        and any(line[name] not in {None, "", "–"} for line in lines)
    ]
    return {name: column_words(name) for name in sorted(shown, key=lambda name: name in LONG)}


def results_points(request: Request) -> Response:
    """Return conductivities of the outcomes that are asked for, over what the address names.

    That is ``ea``, the activation energy; ``share``, the atomic fraction of an element; or
    ``score``, what the screening of their campaign had predicted.
    """
    question = _Question(request.query_params)
    if question.kind != "outcomes":
        return JSONResponse([])
    across = _AcrossOf(board_of(request).connection, request.query_params)
    found = islice(_drawn(request, question), MOST_POINTS)
    return JSONResponse([point for item in found if (point := _point(item, across)) is not None])


@dataclass(frozen=True)
class _Drawn:
    """An outcome as a figure of many shows it."""

    campaign: str
    candidate_id: str
    formula: str
    sigma: Estimate
    energy: Estimate | None
    temperature: float | None


def _drawn(request: Request, question: _Question) -> Iterator[_Drawn]:
    """Yield the outcomes with a conductivity that are asked for.

    By campaign and status they are in memory; any other question is the store's.
    """
    given = question.given
    if not given.keys() <= {"campaign", "status"}:
        for outcome, _ in _found(request, question):
            if (fit := outcome.conductivity) is not None:
                yield _Drawn(
                    campaign=outcome.campaign,
                    candidate_id=outcome.candidate_id,
                    formula=outcome.formula,
                    sigma=fit.conductivity,
                    energy=fit.activation_energy,
                    temperature=fit.temperature,
                )
        return
    board = board_of(request)
    for name in board.names():
        view = board.shown(name)
        if view is None or given.get("campaign", name) != name:
            continue
        for line in view.lines.values():
            found = line.outcome
            is_meant = found is not None and given.get("status", found.status) == found.status
            if found is not None and is_meant and found.sigma is not None:
                yield _Drawn(
                    campaign=name,
                    candidate_id=line.candidate_id,
                    formula=line.formula,
                    sigma=found.sigma,
                    energy=found.energy,
                    temperature=found.temperature,
                )


class _AcrossOf:
    """What the conductivities are drawn over.

    Raises
    ------
    DataError
        If the address names an element that there is not.
    """

    def __init__(self, connection: Connection, query: QueryParams) -> None:
        self._connection = connection
        self._which = query.get("x", "")
        self._element = query.get("element", "").strip() or "Li"
        if not Element.is_valid_symbol(self._element):
            raise DataError(f"{self._element[:20]!r} is no element.")
        self._scores: dict[str, Mapping[str, float]] = {}

    def __call__(self, outcome: _Drawn) -> float | None:
        """Return the number of an outcome; None where it has none."""
        if self._which == "share":
            return float(Composition(outcome.formula).get_atomic_fraction(self._element))
        if self._which == "score":
            name = outcome.campaign
            if name not in self._scores:
                self._scores[name] = first_scores(self._connection, name)
            return self._scores[name].get(outcome.candidate_id)
        return outcome.energy.value if outcome.energy else None


def _point(outcome: _Drawn, across: _AcrossOf) -> dict[str, Any] | None:
    at = across(outcome)
    point = plain_point(at, outcome.sigma) if at is not None else None
    if point is None:
        return None
    kelvin = f" at {outcome.temperature:g} K" if outcome.temperature else ""
    return point | {
        "said": f"{outcome.formula}: {estimate_words(outcome.sigma)} S/cm{kelvin}, "
        f"{estimate_words(outcome.energy)} eV",
        "href": _path(outcome),
    }


FORMS = {
    "csv": "text/csv",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
"""What results are downloaded as."""


def results_download(request: Request) -> Response:
    """Return all that is asked for as CSV, as JSON with one object a line, or as parquet."""
    question = _Question(request.query_params)
    form = request.path_params["form"]
    if form not in FORMS:
        raise HTTPException(404, "Results come as .csv, as .jsonl and as .parquet.")
    found = _found(request, question)
    return Response(
        _parquet(found) if form == "parquet" else _text(found, question, form),
        media_type=FORMS[form],
        headers={"content-disposition": f'attachment; filename="{question.kind}.{form}"'},
    )


def _text(found: Iterator[Any], question: _Question, form: str) -> str:
    text = io.StringIO()
    if form == "csv":
        write_csv(found, text, kind=ANSWERS[question.kind])
    else:
        write_json_lines(found, text)
    return text.getvalue()


def _parquet(found: Iterator[Any]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "results.parquet"
        write_parquet(found, path)
        return path.read_bytes()


def _path(item: Any) -> str:
    """Return the path of the page of what a result is about; none for what has none."""
    campaign, candidate = getattr(item, "campaign", ""), getattr(item, "candidate_id", "")
    return path_of("campaigns", campaign, "candidates", candidate) if campaign and candidate else ""
