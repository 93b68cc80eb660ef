"""What labels say together of a material: each by its share, the shares by forest and kernel.

A forest and a Gaussian process both answer with labels: the prediction is the mixture of what the
labels say, each with the share that the learner gives it. The two are averaged, since they err
differently, and the mixture is recalibrated on labels that the learners had not seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ssefw.screening.conductivity.forest import LabelForest
from ssefw.screening.conductivity.kernel import LabelKernel
from ssefw.screening.conductivity.quantiles import SHARES
from ssefw.screening.conductivity.recalibration import Correction, Recalibration

__all__ = ["LabelShares", "Learned", "held_out_shares_below"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ASKED_COUNTS = 3.0
"""How much more the asked threshold counts than every other, where trees are parted: enough that
the classes are as pure as in a forest of classes, and the other thresholds still matter."""

FIRST, LAST, STEP = -10.0, -2.0, 0.5
"""log10 of the thresholds that trees are parted by: half a decade, what a label is known to, over
the range where questions are asked."""


@dataclass(frozen=True)
class LabelShares:
    """Forest and kernel that learned from the same labels."""

    forest: LabelForest
    kernel: LabelKernel

    @classmethod
    def fit(
        cls, features: Floats, answers: Floats, weight: Floats, *, n_trees: int, seed: int
    ) -> Self:
        """Fit both.

        Parameters
        ----------
        answers
            Of labels to thresholds, shape (n, thresholds); see `answers_of`.
        weight
            How much a feature counts in distances, shape (p,).
        """
        forest = LabelForest.fit(features, answers, n_trees=n_trees, seed=seed)
        return cls(forest, LabelKernel.fit(features, weight))

    def shares(self, features: Floats) -> Floats:
        """Return the share of each label for each row, shape (n, labels); a row sums to 1."""
        return np.asarray((self.forest.shares(features) + self.kernel.shares(features)) / 2)

    def below(self, features: Floats, spreads: Floats) -> Floats:
        """Return the share of the mixture below each point of the grid, shape (n, g)."""
        return rising(self.shares(features) @ spreads)


def rising(below: Floats) -> Floats:
    """Return distributions that rise from 0 to 1, where negative shares let them not."""
    return np.clip(np.maximum.accumulate(below, axis=1), 0.0, 1.0)


def answers_of(spreads: Floats, grid: Floats, *, threshold: float) -> Floats:
    """Return the chance that labels reach each threshold, the asked one counting more."""
    asked = float(np.log10(threshold))
    levels = np.unique([*np.arange(FIRST, LAST + STEP / 2, STEP), asked])
    counts = np.where(levels == asked, ASKED_COUNTS, 1.0)
    columns = [np.interp(levels, grid, row) for row in spreads]
    return np.asarray((1.0 - np.array(columns)) * counts)


@dataclass(frozen=True)
class Learned:
    """Learners, and the correction of what they say."""

    labels: LabelShares
    correction: Correction
    rows: Ints

    def below(self, features: Floats, spreads: Floats, distance: Floats) -> tuple[Floats, Floats]:
        """Return the corrected share below each point of the grid, shape (n, g).

        Beside it, how many labels each row rests on, shape (n,): one over the sum of the squares
        of their shares.
        """
        shares = self.labels.shares(features)
        below = self.correction.share(rising(shares @ spreads[self.rows]), distance)
        return below, 1.0 / (shares**2).sum(axis=1)

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return all that `of_arrays` reads, each name with a prefix."""
        kernel = self.labels.kernel
        named = {
            **self.labels.forest.arrays(),
            "points": kernel.points,
            "shift": kernel.shift,
            "scale": kernel.scale,
            "length": np.array(kernel.length),
            "predicted": self.correction.near.predicted,
            "near": self.correction.near.held,
            "far": self.correction.far.held,
            "distances": np.array([self.correction.nearby, self.correction.distant]),
            "rows": self.rows,
        }
        return {prefix + name: array for name, array in named.items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Self:
        """Take over what `arrays` returned."""
        own = {
            name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)
        }
        kernel = LabelKernel.of_points(
            own["points"], own["shift"], own["scale"], length=float(own["length"])
        )
        forest = LabelForest.of_arrays(own, n_labels=len(own["rows"]))
        near, far = (Recalibration(own["predicted"], own[name]) for name in ("near", "far"))
        correction = Correction(near, far, *(float(value) for value in own["distances"]))
        return cls(LabelShares(forest, kernel), correction, own["rows"].astype(np.int64))


def held_out_shares_below(
    below: Floats, grid: Floats, stated: Floats, side: Ints
) -> tuple[Floats, Floats]:
    """Return between which shares of its predicted distribution each label fell.

    Parameters
    ----------
    below
        Predicted share below each point of the grid, shape (n, g).
    stated, side
        log10 of the value or bound, and 0, 1 or -1 for a value, an upper and a lower bound.
    """
    at = np.array([np.interp(x, grid, row) for x, row in zip(stated, below, strict=True)])
    return np.where(side == 1, 0.0, at), np.where(side == -1, 1.0, at)


def quantiles_of(below: Floats, grid: Floats) -> Floats:
    """Return log10 sigma at each of `SHARES`, shape (n, len(SHARES))."""
    # Strictly rising, so that a share is reached at one point only.
    tilt = np.linspace(0.0, 1e-9, len(grid))
    return np.array([np.interp(SHARES, row + tilt, grid) for row in below]).reshape(-1, len(SHARES))
