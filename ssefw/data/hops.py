"""Hops of vacancies between sites of a crystal, which of them are one by symmetry, and percolation.

A hop joins site `i` of the cell with site `j` in a neighboring cell. Two hops are one where an
operation of the space group carries one onto the other; what a calculation finds for one of them
holds for all. The barrier of the crystal is that of the best way through hops which crosses it.
"""

import warnings
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pymatgen.core import Element, Structure
from pymatgen.core.operations import SymmOp
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from ssefw.errors import DataError

__all__ = [
    "Hop",
    "HopClass",
    "VacancyCell",
    "carry_over",
    "distinct_sites",
    "find_hops",
    "hops_to_cross",
    "percolation_levels",
    "supercell_size",
    "symmetry_operations",
    "vacancy_at",
    "vacancy_cell",
]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

SYMPREC = 0.05
"""How far (A) an atom may be from where symmetry wants it."""

CLOSEST = 1.0
"""Sites of mobile ions closer than this (A) are one site that is partly occupied."""


@dataclass(frozen=True)
class Hop:
    """From site `start` to site `end` of the cell that is shifted by `image` lattice vectors."""

    start: int
    end: int
    image: tuple[int, int, int]
    length: float

    def reversed(self) -> "Hop":
        """Return the way back."""
        a, b, c = self.image
        return Hop(self.end, self.start, (-a, -b, -c), self.length)


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
        msg = f"{structure.composition.reduced_formula} holds no {Element(specie).symbol}."
        raise DataError(msg)
    hops = _hops_within(structure, sites, max_length)
    if not hops:
        msg = f"No two {specie} sites are within {max_length:g} A. Allow longer hops."
        raise DataError(msg)
    shortest = min(hop.length for hop in hops)
    if shortest < CLOSEST:
        msg = f"Two {specie} sites are {shortest:.2f} A apart: they cannot both be occupied."
        raise DataError(msg)
    classes = _classes(hops, _actions(structure, sites))
    return tuple(sorted(classes, key=lambda c: (round(c.hop.length, 4), len(c.hops))))


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces a change of its error handling
        analyzer = SpacegroupAnalyzer(structure, symprec=SYMPREC)
        return analyzer.get_symmetry_operations(cartesian=cartesian)


def _actions(
    structure: Structure, sites: Sequence[int]
) -> list[tuple[IntArray, dict[int, int], dict[int, IntArray]]]:
    """Return rotation, and for each site where it goes and by which lattice vector."""
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


def _classes(
    hops: Sequence[Hop],
    actions: Sequence[tuple[IntArray, dict[int, int], dict[int, IntArray]]],
) -> list[HopClass]:
    lengths = {(h.start, h.end, h.image): h.length for h in hops}
    left = dict.fromkeys(lengths)
    classes = []
    while left:
        start, end, image = next(iter(left))
        orbit = {(start, end, image)}
        for rotation, target, shift in actions:
            moved = rotation @ np.array(image) + shift[end] - shift[start]
            key = (target[start], target[end], (int(moved[0]), int(moved[1]), int(moved[2])))
            if key in lengths:
                orbit.add(key)
        back = {(j, i, (-a, -b, -c)) for i, j, (a, b, c) in orbit}
        for key in orbit | back:
            left.pop(key, None)
        symmetric = bool(orbit & back)
        members = sorted(orbit)
        if symmetric:
            once: dict[tuple[int, int, tuple[int, int, int]], None] = {}
            for i, j, (a, b, c) in members:
                if (j, i, (-a, -b, -c)) not in once:
                    once[i, j, (a, b, c)] = None
            members = list(once)
        classes.append(
            HopClass(tuple(Hop(*key, length=lengths[key]) for key in members), symmetric)
        )
    return classes


@dataclass(frozen=True)
class VacancyCell:
    """A supercell that lacks one ion, before and after a neighbor has hopped into the vacancy.

    Attributes
    ----------
    start, end
        With the moving ion at the start and at the end of the hop; sites in the same order.
    mover
        Index of the moving ion.
    host
        The supercell with all ions.
    size
        How often the cell is repeated along its lattice vectors.
    """

    start: Structure
    end: Structure
    mover: int
    host: Structure
    size: tuple[int, int, int]


def vacancy_cell(structure: Structure, hop: Hop, *, min_length: float = 10.0) -> VacancyCell:
    """Build the two ends of a vacancy hop in a supercell.

    Parameters
    ----------
    min_length
        Smallest distance (A) of a vacancy from its images, measured as the distances of the
        supercell's opposite faces.
    """
    host, size = _host(structure, min_length)
    start = structure.lattice.get_cartesian_coords(structure.frac_coords[hop.start])
    end = structure.lattice.get_cartesian_coords(structure.frac_coords[hop.end] + hop.image)
    mover, vacancy = _site_at(host, start), _site_at(host, end)
    if mover == vacancy:
        msg = (
            f"The hop ends on an image of its own start in a supercell of {size}: with this few "
            f"sites there is no vacancy to hop into. Ask for a longer cell than {min_length:g} A."
        )
        raise DataError(msg)
    before, after = host.copy(), host.copy()
    after.translate_sites([mover], end - start, frac_coords=False, to_unit_cell=False)
    before.remove_sites([vacancy])
    after.remove_sites([vacancy])
    return VacancyCell(before, after, mover - (vacancy < mover), host, size)


def supercell_size(structure: Structure, *, min_length: float) -> tuple[int, int, int]:
    """Return how often a cell is repeated so that opposite faces are `min_length` (A) apart."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(structure.lattice.matrix), axis=0)
    a, b, c = (int(n) for n in np.maximum(1, np.ceil(min_length / heights - 1e-6)))
    return a, b, c


def _host(structure: Structure, min_length: float) -> tuple[Structure, tuple[int, int, int]]:
    size = supercell_size(structure, min_length=min_length)
    host = structure.copy()
    host.remove_oxidation_states()
    host.make_supercell(size, to_unit_cell=True)
    return host, size


def _site_at(structure: Structure, cart: FloatArray) -> int:
    frac = structure.lattice.get_fractional_coords(cart)
    difference = structure.frac_coords - frac
    difference -= np.rint(difference)
    distances = np.linalg.norm(structure.lattice.get_cartesian_coords(difference), axis=1)
    return int(distances.argmin())


def vacancy_at(structure: Structure, site: int, *, min_length: float = 10.0) -> Structure:
    """Return a supercell without the ion at one site of the cell; see `vacancy_cell`."""
    host, _ = _host(structure, min_length)
    host.remove_sites([_site_at(host, structure.cart_coords[site])])
    return host


def distinct_sites(
    structure: Structure, kinds: Sequence[HopClass], *, min_length: float = 10.0
) -> dict[int, int]:
    """Return for each site that hops start or end at the one whose vacancy stands for it.

    Vacancies are one where an operation of the crystal joins them that also carries the supercell
    into itself.
    """
    size = np.array(supercell_size(structure, min_length=min_length))
    sites = sorted({site for kind in kinds for site in (kind.hop.start, kind.hop.end)})
    mobile = [
        k for k, s in enumerate(structure) if s.specie.symbol == structure[sites[0]].specie.symbol
    ]
    stands_for = {site: site for site in sites}
    for rotation, target, _ in _actions(structure, mobile):
        steps = rotation * size[None, :] / size[:, None]
        if np.abs(steps - np.rint(steps)).max() > 1e-9:
            continue
        for site in sites:
            stands_for[site] = min(stands_for[site], target[site])
    # The lowest of a set may be none of the sites asked for: then the lowest asked for stands.
    chosen: dict[int, int] = {}
    for site in sites:
        chosen.setdefault(stands_for[site], site)
    return {site: chosen[stands_for[site]] for site in sites}


def carry_over(
    relaxed: Structure,
    ideal: Structure,
    other: Structure,
    operations: Iterable[SymmOp],
    *,
    holes: tuple[FloatArray, FloatArray],
    mover: int | None = None,
) -> Structure | None:
    """Return a relaxed end from another, where symmetry makes them one.

    Parameters
    ----------
    relaxed, ideal
        A cell with a vacancy, relaxed and as cut from the crystal.
    other
        The cell that is asked for, as cut from the crystal.
    operations
        Of the crystal, in Cartesian coordinates.
    holes
        Where the vacancies of `ideal` and of `other` are, Cartesian.
    mover
        Index in both of an ion that should rather be carried onto itself, as the operation does
        that turns a hop around.
    """
    lattice = relaxed.lattice
    drift = _shortest(lattice.matrix, relaxed.cart_coords - ideal.cart_coords)
    found: tuple[IntArray, FloatArray] | None = None
    for operation in operations:
        rotated = lattice.matrix @ operation.rotation_matrix.T
        steps = lattice.get_fractional_coords(rotated)
        if not np.allclose(steps, np.rint(steps), atol=1e-3):
            continue  # it does not carry the supercell into itself
        shift = holes[1] - operation.operate(holes[0])
        target = _match(
            lattice.matrix, operation.operate_multi(ideal.cart_coords) + shift, ideal, other
        )
        if target is None:
            continue
        is_best = mover is None or target[mover] == mover
        if found is None or is_best:
            found = target, operation.rotation_matrix
        if is_best:
            break
    if found is None:
        return None
    target, rotation = found
    coords = other.cart_coords.copy()
    coords[target] += drift @ rotation.T
    return Structure(lattice, other.species, coords, coords_are_cartesian=True)


def _match(
    matrix: FloatArray, moved: FloatArray, start: Structure, end: Structure
) -> IntArray | None:
    """Return which site of `end` each moved site of `start` falls on, if all do."""
    frac = (moved[:, None] - end.cart_coords[None]) @ np.linalg.inv(matrix)
    distances = np.linalg.norm((frac - np.rint(frac)) @ matrix, axis=2)
    nearest: IntArray = distances.argmin(axis=1)
    if distances.min(axis=1).max() > 2 * SYMPREC or len(set(nearest.tolist())) < len(nearest):
        return None
    species = [start.species[k] == end.species[j] for k, j in enumerate(nearest)]
    return nearest if all(species) else None


def _shortest(matrix: FloatArray, vectors: FloatArray) -> FloatArray:
    frac = vectors @ np.linalg.inv(matrix)
    shortest: FloatArray = (frac - np.rint(frac)) @ matrix
    return shortest


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
