"""Which rows of a pool are the materials of a label set.

By the ICSD code where a row of the pool lists it and the label is named by it; else by formula and
space group, where the label's cell states the group and one row alone has both. A formula alone
does not tell polymorphs apart and is not enough.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np
import numpy.typing as npt

from ssefw.data.compositions import composition_id, parse_formula
from ssefw.data.labels.sets import log_conductivities
from ssefw.data.materials import Material, material_from_label
from ssefw.data.structures import content_id
from ssefw.documents import Label, LabelSet
from ssefw.errors import DataError

__all__ = [
    "LabeledPool",
    "Match",
    "label_pool",
    "labeled_rows",
    "match_labels",
    "space_group",
    "with_structures",
]


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
    by: Literal["ICSD code", "formula and space group", "own structure"]


@dataclass(frozen=True)
class LabeledPool:
    """Materials with structures, and what is known of some of them.

    Attributes
    ----------
    materials
        The rows of the pool, then labels with a structure of their own that the pool lacks.
    rows, values
        Rows with labels, and log10 of sigma (S/cm).
    counts
        How many labels were found in which way, and how many not.
    families
        Of each labeled row, what its labels call the family of the material.
    """

    materials: tuple[Material, ...]
    rows: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    counts: dict[str, int]
    families: tuple[frozenset[str], ...] = ()


def label_pool(materials: Sequence[Material], labels: Sequence[Label]) -> LabeledPool:
    """Find labels in a pool, and add those that bring a structure of their own.

    Raises
    ------
    DataError
        If no label can be placed.
    """
    matches = match_labels(labels, materials)
    rows = list(materials)
    placed = {match.label for match in matches}
    counts = Counter(f"by {match.by}" for match in matches)
    own: dict[str, int] = {}
    for place, label in enumerate(labels):
        if place in placed:
            continue
        if label.structure is None:
            counts["not in the pool"] += 1
            continue
        if label.candidate_id not in own:
            own[label.candidate_id] = len(rows)
            rows.append(material_from_label(label))
        matches.append(Match(place, own[label.candidate_id], "own structure"))
        counts["by own structure"] += 1
    if not matches:
        raise DataError(
            f"None of {len(labels)} labels is in the pool by ICSD code or by formula and space "
            "group, and none has a structure. Give --structures, or a pool that lists ICSD codes."
        )
    found, values = labeled_rows(matches, labels)
    stated: dict[int, set[str]] = defaultdict(set)
    for match in matches:
        if family := labels[match.label].group.strip().lower():
            stated[match.row].add(family)
    families = tuple(frozenset(stated[int(row)]) for row in found)
    return LabeledPool(tuple(rows), found, values, dict(counts), families)


def with_structures(labels: LabelSet, materials: Sequence[Material]) -> LabelSet:
    """Return the label set with the structure of the pool on each label that lacks one.

    The pool's crystal may be ordered where the measured one is not: it stands for the same entry.
    """
    rows = {match.label: match.row for match in match_labels(labels.labels, materials)}
    filled = []
    for place, label in enumerate(labels.labels):
        if label.structure is None and place in rows and materials[rows[place]].build is not None:
            structure = materials[rows[place]].structure
            filled.append(
                label.model_copy(
                    update={"structure": structure, "candidate_id": content_id(structure)}
                )
            )
        else:
            filled.append(label)
    return labels.model_copy(update={"labels": tuple(filled)})


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
                    groups[row] = space_group(materials[row])
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


def space_group(material: Material) -> int | None:
    """Return the number of the space group, None where it is not known."""
    try:
        cell = material.cell
    except DataError:
        return None
    return None if cell is None else cell.space_group
