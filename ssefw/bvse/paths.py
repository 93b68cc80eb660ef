"""Routes over the graph of hops: between sites, through the crystal, and as points for NEB images.

All hop barriers are exact saddle points, so a minimax route over the graph is the minimax path of
the energy surface itself, up to passes above the limit of the search.
"""

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure

from ssefw.bvse.landscape import Landscape, SaddleHop
from ssefw.errors import AnalysisError

__all__ = [
    "Step",
    "distinct_hops",
    "hop_images",
    "nearest_mobile_sites",
    "reverse_hop",
    "route",
    "site_barriers",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """One hop of a route.

    Attributes
    ----------
    hop
        In the direction in which it is taken; its start lies in the home cell.
    cell
        Cell of the start site, counted from the start of the route.
    """

    hop: SaddleHop
    cell: tuple[int, int, int]


def distinct_hops(landscape: Landscape) -> tuple[SaddleHop, ...]:
    """Return one hop for each set that the symmetry of the framework makes equal, by energy."""
    _, first = np.unique(landscape.hop_orbits, return_index=True)
    return tuple(landscape.hops[index] for index in sorted(first))


def reverse_hop(hop: SaddleHop, matrix: FloatArray) -> SaddleHop:
    """Return a hop in the other direction, its start again in the home cell."""
    shift = np.array(hop.image) @ matrix
    return SaddleHop(
        start=hop.end,
        end=hop.start,
        image=(-hop.image[0], -hop.image[1], -hop.image[2]),
        energy=hop.energy,
        cart_points=hop.cart_points[::-1] - shift,
        energies=hop.energies[::-1],
        saddle=len(hop.energies) - 1 - hop.saddle,
    )


def hop_images(hop: SaddleHop, *, n_images: int) -> FloatArray:
    """Return Cartesian points (n_images, 3) at equal distance along a hop, its ends included."""
    lengths = np.linalg.norm(np.diff(hop.cart_points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.linspace(0.0, along[-1], n_images)
    columns = [np.interp(wanted, along, hop.cart_points[:, axis]) for axis in range(3)]
    return np.stack(columns, axis=1)


def site_barriers(landscape: Landscape) -> FloatArray:
    """Return the lowest energy above the minimum at which two sites are connected, (n, n), in eV.

    Over any route and any periodic image of the second site; infinite where the hops do not
    connect them, and the energy of the site itself on the diagonal.
    """
    n_sites = len(landscape.energies)
    barriers = np.full((n_sites, n_sites), np.inf)
    members = {site: [site] for site in range(n_sites)}
    group = list(range(n_sites))
    for hop in landscape.hops:
        one, other = group[hop.start], group[hop.end]
        if one == other:
            continue
        pairs = np.ix_(members[one], members[other])
        barriers[pairs] = hop.energy
        barriers.T[pairs] = hop.energy
        for site in members[other]:
            group[site] = one
        members[one] += members.pop(other)
    np.fill_diagonal(barriers, landscape.energies)
    return barriers - landscape.minimum


def route(
    landscape: Landscape, start: int, end: int, *, image: tuple[int, int, int] | None = None
) -> tuple[Step, ...]:
    """Return the hops from one site to another over the lowest highest saddle point.

    Among routes with the same highest saddle point, the shortest.

    Parameters
    ----------
    landscape
        Sites and hops.
    start, end
        Sites; with an image they may be the same, which asks for a way through the crystal.
    image
        Cell of the end site; any, if not given.

    Raises
    ------
    AnalysisError
        When no hops lead there.
    """
    matrix = landscape.framework.matrix
    leaving: dict[int, list[SaddleHop]] = {}
    for hop in landscape.hops:
        leaving.setdefault(hop.start, []).append(hop)
        leaving.setdefault(hop.end, []).append(reverse_hop(hop, matrix))
    origin = (start, (0, 0, 0))
    best: dict[tuple[int, tuple[int, int, int]], Step] = {}
    queue: list[tuple[float, float, int, tuple[int, tuple[int, int, int]], Step | None]] = []
    heapq.heappush(queue, (-np.inf, 0.0, 0, origin, None))
    done: set[tuple[int, tuple[int, int, int]]] = set()
    count = 0
    while queue:
        highest, length, _, node, step = heapq.heappop(queue)
        if node in done:
            continue
        done.add(node)
        if step is not None:
            best[node] = step
        site, cell = node
        if site == end and (
            cell == image or (image is None and (step is not None or start == end))
        ):
            return _steps_back(best, node, origin)
        for hop in leaving.get(site, ()):
            there = (hop.end, tuple_sum(cell, hop.image))
            # Three cells away from the start a route has left any net of hops it could need.
            if there in done or max(abs(index) for index in there[1]) > _FARTHEST_CELL:
                continue
            count += 1
            way = float(np.linalg.norm(np.diff(hop.cart_points, axis=0), axis=1).sum())
            entry = (max(highest, hop.energy), length + way, count, there, Step(hop, cell))
            heapq.heappush(queue, entry)
    raise AnalysisError(
        f"No hops lead from site {start} to site {end} below "
        f"{landscape.limit - landscape.minimum:.2f} eV. Raise the margin of the search."
    )


_FARTHEST_CELL = 3


def tuple_sum(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the sum of two cells."""
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _steps_back(
    best: dict[tuple[int, tuple[int, int, int]], Step],
    node: tuple[int, tuple[int, int, int]],
    origin: tuple[int, tuple[int, int, int]],
) -> tuple[Step, ...]:
    steps: list[Step] = []
    while node != origin:
        steps.append(best[node])
        node = (best[node].hop.start, best[node].cell)
    return tuple(reversed(steps))


def nearest_mobile_sites(landscape: Landscape, structure: Structure) -> tuple[IntArray, FloatArray]:
    """Return for each stable site the nearest mobile ion of a structure and its distance.

    Parameters
    ----------
    landscape
        Found for this structure or a supercell or primitive cell of it, not moved or turned.
    structure
        Whose mobile ions are looked at, wholly or partly occupied.

    Returns
    -------
    tuple
        Site indices in the structure, (n,), and distances in angstrom, (n,). A large distance is
        an interstitial site.
    """
    symbol = landscape.framework.symbol
    indices = [
        index
        for index, site in enumerate(structure)
        if any(specie.symbol == symbol for specie in site.species)
    ]
    matrix = landscape.framework.matrix
    ions = structure.cart_coords[indices] @ np.linalg.inv(matrix)
    difference = landscape.frac_sites[:, None] - ions[None]
    difference -= np.round(difference)
    shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
    images = (difference[:, :, None] + shifts) @ matrix
    distances = np.linalg.norm(images, axis=-1).min(axis=-1)
    nearest = distances.argmin(axis=1)
    return np.array(indices)[nearest], distances.min(axis=1)
