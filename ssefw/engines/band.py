"""The energy along a band of images: where its saddle is, and what the hop costs each way.

Between images the energy is a cubic spline over the length of the path, with zero slope at its
ends since they are minima. A climbing image that is converged is the saddle itself; in a plain
band it lies between images, and the distance of the spline's maximum from the highest image is how
much the images do not resolve.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure
from pymatgen.util.coord import pbc_shortest_vectors

from ssefw.documents import NebIterationRecord, NebPath, NebStatus, Provenance
from ssefw.errors import DataError

__all__ = [
    "SADDLE",
    "band_document",
    "check_ends",
    "check_images",
    "idpp_images",
    "linear_images",
    "path_lengths",
    "saddle_of",
]

SADDLE = 1e-3
"""A band that does not rise this far (eV) above both of its ends has no saddle."""

CLOSEST_ENDS = 0.3
"""Ends of a path whose atoms have moved less than this (A) are one minimum."""

CLOSEST_ATOMS = 0.7
"""Atoms of an image closer than this (A) are a mistake."""

DIP = 0.02
"""An image this far (eV) below both ends says that they are not the minima of the path."""


def check_images(images: Sequence[Structure]) -> None:
    """Refuse what is not a path.

    Raises
    ------
    DataError
        If images differ in cell or order of species, the ends are one, or atoms collide.
    """
    if len(images) < 3:
        msg = f"A band needs at least three images, got {len(images)}."
        raise DataError(msg)
    first = images[0]
    for k, image in enumerate(images[1:], start=2):
        if image.species != first.species:
            msg = f"Image {k} has other species, or in another order, than the first image."
            raise DataError(msg)
        if not np.allclose(image.lattice.matrix, first.lattice.matrix, atol=1e-4):
            msg = f"Image {k} has another cell than the first: relax the ends at a fixed cell."
            raise DataError(msg)
    check_ends(first, images[-1])
    for k, image in enumerate(images[1:-1], start=2):
        _refuse_collision(image, f"image {k}", "Interpolate with IDPP, or along the BVSE path.")


def check_ends(start: Structure, end: Structure) -> None:
    """Refuse two structures that cannot be the ends of a path.

    Raises
    ------
    DataError
        If they are one, or atoms collide.
    """
    farthest = float(np.linalg.norm(displacements(start, end), axis=1).max())
    if farthest < CLOSEST_ENDS:
        msg = (
            f"The ends of the path are one structure (no atom moves by more than {farthest:.2f} "
            "A): the endpoints are equal, or one fell back onto the other when it was relaxed."
        )
        raise DataError(msg)
    for name, structure in (("first", start), ("last", end)):
        _refuse_collision(structure, f"the {name} image", "No ion fits there: choose another hop.")


def _refuse_collision(structure: Structure, name: str, remedy: str) -> None:
    distances = structure.distance_matrix + 1e3 * np.eye(len(structure))
    if distances.min() < CLOSEST_ATOMS:
        i, j = np.unravel_index(distances.argmin(), distances.shape)
        raise DataError(f"Atoms {i} and {j} of {name} are {distances.min():.2f} A apart. {remedy}")


def path_lengths(images: Sequence[Structure]) -> npt.NDArray[np.float64]:
    """Return the distance of each image from the first along the path, over all atoms, in A."""
    steps = [0.0]
    for before, after in itertools.pairwise(images):
        steps.append(float(np.sqrt((displacements(before, after) ** 2).sum())))
    return np.cumsum(steps)


def displacements(before: Structure, after: Structure) -> npt.NDArray[np.float64]:
    """Return how far each site has moved, by the shortest way, in A, shape (n, 3)."""
    lattice = before.lattice
    shift = after.frac_coords - before.frac_coords
    zero = np.zeros((1, 3))
    return np.array([pbc_shortest_vectors(lattice, zero, row[None])[0, 0] for row in shift])


def linear_images(start: Structure, end: Structure, *, n_images: int) -> list[Structure]:
    """Return images between two structures on straight lines, both ends included."""
    move = displacements(start, end)
    return [
        Structure(
            start.lattice,
            start.species,
            start.cart_coords + move * (k / (n_images - 1)),
            coords_are_cartesian=True,
        )
        for k in range(n_images)
    ]


def idpp_images(images: Sequence[Structure], *, max_steps: int = 200) -> list[Structure]:
    """Move the images between the ends so that distances of atoms change evenly.

    Image dependent pair potential (DOI 10.1063/1.4878664): what straight lines bring too close
    gets out of each other's way.
    """
    # ASE's bands and splines are half a second to import, and plans and most jobs have none.
    from ase.mep.neb import NEB, idpp_interpolate  # noqa: PLC0415
    from pymatgen.io.ase import AseAtomsAdaptor  # noqa: PLC0415

    atoms = [AseAtomsAdaptor.get_atoms(image, msonable=False) for image in images]
    band = NEB(atoms, method="improvedtangent")
    idpp_interpolate(band, traj=None, log=None, fmax=0.1, steps=max_steps, mic=True)
    return [
        Structure(image.lattice, image.species, moved.positions, coords_are_cartesian=True)
        for image, moved in zip(images, atoms, strict=True)
    ]


def saddle_of(
    energies: Sequence[float], lengths: Sequence[float], *, climbed: bool
) -> tuple[float, float, float] | None:
    """Return position (A), energy (eV) and unresolved energy (eV) of the highest saddle.

    None if the band does not rise above its ends: then there is nothing to cross, or its ends are
    no minima.
    """
    e, s = np.asarray(energies, dtype=float), np.asarray(lengths, dtype=float)
    top = int(np.argmax(e))
    if e[top] < max(e[0], e[-1]) + SADDLE:
        return None
    if climbed:
        return float(s[top]), float(e[top]), 0.0
    from scipy.interpolate import CubicSpline  # noqa: PLC0415  see `idpp_images`

    spline = CubicSpline(s, e, bc_type="clamped")
    roots = spline.derivative().roots(extrapolate=False)
    roots = roots[np.isfinite(roots)]
    highest = max(roots, key=spline, default=s[top])
    energy = max(float(spline(highest)), float(e[top]))
    return float(highest), energy, energy - float(e[top])


def band_document(
    *,
    structures: Sequence[Structure],
    energies: Sequence[float],
    lengths: Sequence[float],
    forces: Sequence[float],
    status: NebStatus,
    climbed: bool,
    reason: str = "",
    history: Sequence[NebIterationRecord] = (),
    wall_time: float = 0.0,
    provenance: Provenance | None = None,
) -> NebPath:
    """Make the record of a band; only a converged one has a barrier.

    Parameters
    ----------
    energies, forces
        Of each image, in eV, and the largest force orthogonal to the path, in eV/A.
    lengths
        See `path_lengths`.
    """
    warnings = []
    saddle = None
    if status == "converged":
        saddle = saddle_of(energies, lengths, climbed=climbed)
        lowest = min(energies[1:-1], default=energies[0])
        if lowest < min(energies[0], energies[-1]) - DIP:
            depth = min(energies[0], energies[-1]) - lowest
            warnings.append(
                f"An image lies {depth:.3f} eV below both ends: relax the ends, or split the path "
                "at this minimum. The barrier from the ends is not that of an elementary hop."
            )
        if saddle is None:
            reason = (
                "No image lies above both ends, so that there is no saddle between them: either "
                "the ends are not relaxed or nothing separates them."
            )
    return NebPath(
        structures=tuple(structures),
        energies=tuple(float(x) for x in energies),
        lengths=tuple(float(x) for x in lengths),
        max_forces=tuple(float(x) for x in forces),
        status=status,
        climbed=climbed,
        reason=reason,
        forward=None if saddle is None else saddle[1] - energies[0],
        reverse=None if saddle is None else saddle[1] - energies[-1],
        unresolved=None if saddle is None else saddle[2],
        saddle=None if saddle is None else saddle[0],
        history=tuple(history),
        warnings=tuple(warnings),
        wall_time=wall_time,
        provenance=provenance or Provenance(),
    )
