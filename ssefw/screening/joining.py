"""How the scores of several systems become one, learned from labels that none of them had seen.

Every way of joining begins with each system's own logit, calibrated: multiplied and moved so that
the labels are likeliest, with a pull towards leaving it as it is. Then

- *mean*: the mean of the calibrated logits, times one factor;
- *stack*: a weight for each, none negative, pulled towards equal weights: few labels leave them
  equal, many decide (Wolpert, Neural Networks 5, 241 (1992),
  https://doi.org/10.1016/S0893-6080(05)80023-1);
- one system *alone*.

The mean has the fewest numbers to learn, and is taken unless another way is better by more than
chance: judged on folds that its numbers were learned without, its log loss must be lower than that
of the mean by more than a standard error (the rule of Breiman et al., Classification and Regression
Trees, 1984, for the simpler of two models), which counts groups of near-duplicates and not labels.
Of several other ways one may be better by luck: the number of standard errors grows with theirs, so
that all together pass by luck as seldom as one alone would.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit
from scipy.special import logit as logit_of
from scipy.stats import norm

__all__ = ["MEAN", "STACK", "JoiningChoice", "Joint", "choose", "join_as"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MEAN, STACK = "/mean", "/stack"
"""Names of these ways beside those of the systems, which have no slash."""

DOUBT = 0.5
"""Standard deviation of what is expected of a factor before any label is seen; it is 1."""
SHIFT_DOUBT = 1.0
"""The same of a shift of the logit, which is expected to be 0."""
BY_LUCK = float(norm.sf(1.0))
"""How often one way that is as good as the mean is better by a standard error."""


@dataclass(frozen=True)
class Joint:
    """What turns the probabilities of systems into one.

    Attributes
    ----------
    slopes, shifts
        Calibration of each system's logit, both relative to that of `rate`.
    weights
        Of the calibrated logits.
    shift
        Of the sum.
    rate
        Share of superionic labels.
    n_labels
        No system is believed to be surer than so many labels allow (the rule of succession).
    """

    slopes: tuple[float, ...]
    shifts: tuple[float, ...]
    weights: tuple[float, ...]
    shift: float
    rate: float
    n_labels: int

    def probability(self, each: Floats) -> Floats:
        """Return the joint probability, shape (n,), of probabilities of shape (n, n_systems).

        A system that says nothing (NaN) is taken to say the mean of the others; where all say
        nothing the result is NaN.
        """
        calibrated = self._calibrated(each)
        known = np.isfinite(calibrated)
        n = known.sum(axis=1)
        mean = np.where(known, calibrated, 0.0).sum(axis=1) / np.maximum(n, 1)
        filled = np.where(known, calibrated, mean[:, None])
        joint = expit(filled @ np.array(self.weights) + self.shift + logit_of(self.rate))
        return np.asarray(np.where(n > 0, joint, np.nan))

    def _calibrated(self, each: Floats) -> Floats:
        relative = _logits(each, self.n_labels) - logit_of(self.rate)
        return np.asarray(relative * np.array(self.slopes) + np.array(self.shifts))

    @property
    def effect(self) -> Floats:
        """How far the joint logit moves with each system's own, shape (n_systems,)."""
        return np.asarray(np.array(self.weights) * np.array(self.slopes))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values of which one is made again."""
        return asdict(self)


@dataclass(frozen=True)
class JoiningChoice:
    """Which way was taken, and why.

    Attributes
    ----------
    name
        `MEAN`, `STACK` or the name of a system.
    joint
        Learned from all labels.
    losses
        Mean log loss of each way on labels that its numbers were learned without.
    errors
        Standard error of the loss of the mean less that of each other way.
    needed
        So many standard errors another way has to be better by.
    """

    name: str
    joint: Joint
    losses: dict[str, float]
    errors: dict[str, float]
    needed: float


def choose(
    each: Floats, y: Ints, *, names: Sequence[str], fold: Ints, groups: Ints
) -> JoiningChoice:
    """Return how to join systems, by probabilities of labels that these had not seen.

    Parameters
    ----------
    each
        Probabilities, shape (n, n_systems); NaN where a system says nothing.
    y
        Class, 0 or 1.
    fold
        Number of the fold in which each label was held out.
    groups
        Which labels are near-duplicates of each other.
    """
    ways = [MEAN] if len(names) == 1 else [MEAN, STACK, *names]
    lost = {way: _lost_unseen(way, each, y, names, fold) for way in ways}
    losses = {way: float(values.mean()) for way, values in lost.items()}
    others = ways[1:]
    errors = {way: _standard_error(lost[MEAN] - lost[way], groups) for way in others}
    needed = float(norm.isf(BY_LUCK / max(1, len(others))))
    better = [way for way in others if losses[MEAN] - losses[way] > needed * errors[way]]
    name = min(better, key=lambda way: losses[way], default=MEAN)
    return JoiningChoice(name, join_as(name, each, y, names), losses, errors, needed)


def join_as(way: str, each: Floats, y: Ints, names: Sequence[str]) -> Joint:
    """Return one way of joining systems, learned from labels that these had not seen.

    Parameters
    ----------
    way
        One of the ways by name.
    each
        Scores of each system, shape (n, systems).
    y
        Classes.
    names
        Of the systems.
    """
    n = each.shape[1]
    rate = float(y.mean())
    relative = _logits(each, len(y)) - logit_of(rate)
    lines = [_line(relative[:, k], y, rate) for k in range(n)]
    plain = Joint(
        slopes=tuple(slope for slope, _ in lines),
        shifts=tuple(shift for _, shift in lines),
        weights=(1.0 / n,) * n,
        shift=0.0,
        rate=rate,
        n_labels=len(y),
    )
    if way not in {MEAN, STACK}:
        return Joint(**{**plain.as_dict(), "weights": tuple(float(way == name) for name in names)})
    calibrated = plain._calibrated(each)  # noqa: SLF001 -- of this module
    known = np.isfinite(calibrated)
    mean = np.where(known, calibrated, 0.0).sum(axis=1) / known.sum(axis=1)
    if way == MEAN:
        factor, shift = _line(mean, y, rate)
        weights = np.full(n, factor / n)
    else:
        filled = np.where(known, calibrated, mean[:, None])
        # Their sum is as doubtful as the factor of the mean.
        found = _likeliest(filled, y, rate, expected=1.0 / n, doubt=DOUBT / np.sqrt(n))
        weights, shift = found[:n], float(found[n])
    return Joint(**{**plain.as_dict(), "weights": tuple(weights.tolist()), "shift": shift})


def _line(logit: Floats, y: Ints, rate: float) -> tuple[float, float]:
    """Return factor and shift that calibrate a logit, by the labels where it is known."""
    known = np.isfinite(logit)
    factor, shift = _likeliest(logit[known, None], y[known], rate, expected=1.0, doubt=DOUBT)
    return float(factor), float(shift)


def _likeliest(logits: Floats, y: Ints, rate: float, *, expected: float, doubt: float) -> Floats:
    """Return the likeliest factors, none negative, and shift, given what is expected of them."""
    n = logits.shape[1]
    base = logit_of(rate)

    def loss(p: Floats) -> tuple[float, Floats]:
        z = logits @ p[:n] + p[n] + base
        away = np.append((p[:n] - expected) / doubt, p[n] / SHIFT_DOUBT)
        wrong = expit(z) - y
        slope = np.append(logits.T @ wrong + away[:n] / doubt, wrong.sum() + away[n] / SHIFT_DOUBT)
        return float((np.logaddexp(0.0, z) - y * z).sum() + 0.5 * (away**2).sum()), slope

    start = np.append(np.full(n, expected), 0.0)
    bounds = [(0.0, None)] * n + [(None, None)]
    return np.asarray(minimize(loss, x0=start, jac=True, bounds=bounds).x)


def _lost_unseen(way: str, each: Floats, y: Ints, names: Sequence[str], fold: Ints) -> Floats:
    """Return the log loss of each label by numbers that were learned without its fold."""
    lost = np.empty(len(y))
    for number in np.unique(fold):
        here = fold == number
        p = join_as(way, each[~here], y[~here], names).probability(each[here])
        lost[here] = -np.log(np.where(y[here] == 1, p, 1.0 - p))
    return lost


def _standard_error(values: Floats, groups: Ints) -> float:
    """Return the standard error of a mean whose values stand or fall together in groups."""
    of_group = np.bincount(groups, weights=values - values.mean())
    n = int((np.bincount(groups) > 0).sum())
    return float(np.sqrt((of_group**2).sum() * n / max(1, n - 1)) / len(values))


def _logits(probability: Floats, n_labels: int) -> Floats:
    surest = 1.0 / (n_labels + 2)
    return np.asarray(logit_of(np.clip(probability, surest, 1.0 - surest)))
