"""Distributions that hold what they say: recalibrated on labels they had not seen.

Kuleshov, Fenner, Ermon, Proc. ICML 80, 2796 (2018). Where a label fell in the distribution that was
predicted of it, as the share below it, must be uniform over labels; the distribution of these
shares is the correction. With n labels nothing is said to be rarer than 1 / (n + 1) (conformal).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

__all__ = ["Correction", "Recalibration"]

Floats = npt.NDArray[np.float64]

KNOTS = 41
"""Points of the correction: with more it would follow the noise of a few hundred labels."""


@dataclass(frozen=True)
class Recalibration:
    """A rising map from the share that was predicted to the share that is held."""

    predicted: Floats
    held: Floats

    @classmethod
    def of(cls, low: Floats, high: Floats) -> Self:
        """Return the map from where labels fell, each between two shares, shape (n,).

        Parameters
        ----------
        low, high
            Equal for a value. For an upper bound 0 and the share below the bound, for a lower
            bound the share below it and 1: the label lies anywhere between.
        """
        n = len(low)
        predicted = np.linspace(0.0, 1.0, KNOTS)
        width = high - low
        inside = (predicted[:, None] - low[None]) / np.where(width > 0, width, 1.0)[None]
        step = (low[None] <= predicted[:, None]).astype(float)
        below = np.where(width[None] > 0, np.clip(inside, 0.0, 1.0), step).sum(axis=1)
        held = (below + predicted) / (n + 1)
        held[0], held[-1] = 0.0, 1.0
        return cls(predicted, np.maximum.accumulate(held))

    def share(self, predicted: Floats) -> Floats:
        """Return what is held below where so much was predicted to lie."""
        return np.asarray(np.interp(predicted, self.predicted, self.held))


@dataclass(frozen=True)
class Correction:
    """Recalibrations near labels and far from them, and what near and far are.

    What holds of new members of known chemistries does not of new chemistries: there errors are
    larger, and the correction draws the distribution out.

    Attributes
    ----------
    nearby, distant
        Median distance to the nearest label learned from, of held-out labels of either kind.
    """

    near: Recalibration
    far: Recalibration
    nearby: float
    distant: float

    def share(self, predicted: Floats, distance: Floats) -> Floats:
        """Return what is held below where so much was predicted, by the distance of each row."""
        span = max(self.distant - self.nearby, 1e-9)
        weight = np.clip((distance - self.nearby) / span, 0.0, 1.0)[:, None]
        near, far = self.near.share(predicted), self.far.share(predicted)
        return np.asarray((1 - weight) * near + weight * far)
