"""Distributions that hold what they say: recalibrated on labels they had not seen.

First a prediction is drawn towards what all labels say together, as far as that brings it nearer
to labels that were held out (by the continuous ranked probability score, Gneiting, Raftery, J. Am.
Stat. Assoc. 102, 359 (2007), whose best mixture of two is a line through them). Then its quantiles
are corrected:
Kuleshov, Fenner, Ermon, Proc. ICML 80, 2796 (2018). Where a label fell in the distribution that was
predicted of it, as the share below it, must be uniform over labels; the distribution of these
shares is the correction. With n labels nothing is said to be rarer than 1 / (n + 1) (conformal).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

__all__ = ["NoveltyCorrection", "Recalibration", "mixed", "trust_of"]

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


def trust_of(below: Floats, everything: Floats, reached: Floats, known: Floats) -> float:
    """Return the share of predictions, 0 to 1, that mixed with `everything` errs least.

    Parameters
    ----------
    below
        Predicted share below each point of the grid, of labels that were held out, shape (n, g).
    everything
        The same of all labels learned from, alike.
    reached
        1 where a label lies at or below a point of the grid, else 0.
    known
        1 where that is known: of a bound it is so on one side only.
    """
    way = (below - everything) * known
    length = float((way**2).sum())
    if length == 0:
        return 1.0
    return float(np.clip((way * (reached - everything)).sum() / length, 0.0, 1.0))


def mixed(below: Floats, everything: Floats, trust: float) -> Floats:
    """Return distributions drawn towards what all labels say alike."""
    return trust * below + (1 - trust) * everything


@dataclass(frozen=True)
class NoveltyCorrection:
    """Trusts and recalibrations near labels and far from them, and what near and far are.

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
    trust_near: float = 1.0
    trust_far: float = 1.0

    def share(self, predicted: Floats, everything: Floats, distance: Floats) -> Floats:
        """Return what is held below each point of the grid, shape (n, g).

        Parameters
        ----------
        predicted
            Share below each point, shape (n, g).
        everything
            What all labels say alike, shape (g,).
        distance
            Of each row to the nearest label, shape (n,).
        """
        span = max(self.distant - self.nearby, 1e-9)
        weight = np.clip((distance - self.nearby) / span, 0.0, 1.0)[:, None]
        near = self.near.share(mixed(predicted, everything, self.trust_near))
        far = self.far.share(mixed(predicted, everything, self.trust_far))
        return np.asarray((1 - weight) * near + weight * far)
