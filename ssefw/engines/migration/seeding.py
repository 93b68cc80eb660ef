"""Where the images of a band start: on straight lines, on a path of the ion, or on another band.

The path of the ion is that of the bond-valence site energy, whose saddle points are exact; another
band is one that a cheaper engine has relaxed.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure

from ssefw import bvse
from ssefw.data.defects import Mechanism, crystal_of, ion_of, mark_interstitials
from ssefw.data.hops import Hop, HopClass, hops_to_cross
from ssefw.engines.band import displacements, linear_images
from ssefw.errors import AnalysisError, DataError

if TYPE_CHECKING:
    from ssefw.bvse.landscape import Landscape

__all__ = [
    "HopChoice",
    "choose_hops",
    "images_along",
    "images_like",
    "keeps_distance",
    "prepared_for",
    "site_energy_path",
]

HopChoice = Literal["shortest", "bvse", "all"]
"""Which classes of hops are calculated; see `choose_hops`."""

FloatArray = npt.NDArray[np.float64]

RESOLUTION = 0.2
"""Spacing (A) of the grid on which saddle points of the site energy are looked for."""

SAME_SITE = 1.0
"""A minimum of the site energy this near (A) to an ion is the site of that ion."""

KEPT = 0.9
"""Part of its distance from the nearest ion at the ends that an ion keeps on a good path."""


def prepared_for(mechanism: Mechanism, crystal: Structure, *, specie: str) -> Structure:
    """Return a crystal in which the hops of a mechanism can be looked for.

    For interstitial ions their sites are marked: the minima of the bond-valence site energy that
    no ion is at.

    Raises
    ------
    DataError
        If there is no such site, or no ion of the specie.
    """
    if mechanism == "vacancy":
        return crystal
    landscape = bvse.site_energy_landscape(crystal, ion=specie, resolution=RESOLUTION).landscape
    lattice = crystal.lattice
    found = [site.frac_coords for site in crystal if site.specie.symbol == specie]
    n_ions = len(found)
    for place in _in_cell(landscape, crystal):
        away = lattice.get_all_distances([place], found)
        if away.min() > SAME_SITE:
            found.append(place)
    return mark_interstitials(crystal, found[n_ions:], ion=specie)


def _in_cell(landscape: "Landscape", crystal: Structure) -> FloatArray:
    """Return the minima of the site energy within a cell of the crystal, lowest first."""
    matrix = landscape.framework.matrix
    order = np.argsort(np.round(landscape.energies, 4), kind="stable")
    # The landscape is that of a primitive cell, whose lattice vectors fill those of the crystal.
    corners = np.array(list(np.ndindex(2, 2, 2))) @ crystal.lattice.matrix @ np.linalg.inv(matrix)
    low, high = np.floor(corners.min(axis=0)) - 1, np.ceil(corners.max(axis=0)) + 1
    cells = np.array(list(np.ndindex(*(high - low + 1).astype(int)))) + low
    places = (landscape.frac_sites[order][:, None] + cells[None]).reshape(-1, 3) @ matrix
    frac = np.asarray(crystal.lattice.get_fractional_coords(places))
    edge = 1e-4
    inside = ((frac > -edge) & (frac < 1 - edge)).all(axis=1)
    return frac[inside]


def images_along(
    start: Structure, end: Structure, *, mover: int, path: FloatArray, n_images: int
) -> list[Structure]:
    """Return images with the framework on straight lines and the ion on a given way.

    The way is bent so that it begins and ends where the relaxed ends have the ion.

    Parameters
    ----------
    mover
        Index of the ion.
    path
        Where the ion goes, from the start to the end of the hop: Cartesian, relative to its start,
        in A, shape (m, 3).
    """
    path = np.asarray(path, dtype=np.float64)
    if path.ndim != 2 or path.shape[1] != 3 or len(path) < 2:
        raise ValueError(f"a path has the shape (points, 3), got {path.shape}")
    images = linear_images(start, end, n_images=n_images)
    # In a small cell two images of the end may be equally near: the one that the path ends at.
    straight = displacements(start, end)[mover]
    missing = start.lattice.get_fractional_coords(path[-1] - path[0] - straight)
    straight = straight + start.lattice.get_cartesian_coords(np.rint(missing))
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    if lengths[-1] <= 0.0:
        raise ValueError("the path of the ion has no length")
    fractions = lengths / lengths[-1]
    # What the given way lacks to end at the relaxed end is added evenly.
    bent = path - path[0] + fractions[:, None] * (straight - (path[-1] - path[0]))
    origin = start.cart_coords[mover]
    for k in range(1, n_images - 1):
        t = k / (n_images - 1)
        point = np.array([np.interp(t, fractions, bent[:, axis]) for axis in range(3)])
        images[k].translate_sites(
            [mover],
            origin + point - images[k].cart_coords[mover],
            frac_coords=False,
            to_unit_cell=False,
        )
    return images


def images_like(band: Sequence[Structure], start: Structure, end: Structure) -> list[Structure]:
    """Return images between two ends that bend away from straight lines as another band does.

    Parameters
    ----------
    band
        Images of the same atoms in the same order, in a cell that may be slightly another.

    Raises
    ------
    DataError
        If the band has other atoms.
    """
    if band[0].species != start.species:
        msg = "The band to start from has other atoms, or in another order, than the ends."
        raise DataError(msg)
    straight = linear_images(band[0], band[-1], n_images=len(band))
    images = linear_images(start, end, n_images=len(band))
    for image, line, bent in zip(images[1:-1], straight[1:-1], band[1:-1], strict=True):
        away = line.lattice.get_fractional_coords(displacements(line, bent))
        for k, vector in enumerate(away):
            image.translate_sites([k], vector, frac_coords=True, to_unit_cell=False)
    return images


def keeps_distance(images: Sequence[Structure], *, mover: int) -> bool:
    """Whether an ion stays as far from its like as at the ends, or nearly, all along a path."""
    ion = images[0][mover].specie
    like = [k for k, site in enumerate(images[0]) if site.specie == ion and k != mover]
    if not like:
        return True
    nearest = [float(image.distance_matrix[mover][like].min()) for image in images]
    return min(nearest) >= KEPT * min(nearest[0], nearest[-1])


def choose_hops(
    structure: Structure, classes: Sequence[HopClass], how: HopChoice
) -> tuple[HopClass, ...]:
    """Return the classes of hops that are worth their cost.

    Parameters
    ----------
    how
        ``all`` of them; the ``shortest`` that cross the crystal in as many dimensions as all do; or
        those that do so over the lowest saddle points of the bond-valence site energy, ``bvse``.

    Raises
    ------
    AnalysisError
        If the site energy joins no two sites.
    """
    if how == "all":
        return tuple(classes)
    if how == "shortest":
        return hops_to_cross(classes)
    if classes[0].hop.via is not None:
        raise AnalysisError(
            "The site energy knows one ion that moves, not two. Choose hops by length."
        )
    landscape = bvse.site_energy_landscape(
        crystal_of(structure), ion=ion_of(structure, classes[0].hop), resolution=RESOLUTION
    ).landscape
    ranked = []
    for kind in classes:
        try:
            points = site_energy_path(structure, kind.hop, landscape)
        except AnalysisError:
            continue
        start = structure.cart_coords[kind.hop.start]
        ranked.append((float(landscape.framework.energies(points + start).max()), kind))
    if not ranked:
        msg = "The bond-valence site energy joins no two sites of the ion. Choose hops by length."
        raise AnalysisError(msg)
    ranked.sort(key=lambda pair: round(pair[0], 4))
    return hops_to_cross([kind for _, kind in ranked])


def site_energy_path(structure: Structure, hop: Hop, landscape: "Landscape") -> FloatArray:
    """Return the path of least site energy between the ends of a hop.

    Parameters
    ----------
    structure
        The crystal that the landscape was found for.

    Returns
    -------
    Cartesian, relative to the start, in A, shape (m, 3).

    Raises
    ------
    AnalysisError
        If the site energy has no minimum at an end, or its way leads through another ion; the
        message says which.
    """
    lattice = structure.lattice
    start = structure.cart_coords[hop.start]
    end = lattice.get_cartesian_coords(structure.frac_coords[hop.end] + np.array(hop.image))
    (one, here), (other, there) = (_site_near(landscape, point) for point in (start, end))
    image = tuple(int(n) for n in there - here)
    steps = bvse.route(landscape, one, other, image=(image[0], image[1], image[2]))
    matrix = landscape.framework.matrix
    pieces = [step.hop.cart_points + np.array(step.cell) @ matrix for step in steps]
    points = np.vstack([pieces[0], *(piece[1:] for piece in pieces[1:])])
    points = np.asarray(points + here @ matrix - start, dtype=np.float64)
    _refuse_occupied(structure, hop, points + start)
    return points


def _site_near(landscape: "Landscape", point: FloatArray) -> tuple[int, npt.NDArray[np.int64]]:
    """Return the minimum of the site energy at a point, and the cell it is in there."""
    matrix = landscape.framework.matrix
    difference = point @ np.linalg.inv(matrix) - landscape.frac_sites
    cells = np.rint(difference)[:, None] + np.array(list(np.ndindex(3, 3, 3))) - 1
    distances = np.linalg.norm((difference[:, None] - cells) @ matrix, axis=2)
    site, cell = np.unravel_index(distances.argmin(), distances.shape)
    if distances[site, cell] > SAME_SITE:
        msg = (
            f"The nearest minimum of the bond-valence site energy is {distances.min():.2f} A from "
            "an end of the hop."
        )
        raise AnalysisError(msg)
    return int(site), cells[site, cell].astype(np.int64)


def _refuse_occupied(structure: Structure, hop: Hop, points: FloatArray) -> None:
    """Refuse a way through sites of other mobile ions, which are occupied."""
    ion = ion_of(structure, hop)
    others = [k for k, site in enumerate(structure) if site.specie.symbol == ion]
    lattice = structure.lattice
    ends = points[[0, -1]]
    inner = [p for p in points if np.linalg.norm(ends - p, axis=1).min() > SAME_SITE]
    for point in inner:
        frac = lattice.get_fractional_coords(point) - structure.frac_coords[others]
        away = np.linalg.norm(lattice.get_cartesian_coords(frac - np.rint(frac)), axis=1)
        if away.min() < SAME_SITE:
            site = others[int(away.argmin())]
            msg = f"The path of least site energy leads through site {site}, which is occupied."
            raise AnalysisError(msg)
