"""Quintic splines of functions of a length, as sums over few rows of a table."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from ssefw.engines.potentials.path_kernels import TAPS

__all__ = ["SplineAxis", "fit_spline", "locate"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Values of the quintic B-spline at its knots and halfway between them, by Cox and de Boor.
_AT_KNOTS = np.array([1.0, 26.0, 66.0, 26.0, 1.0]) / 120.0
_BETWEEN_KNOTS = np.array([1.0, 237.0, 1682.0, 1682.0, 237.0, 1.0]) / 3840.0


@dataclass(frozen=True)
class SplineAxis:
    """Pieces of a length axis, each with knots at equal distances.

    A function with a kink is smooth on either side of it, and so has a piece for each.

    Attributes
    ----------
    pieces
        First length, spacing of knots, number of intervals and first row in a table, shape (n, 4).
    """

    pieces: FloatArray

    @classmethod
    def between(cls, breaks: Sequence[float], spacing: float) -> "SplineAxis":
        """Put knots at about equal distances, and one at each break."""
        pieces, row = [], 0
        for low, high in itertools.pairwise(breaks):
            # A spline whose ends are fitted without further knowledge needs some intervals.
            n = max(TAPS, round((high - low) / spacing))
            pieces.append((low, (high - low) / n, n, row))
            row += n + TAPS - 1
        return cls(np.array(pieces))

    @property
    def n_rows(self) -> int:
        """Number of rows of a table."""
        return int((self.pieces[:, 2] + TAPS - 1).sum())


def fit_spline(axis: SplineAxis, function: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Return the table of splines that go through functions at all knots.

    Parameters
    ----------
    axis
        Where the knots are.
    function
        Takes lengths, shape (n,); returns values, shape (n, n_columns).
    """
    tables = []
    for low, spacing, intervals, _ in axis.pieces:
        n = int(intervals)
        # As many equations as rows: values at the knots, and between those next to both ends.
        between = np.array([0, 1, n - 2, n - 1])
        places = np.concatenate([np.arange(n + 1), between + 0.5])
        equations = np.zeros((len(places), n + TAPS - 1))
        for row in range(n + 1):
            equations[row, row : row + TAPS - 1] = _AT_KNOTS
        for row, start in enumerate(between, start=n + 1):
            equations[row, start : start + TAPS] = _BETWEEN_KNOTS
        tables.append(np.linalg.solve(equations, function(low + spacing * places)))
    return np.vstack(tables)


@numba.njit(cache=True, nogil=True)
def locate(lengths: FloatArray, pieces: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the first row of each length and the factors of the rows from there on.

    Parameters
    ----------
    lengths
        Inside the axis, shape (n,).
    pieces
        Of a `SplineAxis`.

    Returns
    -------
    rows, factors
        Shapes (n,) and (n, 2, TAPS); the second set of factors gives the derivative.
    """
    n = len(lengths)
    rows = np.empty(n, np.int64)
    factors = np.empty((n, 2, TAPS))
    basis = np.empty(TAPS)
    for e in range(n):
        piece = 0
        while piece + 1 < len(pieces) and lengths[e] >= pieces[piece + 1, 0]:
            piece += 1
        low, spacing, intervals, first = pieces[piece]
        place = (lengths[e] - low) / spacing
        interval = int(min(place, intervals - 1))
        t = place - interval
        rows[e] = int(first) + interval
        # Splines of a higher degree from those of the next lower one, from degree 0 on; those of
        # degree 4 give the derivative.
        basis[:] = 0.0
        basis[0] = 1.0
        for degree in range(1, TAPS):
            if degree == TAPS - 1:
                factors[e, 1, 0] = -basis[0] / spacing
                for k in range(1, TAPS - 1):
                    factors[e, 1, k] = (basis[k - 1] - basis[k]) / spacing
                factors[e, 1, TAPS - 1] = basis[TAPS - 2] / spacing
            for k in range(degree, -1, -1):
                # Spline k of this degree starts degree - k intervals before the present one.
                at = t + degree - k
                left = basis[k - 1] * at if k > 0 else 0.0
                right = basis[k] * (degree + 1 - at) if k < degree else 0.0
                basis[k] = (left + right) / degree
        for k in range(TAPS):
            factors[e, 0, k] = basis[k]
    return rows, factors
