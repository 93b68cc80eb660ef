"""The graph of stable sites and hops on the exact energy surface.

A grid only says where to look. Its basins and passes are refined to minima and saddle points of the
exact energy; from each saddle point the steepest descent on both sides gives the two sites that the
hop joins, the cells they lie in, and the minimum-energy path. Barriers of this graph do not depend
on the grid as long as it shows all passes that matter. Where the surface has no saddle point near a
pass of the grid, the link is kept with the energy of the grid and marked as not refined.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.bvse.basins import flood
from ssefw.bvse.critical import Surface, climb, descend, minimize, surface
from ssefw.bvse.field import SiteEnergyField
from ssefw.bvse.percolation import Thresholds, extend_lattice, find_root
from ssefw.bvse.potential import Framework

__all__ = ["Hop", "Landscape", "Link", "build_landscape", "link_thresholds"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Minima nearer than this are one site.
_SAME_SITE = 0.15

# A saddle point is looked for this far around the pass of the grid.
_REACH = 1.0


@dataclass(frozen=True)
class Hop:
    """A saddle point and the sites on both sides of it.

    Attributes
    ----------
    start, end
        Sites, as indices into `Landscape.frac_sites`.
    image
        Cell of the end site when the start site lies in the home cell.
    energy
        Of the saddle point, in eV.
    cart_points
        Minimum-energy path from the start site in the home cell to the end site in its cell,
        (n, 3), in angstrom.
    energies
        Along the path, in eV, (n,).
    saddle
        Index of the saddle point in the path.
    """

    start: int
    end: int
    image: tuple[int, int, int]
    energy: float
    cart_points: FloatArray
    energies: FloatArray
    saddle: int


@dataclass(frozen=True)
class Link:
    """A connection of two sites below an energy; not always a hop of its own."""

    start: int
    end: int
    image: tuple[int, int, int]
    energy: float
    is_refined: bool


@dataclass(frozen=True)
class Landscape:
    """Sites, hops and links of a mobile ion.

    Attributes
    ----------
    framework
        In its own (primitive) cell, to which all fractional coordinates and images refer.
    frac_sites
        Minima of the exact energy, (n, 3), in the home cell.
    energies
        Of the sites, in eV, (n,).
    hops
        By energy.
    links
        All connections, hops among them, by energy.
    limit
        Passes above this energy of the grid were left out, in eV.
    """

    framework: Framework
    frac_sites: FloatArray
    energies: FloatArray
    hops: tuple[Hop, ...]
    links: tuple[Link, ...]
    limit: float

    @property
    def minimum(self) -> float:
        """Energy of the most stable site, in eV."""
        return float(self.energies.min())


class _Sites:
    """Minima found so far; equal ones are one site."""

    def __init__(self, matrix: FloatArray) -> None:
        self.matrix = matrix
        self.inverse = np.linalg.inv(matrix)
        self.frac: FloatArray = np.empty((0, 3))
        self.energies: list[float] = []

    def place(self, point: FloatArray, energy: float) -> tuple[int, IntArray]:
        """Return the site at a point, new or known, and the cell the point lies in."""
        frac = point @ self.inverse
        if len(self.frac):
            difference = frac - self.frac
            cells = np.round(difference)
            distances = np.linalg.norm((difference - cells) @ self.matrix, axis=1)
            nearest = int(distances.argmin())
            if distances[nearest] < _SAME_SITE:
                return nearest, cells[nearest].astype(np.int64)
        cell = np.floor(frac)
        self.frac = np.vstack([self.frac, frac - cell])
        self.energies.append(energy)
        return len(self.energies) - 1, cell.astype(np.int64)


def build_landscape(
    framework: Framework, field: SiteEnergyField, *, limit: float
) -> Landscape:
    """Refine the basins and passes of a grid to sites, hops and links of the exact energy.

    Parameters
    ----------
    framework
        What the field was computed from.
    field
        The grid that is searched.
    limit
        Passes above this energy are left out, in eV.
    """
    basins = flood(field.energies, framework.matrix, limit=limit)
    exact = surface(framework)
    shape = np.array(field.energies.shape)
    sites = _Sites(framework.matrix)
    # Site of each basin, and the cell of that site when the grid minimum lies in the home cell.
    homes = [
        sites.place(*minimize(index / shape @ framework.matrix, exact)) for index in basins.minima
    ]
    hops: dict[tuple[int, int, tuple[int, ...], float], Hop] = {}
    links: list[Link] = []
    for row in range(len(basins.pairs)):
        first, first_cell = homes[basins.pairs[row, 0]]
        second, second_cell = homes[basins.pairs[row, 1]]
        image = basins.images[row] + second_cell - first_cell
        hop = _refined_hop(basins.passes[row] / shape @ framework.matrix, exact, sites)
        if hop is not None:
            links.append(Link(hop.start, hop.end, hop.image, hop.energy, is_refined=True))
            hops.setdefault((hop.start, hop.end, hop.image, round(hop.energy, 4)), hop)
            if _joins(hop, first, second, image):
                continue
        if first == second and not image.any():
            continue
        energy = max(float(basins.energies[row]), hop.energy if hop else -np.inf)
        links.append(Link(first, second, _triple(image), energy, is_refined=False))
    return Landscape(
        framework=framework,
        frac_sites=sites.frac,
        energies=np.array(sites.energies),
        hops=tuple(sorted(hops.values(), key=lambda hop: hop.energy)),
        links=tuple(sorted(links, key=lambda link: link.energy)),
        limit=limit,
    )


def _refined_hop(start: FloatArray, exact: Surface, sites: _Sites) -> Hop | None:
    saddle = climb(start, _REACH, exact)
    if not saddle.found:
        return None
    ends = []
    ways = []
    for sign in (1.0, -1.0):
        way = descend(saddle.point, sign * saddle.direction, exact)
        ways.append(way)
        ends.append(sites.place(way.points[-1], float(way.energies[-1])))
    if (ends[0][0], *ends[0][1]) > (ends[1][0], *ends[1][1]):
        ends.reverse()
        ways.reverse()
    (first, first_cell), (second, second_cell) = ends
    points = np.vstack([ways[0].points[::-1], ways[1].points[1:]])
    energies = np.concatenate([ways[0].energies[::-1], ways[1].energies[1:]])
    return Hop(
        start=first,
        end=second,
        image=_triple(second_cell - first_cell),
        energy=float(saddle.energy),
        cart_points=points - first_cell @ exact.matrix,
        energies=energies,
        saddle=len(ways[0].points) - 1,
    )


def _joins(hop: Hop, first: int, second: int, image: IntArray) -> bool:
    if (hop.start, hop.end) == (first, second) and hop.image == _triple(image):
        return True
    return (hop.start, hop.end) == (second, first) and hop.image == _triple(-image)


def _triple(cell: IntArray) -> tuple[int, int, int]:
    return int(cell[0]), int(cell[1]), int(cell[2])


def link_thresholds(n_sites: int, links: tuple[Link, ...]) -> tuple[Thresholds, tuple[Link, ...]]:
    """Return the absolute energies at which links percolate in 1, 2, 3 dimensions, and the links.

    The same union-find as on the grid, on the links in order of energy. The links are those that
    raise the dimension, one for each dimension that is reached.
    """
    parents = np.arange(n_sites, dtype=np.int32)
    offsets = np.zeros((n_sites, 3), dtype=np.int32)
    lattices = np.zeros((n_sites, 3, 3), dtype=np.int64)
    ranks = np.zeros(n_sites, dtype=np.int64)
    found: list[Link] = []
    for link in sorted(links, key=lambda link: link.energy):
        root = find_root(parents, offsets, link.start)
        far = find_root(parents, offsets, link.end)
        vector = offsets[link.end] + np.array(link.image) - offsets[link.start]
        if root == far:
            ranks[root] = extend_lattice(lattices[root], ranks[root], vector.astype(np.int64))
        else:
            parents[far] = root
            offsets[far] = -vector
            for row in range(ranks[far]):
                ranks[root] = extend_lattice(lattices[root], ranks[root], lattices[far, row])
        found.extend([link] * (ranks[root] - len(found)))
        if len(found) == 3:
            break
    energies = [link.energy for link in found] + [np.inf] * (3 - len(found))
    return Thresholds(*energies), tuple(found)
