"""How far a material lies from all labels, in the space of its mean site vector.

The space is turned to the principal axes of the labels, and each axis divided as McHaffie et al.
2025 do it: squared differences by the standard deviation, not the variance. The nearest label
counts; 1 is the labels' mean distance to their center.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

__all__ = ["TrainingDistance"]

Floats = npt.NDArray[np.float64]
SMALLEST = 1e-3
"""Axes along which the labels vary less than this share of the widest are noise, and left out."""


class TrainingDistance:
    """Distance to the nearest of some points.

    Parameters
    ----------
    points
        Mean site vectors of the labels, shape (n, d).
    """

    def __init__(self, points: Floats) -> None:
        self.points = np.asarray(points, dtype=np.float64)
        self._center = self.points.mean(axis=0)
        _, singular, axes = np.linalg.svd(self.points - self._center, full_matrices=False)
        deviation = singular / np.sqrt(max(len(points) - 1, 1))
        kept = deviation > SMALLEST * max(float(deviation.max()), 1e-12)
        self._turn = axes[kept].T / np.sqrt(deviation[kept])
        self._known = (self.points - self._center) @ self._turn
        self._unit = float(np.linalg.norm(self._known, axis=1).mean()) or 1.0

    def __call__(self, points: Floats) -> Floats:
        """Return the distance of each point, shape (n,)."""
        here = (points - self._center) @ self._turn
        return np.asarray(cdist(here, self._known).min(axis=1) / self._unit)

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What the distance is made of."""
        return {"distance_points": self.points}
