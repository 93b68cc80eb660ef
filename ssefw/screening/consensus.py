"""Several systems as one: stacked where there are labels enough, averaged by rank where not.

Each system is fitted on folds of the labels that keep near-duplicates together, and scores what it
did not see. A logistic regression on the logits of these out-of-fold scores, with weights that are
not negative, says how far each is believed; the systems are then fitted to all labels. Whether the
stack is better than the plain mean of the logits, or the best of its parts, is asked of the same
folds, each judged by weights that were learned without it; where it is not, the mean counts, or
that part speaks alone. With few labels a regression would be noise: then the mean of the ranks
among the labels' out-of-fold scores counts, each system alike.

A label that a system cannot score (its structure is missing) says nothing of that system and counts
for the others.

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
from ssefw.screening.base import (
    ModelState,
    Reason,
    Scores,
    Screener,
    make_screener,
    usable_rows,
)

__all__ = ["ConsensusScreener"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DEFAULT_SYSTEMS: dict[str, dict[str, Any]] = {
    "boosted": {"system": "composition", "members": ["gb"], "n_splits": 20},
    "leafwise": {"system": "composition", "members": ["lgbm"], "n_splits": 20},
}
PENALTY = 1.0
STACK, MEAN = "/stack", "/mean"
"""Names of the stack and of the plain mean among the parts, which have no slash."""


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
        unseen, fold = self._out_of_fold(labeled)
        smaller = int(min(np.bincount(labeled.y, minlength=2)))
        self.rate_ = float(labeled.y.mean())
        self.is_stacked_ = smaller >= self.fewest
        n = len(self.systems)
        self.weights_, self.shift_ = np.full(n, 1.0 / n), 0.0
        self.losses_: dict[str, float] = {}
        if self.is_stacked_:
            # What a system cannot score counts as the labels' share: nothing is said.
            logits = np.where(np.isfinite(unseen), _logit(unseen) - _logit(np.array(self.rate_)), 0)
            self._choose(logits, labeled.y, fold)
        self.unseen_ = np.sort(unseen, axis=0)
        ranks = np.nanmean(_ranks(self.unseen_, unseen), axis=1)
        self.slope_, self.offset_ = _line(ranks, labeled.y)
        self.parts_ = {}
        for name in self.systems:
            part = self._part(name)
            self.parts_[name] = part.fit(usable_rows(part, labeled)[0], pool=pool)
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

    def _choose(self, logits: Floats, y: Ints, fold: Ints) -> None:
        """Weigh the parts, or take their mean or the best one where that is better."""
        each = np.eye(len(self.systems))
        # A choice is what the parts are joined to before weights are learned, one column or more.
        choices = {STACK: each, MEAN: each.mean(axis=1, keepdims=True)}
        choices |= {name: each[:, [k]] for k, name in enumerate(self.systems)}
        self.losses_ = {
            name: _loss_without(logits @ joined, y, fold) for name, joined in choices.items()
        }
        best = min(self.losses_, key=lambda name: self.losses_[name])
        weights, self.shift_ = _stack(logits @ choices[best], y)
        self.weights_ = choices[best] @ weights

    def _out_of_fold(self, data: Dataset) -> tuple[Floats, Ints]:
        """Return scores of labels that a part had not seen, shape (n, n_parts), and their folds.

        NaN where a part cannot score.
        """
        smaller = int(min(np.bincount(data.y, minlength=2)))
        folds = min(self.folds, smaller, len(set(data.groups.tolist())))
        if folds < 2:
            raise DataError(
                f"The {len(data)} labels have {smaller} of the smaller class; a consensus needs "
                "two folds with both classes. Add labels or use one system."
            )
        unseen = np.full((len(data), len(self.systems)), np.nan)
        fold = np.zeros(len(data), dtype=np.int64)
        for number, split in enumerate(k_fold(data, k=folds, seed=self.seed)):
            learned, asked = data.take(split.train), data.take(split.test)
            fold[split.test] = number
            for column, name in enumerate(self.systems):
                part = self._part(name)
                part.fit(usable_rows(part, learned)[0])
                unseen[split.test, column] = part.score(asked.materials).probability
        for column, name in enumerate(self.systems):
            if not np.isfinite(unseen[:, column]).any():
                raise DataError(
                    f"The part {name!r} can score none of the {len(data)} labels; leave it out."
                )
        if lonely := int((~np.isfinite(unseen)).all(axis=1).sum()):
            raise DataError(
                f"{lonely} of {len(data)} labels can be scored by no part of the consensus; add "
                "a part that needs the composition only."
            )
        return unseen, fold

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
        if not self.is_stacked_:
            return f"mean rank, since labels are few, of {parts}"
        best = min(self.losses_, key=lambda name: self.losses_[name])
        if best in {STACK, MEAN}:
            how = "stacked with weights" if best == STACK else "mean of the logits, with weights"
            return f"{how} {parts}"
        return (
            f"{best} alone, since on labels not seen the stack was not better (log loss "
            f"{self.losses_[STACK]:.3f}, alone {self.losses_[best]:.3f})"
        )

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
            "losses": self.losses_,
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
        self.losses_ = dict(meta["losses"])
        self.slope_, self.offset_ = float(meta["slope"]), float(meta["offset"])
        self.unseen_ = state.arrays["unseen"]
        self._trained_on = dict(meta["trained_on"])
        return self

    def _check_fitted(self) -> None:
        if not hasattr(self, "parts_"):
            raise NotFittedError("This consensus has not been fitted; call fit or load a model.")


def _stack(logits: Floats, y: Ints) -> tuple[Floats, float]:
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


def _loss_without(logits: Floats, y: Ints, fold: Ints) -> float:
    """Return the mean log loss of each fold by weights that were learned on the others."""
    lost = np.empty(len(y))
    for number in np.unique(fold):
        here = fold == number
        weights, shift = _stack(logits[~here], y[~here])
        z = logits[here] @ weights + shift + _logit(np.array(y[~here].mean()))
        lost[here] = np.logaddexp(0.0, z) - y[here] * z
    return float(lost.mean())


def _ranks(sorted_columns: Floats, values: Floats) -> Floats:
    """Return the share of the labels' scores below each value, column by column."""
    ranks = []
    for column, x in zip(sorted_columns.T, values.T, strict=True):
        known = column[np.isfinite(column)]
        below = np.searchsorted(known, x, "left") + np.searchsorted(known, x, "right")
        ranks.append(np.where(np.isfinite(x), below / (2 * len(known)), np.nan))
    return np.column_stack(ranks)


def _line(ranks: Floats, y: Ints) -> tuple[float, float]:
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
