"""The first system: an ensemble on composition descriptors that votes (Kang et al. 2022).

Gradient boosting and LightGBM are each fitted to the training side of 100 random splits of the
labels. A material is accepted when every member says superionic. Beside the vote stands a
probability: the mean of the members, calibrated on labels that a member had not seen.

Two things differ from the paper, both to stay honest: near-duplicate compositions are never on
both sides of a split (`grouped=False` restores the paper's splits), and descriptors of the cell
join those of the composition where `cell` asks for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition
from scipy.spatial.distance import cdist
from sklearn.exceptions import NotFittedError
from sklearn.utils.parallel import delayed

from ssefw.data.compositions import parse_formula
from ssefw.data.dataset import Dataset
from ssefw.data.materials import Material
from ssefw.data.splits import cumulative_fractions, repeated_random
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import ModelState, Reason, Scores, Screener
from ssefw.screening.calibration import calibrate, calibrated, ensemble_summary
from ssefw.screening.classifiers import CLASSIFIERS, fit_classifier
from ssefw.screening.features import (
    CELL_FEATURES,
    COMPOSITION_FEATURES,
    KANG_CELL_FEATURES,
    cell_features,
    composition_features,
)
from ssefw.screening.frozen import Frozen, join_frozen, part_frozen
from ssefw.screening.parallel import run_tasks
from ssefw.screening.tuning import search_settings

__all__ = ["CellFeatures", "CompositionScreener"]

CellFeatures = Literal["none", "kang", "full"]
_CELL_NAMES: dict[str, tuple[str, ...]] = {
    "none": (),
    "kang": KANG_CELL_FEATURES,
    "full": CELL_FEATURES,
}
CHUNK = 4096


class CompositionScreener(Screener):
    """Votes of classifiers on composition descriptors.

    Parameters
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

    def __init__(
        self,
        *,
        members: Sequence[str] = ("gb", "lgbm"),
        n_splits: int = 100,
        test_share: float = 0.2,
        cell: CellFeatures = "none",
        grouped: bool = True,
        tuned: Mapping[str, Mapping[str, Any]] | None = None,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        unknown = sorted(set(members) - set(CLASSIFIERS))
        if unknown or not members:
            raise ConfigurationError(
                f"Unknown classifiers {unknown}. Known: {', '.join(sorted(CLASSIFIERS))}."
            )
        if cell not in _CELL_NAMES:
            raise ConfigurationError(f"cell must be one of none, kang or full, got {cell!r}.")
        self.members = tuple(members)
        self.n_splits = n_splits
        self.test_share = test_share
        self.cell = cell
        self.grouped = grouped
        self.tuned = {key: dict(value) for key, value in (tuned or {}).items()}
        self.seed = seed
        self.workers = workers

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments that change the result."""
        return {
            "members": list(self.members),
            "n_splits": self.n_splits,
            "test_share": self.test_share,
            "cell": self.cell,
            "grouped": self.grouped,
            "tuned": self.tuned,
            "seed": self.seed,
        }

    def fit(self, data: Dataset, *, pool: Sequence[Material] = ()) -> Self:  # noqa: ARG002
        """Fit one member of each kind to each split; the pool is not used.

        Raises
        ------
        DataError
            If the labels cannot be split into two sides with both classes.
        """
        labeled = data.take(np.flatnonzero(data.y >= 0))
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
                settings=self.tuned.get(kind),
            )
            for kind, split, seed in jobs
        )
        fitted = list(run_tasks(tasks, workers=self.workers))
        self.kinds_ = [kind for kind, _, _ in jobs]
        self.frozen_: list[Frozen] = [frozen for frozen, _ in fitted]
        self.importances_ = {
            kind: np.mean(
                [w for (_, w), k in zip(fitted, self.kinds_, strict=True) if k == kind], axis=0
            )
            for kind in self.members
        }
        self.calibration_ = calibrate(
            _unseen_probability(self.frozen_, [s for _, s, _ in jobs], features), labeled.y
        )
        self.typical_ = np.median(features, axis=0)
        self.formulas_ = [material.formula for material in labeled.materials]
        self._trained_on = {
            "label_set": data.name,
            "label_version": data.version,
            "threshold": data.threshold,
        }
        self._set_distances()
        return self

    def tuned_on(self, data: Dataset, *, trials: int) -> "CompositionScreener":
        """Return an unfitted screener with hyper-parameters searched for each kind of member."""
        labeled = data.take(np.flatnonzero(data.y >= 0))
        self.cell_names_ = _CELL_NAMES[self.cell]
        features = self._features(labeled.materials)
        found = {
            kind: search_settings(kind, features, labeled, trials=trials, seed=self.seed)
            for kind in self.members
        }
        settings: Any = {**self.settings(), "tuned": found, "workers": self.workers}
        return CompositionScreener(**settings)

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return calibrated probabilities, votes and distances to the labels' compositions."""
        self._check_fitted()
        n = len(materials)
        features, problems = self._features_where_possible(materials)
        good = np.array([row for row in range(n) if row not in problems], dtype=np.int64)
        each = np.full((len(self.frozen_), n), np.nan)
        for number, member in enumerate(self.frozen_):
            each[number, good] = member.probability(features)
        votes = (each >= 0.5).sum(axis=0)
        middle, spread = np.full(n, np.nan), np.full(n, np.nan)
        lower, upper, distance = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
        if len(good):
            middle[good], spread[good], lower[good], upper[good] = ensemble_summary(
                each[:, good].mean(axis=0), each[:, good], self.calibration_
            )
            distance[good] = self._distances([materials[row].composition for row in good])
        kinds = np.array(self.kinds_)
        return Scores(
            names=tuple(material.name for material in materials),
            probability=middle,
            spread=spread,
            lower=lower,
            upper=upper,
            meaning=(
                f"probability of sigma >= {self._trained_on['threshold']:g} S/cm near room "
                f"temperature: mean of {len(self.frozen_)} members, calibrated on unseen labels"
            ),
            votes=votes,
            n_votes=len(self.frozen_),
            distance=distance,
            problems=problems,
            details={
                f"votes_{kind}": (each[kinds == kind] >= 0.5).sum(axis=0) for kind in self.members
            },
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

    @property
    def trained_on(self) -> dict[str, Any]:
        """Name, version and formulas of the labels, and the threshold."""
        self._check_fitted()
        return {**self._trained_on, "formulas": list(self.formulas_)}

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
        self.calibration_ = (float(meta["calibration"][0]), float(meta["calibration"][1]))
        self._trained_on = dict(meta["trained_on"])
        self.formulas_ = list(meta["formulas"])
        self.typical_ = arrays["typical"]
        self.importances_ = {kind: arrays[f"importance_{kind}"] for kind in self.members}
        self._set_distances()
        return self

    def _check_fitted(self) -> None:
        if not hasattr(self, "frozen_"):
            raise NotFittedError("This CompositionScreener is not fitted; call fit first.")

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

    def _set_distances(self) -> None:
        known = cumulative_fractions([parse_formula(formula) for formula in self.formulas_])
        center = known.mean(axis=0)
        self._known = np.unique(known, axis=0)
        self._mean_distance = float(np.abs(known - center).sum(axis=1).mean()) or 1.0

    def _distances(self, compositions: Sequence[Composition]) -> npt.NDArray[np.float64]:
        shares = cumulative_fractions(compositions)
        nearest = [
            cdist(shares[start : start + CHUNK], self._known, "cityblock").min(axis=1)
            for start in range(0, len(shares), CHUNK)
        ]
        return np.asarray(np.concatenate(nearest) / self._mean_distance)


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
