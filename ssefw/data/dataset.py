"""Labels as a learning problem: materials, classes, and groups that must not be split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ssefw.data.compositions import parse_formula, similar_groups
from ssefw.data.labels.sets import SUPERIONIC, classes
from ssefw.data.materials import Material, material_from_label
from ssefw.documents import Label, LabelSet
from ssefw.errors import DataError

__all__ = ["Dataset", "dataset_of", "joined_datasets"]

FEWEST = 4


@dataclass(frozen=True)
class Dataset:
    """What a screener is fitted to and tested on; rows are labels.

    Attributes
    ----------
    y
        Class of each row, shape (n,): 1 superionic, 0 not, -1 unlabeled.
    groups
        Near-duplicate compositions share a number, shape (n,).
    clusters
        What the label set itself calls its clusters, empty strings where it does not.
    threshold
        S/cm at which the classes part.
    """

    name: str
    version: str
    materials: tuple[Material, ...]
    labels: tuple[Label, ...]
    y: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    clusters: tuple[str, ...]
    threshold: float

    def __len__(self) -> int:
        return len(self.materials)

    def take(self, rows: npt.NDArray[np.int64] | Sequence[int]) -> "Dataset":
        """Return the dataset of these rows."""
        index = np.asarray(rows, dtype=np.int64)
        return Dataset(
            name=self.name,
            version=self.version,
            materials=tuple(self.materials[i] for i in index),
            labels=tuple(self.labels[i] for i in index),
            y=self.y[index],
            groups=self.groups[index],
            clusters=tuple(self.clusters[i] for i in index),
            threshold=self.threshold,
        )

    def labeled(self) -> "Dataset":
        """Return the dataset of the rows that have a class."""
        return self.take(np.flatnonzero(self.y >= 0))


def joined_datasets(one: Dataset, other: Dataset) -> Dataset:
    """Return the rows of two parts of one dataset, those of the first before the others."""
    return replace(
        one,
        materials=(*one.materials, *other.materials),
        labels=(*one.labels, *other.labels),
        y=np.concatenate([one.y, other.y]),
        groups=np.concatenate([one.groups, other.groups]),
        clusters=(*one.clusters, *other.clusters),
    )


def dataset_of(
    labels: LabelSet, *, threshold: float = SUPERIONIC, undecided: bool = False
) -> Dataset:
    """Return the decided labels of a set as a dataset.

    A bound that does not decide the class at this threshold is left out; how many is the
    difference between the lengths.

    Parameters
    ----------
    threshold
        S/cm at which the classes part.
    undecided
        Keep such bounds, with the class -1: for systems that learn the number.

    Raises
    ------
    DataError
        If fewer than four labels are decided or all are of one class.
    """
    y = classes(labels.labels, threshold=threshold)
    decided = y != -1
    positive, n_decided = int(y[decided].sum()), int(decided.sum())
    if n_decided < FEWEST:
        raise DataError(
            f"The label set {labels.name!r} decides {n_decided} classes at {threshold:g} S/cm; at "
            f"least {FEWEST} are needed to learn or test anything. Add labels."
        )
    if positive in {0, n_decided}:
        kind = "superionic" if positive else "not superionic"
        raise DataError(
            f"All {n_decided} labels of {labels.name!r} are {kind} at {threshold:g} S/cm, so there "
            "is nothing to tell apart. Add labels of the other class or choose another threshold."
        )
    taken = np.ones(len(y), dtype=bool) if undecided else decided
    kept = [label for label, is_taken in zip(labels.labels, taken, strict=True) if is_taken]
    compositions = [parse_formula(label.formula) for label in kept]
    return Dataset(
        name=labels.name,
        version=labels.version,
        materials=tuple(material_from_label(label) for label in kept),
        labels=tuple(kept),
        y=y[taken],
        groups=np.array(similar_groups(compositions), dtype=np.int64),
        clusters=tuple(label.group for label in kept),
        threshold=threshold,
    )
