"""Supercells of a given number of cells, also oblique ones, and which of them is widest.

All lattices that hold a cell n times are the Hermite normal forms of determinant n [1]_. Each is
described by its shortest vectors (Minkowski reduction in three dimensions [2]_), since it is these
that say how far an ion is from its own images.

References
----------
.. [1] https://doi.org/10.1103/PhysRevB.77.224115
.. [2] https://doi.org/10.1007/978-3-540-24847-7_26
"""

import itertools
import math

import numpy as np
import numpy.typing as npt

__all__ = ["fewest_cells", "widest_supercell"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def fewest_cells(matrix: FloatArray, *, min_length: float) -> int:
    """Return a number of cells below which no supercell is `min_length` (angstrom) wide.

    A lattice whose vectors are all at least that long has at least the volume of a close packing.
    """
    volume = abs(float(np.linalg.det(matrix)))
    return max(1, math.ceil(min_length**3 / math.sqrt(2.0) / volume - 1e-6))


def widest_supercell(matrix: FloatArray, n_cells: int) -> tuple[IntArray, float]:
    """Return the supercell of `n_cells` cells whose closest opposite faces are farthest apart.

    Of equally wide ones the one with the shortest vectors is taken. Returns the transformation
    (rows are vectors of the supercell in those of the cell) and the distance in angstrom.
    """
    forms = _hermite_forms(n_cells)
    transformation, width = _widest(np.ascontiguousarray(matrix, dtype=float), forms)
    if np.linalg.det(transformation) < 0:
        transformation = -transformation
    return transformation, float(width)


def _hermite_forms(n: int) -> IntArray:
    forms = [
        [[a, 0, 0], [b, c, 0], [d, e, n // (a * c)]]
        for a in range(1, n + 1)
        if n % a == 0
        for c in range(1, n // a + 1)
        if (n // a) % c == 0
        for b in range(a)
        for d in range(a)
        for e in range(c)
    ]
    return np.array(forms, dtype=np.int64)


def _widest(matrix: FloatArray, forms: IntArray) -> tuple[IntArray, float]:
    vectors, forms = _reduced(forms @ matrix, forms)
    volumes = np.abs(np.linalg.det(vectors))
    faces = np.linalg.norm(np.cross(vectors[:, [1, 2, 0]], vectors[:, [2, 0, 1]]), axis=2)
    widths = (volumes[:, None] / faces).min(axis=1)
    squares = (vectors**2).sum(axis=(1, 2))
    best = 0
    for k in range(1, len(forms)):
        gain = widths[k] - widths[best]
        if gain > 1e-6 or (gain > -1e-6 and squares[k] < squares[best] - 1e-6):
            best = k
    return forms[best], float(widths[best])


def _reduced(vectors: FloatArray, forms: IntArray) -> tuple[FloatArray, IntArray]:
    """Return the shortest vectors of lattices, shape (n, 3, 3), and the forms that give them."""
    vectors, forms = vectors.astype(float), forms.copy()
    active = np.arange(len(forms))
    for _ in range(100):  # a few rounds do; the limit is against ties that rounding makes
        if not len(active):
            break
        v, form = vectors[active], forms[active]
        changed = np.zeros(len(active), dtype=bool)
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            p, q = _nearest(v[:, i], v[:, j], v[:, k])
            v[:, i] -= p[:, None] * v[:, j] + q[:, None] * v[:, k]
            form[:, i] -= p[:, None] * form[:, j] + q[:, None] * form[:, k]
            changed |= (p != 0) | (q != 0)
        vectors[active], forms[active] = v, form
        active = active[changed]
    return vectors, forms


def _nearest(one: FloatArray, first: FloatArray, second: FloatArray) -> tuple[IntArray, IntArray]:
    """Return how often to take two vectors off a third to bring it nearest to the origin.

    All have shape (n, 3). Where nothing brings it nearer, none is taken off.
    """
    a, b, c = (first**2).sum(1), (first * second).sum(1), (second**2).sum(1)
    x, y = (first * one).sum(1), (second * one).sum(1)
    area = a * c - b * b
    p0 = np.floor((c * x - b * y) / area).astype(np.int64) - 1
    q0 = np.floor((a * y - b * x) / area).astype(np.int64) - 1
    length = (one**2).sum(1) - 1e-9
    p_best, q_best = np.zeros_like(p0), np.zeros_like(q0)
    for dp, dq in itertools.product(range(4), repeat=2):
        p, q = p0 + dp, q0 + dq
        square = ((one - p[:, None] * first - q[:, None] * second) ** 2).sum(1)
        nearer = square < length
        length = np.where(nearer, square - 1e-9, length)
        p_best, q_best = np.where(nearer, p, p_best), np.where(nearer, q, q_best)
    return p_best, q_best
