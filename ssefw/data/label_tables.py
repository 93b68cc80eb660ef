"""Readers of the published tables of conductivities, and of a plain table.

Which table it is follows from its columns. Every row becomes a label or a reject with the reason.
Values are brought to S/cm and kelvin; a unit that is not stated is not assumed: the header or a
column ``unit`` must say it, except in the tables whose authors state it elsewhere.
"""

import csv
import io
import math
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssefw.data.compositions import composition_id, parse_formula
from ssefw.data.pools import candidate_from_text
from ssefw.documents import Candidate, Cell, Estimate, Label, LabelSet
from ssefw.errors import DataError

__all__ = [
    "ROOM_TEMPERATURE",
    "TABLES",
    "assign_clusters",
    "conductivity_of",
    "read_label_table",
    "read_structures",
    "write_label_table",
]

ROOM_TEMPERATURE = 298.15
"""K; the tables say "room temperature" without a number."""

LARGEST = 10.0
"""S/cm; no lithium conductor comes near it, so a larger number has another unit."""

_BOUND = re.compile(r"^\s*(<=?|>=?|≤|≥)?\s*([-+0-9.eE\N{MULTIPLICATION SIGN}x^*]+)\s*$")
_POWER = re.compile(r"[\N{MULTIPLICATION SIGN}x*]10\^?")
_PER_CM = {"s/cm": 1.0, "scm-1": 1.0, "ms/cm": 1e-3, "mscm-1": 1e-3, "s/m": 1e-2, "sm-1": 1e-2}


@dataclass(frozen=True)
class Row:
    """A line of a table with what the reader may need beside it."""

    source: str
    cells: Mapping[str, str]
    structures: Mapping[str, Candidate] = field(default_factory=dict)

    def __getitem__(self, column: str) -> str:
        return (self.cells.get(column) or "").strip()


@dataclass(frozen=True)
class Table:
    """A kind of table: the columns that give it away and how a row of it reads.

    Attributes
    ----------
    has_own_ids
        Whether its ids name rows; ICSD codes name crystals, of which there may be two reports.
    """

    columns: frozenset[str]
    read: Callable[[Row], Label]
    convention: str
    has_own_ids: bool = True


def conductivity_of(text: str, *, unit: str = "S/cm") -> Estimate:
    """Return the conductivity a cell of a table states; ``< 1e-10`` is an upper bound.

    Raises
    ------
    DataError
        If it is no number, not positive, above what any lithium conductor has, or of unknown unit.
    """
    scale, is_log = _scale(unit)
    match = _BOUND.match(text.replace("\N{MINUS SIGN}", "-"))
    number = _float(_POWER.sub("e", match[2])) if match else None
    if match is None or number is None:
        raise DataError(f"{text!r} is no conductivity. Write 1.2e-4, or < 1e-10 for a bound.")
    value = 10.0**number if is_log else number * scale
    if not 0 < value < LARGEST or not math.isfinite(value):
        raise DataError(
            f"A conductivity of {text.strip()} {unit} is not possible (it must lie between 0 and "
            f"{LARGEST:g} S/cm). Check the unit."
        )
    sign = (match[1] or "")[:1]
    if sign in {"<", "≤"}:
        return Estimate.below(value, unit="S/cm", reason="reported as a bound")
    if sign in {">", "≥"}:
        return Estimate.above(value, unit="S/cm", reason="reported as a bound")
    return Estimate(
        value=value, lower=value, upper=value, unit="S/cm", method="one report, no error stated"
    )


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _scale(unit: str) -> tuple[float, bool]:
    key = unit.strip().lower().replace(" ", "").replace("·", "").replace("^", "")
    if key.startswith("log10"):
        inner = key.removeprefix("log10").strip("()")
        if inner in {"", "s/cm", "scm-1"}:
            return 1.0, True
    if key in _PER_CM:
        return _PER_CM[key], False
    raise DataError(f"Unknown unit of conductivity {unit!r}. Known: S/cm, mS/cm, S/m, log10(S/cm).")


def read_structures(path: Path) -> tuple[dict[str, Candidate], list[tuple[str, str]]]:
    """Read a zip or folder of CIFs as candidates by file name without suffix, and the rejects."""
    found: dict[str, Candidate] = {}
    rejects: list[tuple[str, str]] = []
    for name, text in _cif_texts(path):
        try:
            found[Path(name).stem] = candidate_from_text(text, name=Path(name).name)
        except DataError as error:
            rejects.append((name, str(error)))
    if not found:
        raise DataError(f"{path} holds no readable CIF. Give a zip or a folder of .cif files.")
    return found, rejects


def _cif_texts(path: Path) -> list[tuple[str, str]]:
    if path.is_dir():
        return [(file.name, file.read_text()) for file in sorted(path.glob("*.cif"))]
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if n.lower().endswith(".cif"))
            return [(name, archive.read(name).decode()) for name in names]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is neither a folder nor a zip of CIFs ({error}).") from error


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
    cells = _read_cells(path)
    columns = set(cells[0]) if cells else set()
    table = next((t for t in TABLES.values() if t.columns <= columns), None)
    if table is None:
        raise DataError(
            f"The columns of {path} are {', '.join(sorted(columns)) or 'none'}; they are of no "
            "known table. A plain table has 'formula', a conductivity with its unit such as "
            "'sigma (S/cm)', and may have 'T (K)', 'doi', 'id', 'quantity' and 'group'."
        )
    known, bad_files = read_structures(structures) if structures else ({}, [])
    labels: list[Label] = []
    rejects = list(bad_files)
    for number, line in enumerate(cells, start=2):
        row = Row(f"{path.name}:{number}", line, known)
        try:
            labels.append(table.read(row))
        except DataError as error:
            rejects.append((row.source, str(error)))
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
        for row in _read_cells(path):
            code = row.get("icsd_collectioncode") or row.get("id")
            if not code or not row.get("cluster"):
                raise DataError(
                    f"{path} needs the columns 'cluster' and 'icsd_collectioncode' or 'id'; it has "
                    f"{', '.join(row)}."
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
        table = csv.writer(file)
        names = ["id", "formula", "sigma (S/cm)", "T (K)", "quantity", "group", "reports", "doi"]
        table.writerow(names)
        for label in labels.labels:
            sigma = label.conductivity
            sign = {"upper_bound": "< ", "lower_bound": "> "}.get(sigma.kind, "")
            number = sigma.value if sigma.value is not None else sigma.upper or sigma.lower
            table.writerow(
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


def _read_cells(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read the table {path} ({error}).") from error
    first = text.partition("\n")[0]
    if not first.strip():
        raise DataError(f"The table {path} is empty.")
    # A quoted cell may hold line breaks, so the csv reader splits the lines.
    lines = io.StringIO(text, newline="")
    if _is_laskowski(first):
        fields = ["laskowski_formula", "laskowski_sigma", "laskowski_column", "laskowski_icsd"]
        rows = [dict(zip(fields, row, strict=False)) for row in csv.reader(lines) if any(row)]
        return [{**dict.fromkeys(fields, ""), **row} for row in rows]
    return [
        {
            (key or "").strip(): value or ""
            for key, value in row.items()
            if not isinstance(value, list)
        }
        for row in csv.DictReader(lines)
    ]


def _is_laskowski(first: str) -> bool:
    """Whether a table without header has formula, sigma, a number and an ICSD code."""
    parts = next(csv.reader([first]))
    try:
        parse_formula(parts[0])
        return len(parts) == 4 and float(parts[1]) < LARGEST
    except (DataError, ValueError, IndexError):
        return False


def _label(row: Row, formula: str, sigma: Estimate, **details: Any) -> Label:
    composition = parse_formula(formula)
    if "Li" not in composition:
        raise DataError(f"{formula!r} holds no lithium.")
    candidate: Candidate | None = details.pop("candidate", None)
    return Label(
        candidate_id=candidate.id if candidate else composition_id(composition),
        formula=formula.strip(),
        conductivity=sigma,
        temperature=details.pop("temperature", ROOM_TEMPERATURE),
        kind="experiment",
        structure=candidate.structure if candidate else None,
        sources=(row.source,),
        **details,
    )


def _obelix(row: Row) -> Label:
    total, bulk = row["IC (Total)"], row["IC (Bulk)"]
    sigma = conductivity_of(row["Ionic conductivity (S cm-1)"])
    quantity = "total" if total else "bulk" if bulk else "unspecified"
    return _label(
        row,
        row["Reduced Composition"],
        sigma,
        quantity=quantity,
        reference=row["DOI"],
        row_id=row["ID"],
        group=row["Family"],
        cell=_cell(row),
        candidate=row.structures.get(row["ID"]),
    )


def _cell(row: Row) -> Cell | None:
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    texts = [row[name] for name in names] + [row["Space group #"]]
    if not all(texts):
        return None
    try:
        numbers = [float(text) for text in texts[:6]]
        return Cell(
            **dict(zip(names, numbers, strict=True)),
            space_group=int(float(texts[6])),
            formula_units=_formula_units(row),
        )
    except ValueError as error:
        raise DataError(f"{row.source}: the cell {texts} is none ({error}).") from error


def _formula_units(row: Row) -> float | None:
    """Return Z from the column "True Composition", which is the content of the cell."""
    if not row["True Composition"]:
        return None
    content = parse_formula(row["True Composition"]).num_atoms
    return content / parse_formula(row["Reduced Composition"]).num_atoms


def _mchaffie(row: Row) -> Label:
    lowest = row["lowest_extrapolation_temperature_K"]
    return _label(
        row,
        row["compound"],
        conductivity_of(row["conductivity_siemens_per_cm"]),
        reference=row["conductivity_doi"],
        row_id=row["icsd_collectioncode"],
        group=row["cluster"],
        lowest_temperature=float(lowest) if lowest not in {"", "na"} else None,
    )


def _laskowski(row: Row) -> Label:
    return _label(
        row,
        row["laskowski_formula"],
        conductivity_of(row["laskowski_sigma"]),
        row_id=row["laskowski_icsd"],
        reference="Laskowski, McHaffie, See, Energy Environ. Sci. 16, 1264 (2023)",
    )


def _liverpool(row: Row) -> Label:
    celsius = float(row["temperature"] or "nan")
    if not math.isfinite(celsius):
        raise DataError(f"{row.source}: no temperature.")
    return _label(
        row,
        row["composition"],
        conductivity_of(row["target"]),
        reference=row["source"],
        row_id=row["ID"],
        group=row["family"],
        temperature=celsius + 273.15,
    )


def _plain(row: Row) -> Label:
    column = next(key for key in row.cells if _is_sigma(key))
    unit = row["unit"] or _unit_of(column)
    candidate = row.structures.get(row["cif"].removesuffix(".cif") or row["id"])
    formula = row["formula"] or (candidate.formula if candidate else "")
    quantity = row["quantity"] or "unspecified"
    if quantity not in {"total", "bulk", "unspecified"}:
        raise DataError(f"{row.source}: quantity is {quantity!r}; write total, bulk or nothing.")
    return _label(
        row,
        formula,
        conductivity_of(row[column], unit=unit),
        quantity=quantity,
        reference=row["doi"] or row["reference"],
        row_id=row["id"],
        group=row["group"],
        temperature=_temperature(row),
        candidate=candidate,
    )


def _is_sigma(column: str) -> bool:
    return bool(
        re.match(r"(log10[ _(]*)?(sigma|conductivity)\b|sigma_|conductivity_", column.lower())
    )


def _unit_of(column: str) -> str:
    stated = re.search(r"[(\[](.+?)[)\]]\s*$", column)
    if column.lower().startswith("log10"):
        return "log10(S/cm)"
    if stated is None:
        raise DataError(
            f"The column {column!r} does not say its unit. Call it '{column} (S/cm)' or add a "
            "column 'unit'."
        )
    return stated[1]


def _temperature(row: Row) -> float:
    for column, text in row.cells.items():
        match = re.fullmatch(r"(T|temperature)\s*[(\[_]\s*(K|C|°C|degC)\s*[)\]]?", column)
        if match and text.strip():
            try:
                value = float(text)
            except ValueError:
                raise DataError(f"{row.source}: {text!r} is no temperature.") from None
            kelvin = value if match[2] == "K" else value + 273.15
            if not 150 <= kelvin <= 2000:
                raise DataError(
                    f"{row.source}: {kelvin:g} K is no temperature for a conductivity. Check "
                    "whether the column is in kelvin or degrees Celsius."
                )
            return kelvin
        if column in {"T", "temperature"} and text.strip():
            raise DataError(f"The column {column!r} does not say its unit: call it 'T (K)'.")
    return ROOM_TEMPERATURE


class _PlainColumns(frozenset[str]):
    """Columns of a plain table: a formula and any spelling of a conductivity."""

    def __le__(self, other: Any) -> bool:
        has_material = bool({"formula", "cif"} & set(other))
        return has_material and any(_is_sigma(column) for column in other)


TABLES: dict[str, Table] = {
    "obelix": Table(
        frozenset({"Ionic conductivity (S cm-1)", "Reduced Composition", "ID"}),
        _obelix,
        'OBELiX (CC BY 4.0): "<1E-10" is kept as an upper bound; its official loader puts 1e-15.',
    ),
    "mchaffie": Table(
        frozenset({"compound", "icsd_collectioncode", "conductivity_siemens_per_cm"}),
        _mchaffie,
        "McHaffie et al. 2025: room temperature; extrapolated rows keep the lowest temperature.",
        has_own_ids=False,
    ),
    "laskowski": Table(
        frozenset({"laskowski_formula"}),
        _laskowski,
        "Laskowski et al. 2023: sigma at 25 C.",
        has_own_ids=False,
    ),
    "liverpool": Table(
        frozenset({"ID", "composition", "temperature", "target"}),
        _liverpool,
        "Liverpool Li-ion database: temperature in degrees Celsius, target in S/cm.",
    ),
    "plain": Table(_PlainColumns(), _plain, "Plain table: as its header says."),
}
"""Kinds of table in the order in which they are tried."""
