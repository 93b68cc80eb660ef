"""The second system: a pool clustered by structure, scored by the labels among it.

Pool and labels are clustered together without looking at conductivities (Laskowski, McHaffie, See
2023). A material belongs to the clusters of the row nearest to it. From one cluster down to the
deepest clustering, the share of superionic labels in its cluster is drawn towards that of the
cluster around it, the more so the fewer labels there are. The score is the mean over all depths,
and the depths are the members that vote. It is calibrated on labels that were hidden with all their
near-duplicates and scored as if they were new.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure

from ssefw.data.dataset import Dataset
from ssefw.data.labels.sets import log_conductivities
from ssefw.data.materials import Material
from ssefw.data.splits import k_fold
from ssefw.data.structures import content_id
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import ModelState, Reason, Scores
from ssefw.screening.calibration import calibrated
from ssefw.screening.clustering.mixing import Mixture, blocks
from ssefw.screening.clustering.representations import (
    FeatureCache,
    Features,
    Representation,
    represent,
)
from ssefw.screening.clustering.shares import nearest_rows, shrunk_shares, surroundings
from ssefw.screening.clustering.ward import Linkage, Tree, build_tree, check_tree, cut
from ssefw.screening.voting import VotingScreener, rows_without
from ssefw.units import AskedClusters, AskedSeed, AskedWorkers, Fraction, Limits, Pure

__all__ = ["ClusteringScreener"]

Matrix = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FOLDS = 5
"""Parts of the labels that are hidden in turn to calibrate the score."""


@dataclass(kw_only=True, eq=False)
class ClusteringScreener(VotingScreener):
    """Labels of the clusters that a material falls into.

    Attributes
    ----------
    representation
        Descriptor and simplification, for example ``soap-CAN``.
    second
        Another to mix in, or an empty string.
    second_weight
        Its share of the total variance, from 0 to below 1.
    deepest
        Largest number of clusters.
    strength
        So many labels weigh as much as the cluster around.
    mobile
        The ion that moves.
    cache
        File for descriptors; an empty string keeps none. The result does not depend on it.
    seed
        Of the folds that calibrate the score; clusters and shares have nothing random.
    workers
        Processes that compute descriptors; the result does not depend on it.
    """

    name: ClassVar[str] = "clustering"
    needs: ClassVar[Literal["composition", "structure"]] = "structure"

    aside: ClassVar[frozenset[str]] = frozenset({"cache", "workers"})

    representation: str = "soap-CAN"
    second: str = ""
    second_weight: Annotated[Fraction, Limits(least=0, below=1)] = 0.05
    linkage: Linkage = "ward"
    deepest: AskedClusters = 300
    strength: Annotated[Pure, Limits(above=0, most=1e6)] = 2.0
    mobile: str = "Li"
    cache: str = ""
    seed: AskedSeed = 0
    workers: AskedWorkers = 1

    def __post_init__(self) -> None:
        if not (self.deepest >= 2 and self.strength > 0 and 0 <= self.second_weight < 1):
            raise ConfigurationError(
                "deepest must be at least 2, strength positive and second_weight from 0 to below "
                f"1; got {self.deepest}, {self.strength:g} and {self.second_weight:g}."
            )
        asked = [self.representation, *([self.second] if self.second else [])]
        self._wanted = [Representation.parse(one) for one in asked]

    def fit(self, data: Dataset, *, pool: Sequence[Material] = ()) -> Self:
        """Cluster pool and labels; rows whose descriptor fails are left out.

        Raises
        ------
        DataError
            If a label has no structure, or fewer than four labels of both classes can be described.
        """
        labeled = data.labeled()
        rows = [material.structure for material in labeled.materials]
        rows += [material.structure for material in pool if material.build is not None]
        ids = [content_id(structure) for structure in rows]
        parts = self._parts(rows, ids)
        usable = np.logical_and.reduce([part.usable for part in parts])
        known = np.flatnonzero(usable[: len(labeled)])
        if len(known) < 4 or len(set(labeled.y[known].tolist())) < 2:
            reasons = [*parts[0].problems.values(), "none"]
            raise DataError(
                f"{len(known)} of {len(labeled)} labels can be described, or they are of one "
                f"class; at least four of both are needed. First problem: {reasons[0]}"
            )
        self.mixture_ = Mixture.of(parts, usable, weight=self.second_weight, names=self._wanted)
        self.rows_ = self.mixture_.rows(parts)[usable]
        self.ids_ = [ids[row] for row in np.flatnonzero(usable)]
        self.y_ = labeled.y[known]
        self.log_sigma_ = log_conductivities(labeled.labels)[known]
        self.tree_ = build_tree(self.rows_, linkage=self.linkage)
        self._remember(data, [labeled.materials[row] for row in known])
        self._prepare()
        unseen = self._unseen(labeled.take(known))
        self.is_calibrated_ = bool(np.isfinite(unseen).any())
        if self.is_calibrated_:
            self._calibrate_on(unseen, self.y_)
        else:
            self._calibrate_by((1.0, 0.0))
        return self

    def _unseen(self, labeled: Dataset) -> FloatArray:
        """Return the share around each label with its fold hidden, shape (n,), NaN without folds.

        A hidden label is placed as a new material is: at the nearest row that is not hidden.
        """
        n = len(labeled)
        unseen = np.full(n, np.nan)
        smaller = int(np.bincount(labeled.y, minlength=2).min())
        folds = min(FOLDS, smaller, len(set(labeled.groups.tolist())))
        if folds < 2:
            return unseen
        for split in k_fold(labeled, k=folds, seed=self.seed):
            hidden = np.zeros(len(self.rows_), dtype=bool)
            hidden[split.test] = True
            shown = ~hidden[:n]
            if len(set(labeled.y[shown].tolist())) < 2:
                continue
            shares = shrunk_shares(self.clusters_, self.y_, self.strength, shown=shown)[1:]
            others = np.flatnonzero(~hidden)
            nearest, _ = nearest_rows(self.rows_[split.test], self.rows_[others])
            unseen[split.test] = shares[:, others[nearest]].mean(axis=0)
        return unseen

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return the share of superionic labels around each material, over all depths."""
        self._check_fitted()
        n = len(materials)
        rows, problems = self._rows_where_possible(materials)
        good = rows_without(problems, n)
        nearest, _ = nearest_rows(rows, self.rows_)
        _, away = nearest_rows(rows, self.rows_[: len(self.y_)])
        each = np.full((len(self.shares_), n), np.nan)
        each[:, good] = self.shares_[:, nearest]
        distance = np.full(n, np.nan)
        distance[good] = away / self._mean_distance
        details = {name: np.full(n, np.nan) for name in self._around}
        for name, values in self._around.items():
            details[name][good] = values[nearest]
        return self._scores(
            materials,
            each,
            problems,
            meaning=(
                f"share of labels with sigma >= {self._trained_on['threshold']:g} S/cm in the "
                f"clusters of {self.representation} that a material falls into, mean of "
                f"{len(self.shares_)} depths, "
                + ("calibrated on unseen labels" if self.is_calibrated_ else "not calibrated")
            ),
            distance=distance,
            details=details,
        )

    def explain(self, material: Material, *, top: int = 10) -> list[Reason]:
        """Return the parts of the descriptor that move the score when put to the labels' median.

        The value is the length of the part as a vector.
        """
        self._check_fitted()
        rows, problems = self._rows_where_possible([material])
        if problems:
            raise DataError(problems[0])
        typical = np.median(self.rows_[: len(self.y_)], axis=0)
        names, widths = blocks(self._wanted, self.mixture_, rows.shape[1])
        edges = np.cumsum([0, *widths])
        trials = np.repeat(rows, len(names) + 1, axis=0)
        for number, (start, stop) in enumerate(pairwise(edges.tolist())):
            trials[number, start:stop] = typical[start:stop]
        nearest, _ = nearest_rows(trials, self.rows_)
        score = calibrated(self.shares_[:, nearest].mean(axis=0), self.calibration_)
        reasons = [
            Reason(
                feature=f"{self.representation}: {name}",
                value=float(np.linalg.norm(rows[0, edges[k] : edges[k + 1]])),
                typical=float(np.linalg.norm(typical[edges[k] : edges[k + 1]])),
                effect=float(score[-1] - score[k]),
            )
            for k, name in enumerate(names)
        ]
        return sorted(reasons, key=lambda reason: -abs(reason.effect))[:top]

    def state(self) -> ModelState:
        """Return descriptors, tree and labels."""
        self._check_fitted()
        arrays: dict[str, npt.NDArray[Any]] = {
            "rows": self.rows_,
            "ids": np.array(self.ids_),
            "pairs": self.tree_.pairs,
            "heights": self.tree_.heights,
            "y": self.y_,
            "log_sigma": self.log_sigma_,
        }
        meta = {
            "widths": self.mixture_.widths,
            "columns": self.mixture_.columns,
            "scale": self.mixture_.scale,
            "calibration": list(self.calibration_),
            "is_calibrated": self.is_calibrated_,
            "trained_on": self.trained_on,
        }
        return ModelState(meta, arrays)

    def restore(self, state: ModelState) -> Self:
        """Take over a saved state."""
        meta = state.meta
        self.mixture_ = Mixture(
            widths=[int(width) for width in meta["widths"]],
            columns=[list(names) for names in meta["columns"]],
            scale=float(meta["scale"]),
        )
        self._calibrate_by(meta["calibration"])
        self.is_calibrated_ = bool(meta["is_calibrated"])
        self._recall(meta)
        self.rows_ = np.ascontiguousarray(state.arrays["rows"], dtype=np.float32)
        self.ids_ = [str(key) for key in state.arrays["ids"]]
        self.tree_ = Tree(state.arrays["pairs"], state.arrays["heights"])
        self.y_ = state.arrays["y"]
        self.log_sigma_ = state.arrays["log_sigma"]
        if len(self.rows_) != self.tree_.n or len(self.y_) > len(self.rows_):
            raise ValueError(
                f"{len(self.rows_)} rows, {self.tree_.n} leaves, {len(self.y_)} labels"
            )
        check_tree(self.tree_)
        self._prepare()
        return self

    def _parts(self, structures: Sequence[Structure], ids: Sequence[str]) -> list[Features]:
        cache = FeatureCache(Path(self.cache) if self.cache else None)
        found = represent(
            structures, self._wanted, mobile=self.mobile, cache=cache, ids=ids, workers=self.workers
        )
        return [found[one] for one in self._wanted]

    def _rows_where_possible(self, materials: Sequence[Material]) -> tuple[Matrix, dict[int, str]]:
        """Return the descriptors of the rows that have them, and the reasons of the others.

        A crystal that was clustered is looked up.
        """
        problems: dict[int, str] = {}
        rows: dict[int, Matrix] = {}
        fresh: list[tuple[int, str, Structure]] = []
        for row, material in enumerate(materials):
            try:
                key = content_id(material.structure)
            except DataError as error:
                problems[row] = str(error)
                continue
            if key in self._place:
                rows[row] = self.rows_[self._place[key]]
            else:
                fresh.append((row, key, material.structure))
        parts = self._parts([one for _, _, one in fresh], [key for _, key, _ in fresh])
        joined = self.mixture_.rows(parts)
        for place, (row, _, _) in enumerate(fresh):
            reason = next((p.problems[place] for p in parts if place in p.problems), None)
            if reason is None:
                rows[row] = joined[place]
            else:
                problems[row] = f"{materials[row].formula}: {reason}"
        found = np.zeros((len(rows), self.rows_.shape[1]), dtype=np.float32)
        for place, row in enumerate(sorted(rows)):
            found[place] = rows[row]
        return found, problems

    def _prepare(self) -> None:
        """Compute from rows, tree and labels what scoring looks up."""
        n_labels = len(self.y_)
        self._place = {key: row for row, key in reversed(list(enumerate(self.ids_)))}
        depths = range(1, min(self.deepest, self.tree_.n) + 1)
        self.clusters_ = cut(self.tree_, depths)
        self.shares_ = shrunk_shares(self.clusters_, self.y_, self.strength)[1:]
        self._around = surroundings(self.clusters_, self.log_sigma_)
        known = self.rows_[:n_labels].astype(float)
        gap = np.linalg.norm(known - known.mean(axis=0), axis=1)
        self._mean_distance = float(gap.mean()) or 1.0
