"""Pools of candidates: a folder of structure files, JSON lines, a table, or structures in place.

A pool is read once, in order; what cannot be read is listed with its reason and skipped (or, when
asked to be strict, stops the reading); crystals that are one and the same are merged.
"""

import csv
import json
import logging
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from monty.json import MontyDecoder
from pymatgen.core import DummySpecies, Lattice, Structure

from ssefw.data.structures import content_id, same_structure
from ssefw.data.text_files import read_structure_text, text_lines
from ssefw.documents import Candidate
from ssefw.errors import DataError

__all__ = [
    "Pool",
    "Reject",
    "candidate_from_text",
    "flat_structure",
    "merge_candidates",
    "read_pool",
]

logger = logging.getLogger(__name__)

STRUCTURE_SUFFIXES = {".cif", ".vasp", ".poscar", ".json"}
STRUCTURE_NAMES = ("POSCAR", "CONTCAR")
MIN_DISTANCE = 0.5
MAX_ATOM_VOLUME = 500.0
FLAT_KEYS = {"lattice", "species", "frac"}
STRUCTURE_KEYS = {"structure", "cif", *FLAT_KEYS}


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
    """Read a folder of CIF/POSCAR files, a .jsonl(.gz), a .csv(.gz) or one structure file.

    Of a folder the files ``*.cif``, ``*.vasp``, ``*.poscar``, ``*.json``, ``POSCAR*`` and
    ``CONTCAR*`` are taken, compressed by gzip or not; folders within are not entered.

    A JSON line holds a structure (pymatgen's dictionary) itself or under ``structure``, a CIF under
    ``cif``, or ``lattice`` (six parameters), ``species`` and ``frac``; a table needs a column
    ``cif``. Other columns become properties of the candidate.

    Raises
    ------
    DataError
        If nothing is there, or nothing could be read, or (strict) the first entry that cannot be.
    """
    pool = Pool()
    for source, entry in _entries(path):
        try:
            pool.candidates.append(_candidate(source, entry))
        except DataError as error:
            if strict:
                raise
            pool.rejects.append(Reject(source, str(error)))
    if not pool.candidates:
        why = f": {pool.rejects[0].reason}" if pool.rejects else ""
        raise DataError(f"The pool {path} holds no readable structure{why}")
    for reject in pool.rejects:
        logger.warning("%s", reject.reason)
    if merge:
        pool.candidates, pool.merged = merge_candidates(pool.candidates)
    return pool


def candidate_from_text(
    text: str, *, name: str, fmt: str = "cif", reference: str = ""
) -> Candidate:
    """Make a candidate of the text of a structure file, as it stands in a campaign file."""
    structure = _parse_text(text, fmt=fmt, source=name)
    candidate = _checked(structure, source=name, properties={})
    return candidate.model_copy(update={"reference": reference})


def merge_candidates(
    candidates: list[Candidate],
) -> tuple[list[Candidate], list[tuple[str, str]]]:
    """Merge candidates that are one crystal; the first of them stays and names the others.

    Returns the candidates that stay, in order, and the pairs (source merged, source it went to).
    """
    kept: dict[str, Candidate] = {}
    by_formula: dict[str, list[str]] = defaultdict(list)
    merged: list[tuple[str, str]] = []
    for candidate in candidates:
        twin = candidate.id if candidate.id in kept else None
        if twin is None:
            twin = next(
                (
                    key
                    for key in by_formula[candidate.formula]
                    if same_structure(kept[key].structure, candidate.structure)
                ),
                None,
            )
        if twin is None:
            kept[candidate.id] = candidate
            by_formula[candidate.formula].append(candidate.id)
            continue
        first = kept[twin]
        kept[twin] = first.model_copy(update={"aliases": (*first.aliases, candidate.source)})
        merged.append((candidate.source, first.source))
    return list(kept.values()), merged


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    if not path.exists():
        raise DataError(
            f"There is no pool at {path}. Give a folder of CIFs, a .jsonl, a .csv or a CIF."
        )
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if _holds_structure(file)]
        if not files:
            raise DataError(
                f"The pool {path} holds no readable structure: of the folder's files none is "
                "called *.cif, *.vasp, *.poscar, *.json, POSCAR* or CONTCAR*; folders within are "
                "not entered."
            )
        yield from ((file.name, file) for file in files)
        return
    stem = path.name.removesuffix(".gz")
    if stem.endswith((".jsonl", ".csv")):
        with text_lines(path) as lines:
            yield from _json_lines(path, lines) if stem.endswith(".jsonl") else _table(path, lines)
        return
    yield path.name, path


def _holds_structure(file: Path) -> bool:
    stem = Path(file.name.removesuffix(".gz"))
    named = stem.suffix.lower() in STRUCTURE_SUFFIXES or stem.name.startswith(STRUCTURE_NAMES)
    return named and not file.is_dir()


def _json_lines(path: Path, lines: TextIO) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path.name}:{number}", line


def _table(path: Path, lines: TextIO) -> Iterator[tuple[str, Any]]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.DictReader(lines)
    if "cif" not in (reader.fieldnames or ()):
        raise DataError(
            f"The table {path} needs a column 'cif'; it has {', '.join(reader.fieldnames or ())}."
        )
    for number, row in enumerate(reader, start=2):
        yield f"{path.name}:{number}", row


def _candidate(source: str, entry: Any) -> Candidate:
    if isinstance(entry, Path):
        text = read_structure_text(entry)
        suffix = Path(entry.name.removesuffix(".gz")).suffix.lower().lstrip(".")
        fmt = suffix if suffix in {"cif", "json"} else "poscar"
        return _checked(_parse_text(text, fmt=fmt, source=source), source=source, properties={})
    if isinstance(entry, str):
        try:
            record = json.loads(entry)
        except json.JSONDecodeError as error:
            raise DataError(f"{source}: not a JSON line ({error})") from error
        return _from_record(source, record)
    return _from_record(source, entry)


def _from_record(source: str, record: Any) -> Candidate:
    if not isinstance(record, Mapping):
        raise DataError(
            f"{source}: expected an object with a structure, got {type(record).__name__}"
        )
    rest = {key: value for key, value in record.items() if key not in STRUCTURE_KEYS}
    if record.keys() >= FLAT_KEYS:
        return _checked(flat_structure(record, source=source), source=source, properties=rest)
    if "lattice" in record:
        return _checked(_parse_record(record, source=source), source=source, properties={})
    if "structure" in record:
        return _checked(
            _parse_record(record["structure"], source=source), source=source, properties=rest
        )
    if "cif" in record:
        structure = _parse_text(str(record["cif"]), fmt="cif", source=source)
        return _checked(structure, source=source, properties=rest)
    raise DataError(f"{source}: has neither 'structure' nor 'cif'; it has {', '.join(record)}.")


def flat_structure(record: Mapping[str, Any], *, source: str) -> Structure:
    """Build a structure from lattice parameters, species and fractional coordinates."""
    try:
        lattice = Lattice.from_parameters(*record["lattice"])
        return Structure(lattice, record["species"], record["frac"])
    except (TypeError, ValueError) as error:
        raise DataError(f"{source}: lattice, species and frac make no crystal ({error})") from error


def _parse_record(record: Any, *, source: str) -> Structure:
    try:
        structure = MontyDecoder().process_decoded(record)
        if not isinstance(structure, Structure):
            structure = Structure.from_dict(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{source}: not a pymatgen structure ({_line(error)})") from error
    return structure


def _parse_text(text: str, *, fmt: str, source: str) -> Structure:
    if not text.strip():
        raise DataError(f"{source}: is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # Published occupancies may sum to 1.0001 on a site.
            options: dict[str, Any] = {"occupancy_tolerance": 1.001} if fmt == "cif" else {}
            structure: Structure = Structure.from_str(text, fmt=fmt, **options)  # type: ignore[arg-type]
        except Exception as error:
            raise DataError(f"{source}: not a readable {fmt} file ({_line(error)})") from error
    return structure


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _checked(structure: Structure, *, source: str, properties: dict[str, Any]) -> Candidate:
    if len(structure) == 0:
        raise DataError(f"{source}: has no atoms")
    unknown = [str(kind) for kind in structure.composition if isinstance(kind, DummySpecies)]
    if unknown:
        raise DataError(f"{source}: {unknown[0]} is no element")
    if not np.isfinite(structure.frac_coords).all() or not np.isfinite(structure.volume):
        raise DataError(f"{source}: has a coordinate or a cell length that is no number")
    if structure.volume < MIN_DISTANCE**3:
        raise DataError(f"{source}: its cell has a volume of {structure.volume:.3g} A^3")
    if structure.volume > MAX_ATOM_VOLUME * len(structure):
        raise DataError(
            f"{source}: has {structure.volume / len(structure):.3g} A^3 for each atom; is its cell "
            "in another unit than angstrom?"
        )
    if structure.is_ordered and len(structure) > 1 and not structure.is_valid(tol=MIN_DISTANCE):
        raise DataError(f"{source}: has atoms closer than {MIN_DISTANCE} A")
    return Candidate(
        id=content_id(structure),
        formula=structure.composition.reduced_formula,
        structure=structure,
        source=source,
        properties=properties,
    )
