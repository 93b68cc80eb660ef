"""Minima and saddle points of the exact site energy, found from points near them.

A minimum is found by damped Newton steps down; a saddle point by climbing along the softest
direction of curvature and descending across it (eigenvector following); the path of a hop is the
steepest descent from a saddle point on both sides. Points are Cartesian and not wrapped into the
cell, so that a path keeps count of the cells it crosses.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ssefw.bvse.potential import Framework, expand

__all__ = [
    "SAME_SITE",
    "Descent",
    "Saddle",
    "Surface",
    "bottom",
    "climb",
    "descend",
    "eigensystem",
    "energy_at",
    "follow_ridge",
    "minimize",
    "surface",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SAME_SITE = 0.15
"""Minima nearer than this, in angstrom, are one site."""

_MAX_STEP = 0.12
_MAX_ITERATIONS = 60
_GRADIENT = 1e-5
_PATH_STEP = 0.06
_RIDGE_STEP = 0.08
_RIDGE_WIDTH = 0.02
_MAX_RIDGE_STEPS = 12
_MAX_PATH_POINTS = 400


class Surface(NamedTuple):
    """What the compiled functions need of a framework."""

    matrix: FloatArray
    inverse: FloatArray
    positions: FloatArray
    kinds: IntArray
    terms: FloatArray
    starts: IntArray
    cutoff: float


class Saddle(NamedTuple):
    """A stationary point with one direction of negative curvature.

    `found` is False where none was found within the allowed distance.
    """

    found: bool
    point: FloatArray
    energy: float
    direction: FloatArray


class Descent(NamedTuple):
    """The way down from a saddle point: points (n, 3) and energies (n,), the minimum last."""

    points: FloatArray
    energies: FloatArray


def surface(framework: Framework) -> Surface:
    """Return the compiled functions' view of a framework."""
    positions, kinds = framework.images
    return Surface(
        framework.matrix,
        np.linalg.inv(framework.matrix).astype(np.float64),
        positions,
        kinds,
        framework.terms,
        framework.starts,
        framework.cutoff,
    )


@njit(cache=True, nogil=True)
def eigensystem(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return eigenvalues, ascending, and eigenvectors (columns) of a symmetric 3 x 3 matrix.

    Jacobi rotations; NumPy's solver would triple the time that compiling takes.
    """
    a = matrix.copy()
    vectors = np.eye(3)
    for _ in range(30):
        row, column = 0, 1
        if abs(a[0, 2]) > abs(a[row, column]):
            row, column = 0, 2
        if abs(a[1, 2]) > abs(a[row, column]):
            row, column = 1, 2
        if abs(a[row, column]) < 1e-14 * (abs(a[0, 0]) + abs(a[1, 1]) + abs(a[2, 2])) + 1e-300:
            break
        angle = 0.5 * math.atan2(2.0 * a[row, column], a[column, column] - a[row, row])
        c, s = math.cos(angle), math.sin(angle)
        for k in range(3):
            x, y = a[k, row], a[k, column]
            a[k, row], a[k, column] = c * x - s * y, s * x + c * y
        for k in range(3):
            x, y = a[row, k], a[column, k]
            a[row, k], a[column, k] = c * x - s * y, s * x + c * y
            x, y = vectors[k, row], vectors[k, column]
            vectors[k, row], vectors[k, column] = c * x - s * y, s * x + c * y
    values = np.array([a[0, 0], a[1, 1], a[2, 2]])
    for one, other in ((0, 1), (1, 2), (0, 1)):
        if values[one] > values[other]:
            values[one], values[other] = values[other], values[one]
            for k in range(3):
                x = vectors[k, one]
                vectors[k, one], vectors[k, other] = vectors[k, other], x
    return values, vectors


@njit(cache=True, nogil=True)
def _at(point: FloatArray, s: Surface) -> tuple[float, FloatArray, FloatArray]:
    frac = np.zeros(3)
    for i in range(3):
        for j in range(3):
            frac[i] += point[j] * s.inverse[j, i]
    home = point.copy()
    for i in range(3):
        cell = math.floor(frac[i])
        for j in range(3):
            home[j] -= cell * s.matrix[i, j]
    return expand(home, s.positions, s.kinds, s.terms, s.starts, s.cutoff)


@njit(cache=True, nogil=True)
def energy_at(point: FloatArray, s: Surface) -> float:
    """Return the energy at a point in any cell, in eV."""
    return _at(point, s)[0]


@njit(cache=True, nogil=True)
def _limited(step: FloatArray, longest: float) -> FloatArray:
    length = math.sqrt((step * step).sum())
    return step * (longest / length) if length > longest else step


@njit(cache=True, nogil=True)
def minimize(start: FloatArray, s: Surface) -> tuple[FloatArray, float]:
    """Return the minimum below a point, and its energy in eV."""
    point = start.copy()
    energy, gradient, hessian = _at(point, s)
    longest = _MAX_STEP
    for _ in range(4 * _MAX_ITERATIONS):
        if math.sqrt((gradient * gradient).sum()) < _GRADIENT:
            break
        values, vectors = eigensystem(hessian)
        step = np.zeros(3)
        for mode in range(3):
            along = (vectors[:, mode] * gradient).sum()
            step -= vectors[:, mode] * (along / max(abs(values[mode]), 0.05))
        trial = point + _limited(step, longest)
        lower, new_gradient, new_hessian = _at(trial, s)
        if lower <= energy + 1e-12:
            point, energy, gradient, hessian = trial, lower, new_gradient, new_hessian
            longest = min(1.5 * longest, _MAX_STEP)
        else:
            longest = 0.4 * min(longest, math.sqrt((step * step).sum()))
            if longest < 1e-7:
                break
    return point, energy


@njit(cache=True, nogil=True)
def climb(start: FloatArray, along: FloatArray, reach: float, s: Surface) -> Saddle:
    """Return the saddle point near a point, at most `reach` angstrom away from it.

    The climb follows the curvature that is most parallel to `along`, or the softest one where
    `along` is zero.

    Parameters
    ----------
    start
        Where the search begins.
    along
        A direction, or zeros.
    reach
        In angstrom.
    s
        The energy with its derivatives.
    """
    point = start.copy()
    direction = along.copy()
    energy = 0.0
    for _ in range(_MAX_ITERATIONS):
        energy, gradient, hessian = _at(point, s)
        values, vectors = eigensystem(hessian)
        followed = 0
        for mode in range(1, 3):
            one = abs((vectors[:, mode] * direction).sum())
            if one > abs((vectors[:, followed] * direction).sum()) + 1e-9:
                followed = mode
        direction = vectors[:, followed].copy()
        if math.sqrt((gradient * gradient).sum()) < _GRADIENT:
            is_saddle = followed == 0 and values[0] < -1e-4 and values[1] > 1e-4
            return Saddle(is_saddle, point, energy, direction)
        step = np.zeros(3)
        for mode in range(3):
            size = (vectors[:, mode] * gradient).sum() / max(abs(values[mode]), 0.05)
            step += vectors[:, mode] * (size if mode == followed else -size)
        point += _limited(step, _MAX_STEP)
        if math.sqrt(((point - start) ** 2).sum()) > reach:
            break
    return Saddle(False, point, energy, direction)  # noqa: FBT003 (compiled)


@njit(cache=True, nogil=True)
def flow(start: FloatArray, longest: float, s: Surface) -> Descent:
    """Return the steepest way down from a point to the minimum of its basin.

    Points lie at most `longest` angstrom apart.
    """
    points = np.empty((_MAX_PATH_POINTS + 1, 3))
    energies = np.empty(_MAX_PATH_POINTS + 1)
    point = start.copy()
    n_points = 0
    step = longest
    energy, gradient, hessian = _at(point, s)
    while n_points < _MAX_PATH_POINTS:
        points[n_points], energies[n_points] = point, energy
        n_points += 1
        slope = math.sqrt((gradient * gradient).sum())
        softest = eigensystem(hessian)[0][0]
        # Inside the bowl of a minimum Newton steps take over.
        if slope < 1e-4 or (softest > 0.0 and slope / softest < 2.0 * longest):
            break
        while True:
            # Second order in the step: the slope half-way decides, as on a curved path it must.
            middle = _at(point - 0.5 * step * gradient / slope, s)[1]
            size = math.sqrt((middle * middle).sum())
            trial = point - step * middle / max(size, 1e-12)
            lower, new_gradient, new_hessian = _at(trial, s)
            if lower < energy or step < 1e-4:
                break
            step *= 0.5
        point, energy, gradient, hessian = trial, lower, new_gradient, new_hessian
        step = min(longest, 1.5 * step)
    points[n_points], energies[n_points] = minimize(point, s)
    return Descent(points[: n_points + 1].copy(), energies[: n_points + 1].copy())


@njit(cache=True, nogil=True)
def descend(saddle: FloatArray, direction: FloatArray, s: Surface) -> Descent:
    """Return the steepest way down from a saddle point, to one side of it."""
    length = math.sqrt((direction * direction).sum())
    way = flow(saddle + 0.03 * direction / length, _PATH_STEP, s)
    points = np.empty((len(way.points) + 1, 3))
    energies = np.empty(len(way.energies) + 1)
    points[0], energies[0] = saddle, _at(saddle, s)[0]
    points[1:], energies[1:] = way.points, way.energies
    return Descent(points, energies)


@njit(cache=True, nogil=True)
def bottom(point: FloatArray, s: Surface) -> FloatArray:
    """Return the minimum of the basin that a point lies in."""
    way = flow(point, 2.0 * _PATH_STEP, s)
    return np.ascontiguousarray(way.points[len(way.points) - 1])


@njit(cache=True, nogil=True)
def _near(one: FloatArray, other: FloatArray) -> bool:
    return bool(((one - other) ** 2).sum() < SAME_SITE * SAME_SITE)


@njit(cache=True, nogil=True)
def follow_ridge(one: FloatArray, other: FloatArray, s: Surface) -> Saddle:
    """Return the saddle point on the ridge between two points of different basins.

    The ridge is found by bisection, walked downhill, and left for the saddle point as soon as a
    climb from it arrives (Ionova & Carter, doi:10.1063/1.464571). A third basin between the two
    takes the place of the second.
    """
    low, high = one.copy(), other.copy()
    low_bottom, high_bottom = bottom(low, s), bottom(high, s)
    best = Saddle(False, 0.5 * (low + high), np.inf, high - low)  # noqa: FBT003 (compiled)
    for _ in range(_MAX_RIDGE_STEPS):
        while math.sqrt(((high - low) ** 2).sum()) > _RIDGE_WIDTH:
            middle = 0.5 * (low + high)
            below = bottom(middle, s)
            if _near(below, low_bottom):
                low = middle
            else:
                high, high_bottom = middle, below
        point = 0.5 * (low + high)
        across = (high - low) / math.sqrt(((high - low) ** 2).sum())
        energy, gradient, _ = _at(point, s)
        if energy >= best.energy:
            break
        best = Saddle(False, point, energy, across)  # noqa: FBT003 (compiled)
        saddle = climb(point, across, 0.4, s)
        if saddle.found and saddle.energy < energy + 1e-6:
            return saddle
        downhill = (gradient * across).sum() * across - gradient
        slope = math.sqrt((downhill * downhill).sum())
        moved = point + _RIDGE_STEP * downhill / max(slope, 1e-12)
        width = 0.05
        while width < 0.5:
            low, high = moved - width * across, moved + width * across
            low_bottom, high_bottom = bottom(low, s), bottom(high, s)
            if not _near(low_bottom, high_bottom):
                break
            width *= 2.0
        if width >= 0.5:
            break
    return best
