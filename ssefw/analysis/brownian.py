"""How the mean squared displacement of hopping ions scatters, and the best slope under that.

The covariance is that of doi:10.1063/5.0008312, with hops as whole events.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

__all__ = ["BrownianCovariance", "slope_weights"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BrownianCovariance:
    """The covariance of the time-averaged MSD of one path that hops and vibrates without memory.

    Were the displacements Gaussian, with a covariance given by the overlap of two intervals and by
    shared ends, the squares would covary as twice its square (Wick's theorem). Hops of length a add
    a^2 step times the overlap: they come as whole events. Both are summed over all pairs of origins
    that the run holds.

    Attributes
    ----------
    both_move, mixed, both_vibrate, events
        What multiplies step^2, step * noise, noise^2 and a^2 * step, (n_lags, n_lags).
    """

    both_move: FloatArray
    mixed: FloatArray
    both_vibrate: FloatArray
    events: FloatArray

    @classmethod
    def of(cls, lags: IntArray, n_frames: int) -> Self:
        """Sum over the origins of a run of `n_frames` at lags in frames."""
        parts = np.zeros((4, len(lags), len(lags)))
        for row, i in enumerate(lags):
            for column, j in enumerate(lags[row:], start=row):
                shift = np.arange(-i, j + 1)
                overlap = np.maximum(np.minimum(shift + i, j) - np.maximum(shift, 0), 0)
                ends = np.zeros(len(shift))
                np.add.at(ends, [i, j], 1.0)
                ends[[0, -1]] -= 1.0
                last = np.minimum(n_frames - i - 1, n_frames - j - 1 + shift)
                pairs = np.maximum(last - np.maximum(shift, 0) + 1, 0)
                pairs = pairs / ((n_frames - i) * (n_frames - j))
                parts[:, row, column] = parts[:, column, row] = (
                    pairs @ (overlap**2),
                    pairs @ (overlap * ends),
                    pairs @ ends**2,
                    pairs @ overlap,
                )
        # Three directions: step = 3 sigma^2, noise = 6 eta^2, covariance 3 * 2 * (sum of squares).
        return cls(parts[0] * 6.0 / 9.0, parts[1] * 12.0 / 18.0, parts[2] * 6.0 / 36.0, parts[3])

    def at(self, inside: IntArray, *, step: float, noise: float, event: float) -> FloatArray:
        """Return the covariance in angstrom^4 at some of the lags for one path.

        Parameters
        ----------
        step, noise
            Slope of the MSD in angstrom^2 a frame, and its intercept in angstrom^2.
        event
            Squared length of a hop in angstrom^2; zero for Gaussian displacements.
        """
        at = np.ix_(inside, inside)
        moves = step**2 * self.both_move[at] + step * noise * self.mixed[at]
        moves += noise**2 * self.both_vibrate[at] + event * step * self.events[at]
        return np.asarray(moves)


def slope_weights(
    lags: FloatArray, covariance: FloatArray, *, memory: float | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return w of the generalized-least-squares slope w @ msd, and the matrix of its chi2.

    chi2 = msd @ matrix @ msd is the squared distance of an MSD from its best line, or, with a
    `memory` in frames, from its best line plus exp(-lag / memory).
    """
    precision = np.linalg.inv(covariance + 1e-9 * np.diag(np.diag(covariance)))
    basis = [np.ones(len(lags)), lags]
    if memory is not None:
        basis.append(np.exp(-lags / memory))
    design = np.column_stack(basis)
    solution = np.linalg.solve(design.T @ precision @ design, design.T @ precision)
    return np.asarray(solution[1]), np.asarray(precision - precision @ design @ solution)
