"""Several systems as one: joined by weights where there are labels enough, else by rank.

Each system is fitted on folds of the labels that keep near-duplicates together, and scores what it
did not see. These out-of-fold scores say how the systems are joined: by the mean of their
calibrated logits, unless weights or one system alone are better by more than chance (`joining`).
The systems are then fitted to all labels. With few labels all of that would be noise: then the mean
of the ranks among the labels' out-of-fold scores counts, each system alike.

A label that a system cannot score (its structure is missing) says nothing of that system and counts
for the others.

Parts that predict the number give the consensus one as well: the mean of their distributions, in
which parts of classes have no say. To move it until it gives the joint probability made it worse
across families (an error of 2.4 decades instead of 1.7, on OBELiX). Such parts learn from bounds
that decide no class, too.

Where systems disagree the consensus is uncertain: the spread joins their own with the standard
deviation between them. Far from all labels (distance above 1) a system's logit shrinks towards the
share of superionic labels, since its score is an extrapolation there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit
from scipy.special import logit as logit_of

from ssefw.data.dataset import Dataset, joined_datasets
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
from ssefw.screening.conductivity.pooling import mean_of, pooled
from ssefw.screening.evaluation.metrics import best_cut
from ssefw.screening.joining import MEAN, STACK, JoiningChoice, Joint, choose
from ssefw.units import AskedCountOrNone, AskedFolds, AskedSeed, AskedWorkers

__all__ = ["ConsensusScreener"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DEFAULT_SYSTEMS: dict[str, dict[str, Any]] = {
    "boosted": {"system": "composition", "members": ["gb"], "n_splits": 20},
    "leafwise": {"system": "composition", "members": ["lgbm"], "n_splits": 20},
    "conductivity": {"system": "conductivity"},
}


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
    learns_from_bounds: ClassVar[bool] = True

    def __init__(
        self,
        *,
        systems: Mapping[str, Mapping[str, Any]] | None = None,
        folds: AskedFolds = 5,
        fewest: AskedCountOrNone = 25,
        seed: AskedSeed = 0,
        workers: AskedWorkers = 1,
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
        for key in self.systems:
            self._part(key)  # a wrong setting is told now and not after folds of work

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
        rows = np.flatnonzero(data.y >= 0)
        labeled = data.take(rows)
        unseen, fold = self._out_of_fold(labeled, data.take(np.flatnonzero(data.y < 0)))
        smaller = int(min(np.bincount(labeled.y, minlength=2)))
        self.rate_ = float(labeled.y.mean())
        self.unseen_, self.fold_ = unseen, fold
        self.choice_: JoiningChoice | None = None
        if smaller >= self.fewest:
            _, groups = np.unique(labeled.groups, return_inverse=True)
            names = list(self.systems)
            self.choice_ = choose(unseen, labeled.y, names=names, fold=fold, groups=groups)
        ranks = np.nanmean(_ranks(unseen, unseen), axis=1)
        self.slope_, self.offset_ = _line(ranks, labeled.y)
        self.parts_ = {}
        for name in self.systems:
            part = self._part(name)
            known = data if part.learns_from_bounds else labeled
            self.parts_[name] = part.fit(usable_rows(part, known)[0], pool=pool)
        self._trained_on = {
            "best_cut": best_cut(labeled.y, self._join(unseen)),
            "label_set": data.name,
            "label_version": data.version,
            "threshold": data.threshold,
            "formulas": [material.formula for material in labeled.materials],
        }
        return self

    def _part(self, name: str) -> Screener:
        settings = {"seed": self.seed, **self.systems[name]}
        return make_screener(str(settings.pop("system", name)), settings)

    def _out_of_fold(self, data: Dataset, undecided: Dataset) -> tuple[Floats, Ints]:
        """Return scores of labels that a part had not seen, shape (n, n_parts), and their folds.

        NaN where a part cannot score. Bounds that decide no class teach the parts that learn from
        them, but those of near-duplicates of what is held out.
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
            apart = np.flatnonzero(~np.isin(undecided.groups, asked.groups))
            with_bounds = joined_datasets(learned, undecided.take(apart))
            fold[split.test] = number
            for column, name in enumerate(self.systems):
                part = self._part(name)
                known = with_bounds if part.learns_from_bounds else learned
                part.fit(usable_rows(part, known)[0])
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
        """How far the joint logit moves with each system's; of a rank average, all are alike."""
        self._check_fitted()
        n = len(self.systems)
        effect = np.full(n, 1.0 / n) if self.choice_ is None else self.choice_.joint.effect
        return dict(zip(self.systems, effect.tolist(), strict=True))

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
        probability = self._join(each)
        numbers = [scores.quantiles for scores in found if scores.quantiles is not None]
        quantiles = pooled(numbers) if numbers else None
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
            log_sigma=None if quantiles is None else mean_of(quantiles),
            quantiles=quantiles,
        )

    def _told(self) -> str:
        parts = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        choice = self.choice_
        if choice is None:
            return f"mean rank, since labels are few, of {parts}"
        if choice.name == MEAN:
            return f"mean of the calibrated logits, with weights {parts}{_runner_up(choice)}"
        better = (
            f"better than the mean on labels not seen (log loss {choice.losses[choice.name]:.3f}, "
            f"mean {choice.losses[MEAN]:.3f}, standard error {choice.errors[choice.name]:.3f})"
        )
        if choice.name == STACK:
            return f"stacked with weights {parts}, {better}"
        return f"{choice.name} alone, {better}"

    def _trusted(self, each: Floats, far: Floats) -> Floats:
        """Return probabilities that shrink towards the labels' share far from all labels."""
        base = logit_of(self.rate_)
        trust = 1.0 / np.maximum(1.0, np.where(np.isfinite(far), far, 1.0))
        sure = np.clip(each, 1e-6, 1 - 1e-6)
        return np.asarray(expit(base + trust * (logit_of(sure) - base)))

    def _join(self, each: Floats) -> Floats:
        if self.choice_ is not None:
            return self.choice_.joint.probability(each)
        known = np.isfinite(each)
        ranks = np.where(known, _ranks(self.unseen_, each), 0.0)
        n = known.sum(axis=1)
        mean = ranks.sum(axis=1) / np.maximum(n, 1)
        return np.where(n > 0, expit(self.slope_ * mean + self.offset_), np.nan)

    def explain(self, material: Material, *, top: int = 10) -> list[Reason]:
        """Return the properties of all systems that move the score most, by weight."""
        self._check_fitted()
        weights = np.array(list(self.weights.values()))
        total = float(weights.sum()) or 1.0
        reasons = [
            Reason(f"{name}: {item.feature}", item.value, item.typical, item.effect * share)
            for (name, part), share in zip(
                self.parts_.items(), (weights / total).tolist(), strict=True
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
            "choice": None if self.choice_ is None else asdict(self.choice_),
            "slope": self.slope_,
            "offset": self.offset_,
            "trained_on": self._trained_on,
        }
        return ModelState(meta, {**arrays, "unseen": self.unseen_, "fold": self.fold_})

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
        choice = meta["choice"]
        self.choice_ = choice and JoiningChoice(**{**choice, "joint": Joint(**choice["joint"])})
        self.slope_, self.offset_ = float(meta["slope"]), float(meta["offset"])
        self.unseen_, self.fold_ = state.arrays["unseen"], state.arrays["fold"]
        self._trained_on = dict(meta["trained_on"])
        return self

    def _check_fitted(self) -> None:
        if not hasattr(self, "parts_"):
            from sklearn.exceptions import NotFittedError  # noqa: PLC0415  see `run_tasks`

            raise NotFittedError("This consensus has not been fitted; call fit or load a model.")


def _runner_up(choice: JoiningChoice) -> str:
    """Return by how much the best other way missed what is asked of it, as words."""
    if not choice.errors:
        return ""
    best = min(choice.errors, key=lambda way: choice.losses[way])
    gain = choice.losses[MEAN] - choice.losses[best]
    if gain <= 0:
        return ""
    name = "a stack" if best == STACK else f"{best} alone"
    asked = choice.needed * choice.errors[best]
    return (
        f"; on labels not seen {name} was better by {gain:.3f} of log loss, which may be chance "
        f"({choice.needed:.1f} standard errors are {asked:.3f})"
    )


def _ranks(columns: Floats, values: Floats) -> Floats:
    """Return the share of the labels' scores below each value, column by column."""
    ranks = []
    for column, x in zip(columns.T, values.T, strict=True):
        known = np.sort(column[np.isfinite(column)])
        below = np.searchsorted(known, x, "left") + np.searchsorted(known, x, "right")
        ranks.append(np.where(np.isfinite(x), below / (2 * len(known)), np.nan))
    return np.column_stack(ranks)


def _line(ranks: Floats, y: Ints) -> tuple[float, float]:
    """Return slope and offset of a logistic line on mean ranks, held close to the labels' share."""
    base = float(logit_of(y.mean()))

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
