"""How a row of each published table of conductivities reads, and one of a plain table.

Values are brought to S/cm and kelvin; a unit that is not stated is not assumed: the header or a
column ``unit`` must say it, except in the tables whose authors state it elsewhere.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ssefw.data.compositions import composition_id, parse_formula
from ssefw.documents import Candidate, Cell, Estimate, Label
from ssefw.errors import DataError

__all__ = ["LARGEST", "ROOM_TEMPERATURE", "TABLES", "LabelRow", "Table", "conductivity_of"]

ROOM_TEMPERATURE = 298.15
"""K; the tables say "room temperature" without a number."""

LARGEST = 10.0
"""S/cm; no lithium conductor comes near it, so a larger number has another unit."""

_BOUND = re.compile(r"^\s*(<=?|>=?|≤|≥)?\s*([-+0-9.eE\N{MULTIPLICATION SIGN}x^*]+)\s*$")
_POWER = re.compile(r"[\N{MULTIPLICATION SIGN}x*]10\^?")
_PER_CM = {"s/cm": 1.0, "scm-1": 1.0, "ms/cm": 1e-3, "mscm-1": 1e-3, "s/m": 1e-2, "sm-1": 1e-2}


@dataclass(frozen=True)
class LabelRow:
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
    read: Callable[[LabelRow], Label]
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


def _label(row: LabelRow, formula: str, sigma: Estimate, **details: Any) -> Label:
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


def _obelix(row: LabelRow) -> Label:
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


def _cell(row: LabelRow) -> Cell | None:
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


def _formula_units(row: LabelRow) -> float | None:
    """Return Z from the column "True Composition", which is the content of the cell."""
    if not row["True Composition"]:
        return None
    content = parse_formula(row["True Composition"]).num_atoms
    return content / parse_formula(row["Reduced Composition"]).num_atoms


def _mchaffie(row: LabelRow) -> Label:
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


def _laskowski(row: LabelRow) -> Label:
    return _label(
        row,
        row["laskowski_formula"],
        conductivity_of(row["laskowski_sigma"]),
        row_id=row["laskowski_icsd"],
        reference="Laskowski, McHaffie, See, Energy Environ. Sci. 16, 1264 (2023)",
    )


def _liverpool(row: LabelRow) -> Label:
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


def _plain(row: LabelRow) -> Label:
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


def _temperature(row: LabelRow) -> float:
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
