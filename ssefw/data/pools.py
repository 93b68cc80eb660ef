"""Pools of candidates: a folder of structure files, JSON lines, a table, or structures in place.

A pool is read once, in order; what cannot be read is listed with its reason and skipped (or, when
asked to be strict, stops the reading); crystals that are one and the same are merged.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pymatgen.core import Structure

from ssefw.data.held import HeldCandidate, hold
from ssefw.data.parallel import chunks, mapping
from ssefw.data.reading.archives import zip_members
from ssefw.data.reading.structure_files import (
    LARGEST_STRUCTURE,
    decode_structure_text,
    flat_structure,
    structure_from_record,
    structure_from_text,
)
from ssefw.data.structures import content_id
from ssefw.data.twins import Crystals
from ssefw.documents import Candidate
from ssefw.errors import DataError
from ssefw.files import check_plain, listed, printable, read_bytes, read_json
from ssefw.files.tables import TableRow, table_rows, text_lines
from ssefw.progress import counted

__all__ = [
    "NAME_COLUMNS",
    "Pool",
    "Reject",
    "candidate_from_text",
    "check_properties",
    "entries_in",
    "first_name",
    "hold_candidates",
    "merge_candidates",
    "pool_entries",
    "ranking_rows",
    "read_candidates",
    "read_entry",
    "read_pool",
    "stated_name",
    "stated_names",
    "try_entry",
]

logger = logging.getLogger(__name__)

C = TypeVar("C", Candidate, HeldCandidate)

NAME_COLUMNS = ("mp_id", "id", "material_id", "ID", "name", "icsd_id", "icsd")
"""Columns that name a material, in the order in which they are asked for; all are names of it."""

WORTH_A_PROCESS = 2000
"""Entries for each process that reads them: they take a millisecond each, and it two seconds to
begin."""

LARGEST_RANKING = 512 * 2**20
"""Bytes of a ranking with its structures; one of 50,000 has a tenth."""

LONGEST_NAME = 120
"""Characters of a name; it stands in tables and in names of files."""

STRUCTURE_SUFFIXES = {".cif", ".vasp", ".poscar", ".json"}
STRUCTURE_NAMES = ("POSCAR", "CONTCAR")
FLAT_KEYS = {"lattice", "species", "frac"}
STRUCTURE_KEYS = {"structure", "cif", *FLAT_KEYS}
CRYSTAL_KEYS = {"@module", "@class", "@version", "charge", "properties", "sites"}
"""What pymatgen writes of a crystal beside its lattice."""


@dataclass(frozen=True)
class Reject:
    """An entry that could not become a candidate, and why."""

    source: str
    reason: str


@dataclass
class Pool:
    """What a pool gave: candidates, entries that were rejected, duplicates that were merged."""

    candidates: list[Candidate] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    merged: list[tuple[str, str]] = field(default_factory=list)


def read_pool(path: Path, *, strict: bool = False, merge: bool = True) -> Pool:
    """Read a folder or zip of CIF/POSCAR files, a .jsonl(.gz), a .csv(.gz) or a structure file.

    Of a folder or zip the files ``*.cif``, ``*.vasp``, ``*.poscar``, ``*.json``, ``POSCAR*`` and
    ``CONTCAR*`` are taken, compressed by gzip or not; folders within a folder are not entered.

    A JSON line holds a structure (pymatgen's dictionary) itself or under ``structure``, a CIF under
    ``cif``, or ``lattice`` (six parameters), ``species`` and ``frac``; a table needs a column
    ``cif``. Other columns become properties of the candidate. A ranking that `screen rank` wrote
    is the pool of what it ranked. A candidate's source is the id or name that its row states
    (`NAME_COLUMNS`), else file and line.

    Raises
    ------
    DataError
        If nothing is there, or nothing could be read, or (strict) the first entry that cannot be.
    """
    pool = Pool()
    pool.candidates = list(read_candidates(path, strict=strict, rejects=pool.rejects))
    if merge:
        pool.candidates, pool.merged = merge_candidates(pool.candidates)
    return pool


def read_candidates(path: Path, *, strict: bool, rejects: list[Reject]) -> Iterator[Candidate]:
    """Yield what `read_pool` would return without merging, one after the other.

    Parameters
    ----------
    path
        Of the pool.
    strict
        Stop at the first entry that cannot be read.
    rejects
        To which the others of them are added.

    Raises
    ------
    DataError
        As `read_pool`.
    """
    entries = counted(pool_entries(path), "reading structures", total=lambda: entries_in(path))
    yield from _each_named(map(try_entry, entries), path, strict=strict, rejects=rejects)


def hold_candidates(
    path: Path, *, strict: bool, rejects: list[Reject], workers: int = 1
) -> Iterator[HeldCandidate]:
    """Yield what `read_candidates` would, as it takes little memory; large pools on processes.

    Parameters
    ----------
    path, strict, rejects
        As in `read_candidates`.
    workers
        Most processes; the result does not depend on it.

    Raises
    ------
    DataError
        As `read_pool`.
    """
    number = entries_in(path) if workers > 1 and path.exists() else None
    with mapping(max(1, min(workers, (number or 0) // WORTH_A_PROCESS))) as mapped:
        found = mapped(_held, chunks(pool_entries(path)))
        read = counted(found, "reading structures", total=lambda: number or entries_in(path))
        yield from _each_named(read, path, strict=strict, rejects=rejects)


def _held(
    entries: Sequence[tuple[str, Any]],
) -> list[tuple[str, HeldCandidate | Reject]]:
    read = map(try_entry, entries)
    return [(source, one if isinstance(one, Reject) else hold(one)) for source, one in read]


def try_entry(placed: tuple[str, Any]) -> tuple[str, Candidate | Reject]:
    """Return where an entry stands, and the candidate or why it is none."""
    place, entry = placed
    source = printable(place)  # a file may be called anything, and its name goes to terminals
    try:
        return source, read_entry(source, entry)
    except DataError as error:
        return source, Reject(source, printable(str(error)))


def _each_named(
    read: Iterable[tuple[str, C | Reject]], path: Path, *, strict: bool, rejects: list[Reject]
) -> Iterator[C]:
    """Yield candidates under names of their own, and put the rest aside."""
    named: set[str] = set()
    is_empty, before = True, len(rejects)
    for source, found in read:
        if isinstance(found, Reject):
            if strict:
                raise DataError(found.reason)
            rejects.append(found)
            continue
        is_empty = False
        told = first_name(found.source, source, named)
        yield found if told == found.source else _changed(found, source=told)
    if is_empty:
        why = f": {rejects[before].reason}" if rejects[before:] else ""
        raise DataError(f"The pool {path} holds no readable structure{why}")
    for reject in rejects[before:]:
        logger.warning("%s", reject.reason)


def first_name(name: str, place: str, named: set[str]) -> str:
    """Return a name that no entry had before, and remember it.

    One name for two rows names neither: the second then says where it stands as well.
    """
    told = f"{name} ({place})" if name in named else name
    named.add(told)
    return told


def candidate_from_text(
    text: str, *, name: str, fmt: str = "cif", reference: str = ""
) -> Candidate:
    """Make a candidate of the text of a structure file, as it stands in a campaign file.

    Parameters
    ----------
    text
        The file's.
    name
        What the candidate comes from, for people.
    fmt
        pymatgen's name of the format, such as ``cif`` or ``poscar``.
    reference
        Where the structure was published.
    """
    structure = structure_from_text(text, fmt=fmt, source=name)
    candidate = _made(structure, source=name, properties={})
    return candidate.model_copy(update={"reference": reference})


def merge_candidates(
    candidates: Sequence[C],
) -> tuple[list[C], list[tuple[str, str]]]:
    """Merge candidates that are one crystal; the first of them stays and names the others.

    Returns the candidates that stay, in order, and the pairs (source merged, source it went to).
    """
    kept: dict[str, C] = {}
    crystals = Crystals()
    merged: list[tuple[str, str]] = []
    candidate: C
    first: C
    for candidate in counted(candidates, "comparing structures"):
        twin = candidate.id if candidate.id in kept else None
        if twin is None:
            twin = crystals.twin_or_add(candidate.id, candidate.formula, _crystal(candidate))
        if twin is None:
            kept[candidate.id] = candidate
            continue
        first = kept[twin]
        also = dict.fromkeys((*first.aliases, candidate.source, *candidate.aliases))
        also.pop(first.source, None)
        kept[twin] = _changed(first, aliases=tuple(also))
        merged.append((candidate.source, first.source))
    return list(kept.values()), merged


def _crystal(candidate: Candidate | HeldCandidate) -> Structure | HeldCandidate:
    return candidate if isinstance(candidate, HeldCandidate) else candidate.structure


def _changed(candidate: C, **fields: Any) -> C:
    if isinstance(candidate, HeldCandidate):
        return replace(candidate, **fields)
    return candidate.model_copy(update=fields)


def pool_entries(path: Path) -> Iterator[tuple[str, Any]]:  # noqa: C901 - one branch a kind of pool
    """Yield the entries of a pool, unread: where each stands, and its file, line, text or row."""
    if not path.exists():
        raise DataError(
            f"There is no pool at {path}. Give a folder or zip of CIFs, a .jsonl, a .csv or a CIF."
        )
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if _holds_structure(file.name)]
        files = [file for file in files if not file.is_dir()]
        if not files:
            raise DataError(
                f"The pool {path} holds no readable structure: of the folder's files none is "
                "called *.cif, *.vasp, *.poscar, *.json, POSCAR* or CONTCAR*; folders within are "
                "not entered."
            )
        yield from ((file.name, file) for file in files)
        return
    stem = path.name.removesuffix(".gz")
    if stem.endswith(".jsonl"):
        for number, line in enumerate(text_lines(path), start=1):
            if line.strip():
                yield f"{path.name}:{number}", line
    elif stem.endswith(".csv"):
        yield from _table(path)
    elif path.suffix == ".json" and (ranked := ranking_rows(path)) is not None:
        for number, row in enumerate(ranked, start=1):
            yield f"{path.name}:{number}", row
    elif path.suffix == ".zip":
        yield from zip_members(path, wanted=lambda name: _holds_structure(name, packed=False))
    else:
        yield path.name, path


def entries_in(path: Path) -> int | None:
    """Return how many entries a pool has, without reading structures; None if it has to be read."""
    stem = path.name.removesuffix(".gz")
    if path.is_dir():
        return sum(_holds_structure(file.name) for file in path.iterdir())
    if stem.endswith(".jsonl"):
        return sum(1 for line in text_lines(path) if line.strip())
    if stem.endswith(".csv"):
        return sum(1 for _ in table_rows(path)[1])
    return None if path.suffix == ".zip" else 1


def _holds_structure(name: str, *, packed: bool = True) -> bool:
    stem = Path(Path(name).name.removesuffix(".gz" if packed else ""))
    return stem.suffix.lower() in STRUCTURE_SUFFIXES or stem.name.startswith(STRUCTURE_NAMES)


def _table(path: Path) -> Iterator[tuple[str, Any]]:
    columns, rows = table_rows(path)
    if "cif" not in columns:
        raise DataError(f"The table {path} needs a column 'cif'; it has {listed(columns)}.")
    for row in rows:
        yield f"{path.name}:{row.number}", row


def read_entry(source: str, entry: Any) -> Candidate:
    """Return an entry that `pool_entries` gave as a candidate, or raise a DataError."""
    if isinstance(entry, Path):
        entry = read_bytes(entry, largest=LARGEST_STRUCTURE)
    if isinstance(entry, DataError):
        raise entry
    if isinstance(entry, bytes):
        suffix = Path(source.removesuffix(".gz")).suffix.lower().lstrip(".")
        fmt = suffix if suffix in {"cif", "json"} else "poscar"
        structure = structure_from_text(decode_structure_text(entry), fmt=fmt, source=source)
        return _made(structure, source=source, properties={})
    if isinstance(entry, TableRow):
        if entry.problem:
            raise DataError(f"{source}: {entry.problem}")
        return _from_record(source, entry.cells)
    if isinstance(entry, Mapping):
        return _from_record(source, entry)
    try:
        record = read_json(entry)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error
    return _from_record(source, record)


def _from_record(source: str, record: Any) -> Candidate:
    if not isinstance(record, Mapping):
        raise DataError(
            f"{source}: expected an object with a structure, got {type(record).__name__}"
        )
    known = STRUCTURE_KEYS | (CRYSTAL_KEYS if "sites" in record else set())
    rest = {key: value for key, value in record.items() if key not in known}
    check_properties(rest, source=source)
    candidate = _made(_structure_of(record, source), source=source, properties=rest)
    names = stated_names(record)
    reference = record.get("reference")
    said = {"source": names[0], "aliases": names[1:]} if names else {}
    if isinstance(reference, str):
        said["reference"] = printable(reference)
    return candidate.model_copy(update=said)


def _structure_of(record: Mapping[str, Any], source: str) -> Structure:
    if record.keys() >= FLAT_KEYS:
        return flat_structure(record, source=source)
    if "lattice" in record:
        return structure_from_record(record, source=source)
    if "structure" in record:
        return structure_from_record(record["structure"], source=source)
    if "cif" in record:
        return structure_from_text(str(record["cif"]), fmt="cif", source=source)
    raise DataError(f"{source}: has neither 'structure' nor 'cif'; it has {listed(record)}.")


def stated_name(record: Mapping[str, Any]) -> str | None:
    """Return what a row calls its material: the first of `NAME_COLUMNS` that it states."""
    return next(iter(stated_names(record)), None)


def stated_names(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all names and ids that a row states of its material, each once."""
    found: dict[str, None] = {}
    columns: tuple[str, ...] = NAME_COLUMNS
    if "candidate_id" in record:  # a line of a table or ranking of ours
        columns += ("source", "candidate_id")
    for column in columns:
        value = record.get(column)
        for one in value if isinstance(value, list) else [value]:
            told = int(one) if isinstance(one, float) and one.is_integer() else one
            # Tables with gaps write an ICSD code that is not there as 0.
            if isinstance(told, str | int) and told and str(told).strip():
                found[printable(str(told).strip())[:LONGEST_NAME]] = None
    return tuple(found)


def ranking_rows(path: Path) -> list[dict[str, Any]] | None:
    """Return the materials of a file that `screen rank --out` wrote, best first; None of others.

    Those that were ranked by their formula alone have no structure.
    """
    data = read_bytes(path, largest=LARGEST_RANKING)
    if b'"entries"' not in data:
        return None
    record = read_json(data)
    if not isinstance(record, Mapping) or not isinstance(record.get("entries"), list):
        return None
    built = {row["name"]: row for row in record.get("pool") or []}
    rows = []
    for entry in record["entries"]:
        named = {"name": entry["source"], "formula": entry["formula"]}
        rows.append(named | built.get(entry["source"], {}))
    return rows


def check_properties(properties: Mapping[str, Any], *, source: str) -> None:
    """Refuse properties that no database can hold.

    Raises
    ------
    DataError
        Such as dates, control characters and integers of thousands of digits.
    """
    try:
        check_plain(dict(properties))
    except DataError as error:
        raise DataError(f"{source}: in its properties, {error}") from error


def _made(structure: Structure, *, source: str, properties: dict[str, Any]) -> Candidate:
    return Candidate(
        id=content_id(structure),
        formula=structure.composition.reduced_formula,
        structure=structure,
        source=source,
        properties=properties,
    )
