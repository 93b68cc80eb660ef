"""Protocols of validation by name: which labels are held out, how often, and how far apart.

``groups`` asks how well a system predicts compositions that are new, ``families`` and
``family`` whole chemistries, ``clusters`` what is far in composition; ``plain`` and ``random`` are
the splits of papers, with near-duplicates on both sides; ``years`` learns from the past.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssefw.data.dataset import Dataset
from ssefw.data.splits import (
    Split,
    composition_clusters,
    k_fold,
    leave_one_cluster_out,
    repeated_random,
)
from ssefw.errors import DataError
from ssefw.files.tables import table_rows

__all__ = [
    "PROTOCOLS",
    "SplitOptions",
    "SplitProtocol",
    "protocol_splits",
    "publication_year",
    "read_folds",
]

_YEAR = re.compile(r"(?<!\d)(19[5-9]\d|20[0-4]\d)(?!\d)")
_REGISTRANT = re.compile(r"10\.\d{4,9}/")
_FEWEST_OF_YEARS = 0.2
"""Share of the labels that must state a year for a split by time."""


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """What was asked of a protocol: folds, how often they are dealt, the share that is tested."""

    folds: int = 5
    repeats: int = 1
    share: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class SplitProtocol:
    """A way to hold labels out, and what it measures in words."""

    words: str
    splits: Callable[[Dataset, SplitOptions], list[Split]]


def protocol_splits(
    kind: str | Path, data: Dataset, asked: SplitOptions
) -> tuple[str, list[Split]]:
    """Return a protocol in words and its splits; a path is a folder of official folds.

    Raises
    ------
    DataError
        If there is no such protocol, or these labels cannot be split so.
    """
    if str(kind) in PROTOCOLS:
        protocol = PROTOCOLS[str(kind)]
        splits = protocol.splits(data, asked)
        return f"{protocol.words}: {len(splits)} splits", splits
    if Path(kind).is_dir():
        splits = read_folds(Path(kind), data)
        return f"the folds of {Path(kind).name}: {len(splits)} splits", splits
    raise DataError(
        f"There is no protocol {str(kind)!r}, and no folder of folds of that name. Known: "
        f"{', '.join(PROTOCOLS)}."
    )


def publication_year(reference: str) -> int | None:
    """Return the earliest year that a reference states, as ``(2023)`` or within a DOI."""
    # The number of a DOI's registrant, as in 10.1999/x, is no year.
    found = [int(year) for year in _YEAR.findall(_REGISTRANT.sub("", reference))]
    return min(found) if found else None


def read_folds(folder: Path, data: Dataset) -> list[Split]:
    """Read the folds that authors published: ``*/train.csv`` beside ``*/val.csv`` or ``test.csv``.

    The tables name labels by ``icsd_collectioncode`` or ``id``. Rows that the labels do not have,
    such as those whose formula cannot be read, are left out on both sides.

    Raises
    ------
    DataError
        If there are no such tables, or they name none of the labels.
    """
    rows: dict[str, int] = {}
    for row, label in enumerate(data.labels):
        rows.setdefault(label.row_id, row)
    splits = []
    for train in sorted(folder.glob("*/train.csv"), key=lambda path: _natural(path.parent.name)):
        tests = [train.with_name(name) for name in ("val.csv", "test.csv")]
        test = next((path for path in tests if path.exists()), None)
        if test is None:
            raise DataError(f"Beside {train} there is neither val.csv nor test.csv.")
        splits.append(Split(train.parent.name, _named(train, rows), _named(test, rows)))
    if not splits:
        raise DataError(f"{folder} holds no folds: no */train.csv with a val.csv or test.csv.")
    return splits


def _named(path: Path, rows: dict[str, int]) -> npt.NDArray[np.int64]:
    _, lines = table_rows(path)
    ids = [line.cells.get("icsd_collectioncode") or line.cells.get("id") or "" for line in lines]
    found = [rows[name.strip()] for name in ids if name.strip() in rows]
    if not found:
        raise DataError(
            f"{path} names none of the {len(rows)} labels; it needs a column "
            "'icsd_collectioncode' or 'id' with their ids."
        )
    return np.array(sorted(set(found)), dtype=np.int64)


def _natural(name: str) -> tuple[int, str]:
    number = re.search(r"\d+", name)
    return (int(number[0]) if number else -1, name)


def _repeated(data: Dataset, asked: SplitOptions, *, grouped: bool) -> list[Split]:
    return [
        replace(split, name=f"deal {deal}, {split.name}")
        for deal in range(asked.repeats)
        for split in k_fold(data, k=asked.folds, seed=asked.seed + deal, grouped=grouped)
    ]


def _families_apart(data: Dataset, asked: SplitOptions) -> list[Split]:
    _refuse_without_families(data)
    return _repeated(replace(data, groups=_family_numbers(data)), asked, grouped=True)


def _family_numbers(data: Dataset) -> npt.NDArray[np.int64]:
    """Return a number for each family; a label without one is a family with its near-duplicates."""
    names = [
        name or f"\N{NO-BREAK SPACE}{group}"
        for name, group in zip(data.clusters, data.groups, strict=True)
    ]
    return np.unique(names, return_inverse=True)[1]


def _refuse_without_families(data: Dataset) -> None:
    if not any(data.clusters):
        raise DataError(
            f"The label set {data.name!r} states no families. Give a table with the column "
            "'group' (OBELiX: 'Family'), or use the kind clusters, which makes them by composition."
        )


def _leave_family_out(data: Dataset, asked: SplitOptions) -> list[Split]:  # noqa: ARG001
    _refuse_without_families(data)
    return leave_one_cluster_out(data)


def _leave_cluster_out(data: Dataset, asked: SplitOptions) -> list[Split]:
    compositions = [material.composition for material in data.materials]
    return leave_one_cluster_out(data, composition_clusters(compositions, seed=asked.seed + 1))


def _random(data: Dataset, asked: SplitOptions) -> list[Split]:
    return repeated_random(
        data, n=asked.repeats, test_share=asked.share, seed=asked.seed, grouped=False
    )


def _by_years(data: Dataset, asked: SplitOptions) -> list[Split]:
    """Return one split: all before a year, and the latest `share` of those that state one."""
    years = [publication_year(label.reference) for label in data.labels]
    known = np.array([year for year in years if year is not None])
    if len(known) < max(10, _FEWEST_OF_YEARS * len(data)):
        raise DataError(
            f"{len(known)} of {len(data)} labels state a year in their reference, too few for a "
            "split by time. Give references with years, such as 'Solid State Ionics (2015)'."
        )
    cut = int(np.quantile(known, 1 - asked.share, method="higher"))
    year = np.array([9999 if year is None else year for year in years])
    # What states no year may be of any: it is neither learned from nor tested on.
    train, test = np.flatnonzero(year < cut), np.flatnonzero((year >= cut) & (year < 9999))
    # A series continued after the cut was known before it.
    test = test[~np.isin(data.groups[test], data.groups[train])]
    if not len(test) or not len(train):
        raise DataError(f"No label from {cut} on is of a composition that was new then.")
    return [Split(f"before {cut}", train, test)]


PROTOCOLS: dict[str, SplitProtocol] = {
    "groups": SplitProtocol(
        "k folds, near-duplicate compositions together",
        lambda data, asked: _repeated(data, asked, grouped=True),
    ),
    "families": SplitProtocol("k folds, families of the label set together", _families_apart),
    "family": SplitProtocol("leave one family of the label set out", _leave_family_out),
    "clusters": SplitProtocol("leave one cluster of compositions out", _leave_cluster_out),
    "plain": SplitProtocol(
        "k random folds, near-duplicates on both sides",
        lambda data, asked: _repeated(data, asked, grouped=False),
    ),
    "random": SplitProtocol("random splits, near-duplicates on both sides", _random),
    "years": SplitProtocol("learned from before a year, tested from it on", _by_years),
}
"""Protocols of `ssefw screen validate`, the default first."""
