"""Structures of any provider that speaks OPTIMADE, page by page, as rows of a pool.

OPTIMADE (Andersen et al., Sci. Data 8, 217 (2021), https://doi.org/10.1038/s41597-021-00974-z) is
the one question that the Materials Project, OQMD, COD, Alexandria and others answer alike. What is
needed of it is three keys of a JSON page and a link to the next one, so that no client is asked
for. After every page the place is kept beside the rows: what stops goes on from there.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import Request, urlopen

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from ssefw.errors import DataError
from ssefw.files import printable, read_json, replacing

__all__ = ["Question", "fetch_structures", "structure_of_entry"]

FIELDS = (
    "id", "lattice_vectors", "cartesian_site_positions", "species_at_sites", "species",
    "dimension_types", "structure_features", "last_modified",
)  # fmt: skip
PAGE = 100
"""Entries asked for at a time; providers give fewer where they like."""
LARGEST_PAGE = 128 * 2**20
"""Bytes; a hundred crystals of a thousand atoms have a fifth."""
PATIENCE = 60.0
"""Seconds that a provider may be silent, and at most between two attempts."""
ATTEMPTS = 6
"""At a page, the wait doubling from a second: half a minute of an overloaded provider."""
EMPTY = {"vacancy", "X"}
"""What species hold that is no element: nothing, and an element that is not known."""


@dataclass(frozen=True)
class Question:
    """What is asked of whom.

    Attributes
    ----------
    provider
        Base address, with or without its version (``/v1``).
    condition
        OPTIMADE filter, such as ``elements HAS "Li" AND nelements=3``.
    properties
        Own name of a number of a row, and the provider's field that holds it.
    """

    provider: str
    condition: str
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """Address of the provider's version 1."""
        stem = self.provider.rstrip("/")
        return stem if stem.rsplit("/", 1)[-1].startswith("v1") else f"{stem}/v1"


def fetch_structures(
    question: Question,
    path: Path,
    *,
    limit: int | None = None,
    page: int = PAGE,
    tell: Callable[[int, int | None], None] = lambda done, total: None,  # noqa: ARG005
    wait: Callable[[float], None] = time.sleep,
) -> tuple[int, list[tuple[str, str]]]:
    """Write what a provider answers as a pool (.jsonl); return how many rows, and what is left out.

    Each row has the provider's id, the structure, where it is from, and its licence if the provider
    states one. Rows stand in ``PATH.part`` until all are there; called again, it goes on.

    Parameters
    ----------
    limit
        Rows at most.
    tell
        Called after each page with the rows so far, and the provider's count of all.

    Raises
    ------
    DataError
        If the provider refuses, cannot be reached, or answers what is no OPTIMADE.
    """
    part, place = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json")
    asked = {"question": asdict(question), "limit": limit}
    at = _continued(place, part, asked)
    if at is None:
        license_ = _license(question, wait)
        query = {"filter": question.condition, "page_limit": page,
                 "response_fields": ",".join((*FIELDS, *_fields(question)))}  # fmt: skip
        link = f"{question.base}/structures?{urlencode(query)}"
        at = {**asked, "next": link, "rows": 0, "size": 0, "license": license_, "left_out": []}
        part.write_bytes(b"")
    while at["next"] and (limit is None or at["rows"] < limit):
        body = _answer(at["next"], wait)
        rows = []
        for entry in body["data"]:
            try:
                rows.append(_row(entry, question, at["license"]))
            except DataError as error:
                at["left_out"].append([printable(str(entry.get("id"))), str(error)])
        rows = rows if limit is None else rows[: limit - at["rows"]]
        with part.open("r+b") as file:
            # What a killed process wrote of a page is written again.
            file.truncate(at["size"])
            file.seek(at["size"])
            file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
            at["size"] = file.tell()
        at["rows"] += len(rows)
        at["next"] = _next(body, at["next"])
        with replacing(place) as draft:
            draft.write_text(json.dumps(at))
        tell(at["rows"], _total(body))
    if not at["rows"]:
        part.unlink()
        place.unlink(missing_ok=True)
        raise DataError(
            f"{question.provider} has no structure that {question.condition!r} is true of. Try the "
            'filter elements HAS "Li" first.'
        )
    part.replace(path)
    place.unlink(missing_ok=True)
    return at["rows"], [(name, reason) for name, reason in at["left_out"]]


def structure_of_entry(attributes: Mapping[str, Any]) -> Structure:
    """Return the structure of an entry's attributes; vacancies are what is left of a site.

    Raises
    ------
    DataError
        If it is no crystal in three dimensions whose sites and species are all stated.
    """
    if attributes.get("dimension_types") not in (None, [1, 1, 1]):
        raise DataError("is not periodic in three dimensions")
    if not attributes.get("cartesian_site_positions") or not attributes.get("lattice_vectors"):
        raise DataError("states no sites")
    try:
        species = {one["name"]: _species(one) for one in attributes["species"]}
        named = attributes["species_at_sites"]
        positions = np.asarray(attributes["cartesian_site_positions"], dtype=float)
        lattice = Lattice(np.asarray(attributes["lattice_vectors"], dtype=float))
        if positions.shape != (len(named), 3) or not np.isfinite(positions).all():
            raise DataError("states sites that do not fit each other")
        if not lattice.volume > 0:
            raise DataError("has a cell without volume")
        kept = [row for row, name in enumerate(named) if len(species[name])]
        return Structure(
            lattice,
            [species[named[row]] for row in kept],
            positions[kept],
            coords_are_cartesian=True,
            to_unit_cell=True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"is no OPTIMADE structure ({type(error).__name__}: {error})") from error


def _species(one: Mapping[str, Any]) -> Composition:
    shares = zip(one["chemical_symbols"], one["concentration"], strict=True)
    return Composition({symbol: share for symbol, share in shares if symbol not in EMPTY})


def _row(entry: Any, question: Question, license_: str) -> dict[str, Any]:
    try:
        attributes = entry["attributes"]
        name = str(entry["id"])
    except (KeyError, TypeError) as error:
        raise DataError("is no entry: it has no id or no attributes") from error
    row: dict[str, Any] = {
        "id": name,
        "structure": structure_of_entry(attributes).as_dict(),
        "reference": f"{question.base}/structures/{name}",
        "last_modified": attributes.get("last_modified"),
    }
    if license_:
        row["license"] = license_
    for own, named in question.properties.items():
        value: Any = attributes
        for key in named.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, int | float | str):
            row[own] = value
    return row


def _fields(question: Question) -> Iterator[str]:
    yield from dict.fromkeys(named.split(".")[0] for named in question.properties.values())


def _license(question: Question, wait: Callable[[float], None]) -> str:
    """Return the licence that a provider states of its data, empty where it states none."""
    try:
        attributes = _answer(f"{question.base}/info", wait)["data"]["attributes"]
        stated = attributes.get("license") or attributes.get("available_licenses") or ""
    except (DataError, KeyError, TypeError, AttributeError):
        return ""
    if isinstance(stated, Mapping):
        stated = stated.get("href") or ""
    return (
        ", ".join(map(str, stated))
        if isinstance(stated, Sequence) and not isinstance(stated, str)
        else str(stated)
    )


def _next(body: Mapping[str, Any], here: str) -> str:
    link = (body.get("links") or {}).get("next")
    if isinstance(link, Mapping):
        link = link.get("href")
    return urljoin(here, str(link)) if link and body["data"] else ""


def _total(body: Mapping[str, Any]) -> int | None:
    meta = body.get("meta")
    total = meta.get("data_returned") if isinstance(meta, Mapping) else None
    return total if isinstance(total, int) else None


def _continued(place: Path, part: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return where a fetch that was stopped stands, None if there is none.

    Raises
    ------
    DataError
        If it was another question.
    """
    if not place.exists() or not part.exists():
        return None
    at = dict(read_json(place.read_bytes()))
    if {key: at.get(key) for key in asked} != asked:
        raise DataError(
            f"{part} holds the beginning of another fetch ({at.get('question')}). Remove it and "
            f"{place.name}, or write to another file."
        )
    return at


def _answer(address: str, wait: Callable[[float], None]) -> dict[str, Any]:
    """Return a page; an overloaded or silent provider is asked again."""
    if urlsplit(address).scheme not in {"http", "https"}:
        raise DataError(f"{printable(address)!r} is no address of a web server (https://...).")
    request = Request(address, headers={"Accept": "application/json", "User-Agent": "ssefw"})
    for attempt in range(ATTEMPTS):
        pause = min(PATIENCE, 2.0**attempt)
        try:
            with urlopen(request, timeout=PATIENCE) as found:
                text = found.read(LARGEST_PAGE + 1)
            break
        except HTTPError as error:
            if error.code not in {429, 500, 502, 503, 504} or attempt == ATTEMPTS - 1:
                raise DataError(f"{_host(address)} refuses: {_why(error)}.") from error
            asked = error.headers.get("Retry-After") or ""
            pause = min(PATIENCE, float(asked)) if asked.isdigit() else pause
        except (URLError, TimeoutError, ConnectionError) as error:
            if attempt == ATTEMPTS - 1:
                raise DataError(
                    f"{_host(address)} cannot be reached ({error}). Call again to go on."
                ) from error
        wait(pause)
    if len(text) > LARGEST_PAGE:
        raise DataError(f"A page of {_host(address)} is too large. Ask for fewer with --page.")
    body = read_json(text)
    if not isinstance(body, dict) or "data" not in body:
        raise DataError(f"{_host(address)} does not answer as OPTIMADE: its page has no 'data'.")
    return body


def _host(address: str) -> str:
    return printable(urlsplit(address).netloc)


def _why(error: HTTPError) -> str:
    try:
        body = json.loads(error.read(65536))
        told = "; ".join(str(one.get("detail") or one.get("title")) for one in body["errors"])
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        told = ""
    return printable(told or f"HTTP {error.code} {error.reason}").rstrip(".")
