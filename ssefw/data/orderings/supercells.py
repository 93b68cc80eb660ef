"""Supercells of a given number of cells, also oblique ones, and which of them is widest.

All lattices that hold a cell n times are the Hermite normal forms of determinant n [1]_. Each is
described by its shortest vectors (Minkowski reduction in three dimensions [2]_), since it is these
that say how far an ion is from its own images.

References
----------
.. [1] https://doi.org/10.1103/PhysRevB.77.224115
.. [2] https://doi.org/10.1007/978-3-540-24847-7_26
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

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


@njit(cache=True)
def _widest(matrix: FloatArray, forms: IntArray) -> tuple[IntArray, float]:
    best = forms[0].copy()
    widest, shortest = -1.0, 0.0
    for k in range(len(forms)):
        form = forms[k].copy()
        vectors = _reduce(form.astype(np.float64) @ matrix, form)
        volume = abs(np.linalg.det(vectors))
        width = np.inf
        squares = 0.0
        for i in range(3):
            face = np.cross(vectors[(i + 1) % 3], vectors[(i + 2) % 3])
            width = min(width, volume / math.sqrt(face @ face))
            squares += vectors[i] @ vectors[i]
        if width > widest + 1e-6 or (width > widest - 1e-6 and squares < shortest - 1e-6):
            best, widest, shortest = form, width, squares
    return best, widest


@njit(cache=True)
def _reduce(vectors: FloatArray, form: IntArray) -> FloatArray:
    """Return the shortest vectors of a lattice, and change `form` with them."""
    for _ in range(100):  # a few rounds do; the limit is against ties that rounding makes
        changed = False
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            # The combination of the other two that brings this vector nearest to the origin.
            gram = np.array(
                [
                    [vectors[j] @ vectors[j], vectors[j] @ vectors[k]],
                    [vectors[k] @ vectors[j], vectors[k] @ vectors[k]],
                ]
            )
            shares = np.linalg.solve(
                gram, np.array([vectors[j] @ vectors[i], vectors[k] @ vectors[i]])
            )
            length = vectors[i] @ vectors[i] - 1e-9
            p_best, q_best = 0, 0
            for p in range(int(np.floor(shares[0])) - 1, int(np.floor(shares[0])) + 3):
                for q in range(int(np.floor(shares[1])) - 1, int(np.floor(shares[1])) + 3):
                    shorter = vectors[i] - p * vectors[j] - q * vectors[k]
                    if shorter @ shorter < length:
                        length = shorter @ shorter - 1e-9
                        p_best, q_best = p, q
            if p_best != 0 or q_best != 0:
                vectors[i] -= p_best * vectors[j] + q_best * vectors[k]
                form[i] -= p_best * form[j] + q_best * form[k]
                changed = True
        if not changed:
            break
    return vectors
