"""Spherical harmonics, the rotation matrices that act on them, and how three of them couple.

Axes and order are those of e3nn: the components of l = 1 are x, y, z and the pole is y. Harmonics
have unit length, so that the one of a unit vector along the pole is (0 ... 1 ... 0).
"""

import functools
import math

import numba
import numpy as np
import numpy.typing as npt

__all__ = [
    "HIGHEST",
    "ROTATION_STARTS",
    "coupling",
    "harmonics",
    "pole_slope",
    "rotation_size",
    "rotations_to_pole",
]

FloatArray = npt.NDArray[np.float64]

HIGHEST = 3
"""Largest degree l that is known here."""

ROTATION_STARTS = (0, 1, 10, 35)
"""Where the matrix of each degree starts in a row of `rotations_to_pole`, of 84 numbers at most."""


def rotation_size(degree: int) -> int:
    """Return how many numbers the rotation matrices up to a degree have together."""
    return ROTATION_STARTS[degree] + (2 * degree + 1) ** 2


def harmonics(degree: int, points: npt.NDArray[np.inexact]) -> npt.NDArray[np.inexact]:
    """Return real harmonics of unit vectors.

    Parameters
    ----------
    degree
        l, from 0 to `HIGHEST`.
    points
        Shape (n, 3).

    Returns
    -------
    Shape (n, 2 l + 1).
    """
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    if degree == 0:
        parts = [np.ones_like(x)]
    elif degree == 1:
        parts = [x, y, z]
    elif degree == 2:
        root = math.sqrt(3)
        parts = [
            root * x * z,
            root * x * y,
            y * y - (x * x + z * z) / 2,
            root * y * z,
            root / 2 * (z * z - x * x),
        ]
    elif degree == 3:
        inner = 4 * y * y - x * x - z * z
        parts = [
            math.sqrt(5 / 8) * x * (3 * z * z - x * x),
            math.sqrt(15) * x * y * z,
            math.sqrt(3 / 8) * x * inner,
            y * (y * y - 1.5 * (x * x + z * z)),
            math.sqrt(3 / 8) * z * inner,
            math.sqrt(15) / 2 * y * (z * z - x * x),
            math.sqrt(5 / 8) * z * (z * z - 3 * x * x),
        ]
    else:
        raise ValueError(f"harmonics are known up to l = {HIGHEST}, not {degree}")
    return np.stack(parts, axis=1)


def pole_slope(degree: int) -> float:
    """Return by how much the components m = -1 and 1 grow when the pole tilts towards x and z."""
    return math.sqrt(degree * (degree + 1) / 2)


@functools.cache
def _sample(degree: int) -> tuple[FloatArray, FloatArray]:
    """Return 2 l + 1 directions, and the matrix that turns harmonics there into an identity."""
    # Any directions do whose harmonics are far from linearly dependent: the best of some draws.
    best, lowest = np.eye(3), np.inf
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = rng.normal(size=(2 * degree + 1, 3))
        points /= np.linalg.norm(points, axis=1)[:, None]
        condition = float(np.linalg.cond(harmonics(degree, points)))
        if condition < lowest:
            best, lowest = points, condition
    return best, np.ascontiguousarray(np.linalg.inv(harmonics(degree, best)).T)


@functools.cache
def _generators(degree: int) -> tuple[FloatArray, ...]:
    """Return what infinitesimal rotations about x, y and z do to harmonics, three matrices."""
    points, inverse = _sample(degree)
    found = []
    for axis in range(3):
        # The complex step gives the derivative of a polynomial without cancellation.
        turned = points + 1e-30j * np.cross(np.eye(3)[axis], points)
        found.append((harmonics(degree, turned).imag / 1e-30).T @ inverse)
    return tuple(found)


@functools.cache
def coupling(first: int, second: int, third: int) -> FloatArray:
    """Return the tensor that turns with three harmonics, unique but for its scale.

    Its length is one and its first number that is not zero is positive. Shape
    (2 l1 + 1, 2 l2 + 1, 2 l3 + 1).
    """
    shape = tuple(2 * degree + 1 for degree in (first, second, third))
    ones = [np.eye(n) for n in shape]
    square = np.zeros((math.prod(shape),) * 2)
    for axis in range(3):
        total = np.zeros_like(square)
        for slot, degree in enumerate((first, second, third)):
            factors = [*ones]
            factors[slot] = _generators(degree)[axis]
            total += np.kron(np.kron(factors[0], factors[1]), factors[2])
        square += total.T @ total
    values, vectors = np.linalg.eigh(square)
    if values[0] > 1e-9 or (len(values) > 1 and values[1] < 1e-3):
        raise ValueError(f"harmonics of l = {first}, {second} and {third} do not couple")
    tensor = vectors[:, 0]
    tensor[np.abs(tensor) < 1e-12] = 0.0
    tensor *= np.sign(tensor[np.flatnonzero(tensor)[0]])
    return tensor.reshape(shape)


def rotations_to_pole(vectors: FloatArray, degree: int) -> tuple[FloatArray, FloatArray]:
    """Return a rotation of each vector to the pole, and what it does to harmonics.

    Which one of the rotations is of no matter to what is computed with them, but it depends on
    the vector alone.

    Parameters
    ----------
    vectors
        Of any length but zero, shape (n, 3).
    degree
        Highest l.

    Returns
    -------
    frames, matrices
        Rows are the x axis, the vector's direction and the z axis, shape (n, 3, 3); matrices of
        l = 0, 1 ... one after the other, by rows, shape (n, `rotation_size(degree)`).
    """
    samples = [_sample(d) for d in range(HIGHEST + 1)]
    return _rotations_to_pole(
        vectors, degree, samples[2][0], samples[2][1], samples[3][0], samples[3][1]
    )


@numba.njit(cache=True, nogil=True)
def _rotations_to_pole(  # noqa: PLR0917  numba takes no keywords
    vectors: FloatArray,
    degree: int,
    points_2: FloatArray,
    inverse_2: FloatArray,
    points_3: FloatArray,
    inverse_3: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    n = len(vectors)
    frames = np.empty((n, 3, 3))
    matrices = np.empty((n, ROTATION_STARTS[degree] + (2 * degree + 1) ** 2))
    values = np.empty((7, 7))
    for e in range(n):
        frame, row = frames[e], matrices[e]
        _frame(vectors[e], frame)
        row[0] = 1.0
        if degree >= 1:
            for i in range(3):
                for j in range(3):
                    row[1 + 3 * i + j] = frame[i, j]
        if degree >= 2:
            _quadratic_harmonics(frame, points_2, values)
            _multiply(values, inverse_2, row[ROTATION_STARTS[2] :])
        if degree >= 3:
            _cubic_harmonics(frame, points_3, values)
            _multiply(values, inverse_3, row[ROTATION_STARTS[3] :])
    return frames, matrices


@numba.njit(cache=True, nogil=True)
def _frame(vector: FloatArray, frame: FloatArray) -> None:
    """Fill in a right-handed frame whose y axis lies along the vector."""
    x, y, z = vector
    length = math.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    # The x axis lies across the vector and across the coordinate that it has least of.
    if abs(x) <= abs(y) and abs(x) <= abs(z):
        a, b, c = 0.0, z, -y
    elif abs(y) <= abs(z):
        a, b, c = -z, 0.0, x
    else:
        a, b, c = y, -x, 0.0
    across = math.sqrt(a * a + b * b + c * c)
    a, b, c = a / across, b / across, c / across
    frame[0, 0], frame[0, 1], frame[0, 2] = a, b, c
    frame[1, 0], frame[1, 1], frame[1, 2] = x, y, z
    frame[2, 0], frame[2, 1], frame[2, 2] = b * z - c * y, c * x - a * z, a * y - b * x


@numba.njit(cache=True, nogil=True)
def _turned(frame: FloatArray, point: FloatArray) -> tuple[float, float, float]:
    p, q, r = point
    return (
        frame[0, 0] * p + frame[0, 1] * q + frame[0, 2] * r,
        frame[1, 0] * p + frame[1, 1] * q + frame[1, 2] * r,
        frame[2, 0] * p + frame[2, 1] * q + frame[2, 2] * r,
    )


@numba.njit(cache=True, nogil=True)
def _quadratic_harmonics(frame: FloatArray, points: FloatArray, values: FloatArray) -> None:
    """Fill in `harmonics(2, ...)` of turned points, a column each."""
    for s in range(5):
        x, y, z = _turned(frame, points[s])
        values[0, s] = math.sqrt(3.0) * x * z
        values[1, s] = math.sqrt(3.0) * x * y
        values[2, s] = y * y - (x * x + z * z) / 2
        values[3, s] = math.sqrt(3.0) * y * z
        values[4, s] = math.sqrt(3.0) / 2 * (z * z - x * x)


@numba.njit(cache=True, nogil=True)
def _cubic_harmonics(frame: FloatArray, points: FloatArray, values: FloatArray) -> None:
    """Fill in `harmonics(3, ...)` of turned points, a column each."""
    for s in range(7):
        x, y, z = _turned(frame, points[s])
        inner = 4 * y * y - x * x - z * z
        values[0, s] = math.sqrt(5 / 8) * x * (3 * z * z - x * x)
        values[1, s] = math.sqrt(15.0) * x * y * z
        values[2, s] = math.sqrt(3 / 8) * x * inner
        values[3, s] = y * (y * y - 1.5 * (x * x + z * z))
        values[4, s] = math.sqrt(3 / 8) * z * inner
        values[5, s] = math.sqrt(15.0) / 2 * y * (z * z - x * x)
        values[6, s] = math.sqrt(5 / 8) * z * (z * z - 3 * x * x)


@numba.njit(cache=True, nogil=True)
def _multiply(values: FloatArray, inverse: FloatArray, row: FloatArray) -> None:
    n = len(inverse)
    for i in range(n):
        for j in range(n):
            total = 0.0
            for s in range(n):
                total += values[i, s] * inverse[s, j]
            row[n * i + j] = total
