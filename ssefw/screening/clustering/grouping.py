"""Which labeled materials must not stand on both sides of a split: series, families, frameworks.

A cluster that holds one member of a doped series holds the others too, so a choice that is tested
on them is tested on what it has seen.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from ssefw.data.compositions import similar_groups
from ssefw.errors import DataError
from ssefw.screening.clustering.matching import LabeledPool, space_group

__all__ = ["framework_groups", "grouped_folds", "random_folds"]

IntArray = npt.NDArray[np.int64]
Fold = tuple[IntArray, IntArray]


def framework_groups(labeled: LabeledPool) -> IntArray:
    """Return the number of the group of each labeled row, shape (n_labels,).

    Two rows share a group, directly or through others, when their compositions are near-duplicates,
    when labels call them one family, or when they have one prototype: the formula with the elements
    made anonymous, and the space group.
    """
    materials = [labeled.materials[int(row)] for row in labeled.rows]
    keys: dict[Hashable, list[int]] = defaultdict(list)
    for place, group in enumerate(similar_groups([one.composition for one in materials])):
        keys["composition", group].append(place)
    for place, names in enumerate(labeled.families):
        for name in names:
            keys["family", name].append(place)
    for place, one in enumerate(materials):
        number = space_group(one)
        if number is not None:
            keys["prototype", one.composition.anonymized_formula, number].append(place)
    return _joined(len(materials), keys.values())


def grouped_folds(
    values: npt.NDArray[np.float64], groups: IntArray, *, k: int = 5, seed: int = 0
) -> list[Fold]:
    """Return places to choose on and places held out, k times; no group is on both sides.

    Parameters
    ----------
    values
        What is chosen by, shape (n,).
    groups
        Number of the group of each.
    k
        How many folds.
    seed
        Of the dealing.

    Raises
    ------
    DataError
        If there are fewer groups than folds.
    """
    n = len(set(groups.tolist()))
    if n < k:
        raise DataError(
            f"{k} folds need {k} groups of labels, there are {n} of related materials. Take fewer "
            "folds, or more labels."
        )
    high = values >= np.median(values)
    splitter = StratifiedGroupKFold(n_splits=k, shuffle=True, random_state=seed)
    return [(train, test) for train, test in splitter.split(values, high, groups) if len(test)]


def random_folds(n: int, *, k: int = 5, seed: int = 0) -> list[Fold]:
    """Return k plain folds of n labels: relatives stand on both sides."""
    every = np.arange(n)
    parts = np.array_split(np.random.default_rng(seed).permutation(n), k)
    return [(np.setdiff1d(every, part), np.sort(part)) for part in parts if len(part)]


def _joined(n: int, members: Iterable[list[int]]) -> IntArray:
    """Return the number of the connected component of each of n places."""
    parent = list(range(n))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for places in members:
        for place in places[1:]:
            parent[root(place)] = root(places[0])
    return np.unique([root(place) for place in range(n)], return_inverse=True)[1]
