"""The first system: an ensemble on composition descriptors that votes (Kang et al. 2022).

Gradient boosting and LightGBM are each fitted to the training side of 100 random splits of the
labels. A material is accepted when every member says superionic. Beside the vote stands a
probability: the mean of the members, calibrated on labels that a member had not seen.

Two things differ from the paper, both to stay honest: near-duplicate compositions are never on
both sides of a split (`grouped=False` restores the paper's splits), and descriptors of the cell
join those of the composition where `cell` asks for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ssefw.data.dataset import Dataset
from ssefw.data.materials import Material
from ssefw.data.splits import repeated_random
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import ModelState, Reason, Scores
from ssefw.screening.calibration import calibrated
from ssefw.screening.classifiers import CLASSIFIERS, fit_classifier
from ssefw.screening.distances import KnownCompositions
from ssefw.screening.features import (
    CELL_FEATURES,
    COMPOSITION_FEATURES,
    KANG_CELL_FEATURES,
    cell_features,
    composition_features,
)
from ssefw.screening.frozen import Frozen, join_frozen, part_frozen
from ssefw.screening.parallel import delayed, run_tasks
from ssefw.screening.tuning import search_settings
from ssefw.screening.voting import VotingScreener, rows_without, votes_by_kind
from ssefw.units import AskedLevel, AskedMembers, AskedSeed, AskedWorkers

__all__ = ["CellFeatures", "CompositionScreener"]

CellFeatures = Literal["none", "kang", "full"]
_CELL_NAMES: dict[str, tuple[str, ...]] = {
    "none": (),
    "kang": KANG_CELL_FEATURES,
    "full": CELL_FEATURES,
}
CHUNK = 4096


@dataclass(kw_only=True, eq=False)
class CompositionScreener(VotingScreener):
    """Votes of classifiers on composition descriptors.

    Attributes
    ----------
    members
        Short names of the classifiers that vote; see `CLASSIFIERS`.
    n_splits
        Random splits, each giving one member of each kind.
    test_share
        Share of the labels that a member does not see.
    cell
        Descriptors of the cell to add: ``none``, the five of ``kang``, or the ``full`` set. With
        any, labels and pool must state cells or have structures.
    grouped
        Whether near-duplicate compositions stay on one side of a split.
    tuned
        Settings of a classifier by its name, from a search of hyper-parameters.
    workers
        Processes that fit at the same time; the result does not depend on it.
    """

    name: ClassVar[str] = "composition"
    needs: ClassVar[Literal["composition", "structure"]] = "composition"

    members: Sequence[str] = ("gb", "lgbm")
    n_splits: AskedMembers = 100
    test_share: AskedLevel = 0.2
    cell: CellFeatures = "none"
    grouped: bool = True
    tuned: Mapping[str, Mapping[str, Any]] | None = None
    seed: AskedSeed = 0
    workers: AskedWorkers = 1

    def __post_init__(self) -> None:
        unknown = sorted(set(self.members) - set(CLASSIFIERS))
        if unknown or not self.members:
            raise ConfigurationError(
                f"Unknown classifiers {unknown}. Known: {', '.join(sorted(CLASSIFIERS))}."
            )
        if self.cell not in _CELL_NAMES:
            raise ConfigurationError(f"cell must be one of none, kang or full, got {self.cell!r}.")
        self.members = list(self.members)
        self.tuned = {key: dict(value) for key, value in (self.tuned or {}).items()}

    def fit(self, data: Dataset, *, pool: Sequence[Material] = ()) -> Self:  # noqa: ARG002
        """Fit one member of each kind to each split; the pool is not used.

        Raises
        ------
        DataError
            If the labels cannot be split into two sides with both classes.
        """
        labeled = data.labeled()
        self.cell_names_ = _CELL_NAMES[self.cell]
        features = self._features(labeled.materials)
        splits = repeated_random(
            labeled,
            n=self.n_splits,
            test_share=self.test_share,
            seed=self.seed,
            grouped=self.grouped,
        )
        jobs = [
            (kind, split, self.seed * 100_003 + number)
            for kind in self.members
            for number, split in enumerate(splits)
        ]
        tasks = (
            delayed(fit_classifier)(
                kind,
                features[split.train],
                labeled.y[split.train],
                seed=seed,
                settings=(self.tuned or {}).get(kind),
            )
            for kind, split, seed in jobs
        )
        fitted = list(run_tasks(tasks, workers=self.workers, total=len(jobs)))
        self.kinds_ = [kind for kind, _, _ in jobs]
        self.frozen_: list[Frozen] = [frozen for frozen, _ in fitted]
        self.importances_ = {
            kind: np.mean(
                [w for (_, w), k in zip(fitted, self.kinds_, strict=True) if k == kind], axis=0
            )
            for kind in self.members
        }
        unseen = _unseen_probability(self.frozen_, [s for _, s, _ in jobs], features)
        self._remember(data, labeled.materials)
        self._calibrate_on(unseen, labeled.y)
        self.typical_ = np.median(features, axis=0)
        self._known = KnownCompositions(self.formulas_)
        return self

    def tuned_on(self, data: Dataset, *, trials: int) -> "CompositionScreener":
        """Return an unfitted screener with hyper-parameters searched for each kind of member."""
        labeled = data.labeled()
        self.cell_names_ = _CELL_NAMES[self.cell]
        features = self._features(labeled.materials)
        found = {
            kind: search_settings(kind, features, labeled, trials=trials, seed=self.seed)
            for kind in self.members
        }
        return replace(self, tuned=found)

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return calibrated probabilities, votes and distances to the labels' compositions."""
        self._check_fitted()
        features, problems = self._features_where_possible(materials)
        good = rows_without(problems, len(materials))
        each = np.full((len(self.frozen_), len(materials)), np.nan)
        for number, member in enumerate(self.frozen_):
            each[number, good] = member.probability(features)
        distance = np.full(len(materials), np.nan)
        if len(good):
            asked = [materials[row].composition for row in good]
            distance[good] = self._known.distances(asked)
        return self._scores(
            materials,
            each,
            problems,
            meaning=(
                f"probability of sigma >= {self._trained_on['threshold']:g} S/cm near room "
                f"temperature: mean of {len(self.frozen_)} members, calibrated on unseen labels"
            ),
            distance=distance,
            details=votes_by_kind(each, self.kinds_, self.members),
        )

    def explain(self, material: Material, *, top: int = 10) -> list[Reason]:
        """Return the descriptors that move the score most when put to the labels' median."""
        self._check_fitted()
        own = self._features([material])[0]
        trial = np.repeat(own[None], len(own) + 1, axis=0)
        trial[np.arange(len(own)), np.arange(len(own))] = self.typical_
        mean = np.mean([member.probability(trial) for member in self.frozen_], axis=0)
        score = calibrated(mean, self.calibration_)
        effect = score[-1] - score[:-1]
        order = np.argsort(-np.abs(effect), kind="stable")[:top]
        names = self.feature_names
        return [
            Reason(names[i], float(own[i]), float(self.typical_[i]), float(effect[i]))
            for i in order
        ]

    def importances(self, *, top: int = 20) -> list[tuple[str, float]]:
        """Return descriptors among the `top` of every kind of member, with their mean importance.

        This is the paper's table of features on which gradient boosting and LightGBM agree.
        """
        self._check_fitted()
        best = [set(np.argsort(-values)[:top].tolist()) for values in self.importances_.values()]
        shared = set.intersection(*best)
        mean = np.mean(list(self.importances_.values()), axis=0)
        return [
            (self.feature_names[i], float(mean[i]))
            for i in sorted(shared, key=lambda i: (-mean[i], i))
        ]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the descriptors, in order."""
        return (*COMPOSITION_FEATURES, *self.cell_names_)

    def state(self) -> ModelState:
        """Return members as arrays; equal arrays of all members are joined end to end."""
        self._check_fitted()
        layout, joined = join_frozen(self.frozen_)
        arrays = {"typical": self.typical_, **joined}
        arrays.update({f"importance_{kind}": w for kind, w in self.importances_.items()})
        meta = {
            "kinds": self.kinds_,
            **layout,
            "cell_names": list(self.cell_names_),
            "calibration": list(self.calibration_),
            "trained_on": self._trained_on,
            "formulas": self.formulas_,
        }
        return ModelState(meta, arrays)

    def restore(self, state: ModelState) -> Self:
        """Take over a saved state."""
        meta, arrays = state.meta, state.arrays
        self.frozen_ = part_frozen(meta, arrays)
        self.kinds_ = list(meta["kinds"])
        self.cell_names_ = tuple(meta["cell_names"])
        self._calibrate_by(meta["calibration"])
        self._recall(meta)
        self.typical_ = arrays["typical"]
        self.importances_ = {kind: arrays[f"importance_{kind}"] for kind in self.members}
        self._known = KnownCompositions(self.formulas_)
        return self

    def _features(self, materials: Sequence[Material]) -> npt.NDArray[np.float64]:
        compositions = [material.composition for material in materials]
        features = composition_features(compositions)
        if not self.cell_names_:
            return features
        cells = []
        for material in materials:
            if material.cell is None:
                raise DataError(
                    f"{material.formula} ({material.name}) has neither cell nor structure, and the "
                    "model was trained with descriptors of the cell. Give structures, or train "
                    "with --cell none."
                )
            cells.append(material.cell)
        return np.hstack([features, cell_features(cells, compositions, names=self.cell_names_)])

    def _features_where_possible(
        self, materials: Sequence[Material]
    ) -> tuple[npt.NDArray[np.float64], dict[int, str]]:
        """Return the features of the rows that have them, and the reasons of the others."""
        parts: list[npt.NDArray[np.float64]] = []
        problems: dict[int, str] = {}
        for start in range(0, len(materials), CHUNK):
            chunk = materials[start : start + CHUNK]
            try:
                parts.append(self._features(chunk))
            except DataError:
                for row, material in enumerate(chunk, start=start):
                    try:
                        parts.append(self._features([material]))
                    except DataError as error:
                        problems[row] = str(error)
        width = len(self.feature_names)
        return (np.vstack(parts) if parts else np.empty((0, width))), problems


def _unseen_probability(
    members: Sequence[Frozen], splits: Sequence[Any], features: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return for each label the mean probability of the members that had not seen it."""
    total, count = np.zeros(len(features)), np.zeros(len(features))
    for member, split in zip(members, splits, strict=True):
        total[split.test] += member.probability(features[split.test])
        count[split.test] += 1
    result: npt.NDArray[np.float64] = np.divide(
        total, count, out=np.full(len(features), np.nan), where=count > 0
    )
    return result
