"""Probabilities that mean what they say: Platt scaling on labels a member had not seen."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

__all__ = ["calibrate", "calibrated", "ensemble_summary"]

Floats = npt.NDArray[np.float64]


def calibrate(unseen: Floats, y: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return slope and shift of the logit that make unseen probabilities honest (Platt scaling).

    A weak pull towards no change keeps the fit sensible where labels are few.

    Parameters
    ----------
    unseen
        Probability of each label by members that had not seen it, NaN where there is none.
    """
    known = np.isfinite(unseen)
    logit, target = _logit(unseen[known]), y[known].astype(float)

    def loss(p: Floats) -> float:
        z = p[0] * logit + p[1]
        return float((np.logaddexp(0.0, z) - target * z).sum() + (p[0] - 1) ** 2 + p[1] ** 2)

    found = minimize(loss, x0=[1.0, 0.0], bounds=[(0.05, 20.0), (-5.0, 5.0)])
    return float(found.x[0]), float(found.x[1])


def calibrated(probability: Floats, calibration: Sequence[float]) -> Floats:
    """Return probabilities after slope and shift of their logit; NaN stays NaN."""
    slope, shift = calibration
    return np.asarray(1.0 / (1.0 + np.exp(-(slope * _logit(probability) + shift))))


def ensemble_summary(
    middle: Floats, each: Floats, calibration: Sequence[float]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return calibrated probability, spread of the members, and the bounds of 95 % of them.

    Parameters
    ----------
    middle
        What the ensemble says before calibration, shape (n,).
    each
        What its members say, shape (members, n).
    """
    one = calibrated(middle, calibration)
    members = calibrated(each, calibration)
    low, high = np.quantile(members, [0.025, 0.975], axis=0)
    return one, members.std(axis=0), np.minimum(low, one), np.maximum(high, one)


def _logit(probability: Floats) -> Floats:
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p / (1 - p)))
