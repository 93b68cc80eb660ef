"""The system that predicts the number: log10 of the conductivity, with an interval.

Every label enters as what it is: a value, a bound, with the classes of any threshold following from
the number and not the other way round. A prediction is what the labels say, each by the share that
a Gaussian process gives it. Where the cell of a material is known (space group, volume and lithium
per volume), a process that was fitted with cells speaks of it, else one of the composition only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ssefw.data.dataset import Dataset
from ssefw.data.labels.sets import classes, log_conductivities
from ssefw.data.materials import Material
from ssefw.data.pettifor import composition_distances, cumulative_fractions
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import ModelState, Reason, Scores
from ssefw.screening.conductivity.held_out import composition_clusters, grouped_folds
from ssefw.screening.conductivity.kernel import LabelKernel
from ssefw.screening.conductivity.quantiles import SHARES, interval, means
from ssefw.screening.conductivity.recalibration import (
    NoveltyCorrection,
    Recalibration,
    mixed,
    trust_of,
)
from ssefw.screening.conductivity.shares import (
    KernelFit,
    held_out_shares_below,
    quantiles_of,
    rising,
)
from ssefw.screening.conductivity.spreads import grid_of, spreads_of
from ssefw.screening.distances import KnownCompositions
from ssefw.screening.evaluation.metrics import best_cut
from ssefw.screening.evaluation.regression_metrics import bound_sides, mean_ranks
from ssefw.screening.features import (
    COMPOSITION_FEATURES,
    cell_features,
    composition_features,
    ordered_cell_atoms,
)
from ssefw.screening.voting import TrainedScreener, rows_without
from ssefw.units import AskedFolds, AskedSeed, AskedWorkers

__all__ = ["ConductivityScreener"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CELL = ("space group", "volume per atom", "lithium per volume", "crystal system")
"""Descriptors of the cell that do not depend on which cell was chosen."""

ORDERED_CELL = "atoms of the ordered cell (log)"
"""Logarithm of how many atoms the smallest cell has whose sites hold one kind of atom each."""

COUNTS = 4.0
"""Weight in distances of a descriptor of the cell, and of `ORDERED_CELL`: the five count together
as much as twenty of the composition's 248, which say little more than a few independent numbers."""

FEWEST_CELLS = 20
"""Labels with cells, from which learners are fitted that know them."""

CLUSTERS_OF_A_FOLD = 4
"""Clusters of related compositions that are held out together, to correct what is far from labels:
with five folds twenty, about as many as there are families of more than a few labels."""

CHUNK = 2048


@dataclass(kw_only=True, eq=False)
class ConductivityScreener(TrainedScreener):
    """A mixture of labels whose shares a Gaussian process gives.

    Attributes
    ----------
    cell
        ``known``: descriptors of the cell count where a material states one or has a structure;
        ``none``: the composition only, which is faster for large pools of structures.
    folds
        Folds of near-duplicates on which predictions are corrected.
    workers
        As other systems have; this one learns in a second and takes no more than one.
    """

    name: ClassVar[str] = "conductivity"
    needs: ClassVar[Literal["composition", "structure"]] = "composition"
    learns_from_bounds: ClassVar[bool] = True

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
        self._remember(data, data.materials)
        self.order_ = _order_of(stated, features)
        self._known = KnownCompositions(self.formulas_)
        apart = composition_distances([m.composition for m in data.materials]) / self._known.unit
        problem = _Problem(
            features=features,
            spreads=self.spreads_,
            grid=self.grid_,
            stated=stated,
            side=bound_sides(data.labels),
            apart=apart,
            groups=data.groups,
            clusters=composition_clusters(apart, self.folds * CLUSTERS_OF_A_FOLD),
        )
        rows = np.arange(len(data))
        self.by_composition_, held_out = self._learned(problem, rows, _COMPOSITION)
        self.typical_ = np.median(features[:, :_COMPOSITION], axis=0)
        self.by_cell_: KernelFit | None = None
        with_cell = np.flatnonzero(has_cell)
        if len(with_cell) >= FEWEST_CELLS:
            self.by_cell_, held_out[with_cell] = self._learned(problem, with_cell, _ALL)
            cells = np.median(features[with_cell, _COMPOSITION:], axis=0)
            self.typical_ = np.concatenate([self.typical_, cells])
        decided = data.y >= 0
        chance = _chance(held_out[decided], self.grid_, data.threshold)
        self._trained_on["best_cut"] = best_cut(data.y[decided], chance)
        return self

    def _learned(self, problem: "_Problem", rows: Ints, width: int) -> tuple[KernelFit, Floats]:
        """Fit to some labels, and correct by what is said of each when it is held out.

        Once it is held out with its near-duplicates, once with all that is related to it. Beside
        what was learned stands what is said, corrected, when near-duplicates are held out.
        """
        below = np.empty((len(problem.stated), len(problem.grid)))
        everything, distance = np.empty_like(below), np.empty(len(below))
        reached, known = _reached(problem)
        trusts, corrections, distances = [], [], []
        said_of: list[tuple[Floats, Floats]] = []
        for names in (problem.groups, problem.clusters):
            for train, test in grouped_folds(names[rows], self.folds, self.seed):
                learned, asked = rows[train], rows[test]
                kernel = _fitted(problem, learned, width)
                said = kernel.shares(problem.features[asked, :width]) @ problem.spreads[learned]
                below[asked], everything[asked] = rising(said), problem.spreads[learned].mean(0)
                distance[asked] = problem.apart[np.ix_(asked, learned)].min(axis=1)
            own = below[rows], everything[rows]
            said_of.append((own[0], distance[rows]))
            trusts.append(trust_of(*own, reached[rows], known[rows]))
            fell = held_out_shares_below(
                mixed(*own, trusts[-1]), problem.grid, problem.stated[rows], problem.side[rows]
            )
            corrections.append(Recalibration.of(*fell))
            distances.append(float(np.median(distance[rows])))
        (near, far), (nearby, distant) = corrections, distances
        correction = NoveltyCorrection(near, far, nearby, distant, *trusts)
        held_out = correction.share(said_of[0][0], problem.spreads[rows].mean(0), said_of[0][1])
        return KernelFit(_fitted(problem, rows, width), correction, rows), held_out

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return conductivities with their distributions, and the chance of the threshold."""
        self._check_fitted()
        n = len(materials)
        log_sigma = np.full(n, np.nan)
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
            log_sigma[here] = np.clip(means(below, self.grid_), *interval(quantiles[here]))
            probability[here] = _chance(below, self.grid_, self._trained_on["threshold"])
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
            log_sigma=log_sigma,
            quantiles=quantiles,
        )

    def explain(self, material: Material, *, top: int = 10) -> list[Reason]:
        """Return the descriptors that move the score most when put to the labels' median."""
        self._check_fitted()
        features, has_cell = self._features([material])
        width = _ALL if has_cell[0] and self.by_cell_ is not None else _COMPOSITION
        own = features[0, :width]
        # The cumulative fractions are moved by the descriptors of the composition already.
        named = [*range(len(COMPOSITION_FEATURES)), *range(_ORDERED, width)]
        trial = np.repeat(features, len(named) + 1, axis=0)
        trial[np.arange(len(named)), named] = self.typical_[named]
        near = np.repeat(self._known.distances([material.composition]), len(trial))
        below, _ = self._below(trial, np.repeat(has_cell, len(trial)), near)
        chance = _chance(below, self.grid_, self._trained_on["threshold"])
        effect = chance[-1] - chance[:-1]
        names = (*COMPOSITION_FEATURES, *_SINGLE)
        order = np.argsort(-np.abs(effect), kind="stable")[:top]
        return [
            Reason(names[i], float(own[named[i]]), float(self.typical_[named[i]]), float(effect[i]))
            for i in order
        ]

    def importances(self, *, top: int = 20) -> list[tuple[str, float]]:
        """Return the descriptors that order labels best, each alone, and their share of all.

        How strongly is the square of the rank correlation with log10 sigma: the kernel weighs
        descriptors alike and tells no other. Fractions along the Pettifor scale stand together,
        as the best of them.
        """
        self._check_fitted()
        n = len(COMPOSITION_FEATURES)
        named = dict(zip(COMPOSITION_FEATURES, self.order_[:n].tolist(), strict=True))
        named["fractions along the Pettifor scale"] = float(self.order_[n:_ORDERED].max())
        named |= dict(zip(_SINGLE, self.order_[_ORDERED:].tolist(), strict=True))
        whole = sum(named.values()) or 1.0
        shares = {name: value / whole for name, value in named.items()}
        return sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:top]

    def state(self) -> ModelState:
        """Return the distributions of the labels and the learners as arrays."""
        self._check_fitted()
        arrays = {"grid": self.grid_, "spreads": self.spreads_, "typical": self.typical_}
        arrays["order"] = self.order_
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
        self.typical_, self.order_ = arrays["typical"], arrays["order"]
        if self.spreads_.shape != (len(self.formulas_), len(self.grid_)):
            raise DataError("the distributions are not one for each label")
        self.by_composition_ = KernelFit.of_arrays(arrays, "composition_")
        self.by_cell_ = KernelFit.of_arrays(arrays, "cell_") if "cell_rows" in arrays else None
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

    def _features(self, materials: Sequence[Material]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return features, NaN for those of a cell that is not known, and where it is."""
        compositions = [material.composition for material in materials]
        features = np.full((len(materials), _ALL), np.nan)
        features[:, : len(COMPOSITION_FEATURES)] = composition_features(compositions)
        features[:, len(COMPOSITION_FEATURES) : _ORDERED] = cumulative_fractions(compositions)
        features[:, _ORDERED] = np.log(ordered_cell_atoms(compositions))
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


_ORDERED = len(COMPOSITION_FEATURES) + cumulative_fractions(()).shape[1]
_COMPOSITION = _ORDERED + 1
_SINGLE = (ORDERED_CELL, *CELL)
_ALL = _COMPOSITION + len(CELL)


@dataclass(frozen=True)
class _Problem:
    """What learners are fitted to; rows are labels."""

    features: Floats
    spreads: Floats
    grid: Floats
    stated: Floats
    side: Ints
    apart: Floats
    groups: Ints
    clusters: Ints


def _fitted(problem: _Problem, rows: Ints, width: int) -> LabelKernel:
    weight = np.where(np.arange(width) < _ORDERED, 1.0, COUNTS)
    return LabelKernel.fit(problem.features[rows, :width], weight)


def _reached(problem: _Problem) -> tuple[Floats, Floats]:
    """Return where labels lie at or below points of the grid, and where that is known."""
    grid, stated, side = problem.grid[None], problem.stated[:, None], problem.side[:, None]
    reached = grid >= stated
    known = (side == 0) | ((side == 1) & reached) | ((side == -1) & ~reached)
    return reached.astype(float), known.astype(float)


def _chance(below: Floats, grid: Floats, threshold: float) -> Floats:
    """Return the probability that sigma is at least a threshold (S/cm), shape (n,)."""
    cut = float(np.log10(threshold))
    return 1.0 - np.array([np.interp(cut, grid, row) for row in below])


def _order_of(stated: Floats, features: Floats) -> Floats:
    """Return how strongly each feature alone orders the labels where it is known, shape (p,)."""
    found = np.zeros(features.shape[1])
    for column, values in enumerate(features.T):
        has = np.isfinite(values)
        if has.sum() > 2 and np.ptp(values[has]) > 0 and np.ptp(stated[has]) > 0:
            both = np.array([mean_ranks(values[has]), mean_ranks(stated[has])])
            found[column] = np.corrcoef(both)[0, 1] ** 2
    return found


def _cell_of(material: Material) -> Any:
    """Return the descriptors of a cell, NaN where there is none or it does not say its content."""
    try:
        cell = material.cell
        if cell is None:
            return np.nan
        return cell_features([cell], [material.composition], names=CELL)[0]
    except DataError:
        return np.nan
