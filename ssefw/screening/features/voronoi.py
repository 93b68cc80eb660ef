"""Voronoi cells of a crystal, and the descriptors that rest on them: one tessellation serves all.

Numbers and settings are those of matminer's ``ChemicalOrdering``, ``MaximumPackingEfficiency``,
``StructuralHeterogeneity``, ``OrbitalFieldMatrix`` and ``BondFractions`` (with pymatgen's
``CrystalNN``), which tessellate the surroundings of each atom anew. A cell scales with its crystal,
so the cells of unit volume are kept, and those of a crystal that only was scaled or had its
elements renamed are found again.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numba
import numpy as np
import numpy.typing as npt
from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
from pymatgen.core import Element, Structure
from scipy import constants
from scipy.spatial import QhullError, Voronoi

from ssefw.errors import DataError

__all__ = [
    "VoronoiCells",
    "bond_fractions",
    "chemical_ordering",
    "heterogeneity",
    "orbital_field",
    "packing_efficiency",
    "voronoi_cells",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

KEPT: Final = 16
"""Tessellations kept for the next descriptor of the same atoms."""

DIGITS: Final = 9
LARGEST_REACH: Final = 40.0
"""In units of the cube root of the volume of an atom."""

LARGEST_DIFFERENCE: Final = 3.3
"""Of Pauling electronegativities, as CrystalNN has it."""

DIFFERENCE_WEIGHT: Final = 3.0
CUTOFFS: Final = (0.5, 1.0)
"""Angstrom beyond touching spheres at which CrystalNN lets a bond fade, and ends it."""

BOHR_PER_ANGSTROM: Final = constants.value("Angstrom star") / constants.value("Bohr radius")


@dataclass(frozen=True)
class VoronoiCells:
    """Faces between atoms, each once from either side, sorted by site; all arrays (n_faces,).

    Attributes
    ----------
    site, neighbor
        Atom inside and the atom of the cell on the other side.
    image
        Cell of the other atom, shape (n_faces, 3).
    distance
        Between the two atoms, angstrom.
    angle
        Solid angle of the face, steradian.
    area
        Square angstrom.
    """

    n_sites: int
    site: IntArray
    neighbor: IntArray
    image: IntArray
    distance: FloatArray
    angle: FloatArray
    area: FloatArray

    @property
    def volume(self) -> FloatArray:
        """Volume of the pyramid on each face, cubic angstrom."""
        return self.area * self.distance / 6

    def relative(self, size: FloatArray) -> FloatArray:
        """Return a property of faces as share of the largest of its atom."""
        largest = np.zeros(self.n_sites)
        np.maximum.at(largest, self.site, size)
        return np.asarray(size / largest[self.site])

    def per_site(self, values: FloatArray) -> FloatArray:
        """Return the sum over the faces of each atom, shape (n_sites,)."""
        return np.asarray(np.bincount(self.site, weights=values, minlength=self.n_sites), float)


def voronoi_cells(structure: Structure) -> VoronoiCells:
    """Return the Voronoi cells of all sites.

    Raises
    ------
    DataError
        If there are no atoms or two of them coincide.
    """
    if len(structure) == 0:
        raise DataError("A structure without atoms has no cells. Leave it out.")
    length = structure.volume ** (1 / 3)
    matrix = np.round(structure.lattice.matrix / length, DIGITS)
    coords = np.round(structure.frac_coords % 1.0, DIGITS) % 1.0
    unit = _unit_cells(matrix.tobytes(), coords.tobytes())
    return VoronoiCells(
        n_sites=unit.n_sites,
        site=unit.site,
        neighbor=unit.neighbor,
        image=unit.image,
        distance=unit.distance * length,
        angle=unit.angle,
        area=unit.area * length**2,
    )


def packing_efficiency(structure: Structure) -> FloatArray:
    """Return the share of the cell in the largest spheres that stay inside the atoms' cells."""
    cells = voronoi_cells(structure)
    nearest = np.full(cells.n_sites, np.inf)
    np.minimum.at(nearest, cells.site, cells.distance)
    return np.array([4 / 3 * np.pi * ((nearest / 2) ** 3).sum() / structure.volume])


def heterogeneity(structure: Structure) -> FloatArray:
    """Return how bond lengths and cell sizes vary, shape (9,).

    Mean deviation, maximum and minimum of the mean bond length of an atom; minimum, maximum, range,
    mean and mean deviation of the deviation inside an atom; mean deviation of the volumes. All are
    relative, bonds weigh by the area of their face.
    """
    cells = voronoi_cells(structure)
    weight = cells.area / cells.per_site(cells.area)[cells.site]
    mean = cells.per_site(weight * cells.distance)
    inside = cells.per_site(weight * np.abs(cells.distance - mean[cells.site])) / mean
    mean /= mean.mean()
    volume = cells.per_site(cells.volume)
    return np.array(
        [
            _deviation(mean),
            mean.max(),
            mean.min(),
            inside.min(),
            inside.max(),
            np.ptp(inside),
            inside.mean(),
            _deviation(inside),
            _deviation(volume) / volume.mean(),
        ]
    )


def chemical_ordering(structure: Structure) -> FloatArray:
    """Return the mean Warren-Cowley-like ordering parameter of the first three shells, shape (3,).

    Neighbors in a shell weigh by the product of relative face areas along all ways to them that
    visit no atom twice. One kind of atom has zeros.
    """
    elements = list(structure.composition.element_composition)
    if len(structure.composition) == 1:
        return np.zeros(3)
    place = {element.symbol: number for number, element in enumerate(elements)}
    kind = np.array([place[symbol] for symbol in _symbols(structure)])
    cells = voronoi_cells(structure)
    start = np.searchsorted(cells.site, np.arange(cells.n_sites + 1))
    weights = _shells(
        start,
        cells.neighbor,
        cells.image,
        cells.relative(cells.area),
        kind,
        len(elements),
    )
    share = np.bincount(kind, minlength=len(elements)) / len(kind)
    ordering = 1 - weights / weights.sum(axis=2, keepdims=True) / share
    return np.asarray(np.abs(ordering).mean(axis=(1, 2)))


def orbital_field(
    structure: Structure, vectors: Mapping[int, npt.NDArray[np.floating]]
) -> FloatArray:
    """Return the mean orbital field matrix, neighbors by centers, flat.

    Parameters
    ----------
    vectors
        Occupied valence shells by atomic number, each of the same length.
    """
    cells = voronoi_cells(structure)
    try:
        shells = np.array([np.ravel(vectors[site.specie.Z]) for site in structure], dtype=float)
    except KeyError as error:
        raise DataError(
            f"{structure.composition.reduced_formula} holds the element {error}, whose shells are "
            "not in the table. Leave it out."
        ) from error
    weight = cells.relative(cells.angle) / (cells.distance * BOHR_PER_ANGSTROM)
    field = (shells[cells.neighbor] * weight[:, None]).T @ shells[cells.site]
    return np.asarray(field.ravel() / cells.n_sites)


def bond_fractions(structure: Structure) -> dict[str, float]:
    """Return the share of bonds by pair of elements, over all pairs of the structure.

    Bonds are those of the likeliest coordination number by CrystalNN without charges.
    """
    symbols = _symbols(structure)
    kinds = sorted(set(symbols))
    pairs = itertools.combinations_with_replacement(kinds, 2)
    counts = dict.fromkeys(pairs, 0)
    cells = voronoi_cells(structure)
    start = np.searchsorted(cells.site, np.arange(cells.n_sites + 1))
    weight = _bond_weights(cells, symbols)
    for site in range(cells.n_sites):
        faces = slice(int(start[site]), int(start[site + 1]))
        for face in np.flatnonzero(weight[faces] >= _least_weight(weight[faces])):
            other = symbols[cells.neighbor[faces][face]]
            counts[min(symbols[site], other), max(symbols[site], other)] += 1
    total = max(sum(counts.values()), 1)
    return {f"{one} - {other} bond frac.": n / total for (one, other), n in counts.items()}


def _bond_weights(cells: VoronoiCells, symbols: list[str]) -> FloatArray:
    """Return CrystalNN's weight of each face, rounded to 0.001 as there."""
    negativity = np.array([_negativity(symbol) for symbol in symbols])
    radius = np.array([_radius(symbol) for symbol in symbols])
    gap = np.abs(negativity[cells.site] - negativity[cells.neighbor])
    chemical = 1 + DIFFERENCE_WEIGHT * np.sqrt(np.nan_to_num(gap) / LARGEST_DIFFERENCE)
    # The angle over the area, for open structures, where angles alone mislead.
    weight = cells.relative(cells.angle * cells.angle / cells.area * chemical)
    beyond = cells.distance - radius[cells.site] - radius[cells.neighbor]
    fading = np.clip((beyond - CUTOFFS[0]) / (CUTOFFS[1] - CUTOFFS[0]), 0, 1)
    return np.asarray(np.round(weight * 0.5 * (np.cos(np.pi * fading) + 1), 3))


def _least_weight(weights: FloatArray) -> float:
    """Return the weight down to which faces are bonds in the likeliest coordination number."""
    levels: list[float] = [*sorted(set(weights[weights > 0].tolist()), reverse=True), 0.0]
    areas = [_semicircle(level) for level in levels]
    likely = [one - other for one, other in itertools.pairwise(areas)]
    none = math.pi / 4 - sum(likely)
    if not likely or none > max(likely):
        return math.inf
    return levels[int(np.argmax(likely))]


def _semicircle(x: float) -> float:
    """Return the area of the quarter of a unit circle up to x."""
    return 0.5 * (x * math.sqrt(max(1 - x * x, 0.0)) + math.asin(x))


@cache
def _negativity(symbol: str) -> float:
    return float(Element(symbol).X) if Element(symbol).X else math.nan


@cache
def _radius(symbol: str) -> float:
    radius = CovalentRadius.radius.get(symbol, Element(symbol).atomic_radius)
    if radius is None:
        raise DataError(f"There is no radius of {symbol}. Leave the structure out.")
    return float(radius)


def _symbols(structure: Structure) -> list[str]:
    return [str(site.specie.symbol) for site in structure]


def _deviation(values: FloatArray) -> float:
    return float(np.abs(values - values.mean()).mean())


@lru_cache(maxsize=KEPT)
def _unit_cells(matrix_bytes: bytes, coords_bytes: bytes) -> VoronoiCells:
    """Return the cells of a lattice of unit volume.

    Points are taken as far as a cell could still be cut by one: twice the farthest corner.
    """
    matrix = np.frombuffer(matrix_bytes).reshape(3, 3)
    coords = np.frombuffer(coords_bytes).reshape(-1, 3)
    n = len(coords)
    size = n ** (-1 / 3)
    reach = 3.0 * size
    while reach <= LARGEST_REACH * size:
        places, origin, image = _surroundings(matrix, coords, reach)
        try:
            found = Voronoi(places)
        except (QhullError, ValueError):
            reach *= 1.5
            continue
        if len(set(found.point_region[:n].tolist())) < n:
            break
        corner = _farthest_corner(found, n)
        if 2 * corner <= reach:
            return _faces(found, origin, image, n)
        reach = max(2.02 * corner, 1.2 * reach) if np.isfinite(corner) else 1.5 * reach
    raise DataError(
        "No Voronoi cells can be drawn around these atoms: two of them coincide, or the cell is "
        "too flat. Check the coordinates."
    )


def _surroundings(
    matrix: FloatArray, coords: FloatArray, reach: float
) -> tuple[FloatArray, IntArray, IntArray]:
    """Return places of the atoms, first those of the cell, and of all images within reach of it."""
    margin = reach * np.linalg.norm(np.linalg.inv(matrix), axis=0)
    most = np.ceil(margin).astype(np.int64)
    shifts = np.array(list(itertools.product(*(range(-m, m + 1) for m in most))), dtype=np.int64)
    first = (shifts != 0).any(axis=1)
    shifts = np.concatenate([np.zeros((1, 3), dtype=np.int64), shifts[first]])
    fractional = (shifts[:, None] + coords[None]).reshape(-1, 3)
    near = ((fractional > -margin) & (fractional < 1 + margin)).all(axis=1)
    origin = np.tile(np.arange(len(coords)), len(shifts))[near]
    image = np.repeat(shifts, len(coords), axis=0)[near]
    return fractional[near] @ matrix, origin, image


def _farthest_corner(found: Voronoi, n: int) -> float:
    """Return the largest distance of an atom of the cell to a corner of its Voronoi cell."""
    farthest = 0.0
    for site in range(n):
        region = found.regions[found.point_region[site]]
        if not region or -1 in region:
            return math.inf
        corners = found.vertices[region] - found.points[site]
        farthest = max(farthest, float(np.sqrt((corners**2).sum(axis=1).max())))
    return farthest


def _faces(found: Voronoi, origin: IntArray, image: IntArray, n: int) -> VoronoiCells:
    ridges = np.flatnonzero((found.ridge_points < n).any(axis=1))
    corners = [found.ridge_vertices[ridge] for ridge in ridges]
    number = np.array([len(one) for one in corners])
    flat = np.concatenate([np.asarray(one, dtype=np.int64) for one in corners])
    begin = np.cumsum(number) - number
    # Each face is a fan of triangles from its first corner.
    fan = np.repeat(np.arange(len(ridges)), number - 2)
    step = np.arange(len(fan)) - np.repeat(np.cumsum(number - 2) - (number - 2), number - 2)
    triangles = flat[begin[fan][:, None] + np.stack([0 * step, step + 1, step + 2], axis=1)]
    pairs = found.ridge_points[ridges]
    one_way = _directed(found, pairs[:, 0], pairs[:, 1], fan, triangles, n)
    other_way = _directed(found, pairs[:, 1], pairs[:, 0], fan, triangles, n)
    site, neighbor, distance, angle, area = (
        np.concatenate([one, other]) for one, other in zip(one_way, other_way, strict=True)
    )
    order = np.lexsort((neighbor, site))
    order = order[(area[order] > 0) & (angle[order] > 0)]
    return VoronoiCells(
        n_sites=n,
        site=site[order],
        neighbor=origin[neighbor[order]],
        image=image[neighbor[order]],
        distance=distance[order],
        angle=angle[order],
        area=area[order],
    )


def _directed(  # noqa: PLR0917 - a face by its two atoms and triangles
    found: Voronoi, inside: IntArray, outside: IntArray, fan: IntArray, triangles: IntArray, n: int
) -> tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]:
    """Return the faces seen from the atoms inside, where those are of the cell."""
    kept = inside < n
    sides = found.vertices[triangles] - found.points[inside[fan]][:, None]
    a, b, c = sides[:, 0], sides[:, 1], sides[:, 2]
    la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
    triple = np.abs((a * np.cross(b, c)).sum(axis=1))
    below = la * lb * lc + (a * b).sum(1) * lc + (a * c).sum(1) * lb + (b * c).sum(1) * la
    angle = np.asarray(
        np.bincount(fan, weights=2 * np.arctan2(triple, below), minlength=len(inside)), float
    )
    volume = np.bincount(fan, weights=triple / 6, minlength=len(inside))
    distance = np.linalg.norm(found.points[inside] - found.points[outside], axis=1)
    area = 6 * volume / distance
    return inside[kept], outside[kept], distance[kept], angle[kept], area[kept]


@numba.njit(cache=True)
def _shells(  # noqa: PLR0917 - three nested steps on the flat arrays of numba
    start: IntArray,
    neighbor: IntArray,
    image: IntArray,
    weight: FloatArray,
    kind: IntArray,
    n_kinds: int,
) -> FloatArray:
    """Return the weight of each kind in the first three shells, shape (3, sites, kinds)."""
    n = len(start) - 1
    result = np.zeros((3, n, n_kinds))
    there = np.empty(3, dtype=np.int64)
    beyond = np.empty(3, dtype=np.int64)
    for center in range(n):
        for one in range(start[center], start[center + 1]):
            first = neighbor[one]
            if first == center and not image[one].any():
                continue
            result[0, center, kind[first]] += weight[one]
            for two in range(start[first], start[first + 1]):
                second = neighbor[two]
                away = False
                for axis in range(3):
                    there[axis] = image[one, axis] + image[two, axis]
                    away = away or there[axis] != 0
                if second == center and not away:
                    continue
                product = weight[one] * weight[two]
                result[1, center, kind[second]] += product
                for three in range(start[second], start[second + 1]):
                    third = neighbor[three]
                    from_start = third != center
                    from_first = third != first
                    for axis in range(3):
                        beyond[axis] = there[axis] + image[three, axis]
                        from_start = from_start or beyond[axis] != 0
                        from_first = from_first or beyond[axis] != image[one, axis]
                    if from_start and from_first:
                        result[2, center, kind[third]] += product * weight[three]
    return result
