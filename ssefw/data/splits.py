"""Which labels are learned from and which are tested on, without leakage between near-duplicates.

Compositions within 5 % of each other, directly or through a chain (a solid-solution series), stay
on one side of every split unless a caller asks for the plain random split of a paper. Leave one
cluster out follows McHaffie et al. 2025: distances between compositions (`pettifor`), UMAP, DBSCAN.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition

from ssefw.data.dataset import Dataset
from ssefw.data.pettifor import composition_distances
from ssefw.errors import DataError, MissingDependencyError
from ssefw.files import printable, read_bytes, read_json, replacing

__all__ = [
    "Split",
    "composition_clusters",
    "held_out",
    "k_fold",
    "leave_one_cluster_out",
    "read_split",
    "repeated_random",
    "write_split",
]

UMAP_SPREAD = 5.0
DBSCAN_EPS = 4.0


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to test on.

    Attributes
    ----------
    name
        Which one it is, for example ``cluster 3``.
    """

    name: str
    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


def k_fold(data: Dataset, *, k: int = 5, seed: int = 0, grouped: bool = True) -> list[Split]:
    """Return k stratified folds; `grouped` keeps near-duplicates together.

    Parameters
    ----------
    data
        What is split.
    k
        How many folds.
    seed
        Of the dealing.
    grouped
        Whether near-duplicates stay together.

    Raises
    ------
    DataError
        If a class or the groups are fewer than k.
    """
    smallest = int(min(np.bincount(data.y)))
    if smallest < k:
        raise DataError(
            f"{k} folds need {k} labels of each class, the smaller class has {smallest}. "
            "Use fewer folds."
        )
    if grouped and len(set(data.groups.tolist())) < k:
        raise DataError(f"{k} folds need {k} groups of different compositions. Use fewer folds.")
    # More than a second to import, and most that look at labels never split them.
    from sklearn import model_selection  # noqa: PLC0415

    kind = model_selection.StratifiedGroupKFold if grouped else model_selection.StratifiedKFold
    folds = kind(n_splits=k, shuffle=True, random_state=seed)
    rows = np.arange(len(data))
    with warnings.catch_warnings():
        # A large group may leave a fold without one class; the caller pools the folds.
        warnings.simplefilter("ignore", UserWarning)
        pairs = list(folds.split(rows, data.y, data.groups))
    return [Split(f"fold {i}", train, test) for i, (train, test) in enumerate(pairs)]


def repeated_random(
    data: Dataset, *, n: int = 100, test_share: float = 0.2, seed: int = 0, grouped: bool = True
) -> list[Split]:
    """Return n random splits; `grouped=False` is the plain stratified split of Kang et al. 2022.

    Parameters
    ----------
    data
        What is split.
    n
        How many splits.
    test_share
        Held out in each, as a share.
    seed
        Of the drawing.
    grouped
        Whether near-duplicates stay together.

    Raises
    ------
    DataError
        If no split with both classes on both sides is found.
    """
    from sklearn import model_selection  # noqa: PLC0415  see `k_fold`

    rows = np.arange(len(data))
    if not grouped:
        try:
            splitter = model_selection.StratifiedShuffleSplit(
                n, test_size=test_share, random_state=seed
            )
            pairs = list(splitter.split(rows, data.y))
        except ValueError as error:
            raise DataError(f"{len(data)} labels cannot be split at random: {error}") from error
        return [Split(f"split {i}", train, test) for i, (train, test) in enumerate(pairs)]
    if len(set(data.groups.tolist())) < 2:
        raise DataError("All labels are of one composition, so they cannot be split.")
    shuffles = model_selection.GroupShuffleSplit(20 * n, test_size=test_share, random_state=seed)
    splits: list[Split] = []
    for train, test in shuffles.split(rows, data.y, data.groups):
        if len(set(data.y[train].tolist())) == 2 == len(set(data.y[test].tolist())):
            splits.append(Split(f"split {len(splits)}", train, test))
        if len(splits) == n:
            return splits
    raise DataError(
        f"Only {len(splits)} of {n} random splits of the {len(data)} labels have both classes on "
        "both sides. Ask for fewer splits or give more labels."
    )


def held_out(data: Dataset, *, share: float = 0.1, seed: int = 42) -> Split:
    """Return one sealed split: a share of the groups, never to be looked at before the end."""
    split = repeated_random(data, n=1, test_share=share, seed=seed)[0]
    return Split("held out", split.train, split.test)


def leave_one_cluster_out(data: Dataset, clusters: Sequence[str] | None = None) -> list[Split]:
    """Return one split for each cluster, which is tested on after learning from all others.

    Parameters
    ----------
    clusters
        Name of each row's cluster, shape (n,); by default what the label set states. A refit of
        the clustering gives others, so a set's own clusters are the ones to compare with.

    Raises
    ------
    DataError
        If the labels state no clusters, or there is only one.
    """
    names = list(data.clusters if clusters is None else clusters)
    if not any(names):
        raise DataError(
            f"The label set {data.name!r} states no clusters. Use composition_clusters to make "
            "some, and say so with the result."
        )
    names = [name or "unstated" for name in names]
    kinds = sorted(set(names), key=lambda name: (len(name), name))
    if len(kinds) < 2:
        raise DataError("Leave one cluster out needs two clusters, there is one.")
    is_in = {kind: np.array([name == kind for name in names]) for kind in kinds}
    return [
        Split(f"cluster {kind}", np.flatnonzero(~is_in[kind]), np.flatnonzero(is_in[kind]))
        for kind in kinds
    ]


def composition_clusters(compositions: Sequence[Composition], *, seed: int = 1) -> list[str]:
    """Return a cluster name for each composition: distances, UMAP in two dimensions, DBSCAN.

    Compositions that DBSCAN leaves alone form the cluster ``outliers``.

    Raises
    ------
    MissingDependencyError
        If umap-learn is not installed.
    DataError
        If there are fewer than 20 compositions, too few for an embedding.
    """
    if len(compositions) < 20:
        raise DataError(f"{len(compositions)} compositions are too few to cluster; give 20.")
    try:
        umap = import_module("umap")  # optional, and slow to import
    except ImportError as error:
        raise MissingDependencyError("umap-learn", purpose="Clustering of compositions") from error
    from sklearn import cluster  # noqa: PLC0415  see `k_fold`

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points = umap.UMAP(metric="precomputed", spread=UMAP_SPREAD, random_state=seed)
        embedded = points.fit_transform(composition_distances(compositions))
    found = cluster.DBSCAN(eps=DBSCAN_EPS).fit_predict(embedded)
    return ["outliers" if number < 0 else str(number) for number in found]


def write_split(split: Split, data: Dataset, path: Path) -> None:
    """Write which rows of which label set are on which side, by candidate and row id."""
    record = {
        "label_set": data.name,
        "version": data.version,
        "name": split.name,
        "train": [_name(data, row) for row in split.train],
        "test": [_name(data, row) for row in split.test],
    }
    with replacing(path) as draft:
        draft.write_text(json.dumps(record, indent=1) + "\n")


def read_split(path: Path, data: Dataset) -> Split:
    """Read a split back for the same label set.

    Raises
    ------
    DataError
        If it is no split, or was made for other labels.
    """
    try:
        record = read_json(read_bytes(path))
        name, stated = str(record["name"]), str(record["version"])
        sides = [str(row) for row in record["train"]], [str(row) for row in record["test"]]
    except (DataError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no split written by ssefw ({error}).") from error
    if stated != data.version:
        raise DataError(
            f"The split {path} is of version {stated} of the labels, these are version "
            f"{data.version}. A split belongs to one version."
        )
    rows = {_name(data, row): row for row in range(len(data))}
    unknown = next((row for side in sides for row in side if row not in rows), None)
    if unknown is not None:
        raise DataError(f"The split {path} names {printable(unknown)!r}, which is no label.")
    train, test = (np.array([rows[row] for row in side], dtype=np.int64) for side in sides)
    return Split(name, train, test)


def _name(data: Dataset, row: int) -> str:
    return data.labels[row].sources[0] if data.labels[row].sources else data.materials[row].name
