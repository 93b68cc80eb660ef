"""The graph of stable sites and hops on the exact energy surface.

A grid only says where to look. Its basins and passes are refined to minima and saddle points of the
exact energy; from each saddle point the steepest descent on both sides gives the two sites that the
hop joins, the cells they lie in, and the minimum-energy path. Barriers of this graph do not depend
on the grid as long as it shows all passes that matter. Where a climb from a pass does not arrive at
a saddle point between its two basins, the pass stays an open link with the energy of the grid, and
is settled by following the ridge as soon as a percolation threshold rests on it.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.bvse.basins import Basins, flood
from ssefw.bvse.cells import framework_symmetry
from ssefw.bvse.critical import (
    SAME_SITE,
    Saddle,
    bottom,
    climb,
    descend,
    energy_at,
    follow_ridge,
    minimize,
    surface,
)
from ssefw.bvse.field import SiteEnergyField
from ssefw.bvse.percolation import Thresholds, extend_lattice, find_root
from ssefw.bvse.potential import Framework

__all__ = ["Landscape", "Link", "SaddleHop", "build_landscape", "link_thresholds"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Cell = tuple[int, int, int]
_Point = tuple[FloatArray, FloatArray]  # and the bottom of the basin it lies in

# A saddle point is looked for this far around the pass of the grid.
_REACH = 1.0

# Points on both sides of a ridge are brought this near to each other, in angstrom.
_RIDGE_WIDTH = 0.02

# A pass of the grid may lie this much above the saddle point, for each angstrom of its spacing.
_GRID_ERROR = 0.4


@dataclass(frozen=True)
class SaddleHop:
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
    image: Cell
    energy: float
    cart_points: FloatArray
    energies: FloatArray
    saddle: int


@dataclass(frozen=True)
class Link:
    """A connection of two sites below an energy.

    Attributes
    ----------
    start, end, image
        As in `SaddleHop`.
    energy
        In eV.
    source
        ``saddle``: of a hop; ``ridge``: a bound from above, the lowest point found on the ridge
        between the two; ``grid``: of a grid point, not looked at further.
    row
        Pass of the grid it comes from.
    """

    start: int
    end: int
    image: Cell
    energy: float
    source: str
    row: int = -1


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
    site_orbits
        Equal for sites that the symmetry of the framework maps onto each other, (n,).
    hops
        By energy.
    hop_orbits
        Equal for hops that the symmetry of the framework maps onto each other, (n hops,).
    thresholds
        Percolation in 1, 2, 3 dimensions, in eV above the most stable site.
    bottlenecks
        The links that open each dimension.
    limit
        Passes above this energy of the grid were left out, in eV.
    """

    framework: Framework
    frac_sites: FloatArray
    energies: FloatArray
    site_orbits: IntArray
    hops: tuple[SaddleHop, ...]
    hop_orbits: IntArray
    thresholds: Thresholds
    bottlenecks: tuple[Link, ...]
    limit: float

    @property
    def minimum(self) -> float:
        """Energy of the most stable site, in eV."""
        return float(self.energies.min())


def build_landscape(framework: Framework, field: SiteEnergyField, *, limit: float) -> Landscape:
    """Refine the basins and passes of a grid to sites, hops and thresholds of the exact energy.

    Parameters
    ----------
    framework
        What the field was computed from.
    field
        The grid that is searched.
    limit
        Passes above this energy are left out, in eV.
    """
    search = _Search(framework, field, flood(field.energies, framework.matrix, limit=limit))
    links = search.links()
    tolerance = _GRID_ERROR * max(field.spacing)
    while True:
        settled = [link for link in links if link.source != "grid"]
        thresholds, bottlenecks, _ = link_thresholds(search.n_sites, settled)
        hoped, _, used = link_thresholds(search.n_sites, links, tolerance=tolerance)
        open_links = [link for link in used if link.source == "grid"]
        if hoped == thresholds or not open_links:
            break
        for link in open_links:
            links.remove(link)
            links.extend(search.settle(link))
        links.extend(search.new_hop_links())
    energies = np.array(search.site_energies)
    minimum = float(energies.min())
    order = np.argsort([hop.energy for hop in search.hops], kind="stable")
    return Landscape(
        framework=framework,
        frac_sites=search.sites.frac,
        energies=energies,
        site_orbits=np.array(search.site_orbits),
        hops=tuple(search.hops[index] for index in order),
        hop_orbits=np.array(search.hop_orbits, dtype=np.int64)[order],
        thresholds=Thresholds(*(energy - minimum for energy in thresholds)),
        bottlenecks=bottlenecks,
        limit=limit,
    )


class _Places:
    """Points of a crystal found so far; points of equal position in any cell are one."""

    def __init__(self, matrix: FloatArray, tolerance: float) -> None:
        self.matrix = matrix
        self.inverse = np.linalg.inv(matrix)
        self.tolerance = tolerance
        self.frac: FloatArray = np.empty((0, 3))

    def find(self, point: FloatArray) -> tuple[int, IntArray]:
        """Return the index of a known point and the cell this one lies in; -1 where unknown."""
        frac = point @ self.inverse
        if len(self.frac):
            difference = frac - self.frac
            cells = np.round(difference)
            distances = np.linalg.norm((difference - cells) @ self.matrix, axis=1)
            nearest = int(distances.argmin())
            if distances[nearest] < self.tolerance:
                return nearest, cells[nearest].astype(np.int64)
        return -1, np.floor(frac).astype(np.int64)

    def add(self, point: FloatArray) -> int:
        frac = point @ self.inverse
        self.frac = np.vstack([self.frac, frac - np.floor(frac)])
        return len(self.frac) - 1


class _Search:
    """Sites and hops as they are found, each with all its symmetry equivalents."""

    def __init__(self, framework: Framework, field: SiteEnergyField, basins: Basins) -> None:
        self.exact = surface(framework)
        self.matrix = framework.matrix
        self.steps = framework.matrix / np.array(field.energies.shape)[:, None]
        self.field = field
        self.basins = basins
        symmetry = framework_symmetry(framework)
        inverse = np.linalg.inv(framework.matrix)
        # Row vectors: x -> x @ turn + shift, in angstrom.
        self.turns = np.einsum("ai,nji,jb->nab", inverse, symmetry.rotations, framework.matrix)
        self.shifts = symmetry.translations @ framework.matrix
        self.sites = _Places(framework.matrix, SAME_SITE)
        self.site_energies: list[float] = []
        self.site_orbits: list[int] = []
        self.saddles = _Places(framework.matrix, SAME_SITE)
        self.hops: list[SaddleHop] = []
        self.hop_orbits: list[int] = []
        self._n_linked = 0
        # Site of each basin, and its cell when the grid minimum lies in the home cell.
        self.homes = [self._site_below(index @ self.steps) for index in basins.minima]

    @property
    def n_sites(self) -> int:
        return len(self.site_energies)

    def links(self) -> list[Link]:
        """Climb from every pass, and return the links of all hops and of the open passes."""
        still_open = []
        for row, energy in enumerate(self.basins.energies):
            first, second, image = self._ends(row)
            if first == second and not image.any():
                continue
            start = self.basins.passes[row] @ self.steps
            if self._is_known(start, first, second, image):
                continue
            toward = (self.basins.neighbors[row] - self.basins.passes[row]) @ self.steps
            for origin, along in ((start, 0 * toward), (start + 0.5 * toward, toward)):
                hop = self._add_saddle(climb(origin, along, _REACH, self.exact))
                if hop is not None and _joins(hop, first, second, image):
                    break
            else:
                still_open.append(Link(first, second, _triple(image), float(energy), "grid", row))
        return [*self.new_hop_links(), *still_open]

    def new_hop_links(self) -> list[Link]:
        """Return links of the hops found since the last call."""
        new = self.hops[self._n_linked :]
        self._n_linked = len(self.hops)
        return [Link(hop.start, hop.end, hop.image, hop.energy, "saddle") for hop in new]

    def settle(self, link: Link) -> list[Link]:
        """Follow the ridges that the grid path through an open pass crosses.

        Saddle points found on the way become hops; what is returned are links for the crossings
        where none was found.
        """
        path = [(point, self._bottom(point)) for point in self._grid_path(link.row)]
        remaining = []
        for low, high in itertools.pairwise(path):
            for one, other in self._crossings(low, high):
                hop = self._add_saddle(follow_ridge(one[0], other[0], self.exact))
                first, first_cell = self._place_site(one[1])
                second, second_cell = self._place_site(other[1])
                image = second_cell - first_cell
                if hop is None or not _joins(hop, first, second, image):
                    crossing = float(energy_at(0.5 * (one[0] + other[0]), self.exact))
                    remaining.append(Link(first, second, _triple(image), crossing, "ridge"))
        return remaining

    def _bottom(self, point: FloatArray) -> FloatArray:
        return np.asarray(bottom(point, self.exact))

    def _crossings(self, low: _Point, high: _Point) -> list[tuple[_Point, _Point]]:
        """Return narrow pairs of points on both sides of each ridge between two points."""
        if np.linalg.norm(low[1] - high[1]) < SAME_SITE:
            return []
        if np.linalg.norm(low[0] - high[0]) < _RIDGE_WIDTH:
            return [(low, high)]
        point = 0.5 * (low[0] + high[0])
        middle = (point, self._bottom(point))
        return [*self._crossings(low, middle), *self._crossings(middle, high)]

    def _ends(self, row: int) -> tuple[int, int, IntArray]:
        first, first_cell = self.homes[self.basins.pairs[row, 0]]
        second, second_cell = self.homes[self.basins.pairs[row, 1]]
        return first, second, self.basins.images[row] + second_cell - first_cell

    def _is_known(self, start: FloatArray, first: int, second: int, image: IntArray) -> bool:
        """Tell whether a hop between these sites with a saddle point near the pass is known."""
        if not self.hops:
            return False
        difference = start @ self.saddles.inverse - self.saddles.frac
        difference -= np.round(difference)
        near = np.flatnonzero(np.linalg.norm(difference @ self.matrix, axis=1) < 0.5)
        return any(_joins(self.hops[index], first, second, image) for index in near)

    def _grid_path(self, row: int) -> list[FloatArray]:
        """Return the way on the grid from the minimum on one side of a pass to the other."""
        down = [self._grid_descent(self.basins.passes[row])]
        down.append(self._grid_descent(self.basins.neighbors[row]))
        return [index @ self.steps for index in (*down[0][::-1], *down[1])]

    def _grid_descent(self, index: IntArray) -> list[IntArray]:
        energies = self.field.energies
        shape = np.array(energies.shape)
        neighbors = np.array(list(np.ndindex(3, 3, 3))) - 1
        way = [index]
        while True:
            around = way[-1] + neighbors
            lowest = int(energies[tuple((around % shape).T)].argmin())
            if not neighbors[lowest].any():
                return way
            way.append(around[lowest])

    def _site_below(self, point: FloatArray) -> tuple[int, IntArray]:
        return self._place_site(minimize(point, self.exact)[0])

    def _place_site(self, point: FloatArray) -> tuple[int, IntArray]:
        """Return the site at a minimum and the cell it lies in; a new one with its equivalents."""
        site, cell = self.sites.find(point)
        if site >= 0:
            return site, cell
        point, energy = minimize(point, self.exact)
        orbit = len(set(self.site_orbits))
        for turn, shift in zip(self.turns, self.shifts, strict=True):
            image = point @ turn + shift
            if self.sites.find(image)[0] < 0:
                self.sites.add(image)
                self.site_energies.append(float(energy))
                self.site_orbits.append(orbit)
        return self._place_site(point)

    def _add_saddle(self, saddle: Saddle) -> SaddleHop | None:
        """Return the hop over a saddle point; a new one is added with its equivalents."""
        if not saddle.found:
            return None
        known, _ = self.saddles.find(saddle.point)
        if known >= 0:
            return self.hops[known]
        down, up = (
            descend(saddle.point, sign * saddle.direction, self.exact) for sign in (-1.0, 1.0)
        )
        points = np.vstack([down.points[::-1], up.points[1:]])
        energies = np.concatenate([down.energies[::-1], up.energies[1:]])
        orbit = len(set(self.hop_orbits))
        at = len(down.points) - 1
        for turn, shift in zip(self.turns, self.shifts, strict=True):
            path = points @ turn + shift
            if self.saddles.find(path[at])[0] >= 0:
                continue
            self.saddles.add(path[at])
            self.hops.append(self._anchored(path, energies, at))
            self.hop_orbits.append(orbit)
        return self.hops[self.saddles.find(saddle.point)[0]]

    def _anchored(self, points: FloatArray, energies: FloatArray, saddle: int) -> SaddleHop:
        """Return a hop whose start site lies in the home cell."""
        start, start_cell = self._place_site(points[0])
        end, end_cell = self._place_site(points[-1])
        return SaddleHop(
            start=start,
            end=end,
            image=_triple(end_cell - start_cell),
            energy=float(energies[saddle]),
            cart_points=points - start_cell @ self.matrix,
            energies=energies,
            saddle=saddle,
        )


def link_thresholds(
    n_sites: int, links: list[Link], *, tolerance: float = 0.0
) -> tuple[Thresholds, tuple[Link, ...], tuple[Link, ...]]:
    """Return where links percolate, the link that opens each dimension, and all that were needed.

    Energies are absolute, in eV. The same union-find as on the grid, on the links in order of
    energy; links of the grid count as `tolerance` lower than they are, so that none that may
    matter is passed over.
    """

    def bound(link: Link) -> float:
        return link.energy - (tolerance if link.source == "grid" else 0.0)

    parents = np.arange(n_sites, dtype=np.int32)
    offsets = np.zeros((n_sites, 3), dtype=np.int32)
    lattices = np.zeros((n_sites, 3, 3), dtype=np.int64)
    ranks = np.zeros(n_sites, dtype=np.int64)
    found: list[Link] = []
    used: list[Link] = []
    for link in sorted(links, key=bound):
        root = find_root(parents, offsets, link.start)
        far = find_root(parents, offsets, link.end)
        vector = offsets[link.end] + np.array(link.image) - offsets[link.start]
        before = ranks[root]
        if root == far:
            ranks[root] = extend_lattice(lattices[root], ranks[root], vector.astype(np.int64))
            if ranks[root] > before:
                used.append(link)
        else:
            used.append(link)
            parents[far] = root
            offsets[far] = -vector
            for row in range(ranks[far]):
                ranks[root] = extend_lattice(lattices[root], ranks[root], lattices[far, row])
        found.extend([link] * (int(ranks[root]) - len(found)))
        if len(found) == 3:
            break
    energies = [bound(link) for link in found] + [np.inf] * (3 - len(found))
    return Thresholds(*energies), tuple(found), tuple(used)


def _joins(hop: SaddleHop, first: int, second: int, image: IntArray) -> bool:
    if (hop.start, hop.end) == (first, second) and hop.image == _triple(image):
        return True
    return (hop.start, hop.end) == (second, first) and hop.image == _triple(-image)


def _triple(cell: IntArray) -> Cell:
    return int(cell[0]), int(cell[1]), int(cell[2])
