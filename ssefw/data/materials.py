"""What a screen must know of a material: its formula and, where given, cell and structure.

A pool of 100,000 rows is read as a stream of these; a structure is built only when asked for. Rows
come from JSON lines (a pymatgen structure, a CIF, or lattice parameters with species and
fractional coordinates), from tables with a formula, and from labels.
"""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import spglib
from pymatgen.core import Composition, Lattice, Structure

from ssefw.data.compositions import composition_id, parse_formula
from ssefw.data.held import HeldCandidate, hold
from ssefw.data.pools import Reject, check_properties, ranking_rows, read_pool, stated_name
from ssefw.data.reading.structure_files import (
    flat_structure,
    structure_from_record,
    structure_from_text,
)
from ssefw.data.structures import content_id
from ssefw.documents import Barrier, Candidate, Cell, Label
from ssefw.errors import DataError
from ssefw.files import listed, printable, read_json
from ssefw.files.tables import TableRow, table_rows, text_lines

__all__ = [
    "Material",
    "material_from_candidate",
    "material_from_label",
    "materials_of",
    "merge_materials",
    "read_materials",
    "standard_cell",
]

FORMULA_COLUMNS = ("formula", "composition", "Reduced Composition", "compound", "reduced_formula")
# Keys of published tables that mean what a filter asks for; the right side carries the unit.
PROPERTY_NAMES = {
    "band_gap": "band_gap_ev",
    "band_gap_eV": "band_gap_ev",
    "e_hull": "e_hull_ev_atom",
    "e_above_hull": "e_hull_ev_atom",
    "energy_above_hull": "e_hull_ev_atom",
    "e_above_hull_eV_atom": "e_hull_ev_atom",
    "bvse_ea": "bvse_barrier_ev",
    "bvse_ea_eV": "bvse_barrier_ev",
    "formation_energy_per_atom": "e_form_ev_atom",
    "v_ox": "v_ox_v",
    "V_ox": "v_ox_v",
}


@dataclass(frozen=True)
class Material:
    """A row of a pool or a label set, as a screen sees it.

    Attributes
    ----------
    name
        What the pool calls it, for example a Materials Project id.
    properties
        Numbers of the pool; keys carry the unit (``band_gap_ev``, ``e_hull_ev_atom``).
    source
        File and line.
    build
        Makes the structure; None where the row has only a formula.
    barriers
        Bond-valence barriers that were computed of it, by mobile ion and spacing of the grid
        (angstrom): a second filter, and a campaign's gate, take them from here.
    """

    name: str
    formula: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    given_cell: Cell | None = None
    build: Callable[[], Structure] | None = field(default=None, repr=False, compare=False)
    barriers: dict[tuple[str, float], Barrier] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def composition(self) -> Composition:
        """The composition; raises DataError where the formula cannot be read."""
        return parse_formula(self.formula)

    @cached_property
    def structure(self) -> Structure:
        """The structure; raises DataError where the row has none."""
        if self.build is None:
            raise DataError(
                f"{self.formula} ({self.name}) has no structure. Give a pool or a label set with "
                "structures, or use a screener that needs the composition only."
            )
        return self.build()

    @cached_property
    def cell(self) -> Cell | None:
        """The conventional cell as given, else that of the structure, else None."""
        if self.given_cell is None and self.build is not None:
            return standard_cell(self.structure)
        return self.given_cell

    @cached_property
    def candidate_id(self) -> str:
        """Content id of the structure, or an id of the composition where there is none."""
        if self.build is not None:
            return content_id(self.structure)
        return composition_id(self.composition)


def material_from_candidate(candidate: Candidate | HeldCandidate) -> Material:
    """Return a candidate as a screen sees it; its name is the candidate's id."""
    held = candidate if isinstance(candidate, HeldCandidate) else hold(candidate)
    return Material(
        name=candidate.id,
        formula=held.composition.formula.replace(" ", ""),
        properties={
            PROPERTY_NAMES.get(key, key): _number(value)
            for key, value in candidate.properties.items()
        },
        source=candidate.source,
        build=lambda: candidate.structure,
    )


def standard_cell(structure: Structure, *, symprec: float = 0.01) -> Cell:
    """Return the conventional cell of a structure as spglib standardizes it.

    Raises
    ------
    DataError
        If no symmetry can be found.
    """
    # Sites of one mixed occupancy are one kind; spglib needs no element, only what is equal.
    kinds: dict[str, int] = {}
    numbers = [
        kinds.setdefault(site.species.formula + str(site.species.num_atoms), len(kinds) + 1)
        for site in structure
    ]
    crystal: Any = (structure.lattice.matrix, structure.frac_coords, numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = spglib.get_symmetry_dataset(crystal, symprec=symprec)
    if found is None:
        raise DataError(
            f"No symmetry found for {structure.composition.reduced_formula}; its atoms may overlap."
        )
    lattice = Lattice(found.std_lattice)
    scale = lattice.volume / structure.volume
    composition = structure.composition
    units = composition.num_atoms / composition.reduced_composition.num_atoms * scale
    a, b, c, alpha, beta, gamma = lattice.parameters
    return Cell(
        a=a,
        b=b,
        c=c,
        alpha=alpha,
        beta=beta,
        gamma=gamma,
        space_group=found.number,
        formula_units=round(units, 6),
    )


def material_from_label(label: Label) -> Material:
    """Return what a screen sees of a labeled material; the conductivity is not part of it."""
    structure = label.structure
    return Material(
        name=label.row_id or label.candidate_id,
        formula=label.formula,
        source=label.sources[0] if label.sources else "",
        given_cell=label.cell,
        build=None if structure is None else lambda: structure,
    )


def read_materials(path: Path) -> Iterator[Material | Reject]:
    """Yield the rows of a pool in order, and a `Reject` for each that cannot be one.

    Takes .jsonl(.gz), .csv(.gz) with a formula column or a structure, and everything
    `read_pool` takes. One row is held at a time.

    Raises
    ------
    DataError
        If the file is not there or has neither formulas nor structures.
    """
    stem = path.name.removesuffix(".gz")
    if not path.exists():
        raise DataError(f"There is no pool at {path}. Give a folder of CIFs, a .jsonl or a .csv.")
    if path.is_file() and stem.endswith(".jsonl"):
        yield from materials_of(_json_lines(path), file=path.name)
    elif path.is_file() and stem.endswith(".csv"):
        yield from materials_of(_csv_lines(path), file=path.name)
    elif path.is_file() and path.suffix == ".json" and (ranked := ranking_rows(path)) is not None:
        rows = ((n, json.dumps(row)) for n, row in enumerate(ranked, start=1))
        yield from materials_of(rows, file=path.name)
    else:
        pool = read_pool(path, merge=False)
        yield from pool.rejects
        for candidate in pool.candidates:
            structure = candidate.structure
            yield Material(
                name=candidate.source,
                formula=candidate.formula,
                properties=candidate.properties,
                source=candidate.source,
                build=lambda structure=structure: structure,  # type: ignore[misc]
            )


def merge_materials(materials: Iterable[Material]) -> tuple[list[Material], int]:
    """Keep the first of the rows that share a name, and count the others.

    Only names that a pool states count: rows without one are all kept.
    """
    kept: dict[str, Material] = {}
    merged = 0
    for material in materials:
        if material.name in kept:
            merged += 1
        else:
            kept[material.name] = material
    return list(kept.values()), merged


def _json_lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text_lines(path), start=1):
        if line.strip():
            yield number, line


def _csv_lines(path: Path) -> Iterator[tuple[int, TableRow]]:
    columns, rows = table_rows(path)
    if not {*FORMULA_COLUMNS, "cif"} & set(columns):
        raise DataError(
            f"The table {path} needs a column 'formula' or 'cif'; it has {listed(columns)}."
        )
    for row in rows:
        yield row.number, row


def materials_of(lines: Iterable[tuple[int, Any]], *, file: str) -> Iterator[Material | Reject]:
    """Yield the materials of numbered lines of JSON, or rows of a table, and a `Reject` of others.

    Parameters
    ----------
    file
        Of which the lines are; a row without a name is called ``file:number``.
    """
    for number, record in lines:
        source = printable(f"{file}:{number}")
        try:
            yield _material(record, source)
        except DataError as error:
            yield Reject(source, printable(str(error)))


def _material(line: Any, source: str) -> Material:
    if isinstance(line, TableRow):
        if line.problem:
            raise DataError(f"{source}: {line.problem}")
        record: Any = line.cells
    else:
        record = _record(line, source)
    if not isinstance(record, Mapping):
        raise DataError(f"{source}: not an object with a formula or a structure.")
    build = _builder(record, source)
    formula = next((str(record[key]) for key in FORMULA_COLUMNS if record.get(key)), None)
    if formula is None:
        if build is None:
            raise DataError(
                f"{source}: has neither formula nor structure; it has {listed(record)}."
            )
        formula = build().composition.reduced_formula
    parse_formula(formula)
    if build is not None and isinstance(line, str):
        # The text of a row is a third of the objects it becomes, and most are never built.
        build = _rebuilder(line, source)
    known = {"structure", "cif", "lattice", "species", "frac", "sites", *FORMULA_COLUMNS}
    rest = {key: value for key, value in record.items() if key not in known}
    check_properties(rest, source=source)
    return Material(
        name=stated_name(record) or source,
        formula=formula,
        properties={
            PROPERTY_NAMES.get(str(key), str(key)): _number(value)
            for key, value in rest.items()
            if value not in (None, "")
        },
        source=source,
        build=build,
    )


def _record(line: str, source: str) -> Any:
    try:
        return read_json(line)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _builder(record: Mapping[str, Any], source: str) -> Callable[[], Structure] | None:
    if record.get("cif"):
        return lambda: structure_from_text(str(record["cif"]), fmt="cif", source=source)
    if isinstance(record.get("structure"), Mapping):
        return lambda: structure_from_record(record["structure"], source=source)
    if {"lattice", "species", "frac"} <= record.keys():
        return lambda: flat_structure(record, source=source)
    if "lattice" in record and "sites" in record:
        return lambda: structure_from_record(record, source=source)
    return None


def _rebuilder(line: str, source: str) -> Callable[[], Structure]:
    def build() -> Structure:
        made = _builder(read_json(line), source)
        if made is None:
            raise DataError(f"{source}: has no structure.")
        return made()

    return build
