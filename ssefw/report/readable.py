"""Rows of a table as people read them: an estimate is one value, a unit is written as units are."""

from collections.abc import Callable
from typing import Any

from ssefw.documents import Estimate

__all__ = ["LONG", "column_words", "readable", "unit_end"]

UNITS = {
    "angstrom": "(A)", "cm2_per_s": "(cm2/s)", "ev": "(eV)", "k": "(K)", "ps": "(ps)",
    "s_per_cm": "(S/cm)",
}  # fmt: skip
"""How a unit at the end of the name of a column is written."""
LONG = ("reason", "source", "reference")
"""Columns that hold sentences."""


def readable(line: dict[str, Any], write: Callable[[Estimate], str]) -> dict[str, Any]:
    """Join the columns of an estimate, value, bounds and kind, to one that is written out."""
    done: dict[str, Any] = {}
    for name, value in line.items():
        stem, unit = name.removesuffix("_kind"), ""
        if stem != name:
            before = f"{stem}_lower_"
            unit = next(other.removeprefix(before) for other in line if other.startswith(before))
        elif (end := unit_end(name)) and f"{name.removesuffix(end)}_lower{end}" in line:
            stem, unit = name.removesuffix(end), end[1:]
        if unit:
            found = _estimate(line, stem, unit)
            done.setdefault(f"{stem}_{unit}", "–" if found is None else write(found))
        elif not any(f"_{end}_" in name for end in ("lower", "upper")):
            done[name] = value
    return done


def column_words(name: str) -> str:
    """Return the name of a column with its unit as units are written."""
    unit = unit_end(name)
    said = name.removesuffix(unit).replace("_", " ")
    return f"{said} {UNITS[unit[1:]]}" if unit else said


def unit_end(name: str) -> str:
    """Return the end of a column's name that is its unit, if any."""
    return next((f"_{unit}" for unit in UNITS if name.endswith(f"_{unit}")), "")


def _estimate(line: dict[str, Any], stem: str, unit: str) -> Estimate | None:
    """Return the estimate in some columns; one without a kind is a value, or not there."""
    value = line[f"{stem}_{unit}"]
    kind = line.get(f"{stem}_kind", None if value is None else "value")
    if kind is None:
        return None
    return Estimate(
        value=value,
        lower=line[f"{stem}_lower_{unit}"],
        upper=line[f"{stem}_upper_{unit}"],
        kind=kind,
        reason="no value",
        unit=unit,
    )
