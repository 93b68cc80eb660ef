"""Which representation gathers like conductivities: W_sigma of all of them, and an honest choice.

Every representation clusters the same rows and is measured on the same labels, or the sums could
not be compared: rows that one of them cannot describe are left out for all (the paper's rule). A
representation that fails for more than a fifth of the rows does not take part, and is listed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.screening.clustering.representations import Features, Representation
from ssefw.screening.clustering.variance import (
    cluster_variance,
    held_out_deviations,
    random_control,
    shuffled_control,
)
from ssefw.screening.clustering.ward import Linkage, build_tree, cut

__all__ = ["Entry", "RepresentationChoice", "Study", "choose", "mixed", "study"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_FAILED: Final = 0.2
SORTED_BY: Final = (2, 50)
"""Depths over which W is averaged to put representations in order, as in the paper's figure."""


@dataclass(frozen=True)
class Entry:
    """One representation in a study.

    Attributes
    ----------
    n_failed
        Rows of the pool it cannot describe.
    w
        W of the labels at each depth of the study, shape (n_depths,); empty where it took no part.
    w_energy
        The same of activation energies in eV squared, empty where there are none.
    shuffled
        W of labels dealt out anew over the same clusters, mean of the repeats.
    clusters
        Cluster of each label at each depth, shape (n_depths, n_labels).
    """

    representation: Representation
    n_failed: int
    first_problem: str = ""
    w: FloatArray = field(default_factory=lambda: np.empty(0))
    w_energy: FloatArray = field(default_factory=lambda: np.empty(0))
    shuffled: FloatArray = field(default_factory=lambda: np.empty(0))
    clusters: IntArray = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))


@dataclass(frozen=True)
class Study:
    """Representations in order of W_sigma, best first, those that took no part last.

    Attributes
    ----------
    rows
        Rows of the pool that were clustered.
    labels
        Which of the labels given lie among them, as places.
    control
        W of labels dealt to random clusters at each depth, mean of 100.
    """

    depths: IntArray
    rows: IntArray
    labels: IntArray
    values: FloatArray
    control: FloatArray
    entries: tuple[Entry, ...]

    def mean(self, w: FloatArray) -> float:
        """Return the mean of W over the first depths, 2 to 50; NaN where there is none."""
        inside = (self.depths >= SORTED_BY[0]) & (self.depths <= SORTED_BY[1])
        return float(w[inside].mean()) if len(w) else float("nan")


@dataclass(frozen=True)
class RepresentationChoice:
    """What came of choosing a representation on a part of the labels, over the splits.

    Attributes
    ----------
    picked
        The representation chosen in each split, by W of its training labels.
    chosen, best, mean_of_training
        Root mean square deviation of held-out labels, in the unit of the values: of what was
        picked, of the representation that turns out best on them, and of the training mean.
    """

    picked: tuple[str, ...]
    chosen: float
    best: float
    best_name: str
    mean_of_training: float


def study(
    features: Mapping[Representation, Features],
    rows: IntArray,
    values: FloatArray,
    *,
    energies: tuple[IntArray, FloatArray] | None = None,
    deepest: int = 300,
    linkage: Linkage = "ward",
    repeats: int = 100,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Study:
    """Cluster a pool by every representation and measure W of its labels.

    Parameters
    ----------
    features
        Of the same pool.
    rows, values
        Labeled rows and log10 of their conductivity.
    energies
        Rows with activation energies, and these in eV.
    say
        Told of each representation when it is done.

    Raises
    ------
    DataError
        If fewer than four labels are left.
    """
    n = len(next(iter(features.values())).values)
    usable = {one: part.usable for one, part in features.items()}
    fit = {one: mask for one, mask in usable.items() if (~mask).sum() <= MOST_FAILED * n}
    if not fit:
        raise DataError(
            f"Each of the {len(features)} representations fails for more than a fifth of the pool. "
            "Choose others."
        )
    common = np.logical_and.reduce(list(fit.values()))
    kept = np.flatnonzero(common)
    labels = np.flatnonzero(common[rows])
    if len(labels) < 4:
        raise DataError(
            f"{len(labels)} labels lie in the {len(kept)} rows that can be clustered; at least 4 "
            "are needed. Give more labels or leave out the descriptor that fails most."
        )
    place = np.cumsum(common) - 1
    here, y = place[rows[labels]], values[labels]
    depths = np.arange(2, min(deepest, len(kept)) + 1)
    control = random_control(y, depths, repeats=repeats, seed=seed)
    entries = []
    for one, part in features.items():
        failed = int((~usable[one]).sum())
        problem = next(iter(part.problems.values()), "")
        if one not in fit:
            entries.append(Entry(one, failed, problem))
            continue
        tree = build_tree(part.values[kept], linkage=linkage)
        names = cut(tree, depths.tolist())
        clusters = names[:, here]
        w_energy = np.empty(0)
        if energies is not None:
            inside = common[energies[0]]
            w_energy = cluster_variance(energies[1][inside], names[:, place[energies[0][inside]]])
        entries.append(
            Entry(
                one,
                failed,
                problem,
                w=cluster_variance(y, clusters),
                w_energy=w_energy,
                shuffled=shuffled_control(y, clusters, repeats=repeats, seed=seed),
                clusters=clusters,
            )
        )
        say(str(one))
    found = Study(depths, kept, labels, y, control, ())
    entries.sort(key=lambda e: (len(e.w) == 0, found.mean(e.w), e.representation))
    return Study(depths, kept, labels, y, control, tuple(entries))


def choose(found: Study, splits: Sequence[tuple[IntArray, IntArray]]) -> RepresentationChoice:
    """Choose by W of training labels alone, and measure on the labels held out.

    Parameters
    ----------
    splits
        Places among the labels of the study: those to choose on, those held out.
    """
    entries = [entry for entry in found.entries if len(entry.w)]
    picked: list[str] = []
    squares: list[FloatArray] = []
    base: list[FloatArray] = []
    each: list[list[FloatArray]] = [[] for _ in entries]
    inside = (found.depths >= SORTED_BY[0]) & (found.depths <= SORTED_BY[1])
    for train, test in splits:
        quality = [
            found.mean(cluster_variance(found.values[train], entry.clusters[:, train]))
            for entry in entries
        ]
        errors = [
            held_out_deviations(found.values, entry.clusters, train)[inside][:, test].mean(axis=0)
            for entry in entries
        ]
        best = int(np.argmin(quality))
        picked.append(str(entries[best].representation))
        squares.append(errors[best])
        base.append((found.values[test] - found.values[train].mean()) ** 2)
        for place, error in enumerate(errors):
            each[place].append(error)
    totals = [float(np.concatenate(parts).mean()) for parts in each]
    hindsight = int(np.argmin(totals))
    return RepresentationChoice(
        picked=tuple(picked),
        chosen=float(np.sqrt(np.concatenate(squares).mean())),
        best=float(np.sqrt(totals[hindsight])),
        best_name=str(entries[hindsight].representation),
        mean_of_training=float(np.sqrt(np.concatenate(base).mean())),
    )


def mixed(first: Features, second: Features, *, weight: float) -> Features:
    """Return a second-order descriptor: two side by side, the second scaled.

    Parameters
    ----------
    weight
        Share of the total variance over the rows that the second shall have, from 0 to below 1.
    """
    usable = first.usable & second.usable
    parts = [part.values[usable].var(axis=0, dtype=np.float64).sum() for part in (first, second)]
    if not (parts[1] > 0 and 0 <= weight < 1):
        raise DataError(
            f"Mixing takes a weight from 0 to below 1 and a second descriptor that varies; got "
            f"{weight:g} and a variance of {parts[1]:g}."
        )
    scale = np.float32(np.sqrt(weight / (1 - weight) * parts[0] / parts[1]))
    values = np.hstack([first.values, second.values * scale])
    return Features(values, {**second.problems, **first.problems})
