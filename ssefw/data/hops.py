"""Hops between sites of a crystal, which of them are one by symmetry, and percolation.

A hop joins site `i` of the cell with site `j` in a neighboring cell. Two hops are one where an
operation of the space group carries one onto the other; what a calculation finds for one of them
holds for all. The barrier of the crystal is that of the best way through hops which crosses it.
"""

import warnings
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure
from pymatgen.core.operations import SymmOp

from ssefw.errors import DataError

__all__ = [
    "SYMPREC",
    "Action",
    "Cell",
    "Hop",
    "HopClass",
    "classes_of",
    "find_hops",
    "hops_to_cross",
    "percolation_levels",
    "site_actions",
    "symmetry_operations",
]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Cell = tuple[int, int, int]
Action = tuple[IntArray, dict[int, int], dict[int, IntArray]]
"""An operation: its rotation, and for each site where it goes and by which lattice vector."""

SYMPREC = 0.05
"""How far (A) an atom may be from where symmetry wants it."""

CLOSEST = 1.0
"""Sites of mobile ions closer than this (A) are one site that is partly occupied."""


@dataclass(frozen=True)
class Hop:
    """From site `start` to site `end` of the cell that is shifted by `image` lattice vectors.

    Attributes
    ----------
    length
        Of the straight way, in A; where an ion is pushed, by way of that ion.
    via
        An ion that is pushed from its site, and the cell of that site: what comes from `start`
        takes its place, and it goes on to `end`.
    """

    start: int
    end: int
    image: Cell
    length: float
    via: tuple[int, Cell] | None = None

    def reversed(self) -> "Hop":
        """Return the way back."""
        a, b, c = self.image
        via = self.via
        if via is not None:
            site, (x, y, z) = via
            via = site, (x - a, y - b, z - c)
        return Hop(self.end, self.start, (-a, -b, -c), self.length, via)

    def moved(self, action: Action) -> "Hop":
        """Return where an operation of the crystal carries the hop."""
        rotation, target, shift = action

        def cell(site: int, image: Cell) -> Cell:
            x, y, z = rotation @ np.array(image) + shift[site] - shift[self.start]
            return int(x), int(y), int(z)

        via = self.via
        if via is not None:
            via = target[via[0]], cell(*via)
        image = cell(self.end, self.image)
        return Hop(target[self.start], target[self.end], image, self.length, via)

    @property
    def key(self) -> tuple[int, ...]:
        """What tells this hop from all others of the crystal."""
        pushed = () if self.via is None else (self.via[0], *self.via[1])
        return (self.start, self.end, *self.image, *pushed)


@dataclass(frozen=True)
class HopClass:
    """Hops that are one by symmetry.

    Attributes
    ----------
    hops
        Each once, directed so that all go the same way; the first stands for all.
    symmetric
        Whether an operation turns the hop around, so that its barrier is the same both ways.
    """

    hops: tuple[Hop, ...]
    symmetric: bool

    @property
    def hop(self) -> Hop:
        """The hop to calculate."""
        return self.hops[0]


def find_hops(
    structure: Structure, *, specie: str = "Li", max_length: float = 6.0
) -> tuple[HopClass, ...]:
    """Find the symmetry-distinct hops between sites of a specie, shortest first.

    Parameters
    ----------
    max_length
        Longest hop, in A.

    Raises
    ------
    DataError
        If sites are partly occupied, there are none of the specie, or no hop is short enough.
    """
    if not structure.is_ordered:
        msg = f"{structure.composition.reduced_formula} has partly occupied sites: which of them "
        raise DataError(f"{msg}are vacant is not known. Order it first.")
    sites = [k for k, site in enumerate(structure) if site.specie.symbol == specie]
    if not sites:
        msg = f"{structure.composition.reduced_formula} holds no {specie}."
        raise DataError(msg)
    hops = _hops_within(structure, sites, max_length)
    if not hops:
        msg = f"No two {specie} sites are within {max_length:g} A. Allow longer hops."
        raise DataError(msg)
    shortest = min(hop.length for hop in hops)
    if shortest < CLOSEST:
        msg = f"Two {specie} sites are {shortest:.2f} A apart: they cannot both be occupied."
        raise DataError(msg)
    return classes_of(hops, site_actions(structure, sites))


def _hops_within(structure: Structure, sites: Sequence[int], max_length: float) -> list[Hop]:
    """Each pair of sites once in each direction."""
    center, other, image, distance = structure.get_neighbor_list(max_length)
    mobile = np.zeros(len(structure), dtype=bool)
    mobile[list(sites)] = True
    keep = mobile[center] & mobile[other] & (distance > 1e-8)
    return [
        Hop(int(i), int(j), (int(t[0]), int(t[1]), int(t[2])), float(d))
        for i, j, t, d in zip(
            center[keep], other[keep], np.rint(image[keep]).astype(int), distance[keep], strict=True
        )
    ]


def symmetry_operations(structure: Structure, *, cartesian: bool = True) -> list[SymmOp]:
    """Return the operations of a crystal's space group."""
    # Half a second to import, and a plan without bands asks for no symmetry.
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces a change of its error handling
        analyzer = SpacegroupAnalyzer(structure, symprec=SYMPREC)
        return analyzer.get_symmetry_operations(cartesian=cartesian)


def site_actions(structure: Structure, sites: Sequence[int]) -> list[Action]:
    """Return what the operations of a crystal's space group do to some of its sites."""
    coords = structure.frac_coords
    found = []
    for operation in symmetry_operations(structure, cartesian=False):
        target, shift = {}, {}
        for i in sites:
            moved = operation.operate(coords[i])
            for j in sites:
                difference = moved - coords[j]
                lattice = np.rint(difference)
                away = structure.lattice.get_cartesian_coords(difference - lattice)
                if np.linalg.norm(away) < 2 * SYMPREC:
                    target[i], shift[i] = j, lattice.astype(np.int64)
                    break
        if len(target) == len(sites):
            rotation = np.rint(operation.rotation_matrix).astype(np.int64)
            found.append((rotation, target, shift))
    return found


def classes_of(hops: Sequence[Hop], actions: Sequence[Action]) -> tuple[HopClass, ...]:
    """Return hops, each given in both directions, as classes by symmetry, shortest first."""
    known = {hop.key: hop for hop in hops}
    left = dict.fromkeys(known)
    classes = []
    while left:
        first = known[next(iter(left))]
        orbit = {first.key}
        for action in actions:
            key = first.moved(action).key
            if key in known:
                orbit.add(key)
        back = {known[key].reversed().key for key in orbit}
        for key in orbit | back:
            left.pop(key, None)
        symmetric = bool(orbit & back)
        members = sorted(orbit)
        if symmetric:
            once: dict[tuple[int, ...], None] = {}
            for key in members:
                if known[key].reversed().key not in once:
                    once[key] = None
            members = list(once)
        classes.append(HopClass(tuple(known[key] for key in members), symmetric))
    return tuple(sorted(classes, key=lambda c: (round(c.hop.length, 4), len(c.hops))))


def percolation_levels(
    barriers: Mapping[HopClass, tuple[float, float]],
) -> tuple[float | None, float | None, float | None]:
    """Return the energy (eV) to cross the crystal in one, two and three dimensions.

    It is the highest saddle on the best way, above the lowest site that this way visits. Sites are
    put on one scale by the difference of forward and reverse barrier.

    Parameters
    ----------
    barriers
        Forward and reverse barrier (eV) of each class of hops that was calculated.
    """
    edges = [(hop, *barriers[kind]) for kind in barriers for hop in kind.hops]
    levels = _site_energies(edges)
    ranked = sorted(
        ((levels[hop.start] + forward, hop) for hop, forward, _ in edges), key=lambda pair: pair[0]
    )
    results: list[float | None] = [None, None, None]
    for count in range(1, len(ranked) + 1):
        saddle = ranked[count - 1][0]
        if count < len(ranked) and ranked[count][0] - saddle < 1e-9:
            continue
        for dimension, sites in _networks([hop for _, hop in ranked[:count]]):
            energy = saddle - min(levels[site] for site in sites)
            for k in range(dimension):
                found = results[k]
                results[k] = energy if found is None else min(found, energy)
    one, two, three = results
    return one, two, three


def hops_to_cross(classes: Sequence[HopClass]) -> tuple[HopClass, ...]:
    """Return the shortest classes that cross the crystal in as many dimensions as all do."""

    def dimension(chosen: Sequence[HopClass]) -> int:
        levels = percolation_levels(dict.fromkeys(chosen, (0.0, 0.0)))
        return sum(level is not None for level in levels)

    goal = dimension(classes)
    for count in range(1, len(classes) + 1):
        if dimension(classes[:count]) == goal:
            return tuple(classes[:count])
    return tuple(classes)


def _site_energies(edges: Sequence[tuple[Hop, float, float]]) -> dict[int, float]:
    """Energies of sites relative to one site of each connected set."""
    neighbors: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for hop, forward, reverse in edges:
        neighbors[hop.start].append((hop.end, forward - reverse))
        neighbors[hop.end].append((hop.start, reverse - forward))
    levels: dict[int, float] = {}
    for root in neighbors:
        if root in levels:
            continue
        levels[root] = 0.0
        queue = deque([root])
        while queue:
            site = queue.popleft()
            for other, step in neighbors[site]:
                if other not in levels:
                    levels[other] = levels[site] + step
                    queue.append(other)
    return levels


def _networks(hops: Sequence[Hop]) -> list[tuple[int, list[int]]]:
    """Dimension and sites of each connected network of hops that crosses the crystal."""
    neighbors: dict[int, list[tuple[int, IntArray]]] = defaultdict(list)
    for hop in hops:
        shift = np.array(hop.image)
        neighbors[hop.start].append((hop.end, shift))
        neighbors[hop.end].append((hop.start, -shift))
    seen: dict[int, IntArray] = {}
    found = []
    for root in neighbors:
        if root in seen:
            continue
        seen[root] = np.zeros(3, dtype=np.int64)
        queue, members, cycles = deque([root]), [root], []
        while queue:
            site = queue.popleft()
            for other, shift in neighbors[site]:
                here = seen[site] + shift
                if other not in seen:
                    seen[other] = here
                    members.append(other)
                    queue.append(other)
                elif np.any(here != seen[other]):
                    cycles.append(here - seen[other])
        dimension = int(np.linalg.matrix_rank(np.array(cycles))) if cycles else 0
        if dimension:
            found.append((dimension, members))
    return found
