"""Known conductivities as a versioned set: classes, duplicates, saving, statistics.

A label keeps the value as reported: a censored value ("< 1e-10 S/cm") stays a bound, bulk and
total conductivity stay apart, an extrapolated value remembers the lowest temperature measured at.
"""

import gzip
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import NormalDist, median
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.data.compositions import composition_id, parse_formula
from ssefw.data.reading.structure_files import structure_from_record
from ssefw.documents import Estimate, Label, LabelSet
from ssefw.errors import DataError
from ssefw.files import read_bytes, read_json, replacing

__all__ = [
    "SUPERIONIC",
    "chance_above",
    "class_of",
    "classes",
    "decades_of",
    "label_statistics",
    "load_label_set",
    "log_conductivities",
    "merge_labels",
    "save_label_set",
]

SUPERIONIC = 1e-4
"""Conductivity in S/cm from which the papers call a material superionic."""

LARGEST_SET = 512 * 2**20
"""Bytes of a set with its structures, unpacked; one of ten thousand labels has a tenth."""

CENSORED_OBELIX = 1e-15
"""What OBELiX's official loader puts for a censored value, in S/cm."""


def class_of(conductivity: Estimate, *, threshold: float = SUPERIONIC) -> int:
    """Return 1 at or above the threshold, 0 below it, -1 where a bound does not decide."""
    if conductivity.value is not None:
        return int(conductivity.value >= threshold)
    if conductivity.upper is not None and conductivity.upper <= threshold:
        return 0
    if conductivity.lower is not None and conductivity.lower >= threshold:
        return 1
    return -1


def classes(labels: Sequence[Label], *, threshold: float = SUPERIONIC) -> npt.NDArray[np.int64]:
    """Return the class of each label, shape (n,): 1, 0, or -1 for undecided."""
    return np.array([class_of(label.conductivity, threshold=threshold) for label in labels], int)


def chance_above(conductivity: Estimate, *, threshold: float, doubt: float) -> float | None:
    """Return the probability that a conductivity is at least `threshold` (S/cm).

    Errors are normal in decades: the interval's own, and `doubt` decades beside it. A bound holds
    with its level, blurred by the doubt. None where a bound does not decide.
    """
    cut = math.log10(threshold)
    if conductivity.value is not None:
        sigma = math.hypot(decades_of(conductivity), doubt)
        return NormalDist(cut, sigma).cdf(math.log10(conductivity.value))
    kind = class_of(conductivity, threshold=threshold)
    bound = conductivity.upper if kind == 0 else conductivity.lower
    if kind < 0 or bound is None:
        return None
    holds = conductivity.level * NormalDist(0.0, doubt).cdf(abs(math.log10(bound) - cut))
    return 1.0 - holds if kind == 0 else holds


def decades_of(conductivity: Estimate) -> float:
    """Return the standard deviation of log10 of a value that its interval states, 0 without one."""
    value = conductivity.value
    if value is None:
        return 0.0
    width = math.log10((conductivity.upper or value) / (conductivity.lower or value))
    return width / (2 * NormalDist().inv_cdf((1 + conductivity.level) / 2))


def log_conductivities(
    labels: Sequence[Label], *, censored: float | None = None
) -> npt.NDArray[np.float64]:
    """Return log10 of sigma in S/cm, shape (n,); a bound is put at `censored`, or at itself.

    OBELiX's official loader puts 1e-15 S/cm for a censored value; `None` takes the bound itself.
    The choice moves every regression error, so say which one was made.
    """

    def value(estimate: Estimate) -> float:
        if estimate.value is not None:
            return math.log10(estimate.value)
        bound = estimate.upper if estimate.upper is not None else estimate.lower
        if bound is None:
            return math.nan
        return math.log10(bound if censored is None else censored)

    return np.array([value(label.conductivity) for label in labels])


def merge_labels(labels: Iterable[Label]) -> list[Label]:
    """Merge reports of one material: the median stays, with the range as its interval.

    Reports are of one material when composition, space group (where both state one), quantity
    (bulk or total), temperature within 5 K, and kind agree. A bound beside values is left out of
    the median but counted; bounds alone give the lowest upper bound. The first report lends its
    cell, structure and group.
    """
    by_material: dict[tuple[Any, ...], list[Label]] = defaultdict(list)
    for label in labels:
        key = (
            composition_id(parse_formula(label.formula)),
            label.cell.space_group if label.cell else None,
            label.quantity,
            round(label.temperature / 5),
            label.kind,
        )
        by_material[key].append(label)
    return [_merged(reports) for reports in by_material.values()]


def _merged(reports: list[Label]) -> Label:
    if len(reports) == 1:
        return reports[0]
    values = [r.conductivity.value for r in reports if r.conductivity.value is not None]
    first = next((r for r in reports if r.structure is not None), reports[0])
    if values:
        middle = 10 ** median(math.log10(value) for value in values)
        conductivity = Estimate(
            value=middle,
            lower=min(*values, middle),
            upper=max(*values, middle),
            unit="S/cm",
            method=f"median and range of {len(values)} reports",
        )
    else:
        uppers = [r.conductivity.upper for r in reports if r.conductivity.upper is not None]
        if not uppers:
            return first
        conductivity = Estimate.below(
            min(uppers), unit="S/cm", reason=f"lowest of {len(uppers)} bounds"
        )
    extrapolated = [r.lowest_temperature for r in reports if r.lowest_temperature is not None]
    return first.model_copy(
        update={
            "conductivity": conductivity,
            "n_reports": sum(r.n_reports for r in reports),
            "sources": tuple(dict.fromkeys(s for r in reports for s in r.sources)),
            "reference": "; ".join(dict.fromkeys(r.reference for r in reports if r.reference)),
            "lowest_temperature": min(extrapolated) if len(extrapolated) == len(reports) else None,
        }
    )


def label_statistics(labels: LabelSet, *, threshold: float = SUPERIONIC) -> dict[str, Any]:
    """Return counts that tell whether a set is fit for training."""
    kinds = classes(labels.labels, threshold=threshold)
    known = [x.conductivity.value for x in labels.labels if x.conductivity.value is not None]
    reports = [x.n_reports for x in labels.labels]
    return {
        "name": labels.name,
        "version": labels.version,
        "labels": len(labels.labels),
        "reports": sum(reports),
        "compositions": len({composition_id(parse_formula(x.formula)) for x in labels.labels}),
        "superionic": int((kinds == 1).sum()),
        "not_superionic": int((kinds == 0).sum()),
        "undecided": int((kinds == -1).sum()),
        "bounds": sum(x.conductivity.kind != "value" for x in labels.labels),
        "extrapolated": sum(x.lowest_temperature is not None for x in labels.labels),
        "with_structure": sum(x.structure is not None for x in labels.labels),
        "with_cell": sum(x.cell is not None for x in labels.labels),
        "with_group": sum(bool(x.group) for x in labels.labels),
        "quantities": dict(Counter(x.quantity for x in labels.labels)),
        "log10_sigma_median": round(math.log10(median(known)), 2) if known else None,
        "log10_sigma_range": [round(math.log10(min(known)), 2), round(math.log10(max(known)), 2)]
        if known
        else None,
        "rejected_rows": len(labels.rejects),
    }


def save_label_set(labels: LabelSet, path: Path) -> None:
    """Write a set as JSON (.json or .json.gz); the version travels with it."""
    text = json.dumps({**labels.as_dict(), "version": labels.version})
    data = text.encode()
    with replacing(path) as draft:
        draft.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def load_label_set(path: Path) -> LabelSet:
    """Read what `save_label_set` wrote, and check that it is what was written.

    Raises
    ------
    DataError
        If it is no label set, or its labels do not have the version it states.
    """
    try:
        record = read_json(read_bytes(path, largest=LARGEST_SET))
        stated = record.pop("version")
        for label in record["labels"]:
            if label["structure"] is not None:
                name = str(label.get("row_id") or label.get("formula"))
                label["structure"] = structure_from_record(label["structure"], source=name)
        labels = LabelSet.model_validate(record)
        is_as_written = labels.version == stated
    except DataError as error:
        raise DataError(f"{path} is no label set of ssefw ({error}).") from error
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
        raise DataError(
            f"{path} is no label set of ssefw ({type(error).__name__}). Make one from a table with "
            "`ssefw labels import`."
        ) from error
    if not is_as_written:
        raise DataError(
            f"The labels of {path} were changed after they were written: version {labels.version}, "
            f"the file says {stated}. Import them again."
        )
    return labels
