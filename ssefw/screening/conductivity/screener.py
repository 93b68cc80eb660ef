"""The system that predicts the number: log10 of the conductivity, with an interval.

Every label enters as what it is: a value, a bound, with the classes of any threshold following from
the number and not the other way round. `shares` says how labels join to a prediction. Where the
cell of a material is known (space group, volume and lithium per volume), learners that were fitted
with cells speak of it, else those that know the composition only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from ssefw.data.dataset import Dataset
from ssefw.data.labels.sets import classes, log_conductivities
from ssefw.data.materials import Material
from ssefw.data.pettifor import composition_distances, cumulative_fractions
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import ModelState, Reason, Scores
from ssefw.screening.conductivity.quantiles import SHARES
from ssefw.screening.conductivity.recalibration import Correction, Recalibration
from ssefw.screening.conductivity.shares import (
    LabelShares,
    Learned,
    answers_of,
    held_out_shares_below,
    quantiles_of,
)
from ssefw.screening.conductivity.spreads import grid_of, spreads_of
from ssefw.screening.distances import KnownCompositions
from ssefw.screening.evaluation.regression_metrics import bound_sides
from ssefw.screening.features import COMPOSITION_FEATURES, cell_features, composition_features
from ssefw.screening.parallel import delayed, run_tasks
from ssefw.screening.voting import TrainedScreener, rows_without
from ssefw.units import AskedCount, AskedFolds, AskedSeed, AskedWorkers

__all__ = ["ConductivityScreener"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CELL = ("space group", "volume per atom", "lithium per volume", "crystal system")
"""Descriptors of the cell that do not depend on which cell was chosen."""

CELL_COUNTS = 4.0
"""Weight in distances of a descriptor of the cell: the four count together as much as sixteen of
the composition's 248, which say little more than a few independent numbers."""

FEWEST_CELLS = 20
"""Labels with cells, from which learners are fitted that know them."""

CLUSTERS_OF_A_FOLD = 4
"""Clusters of related compositions that are held out together, to correct what is far from labels:
with five folds twenty, about as many as there are families of more than a few labels."""

CHUNK = 2048


@dataclass(kw_only=True, eq=False)
class ConductivityScreener(TrainedScreener):
    """A mixture of labels whose shares a forest and a Gaussian process give.

    Attributes
    ----------
    n_trees
        Of the forest.
    cell
        ``known``: descriptors of the cell count where a material states one or has a structure;
        ``none``: the composition only, which is faster for large pools of structures.
    folds
        Folds of near-duplicates on which predictions are corrected.
    workers
        Processes that fit at the same time; the result does not depend on it.
    """

    name: ClassVar[str] = "conductivity"
    needs: ClassVar[Literal["composition", "structure"]] = "composition"
    learns_from_bounds: ClassVar[bool] = True

    n_trees: AskedCount = 300
    cell: Literal["known", "none"] = "known"
    folds: AskedFolds = 5
    seed: AskedSeed = 0
    workers: AskedWorkers = 1

    def __post_init__(self) -> None:
        if self.cell not in {"known", "none"}:
            raise ConfigurationError(f"cell must be known or none, got {self.cell!r}.")

    def fit(self, data: Dataset, *, pool: Sequence[Material] = ()) -> Self:  # noqa: ARG002
        """Learn from values and bounds; the pool is not used.

        A row of class -1 teaches only where its label is a bound that decides no class.
        """
        open_bounds = classes(data.labels, threshold=data.threshold) == -1
        data = data.take(np.flatnonzero((data.y >= 0) | open_bounds))
        features, has_cell = self._features(data.materials)
        stated = log_conductivities(data.labels)
        self.grid_ = grid_of(stated)
        self.spreads_ = spreads_of(data.labels, self.grid_)
        answers = answers_of(self.spreads_, self.grid_, threshold=data.threshold)
        self._remember(data, data.materials)
        self._known = KnownCompositions(self.formulas_)
        apart = composition_distances([m.composition for m in data.materials]) / self._known.unit
        problem = _Problem(
            features=features,
            answers=answers,
            spreads=self.spreads_,
            grid=self.grid_,
            stated=stated,
            side=bound_sides(data.labels),
            apart=apart,
            groups=data.groups,
            clusters=_clusters(apart, self.folds * CLUSTERS_OF_A_FOLD),
        )
        self.by_composition_ = self._learned(problem, np.arange(len(data)), _COMPOSITION)
        self.typical_ = np.median(features[:, :_COMPOSITION], axis=0)
        self.by_cell_: Learned | None = None
        rows = np.flatnonzero(has_cell)
        if len(rows) >= FEWEST_CELLS:
            self.by_cell_ = self._learned(problem, rows, _ALL)
            cells = np.median(features[rows, _COMPOSITION:], axis=0)
            self.typical_ = np.concatenate([self.typical_, cells])
        return self

    def _learned(self, problem: "_Problem", rows: Ints, width: int) -> Learned:
        """Fit to some labels, and correct by what is said of each when it is held out.

        Once it is held out with its near-duplicates, once with all that is related to it.
        """
        # What is held out is for the correction, which half of the trees give as well.
        some = max(1, self.n_trees // 2)
        deals = [
            [
                (rows[train], rows[test])
                for train, test in _folds(names[rows], self.folds, self.seed)
            ]
            for names in (problem.groups, problem.clusters)
        ]
        fit = delayed(_fitted)
        sides = [side for deal in deals for side in deal]
        tasks = [fit(problem, train, width, some, self.seed) for train, _ in sides]
        tasks.append(fit(problem, rows, width, self.n_trees, self.seed))
        *partial, whole = run_tasks(tasks, workers=self.workers)
        corrections, distances = [], []
        for deal in deals:
            below = np.empty((len(problem.stated), len(problem.grid)))
            distance = np.empty(len(problem.stated))
            for (train, test), labels in zip(deal, partial, strict=False):
                below[test] = labels.below(problem.features[test, :width], problem.spreads[train])
                distance[test] = problem.apart[np.ix_(test, train)].min(axis=1)
            partial = partial[len(deal) :]
            fell = held_out_shares_below(
                below[rows], problem.grid, problem.stated[rows], problem.side[rows]
            )
            corrections.append(Recalibration.of(*fell))
            distances.append(float(np.median(distance[rows])))
        (near, far), (nearby, distant) = corrections, distances
        return Learned(whole, Correction(near, far, nearby=nearby, distant=distant), rows)

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return conductivities with their distributions, and the chance of the threshold."""
        self._check_fitted()
        n = len(materials)
        quantiles, probability = np.full((n, len(SHARES)), np.nan), np.full(n, np.nan)
        distance, effective = np.full(n, np.nan), np.full(n, np.nan)
        problems: dict[int, str] = {}
        for start in range(0, n, CHUNK):
            chunk = materials[start : start + CHUNK]
            features, has_cell, bad = self._features_where_possible(chunk)
            problems |= {start + row: reason for row, reason in bad.items()}
            good = rows_without(bad, len(chunk))
            if not len(good):
                continue
            near = self._known.distances([chunk[row].composition for row in good])
            below, rests_on = self._below(features, has_cell, near)
            here = start + good
            quantiles[here] = quantiles_of(below, self.grid_)
            probability[here] = self._chance(below)
            effective[here] = rests_on
            distance[here] = near
        spread = np.sqrt(probability * (1 - probability) / (1 + effective))
        return Scores(
            names=tuple(material.name for material in materials),
            probability=probability,
            spread=spread,
            lower=np.clip(probability - 1.96 * spread, 0.0, 1.0),
            upper=np.clip(probability + 1.96 * spread, 0.0, 1.0),
            meaning=(
                f"probability of sigma >= {self._trained_on['threshold']:g} S/cm near room "
                "temperature, from the predicted conductivity; its interval is that of a share "
                "counted on as many labels as the prediction rests on"
            ),
            distance=distance,
            problems=problems,
            details={"labels_it_rests_on": effective},
            log_sigma=quantiles[:, len(SHARES) // 2],
            quantiles=quantiles,
        )

    def explain(self, material: Material, *, top: int = 10) -> list[Reason]:
        """Return the descriptors that move the score most when put to the labels' median."""
        self._check_fitted()
        features, has_cell = self._features([material])
        width = _ALL if has_cell[0] and self.by_cell_ is not None else _COMPOSITION
        own = features[0, :width]
        # The cumulative fractions are moved by the descriptors of the composition already.
        named = [*range(len(COMPOSITION_FEATURES)), *range(_COMPOSITION, width)]
        trial = np.repeat(features, len(named) + 1, axis=0)
        trial[np.arange(len(named)), named] = self.typical_[named]
        near = np.repeat(self._known.distances([material.composition]), len(trial))
        below, _ = self._below(trial, np.repeat(has_cell, len(trial)), near)
        chance = self._chance(below)
        effect = chance[-1] - chance[:-1]
        names = (*COMPOSITION_FEATURES, *CELL)
        order = np.argsort(-np.abs(effect), kind="stable")[:top]
        return [
            Reason(names[i], float(own[named[i]]), float(self.typical_[named[i]]), float(effect[i]))
            for i in order
        ]

    def importances(self, *, top: int = 20) -> list[tuple[str, float]]:
        """Return the descriptors that part labels best in the forest, with their importance.

        Fractions along the Pettifor scale stand together, since each says little alone.
        """
        self._check_fitted()
        learned = self.by_cell_ or self.by_composition_
        each = learned.labels.forest.importance
        n = len(COMPOSITION_FEATURES)
        named = dict(zip(COMPOSITION_FEATURES, each[:n].tolist(), strict=True))
        named["fractions along the Pettifor scale"] = float(each[n:_COMPOSITION].sum())
        named |= dict(zip(CELL, each[_COMPOSITION:].tolist(), strict=False))
        return sorted(named.items(), key=lambda item: (-item[1], item[0]))[:top]

    def state(self) -> ModelState:
        """Return the distributions of the labels and the learners as arrays."""
        self._check_fitted()
        arrays = {"grid": self.grid_, "spreads": self.spreads_, "typical": self.typical_}
        arrays |= self.by_composition_.arrays("composition_")
        if self.by_cell_ is not None:
            arrays |= self.by_cell_.arrays("cell_")
        meta = {"trained_on": self._trained_on, "formulas": self.formulas_}
        return ModelState(meta, arrays)

    def restore(self, state: ModelState) -> Self:
        """Take over a saved state."""
        arrays = state.arrays
        self._recall(state.meta)
        self.grid_, self.spreads_ = arrays["grid"], arrays["spreads"]
        self.typical_ = arrays["typical"]
        if self.spreads_.shape != (len(self.formulas_), len(self.grid_)):
            raise DataError("the distributions are not one for each label")
        self.by_composition_ = Learned.of_arrays(arrays, "composition_")
        self.by_cell_ = Learned.of_arrays(arrays, "cell_") if "cell_rows" in arrays else None
        self._known = KnownCompositions(self.formulas_)
        return self

    def _below(
        self, features: Floats, has_cell: npt.NDArray[np.bool_], distance: Floats
    ) -> tuple[Floats, Floats]:
        """Return distributions, shape (n, g), and how many labels each rests on, shape (n,)."""
        below, effective = np.empty((len(features), len(self.grid_))), np.empty(len(features))
        parts = [(self.by_composition_, ~has_cell, _COMPOSITION)]
        if self.by_cell_ is None:
            parts = [(self.by_composition_, np.ones_like(has_cell), _COMPOSITION)]
        else:
            parts.append((self.by_cell_, has_cell, _ALL))
        for learned, rows, width in parts:
            if rows.any():
                asked = features[rows, :width]
                below[rows], effective[rows] = learned.below(asked, self.spreads_, distance[rows])
        return below, effective

    def _chance(self, below: Floats) -> Floats:
        cut = float(np.log10(self._trained_on["threshold"]))
        return 1.0 - np.array([np.interp(cut, self.grid_, row) for row in below])

    def _features(self, materials: Sequence[Material]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return features, NaN for those of a cell that is not known, and where it is."""
        compositions = [material.composition for material in materials]
        features = np.full((len(materials), _ALL), np.nan)
        features[:, : len(COMPOSITION_FEATURES)] = composition_features(compositions)
        features[:, len(COMPOSITION_FEATURES) : _COMPOSITION] = cumulative_fractions(compositions)
        if self.cell == "known":
            for row, material in enumerate(materials):
                features[row, _COMPOSITION:] = _cell_of(material)
        return features, np.asarray(np.isfinite(features).all(axis=1))

    def _features_where_possible(
        self, materials: Sequence[Material]
    ) -> tuple[Floats, npt.NDArray[np.bool_], dict[int, str]]:
        try:
            return (*self._features(materials), {})
        except DataError:
            parts: list[tuple[Floats, npt.NDArray[np.bool_]]] = []
            problems: dict[int, str] = {}
            for row, material in enumerate(materials):
                try:
                    parts.append(self._features([material]))
                except DataError as error:
                    problems[row] = str(error)
            features = [part[0] for part in parts] or [np.empty((0, _ALL))]
            known = [part[1] for part in parts] or [np.empty(0, dtype=bool)]
            return np.vstack(features), np.concatenate(known), problems


_COMPOSITION = len(COMPOSITION_FEATURES) + cumulative_fractions(()).shape[1]
_ALL = _COMPOSITION + len(CELL)


@dataclass(frozen=True)
class _Problem:
    """What learners are fitted to; rows are labels."""

    features: Floats
    answers: Floats
    spreads: Floats
    grid: Floats
    stated: Floats
    side: Ints
    apart: Floats
    groups: Ints
    clusters: Ints


def _clusters(apart: Floats, n: int) -> Ints:
    """Return at most n clusters of labels by the mean distance of their compositions."""
    if len(apart) < 2:
        return np.zeros(len(apart), dtype=np.int64)
    tree = hierarchy.linkage(squareform(apart, checks=False), "average")
    return np.asarray(hierarchy.fcluster(tree, n, "maxclust"), dtype=np.int64)


def _fitted(problem: _Problem, rows: Ints, width: int, n_trees: int, seed: int) -> LabelShares:
    weight = np.where(np.arange(width) < _COMPOSITION, 1.0, CELL_COUNTS)
    return LabelShares.fit(
        problem.features[rows, :width], problem.answers[rows], weight, n_trees=n_trees, seed=seed
    )


def _folds(groups: Ints, k: int, seed: int) -> list[tuple[Ints, Ints]]:
    """Return folds of rows whose groups stay together, as equal in size as groups allow."""
    names, place = np.unique(groups, return_inverse=True)
    size = np.bincount(place)
    # The largest first, each to the fold that is smallest; groups of one size in random order.
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-size[order], kind="stable")]
    load, fold = np.zeros(min(k, len(names))), np.empty(len(names), dtype=np.int64)
    for group in order:
        fold[group] = int(np.argmin(load))
        load[fold[group]] += size[group]
    if len(load) < 2:
        raise DataError("All labels are of one composition, so that nothing can be held out.")
    of_row = fold[place]
    return [(np.flatnonzero(of_row != f), np.flatnonzero(of_row == f)) for f in range(len(load))]


def _cell_of(material: Material) -> Any:
    """Return the descriptors of a cell, NaN where there is none or it does not say its content."""
    try:
        cell = material.cell
        if cell is None:
            return np.nan
        return cell_features([cell], [material.composition], names=CELL)[0]
    except DataError:
        return np.nan
