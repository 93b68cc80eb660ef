"""The smallest cell of a framework and the symmetry of its site energy.

The site energy has the symmetry of the framework without the mobile ions, which is often higher
and more translational than that of the structure. Everything is computed in the reduced primitive
cell, so that neither a supercell nor another setting of the cell changes the result or the cost.
"""

import dataclasses
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import spglib

from ssefw.bvse.potential import Framework

__all__ = ["Symmetry", "framework_symmetry", "grid_operations", "primitive_framework"]

FloatArray = npt.NDArray[np.float64]

# Coordinates of published structures are rounded to 1e-4 of the cell, about 1e-3 A.
_SYMMETRY_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Symmetry:
    """Operations x -> R x + t in fractional coordinates: (n, 3, 3) integers and (n, 3)."""

    rotations: npt.NDArray[np.int64]
    translations: FloatArray


def framework_symmetry(framework: Framework) -> Symmetry:
    """Return the space group operations of a framework in its own cell."""
    cell = (framework.matrix, framework.frac_coords, framework.kinds + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces a change of its error handling
        found = spglib.get_symmetry(cell, symprec=_SYMMETRY_TOLERANCE)  # type: ignore[arg-type]
    if found is None:
        return Symmetry(np.eye(3, dtype=np.int64)[None], np.zeros((1, 3)))
    return Symmetry(
        np.asarray(found["rotations"], dtype=np.int64), np.asarray(found["translations"], float)
    )


def primitive_framework(framework: Framework) -> Framework:
    """Return the same framework in its Niggli-reduced primitive cell.

    Cartesian coordinates are those of the given cell, neither turned nor moved.
    """
    symmetry = framework_symmetry(framework)
    pure = (symmetry.rotations == np.eye(3, dtype=int)).all(axis=(1, 2))
    n_inner = int(pure.sum())
    # Inner translations form a group of that order, so their coordinates are these fractions.
    translations = np.round(symmetry.translations[pure] * n_inner) / n_inner
    matrix = _reduced(_primitive_matrix(framework.matrix, translations))
    to_primitive = framework.matrix @ np.linalg.inv(matrix)
    frac = framework.frac_coords @ to_primitive
    frac -= np.floor(frac + 1e-9)
    kept: list[int] = []
    for site in range(len(frac)):
        difference = frac[kept] - frac[site]
        difference -= np.round(difference)
        distances = np.linalg.norm(difference @ matrix, axis=1)
        same_kind = framework.kinds[kept] == framework.kinds[site]
        if not (same_kind & (distances < 10 * _SYMMETRY_TOLERANCE)).any():
            kept.append(site)
    if len(kept) * n_inner != len(frac):
        return dataclasses.replace(framework)
    return dataclasses.replace(
        framework, matrix=matrix, frac_coords=frac[kept], kinds=framework.kinds[kept]
    )


def _primitive_matrix(matrix: FloatArray, translations: FloatArray) -> FloatArray:
    """Return a basis of the lattice that the cell and its inner translations generate."""
    if len(translations) == 1:
        return matrix
    inner = translations - np.round(translations)
    candidates = np.vstack([np.eye(3), inner, *(inner + shift for shift in np.eye(3))])
    vectors = candidates @ matrix
    vectors = vectors[np.argsort(np.linalg.norm(vectors, axis=1))]
    vectors = vectors[np.linalg.norm(vectors, axis=1) > 0.1]
    volume = abs(np.linalg.det(matrix)) / len(translations)
    for i, first in enumerate(vectors):
        for j, second in enumerate(vectors[:i]):
            normal = np.cross(first, second)
            heights = np.abs(vectors[:j] @ normal)
            fits = np.flatnonzero(np.abs(heights - volume) < 0.01 * volume)
            if len(fits):
                return np.array([vectors[fits[0]], second, first])
    return matrix


def _reduced(matrix: FloatArray) -> FloatArray:
    """Return the Niggli-reduced basis of a lattice, not turned in space."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reduced = spglib.niggli_reduce(matrix)
    if reduced is None:
        return matrix
    whole = np.round(np.asarray(reduced) @ np.linalg.inv(matrix))
    return np.ascontiguousarray(whole @ matrix)


def grid_operations(
    framework: Framework, shape: tuple[int, int, int]
) -> tuple[tuple[int, int, int], npt.NDArray[np.int64]]:
    """Return a grid at least as fine as a shape, and the operations that map it onto itself.

    Axes that rotations mix get the same number of points, and all axes a multiple of the fractions
    in the translations, as long as that costs fewer points than the symmetry saves.

    Returns
    -------
    tuple
        The shape, and operations (n, 3, 4): a grid index x goes to op[:, :3] x + op[:, 3], modulo
        the shape.
    """
    symmetry = framework_symmetry(framework)
    best = shape
    operations = _commensurate(symmetry, np.array(shape))
    cost = np.prod(shape) / len(operations)
    mixed = (symmetry.rotations != 0).any(axis=0)
    mixed = np.linalg.matrix_power((mixed | mixed.T).astype(int), 3) > 0
    for multiple in (1, 2, 3, 4, 6, 12):
        even = -(-np.array(shape) // multiple) * multiple
        even = np.array([even[row].max() for row in mixed])
        found = _commensurate(symmetry, even)
        if np.prod(even) / len(found) < cost:
            cost = np.prod(even) / len(found)
            best, operations = (int(even[0]), int(even[1]), int(even[2])), found
    return best, operations


def _commensurate(symmetry: Symmetry, shape: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the operations that map the points of a grid onto points of the grid."""
    turned = symmetry.rotations * (shape[:, None] / shape[None, :])
    moved = symmetry.translations * shape
    whole = np.abs(turned - np.round(turned)).max(axis=(1, 2)) < 1e-6
    # Half a thousandth of the cell is within the tolerance of the symmetry.
    whole &= np.abs(moved - np.round(moved)).max(axis=1) < 1e-4 * shape.max()
    return np.concatenate(
        [np.round(turned[whole]), np.round(moved[whole])[..., None]], axis=2
    ).astype(np.int64)
