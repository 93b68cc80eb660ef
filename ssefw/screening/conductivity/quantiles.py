"""A conductivity as it is predicted: quantiles of its logarithm, and what follows from them."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.screening.base import Scores

__all__ = ["INTERVAL", "PREDICTED", "SHARES", "asked_at", "chance_above", "interval", "means"]

Floats = npt.NDArray[np.float64]

SHARES: Floats = np.array(
    [0.01, 0.025, 0.05, *np.arange(0.1, 0.91, 0.05).round(2).tolist(), 0.95, 0.975, 0.99]
)
"""Shares of the predictive distribution below each quantile that is kept."""

INTERVAL = 0.9
"""Share of the truth that a stated interval shall hold."""

PREDICTED = "predicted from labels"
"""Method of an estimate that a system made; a material's own label says another."""


def interval(quantiles: Floats, *, level: float = INTERVAL) -> tuple[Floats, Floats]:
    """Return the central interval of each row, shape (n,) twice; decades of S/cm."""
    sides = ((1 - level) / 2, (1 + level) / 2)
    low, high = (_at_shares(quantiles, side) for side in sides)
    return low, high


def means(below: Floats, grid: Floats) -> Floats:
    """Return the mean of distributions, each the share below the points of a grid; shape (n,).

    The mean rather than the median: where a distribution has two humps, as between conductors and
    insulators, the median leaps from one to the other.
    """
    middle = (grid[1:] + grid[:-1]) / 2
    held = np.diff(below, axis=1)
    return np.asarray(held @ middle / held.sum(axis=1))


def _at_shares(quantiles: Floats, share: float) -> Floats:
    right = int(np.clip(np.searchsorted(SHARES, share), 1, len(SHARES) - 1))
    left = right - 1
    part = (share - SHARES[left]) / (SHARES[right] - SHARES[left])
    return np.asarray(quantiles[:, left] * (1 - part) + quantiles[:, right] * part)


def chance_above(quantiles: Floats, threshold: float) -> Floats:
    """Return the probability that each conductivity is at least `threshold` (S/cm), shape (n,).

    Between two quantiles the distribution is linear; beyond the outermost it falls off as fast as
    the outermost two say, so that no answer is quite certain.
    """
    cut = float(np.log10(threshold))
    below = np.array([_share_below(row, cut) for row in quantiles])
    return np.asarray(1.0 - below)


def asked_at(scores: Scores, threshold: float) -> Scores:
    """Return scores whose probability is that of another threshold (S/cm).

    Raises
    ------
    DataError
        If the system predicts no conductivity: its probability is of one threshold only.
    """
    if scores.quantiles is None:
        raise DataError(
            "This model knows one threshold only, that which it was trained at. Train one that "
            "predicts the conductivity (system conductivity), or train again at the other."
        )
    without = np.flatnonzero(~np.isfinite(scores.quantiles).all(axis=1))
    probability = chance_above(scores.quantiles, threshold)
    probability[without] = np.nan
    reason = "no part predicts its conductivity, which another threshold is asked of"
    half = 1.96 * scores.spread
    meaning = f"probability of sigma >= {threshold:g} S/cm, from the predicted conductivity"
    return replace(
        scores,
        probability=probability,
        lower=np.clip(probability - half, 0.0, 1.0),
        upper=np.clip(probability + half, 0.0, 1.0),
        meaning=meaning,
        problems={**dict.fromkeys(without.tolist(), reason), **scores.problems},
    )


def _share_below(row: Floats, cut: float) -> float:
    if cut < row[0]:
        width = max(row[1] - row[0], 1e-6)
        slope = np.log(SHARES[1] / SHARES[0]) / width
        return float(SHARES[0] * np.exp(slope * (cut - row[0])))
    if cut > row[-1]:
        width = max(row[-1] - row[-2], 1e-6)
        slope = np.log((1 - SHARES[-2]) / (1 - SHARES[-1])) / width
        return float(1 - (1 - SHARES[-1]) * np.exp(-slope * (cut - row[-1])))
    return float(np.interp(cut, row, SHARES))
