"""How alike two powder patterns are, and which labeled conductor is nearest to a pattern.

The similarity is the cosine of the two patterns after smoothing with a Gaussian of 1 degree full
width: 1 for the same peaks at the same places, 0 where no peaks meet. The width forgives what
composition does to a lattice, about 1 % of it. (XRDMatch's Table S2 gives a similarity without
saying how it is computed.)
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from ssefw.screening.features.xrd import FWHM_PER_SIGMA

__all__ = ["KnownPatterns", "directions", "nearest"]

FWHM = 1.0  # degrees
Floats = npt.NDArray[np.float64]


def directions(patterns: npt.NDArray[np.float32], *, step: float, fwhm: float = FWHM) -> Floats:
    """Return patterns smoothed and scaled to length 1; one without a peak has no direction, zeros.

    Parameters
    ----------
    step
        Spacing of the points in degrees.
    fwhm
        Full width at half maximum of the Gaussian in degrees.
    """
    smooth = gaussian_filter1d(
        patterns.astype(float), fwhm / FWHM_PER_SIGMA / step, axis=1, mode="constant"
    )
    length = np.linalg.norm(smooth, axis=1, keepdims=True)
    result: Floats = np.divide(smooth, length, out=np.zeros_like(smooth), where=length > 0)
    return result


def nearest(one: Floats, others: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return for each row of `one` the most similar row of `others`, and their similarity.

    Both are `directions`. Similarities do not depend on which other rows are asked about.
    """
    best = np.empty(len(one), dtype=np.int64)
    similarity = np.empty(len(one))
    for row, direction in enumerate(one):
        each = others @ direction
        best[row] = int(np.argmax(each))
        similarity[row] = min(float(each[best[row]]), 1.0)
    return best, similarity


class KnownPatterns:
    """The patterns of the labels, with which others are compared.

    Parameters
    ----------
    patterns, y
        Of the labels, shape (n, points), and their classes, shape (n,).
    step
        Spacing of the points in degrees.
    """

    def __init__(
        self, patterns: npt.NDArray[np.float32], y: npt.NDArray[np.int64], *, step: float
    ) -> None:
        self.patterns = patterns
        self.y = y
        self.step = step
        self.conductors = np.flatnonzero(y == 1)
        self._directions = directions(patterns, step=step)
        center = self._directions.mean(axis=0)
        self._unit = float(np.linalg.norm(self._directions - center, axis=1).mean()) or 1.0

    def nearest_conductors(
        self, patterns: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return the row of `conductors` that each pattern resembles most, and how much."""
        own = directions(patterns, step=self.step)
        return nearest(own, self._directions[self.conductors])

    def distances(self, patterns: npt.NDArray[np.float32]) -> Floats:
        """Return the distance of smoothed patterns to the nearest label's, shape (n,).

        1 is the labels' mean distance to their center.
        """
        own = directions(patterns, step=self.step)
        rows, _ = nearest(own, self._directions)
        gap = np.linalg.norm(own - self._directions[rows], axis=1)
        return np.asarray(gap / self._unit, dtype=np.float64)
