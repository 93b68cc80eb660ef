"""Several systems as one: stacked where there are labels enough, averaged by rank where not.

Each system is fitted on folds of the labels that keep near-duplicates together, and scores what it
did not see. A logistic regression on the logits of these out-of-fold scores, with weights that are
not negative, says how far each is believed; the systems are then fitted to all labels. With few
labels a regression would be noise: then the mean of the ranks among the labels' out-of-fold scores
counts, each system alike.

Where systems disagree the consensus is uncertain: the spread joins their own with the standard
deviation between them. Far from all labels (distance above 1) a system's logit shrinks towards the
share of superionic labels, since its score is an extrapolation there.

Wolpert, Neural Networks 5, 241 (1992), https://doi.org/10.1016/S0893-6080(05)80023-1
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.exceptions import NotFittedError

from ssefw.data.dataset import Dataset
from ssefw.data.materials import Material
from ssefw.data.splits import k_fold
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import ModelState, Reason, Scores, Screener, make_screener
from ssefw.screening.evaluate import cross_validate

__all__ = ["ConsensusScreener"]

Floats = npt.NDArray[np.float64]

DEFAULT_SYSTEMS: dict[str, dict[str, Any]] = {
    "boosted": {"system": "composition", "members": ["gb"], "n_splits": 20},
    "leafwise": {"system": "composition", "members": ["lgbm"], "n_splits": 20},
}
PENALTY = 1.0


class ConsensusScreener(Screener):
    """Stack of screening systems.

    Parameters
    ----------
    systems
        Name of each part to its settings; the key ``system`` names its screening system and is the
        part's name where left out.
    folds
        Folds of the labels for out-of-fold scores.
    fewest
        Labels of the smaller class from which weights are learned; below, ranks are averaged.
    """

    name: ClassVar[str] = "consensus"
    needs: ClassVar[Literal["composition", "structure"]] = "composition"

    def __init__(
        self,
        *,
        systems: Mapping[str, Mapping[str, Any]] | None = None,
        folds: int = 5,
        fewest: int = 25,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        chosen = DEFAULT_SYSTEMS if systems is None else systems
        self.systems = {key: dict(value or {}) for key, value in chosen.items()}
        if not self.systems:
            raise ConfigurationError("A consensus needs systems; give at least one.")
        if any("/" in key for key in self.systems):
            raise ConfigurationError("The name of a part of a consensus has no slash in it.")
        if any(value.get("system", key) == self.name for key, value in self.systems.items()):
            raise ConfigurationError("A consensus is no part of a consensus.")
        self.folds = folds
        self.fewest = fewest
        self.seed = seed
        self.workers = workers

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments that change the result."""
        return {
            "systems": self.systems,
            "folds": self.folds,
            "fewest": self.fewest,
            "seed": self.seed,
        }

    def fit(self, data: Dataset, *, pool: Sequence[Material] = ()) -> Self:
        """Learn the weights on out-of-fold scores, and each system on all labels.

        Raises
        ------
        DataError
            If the labels cannot be divided into folds, or a label cannot be scored.
        """
        labeled = data.take(np.flatnonzero(data.y >= 0))
        unseen = self._out_of_fold(labeled)
        smaller = int(min(np.bincount(labeled.y, minlength=2)))
        self.rate_ = float(labeled.y.mean())
        self.is_stacked_ = smaller >= self.fewest
        logits = _logit(unseen) - _logit(np.array(self.rate_))
        if self.is_stacked_:
            self.weights_, self.shift_ = _stack(logits, labeled.y)
        else:
            n = len(self.systems)
            self.weights_, self.shift_ = np.full(n, 1.0 / n), 0.0
        self.unseen_ = np.sort(unseen, axis=0)
        ranks = _ranks(self.unseen_, unseen) @ np.full(len(self.systems), 1.0 / len(self.systems))
        self.slope_, self.offset_ = _line(ranks, labeled.y)
        self.parts_ = {name: self._part(name).fit(labeled, pool=pool) for name in self.systems}
        self._trained_on = {
            "label_set": data.name,
            "label_version": data.version,
            "threshold": data.threshold,
            "formulas": [material.formula for material in labeled.materials],
        }
        return self

    def _part(self, name: str) -> Screener:
        settings = {"seed": self.seed, **self.systems[name]}
        return make_screener(str(settings.pop("system", name)), settings)

    def _out_of_fold(self, data: Dataset) -> Floats:
        """Return the scores of labels that a part had not seen, shape (n, n_parts)."""
        smaller = int(min(np.bincount(data.y, minlength=2)))
        folds = min(self.folds, smaller, len(set(data.groups.tolist())))
        if folds < 2:
            raise DataError(
                f"The {len(data)} labels have {smaller} of the smaller class; a consensus needs "
                "two folds with both classes. Add labels or use one system."
            )
        splits = k_fold(data, k=folds, seed=self.seed)
        columns = []
        for name in self.systems:
            found = cross_validate(lambda name=name: self._part(name), data, splits)  # type: ignore[misc]
            column = np.empty(len(data))
            column[found.rows] = found.probability
            columns.append(column)
        return np.column_stack(columns)

    @property
    def weights(self) -> dict[str, float]:
        """How far each system is believed; of a rank average, all are alike."""
        self._check_fitted()
        return dict(zip(self.systems, self.weights_.tolist(), strict=True))

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return the joint probability; a material that one system cannot score rests on others."""
        self._check_fitted()
        found = [part.score(materials) for part in self.parts_.values()]
        each = np.column_stack([scores.probability for scores in found])
        known = np.isfinite(each)
        distances = [scores.distance for scores in found]
        far = np.column_stack(
            [np.full(len(materials), np.nan) if d is None else d for d in distances]
        )
        each = self._trusted(each, far)
        probability = self._join(each, known)
        own = np.column_stack([scores.spread for scores in found])
        spread, lower, upper = _disagreement(each, own, known, probability)
        none = ~known.any(axis=1)
        problems = {
            int(row): "; ".join(
                f"{name}: {scores.problems.get(int(row), 'no score')}"
                for name, scores in zip(self.systems, found, strict=True)
            )
            for row in np.flatnonzero(none)
        }
        return Scores(
            names=tuple(material.name for material in materials),
            probability=probability,
            spread=spread,
            lower=lower,
            upper=upper,
            meaning=(
                f"probability of sigma >= {self._trained_on['threshold']:g} S/cm: {self._told()}"
            ),
            votes=(np.where(known, each, 0.0) >= 0.5).sum(axis=1),
            n_votes=len(found),
            distance=_largest(far),
            problems=problems,
            details={f"score_{name}": each[:, column] for column, name in enumerate(self.systems)},
        )

    def _told(self) -> str:
        parts = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        how = "stacked with weights" if self.is_stacked_ else "mean rank, since labels are few, of"
        return f"{how} {parts}"

    def _trusted(self, each: Floats, far: Floats) -> Floats:
        """Return probabilities that shrink towards the labels' share far from all labels."""
        base = _logit(np.array(self.rate_))
        trust = 1.0 / np.maximum(1.0, np.where(np.isfinite(far), far, 1.0))
        return _expit(base + trust * (_logit(each) - base))

    def _join(self, each: Floats, known: npt.NDArray[np.bool_]) -> Floats:
        total = self.weights_.sum()
        weights = np.where(known, self.weights_, 0.0)
        present = weights.sum(axis=1)
        alone = np.where(known, 1.0, 0.0)
        # Where only systems without weight could score, they count alike.
        weights = np.where(present[:, None] > 0, weights, alone)
        present = weights.sum(axis=1)
        result = np.full(len(each), np.nan)
        some = known.any(axis=1)
        if self.is_stacked_:
            base = _logit(np.array(self.rate_))
            logits = np.where(known, _logit(each) - base, 0.0)
            scale = np.divide(total or 1.0, present, out=np.ones(len(each)), where=present > 0)
            joint = base + self.shift_ + scale * (weights * logits).sum(axis=1)
            result[some] = _expit(joint[some])
        else:
            ranks = np.where(known, _ranks(self.unseen_, each), 0.0)
            mean = (weights * ranks).sum(axis=1) / np.where(some, present, 1.0)
            result[some] = _expit(self.slope_ * mean[some] + self.offset_)
        return result

    def explain(self, material: Material, *, top: int = 10) -> list[Reason]:
        """Return the properties of all systems that move the score most, by weight."""
        self._check_fitted()
        total = float(self.weights_.sum()) or 1.0
        reasons = [
            Reason(f"{name}: {item.feature}", item.value, item.typical, item.effect * share)
            for (name, part), share in zip(
                self.parts_.items(), (self.weights_ / total).tolist(), strict=True
            )
            for item in part.explain(material, top=top)
        ]
        return sorted(reasons, key=lambda item: -abs(item.effect))[:top]

    def importances(self, *, top: int = 20) -> list[tuple[str, float]]:
        """Return the systems with their weights."""
        return sorted(self.weights.items(), key=lambda item: -item[1])[:top]

    @property
    def trained_on(self) -> dict[str, Any]:
        """Name, version and formulas of the labels, and the threshold."""
        self._check_fitted()
        return self._trained_on

    def state(self) -> ModelState:
        """Return the parts' states, the weights and the calibration."""
        self._check_fitted()
        states = {name: part.state() for name, part in self.parts_.items()}
        arrays = {
            f"{name}/{key}": value
            for name, state in states.items()
            for key, value in state.arrays.items()
        }
        meta = {
            "parts": {name: state.meta for name, state in states.items()},
            "rate": self.rate_,
            "is_stacked": self.is_stacked_,
            "weights": self.weights_.tolist(),
            "shift": self.shift_,
            "slope": self.slope_,
            "offset": self.offset_,
            "trained_on": self._trained_on,
        }
        return ModelState(meta, {**arrays, "unseen": self.unseen_})

    def restore(self, state: ModelState) -> Self:
        """Take over what `state` returned."""
        meta = state.meta
        self.parts_ = {}
        for name in self.systems:
            arrays = {
                key.partition("/")[2]: value
                for key, value in state.arrays.items()
                if key.partition("/")[0] == name
            }
            self.parts_[name] = self._part(name).restore(ModelState(meta["parts"][name], arrays))
        self.rate_ = float(meta["rate"])
        self.is_stacked_ = bool(meta["is_stacked"])
        self.weights_ = np.array(meta["weights"])
        self.shift_ = float(meta["shift"])
        self.slope_, self.offset_ = float(meta["slope"]), float(meta["offset"])
        self.unseen_ = state.arrays["unseen"]
        self._trained_on = dict(meta["trained_on"])
        return self

    def _check_fitted(self) -> None:
        if not hasattr(self, "parts_"):
            raise NotFittedError("This consensus has not been fitted; call fit or load a model.")


def _stack(logits: Floats, y: npt.NDArray[np.int64]) -> tuple[Floats, float]:
    """Return weights, none negative, and a shift that make the joint logit likeliest.

    A weak pull towards the plain mean keeps equal systems equal.
    """
    n = logits.shape[1]

    def loss(p: Floats) -> float:
        z = logits @ p[:n] + p[n]
        pull = PENALTY * float(((p[:n] - 1.0 / n) ** 2).sum() + p[n] ** 2)
        return float((np.logaddexp(0.0, z + base) - y * (z + base)).sum()) + pull

    base = float(_logit(np.array(y.mean())))
    start = np.append(np.full(n, 1.0 / n), 0.0)
    found = minimize(loss, x0=start, bounds=[(0.0, 5.0)] * n + [(-3.0, 3.0)])
    return np.asarray(found.x[:n]), float(found.x[n])


def _ranks(sorted_columns: Floats, values: Floats) -> Floats:
    """Return the share of the labels' scores below each value, column by column."""
    n = len(sorted_columns)
    ranks = [
        (np.searchsorted(column, x, "left") + np.searchsorted(column, x, "right")) / (2 * n)
        for column, x in zip(sorted_columns.T, values.T, strict=True)
    ]
    return np.column_stack(ranks)


def _line(ranks: Floats, y: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return slope and offset of a logistic line on mean ranks, held close to the labels' share."""
    base = float(_logit(np.array(y.mean())))

    def loss(p: Floats) -> float:
        z = p[0] * (ranks - 0.5) + p[1] + base
        pull = 0.1 * p[0] ** 2 + p[1] ** 2
        return float((np.logaddexp(0.0, z) - y * z).sum()) + float(pull)

    found = minimize(loss, x0=[1.0, 0.0], bounds=[(0.05, 20.0), (-3.0, 3.0)])
    slope = float(found.x[0])
    return slope, float(found.x[1]) + base - 0.5 * slope


def _disagreement(
    each: Floats, own: Floats, known: npt.NDArray[np.bool_], joint: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return the spread and the interval: between systems, and within them."""
    n = np.maximum(known.sum(axis=1), 1)
    values = np.where(known, each, 0.0)
    mean = values.sum(axis=1) / n
    between = (np.where(known, (each - mean[:, None]) ** 2, 0.0)).sum(axis=1) / n
    within = np.where(known & np.isfinite(own), own**2, 0.0).sum(axis=1) / n
    spread = np.where(known.any(axis=1), np.sqrt(between + within), np.nan)
    lower = np.minimum(joint, np.clip(joint - 1.96 * spread, 0.0, 1.0))
    upper = np.maximum(joint, np.clip(joint + 1.96 * spread, 0.0, 1.0))
    return spread, lower, upper


def _largest(far: Floats) -> Floats | None:
    """Return the largest distance any system states, or None if none states one."""
    if not np.isfinite(far).any():
        return None
    largest = np.where(np.isfinite(far), far, -np.inf).max(axis=1)
    return np.where(np.isfinite(largest), largest, np.nan)


def _logit(probability: Floats) -> Floats:
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p / (1 - p)))


def _expit(logit: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))
