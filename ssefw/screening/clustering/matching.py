"""Which rows of a pool are the materials of a label set.

By the ICSD code where a row of the pool lists it and the label is named by it; else by formula and
space group, where the label's cell states the group and one row alone has both. A formula alone does
not tell polymorphs apart and is not enough.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np
import numpy.typing as npt

from ssefw.data.compositions import composition_id, parse_formula
from ssefw.data.labels import log_conductivities
from ssefw.data.materials import Material
from ssefw.documents import Label
from ssefw.errors import DataError

__all__ = ["Match", "labeled_rows", "match_labels"]


@dataclass(frozen=True)
class Match:
    """A label and the row of the pool that is its material.

    Attributes
    ----------
    label
        Place in the label set.
    row
        Place in the pool.
    """

    label: int
    row: int
    by: Literal["ICSD code", "formula and space group"]


def match_labels(labels: Sequence[Label], materials: Sequence[Material]) -> list[Match]:
    """Return the labels that a pool holds, each with its row; one row may have several labels.

    Where several rows list one ICSD code, the first counts.
    """
    by_code: dict[str, int] = {}
    by_formula: dict[str, list[int]] = defaultdict(list)
    for row, material in enumerate(materials):
        for code in _codes(material):
            by_code.setdefault(code, row)
        by_formula[composition_id(material.composition)].append(row)
    groups: dict[int, int | None] = {}
    matches = []
    for place, label in enumerate(labels):
        if label.row_id in by_code:
            matches.append(Match(place, by_code[label.row_id], "ICSD code"))
        elif label.cell is not None:
            rows = by_formula.get(composition_id(parse_formula(label.formula)), [])
            for row in rows:
                if row not in groups:
                    groups[row] = _space_group(materials[row])
            same = [row for row in rows if groups[row] == label.cell.space_group]
            if len(same) == 1:
                matches.append(Match(place, same[0], "formula and space group"))
    return matches


def labeled_rows(
    matches: Iterable[Match], labels: Sequence[Label]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the rows that have labels, and log10 of sigma (S/cm) of each: the median of several.

    A bound counts as its limit.
    """
    values = log_conductivities(labels)
    found: dict[int, list[float]] = defaultdict(list)
    for match in matches:
        if np.isfinite(values[match.label]):
            found[match.row].append(float(values[match.label]))
    rows = np.array(sorted(found), dtype=np.int64)
    return rows, np.array([median(found[int(row)]) for row in rows])


def _codes(material: Material) -> list[str]:
    listed = material.properties.get("icsd") or material.properties.get("icsd_id") or []
    if isinstance(listed, str | int | float):
        listed = [listed]
    return [str(int(float(code))) for code in listed if str(code).strip()]


def _space_group(material: Material) -> int | None:
    try:
        cell = material.cell
    except DataError:
        return None
    return None if cell is None else cell.space_group
