"""What a file of a crystal may have left out: mobile ions on sites it does not list, vacancies.

X-rays hardly see lithium, and refinements fix sites at full occupancy that are not. Where the sites
as they are listed hold no neutral composition near the reported one, the mobile ion may leave its
full sites and sit in voids; last, a few anions may be missing.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import QhullError, Voronoi, cKDTree

from ssefw.data.orderings.charges import OxidationStates
from ssefw.data.orderings.composition import WholeAtoms
from ssefw.data.orderings.radii import bond_length
from ssefw.data.orderings.sites import DisorderedCell

__all__ = ["completions", "what_was_added"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SAME_VOID = 0.5
"""Centers of voids nearer than this (angstrom) are one: a fraction of the radius of an ion."""

MISSING_ANIONS = 0.02
"""Share of an anion that may be missing: oxides lose as much without becoming another phase."""

POLYANION = frozenset({"B", "C", "N", "P", "S", "Si", "As", "Se", "Cl", "I", "H"})
"""Centers of polyanions: their bonds are covalent, and a crystal does not lose anions from them."""

BONDED = 1.5
"""Atoms within so many of the shortest bonds are bonded: 1.2 sums of their radii."""


def completions(
    cell: DisorderedCell, states: OxidationStates, *, mobile: str
) -> Iterator[tuple[DisorderedCell, OxidationStates]]:
    """Yield the cell as listed, then with more and more freedom; the states have the mobile ion."""
    yield cell, states
    states = states.including(mobile)
    everywhere = np.ones(len(cell.kinds), dtype=bool)
    freed = _with_vacancies(cell, mobile, everywhere, share=1.0)
    freed = _with_voids(freed, states, mobile=mobile)
    yield freed, states
    for anion, charge in states.highest.items():
        if charge < 0 and anion != mobile:
            outside = _outside_polyanions(freed, anion, states)
            freed = _with_vacancies(freed, anion, outside, share=MISSING_ANIONS)
    yield freed, states


def what_was_added(cell: DisorderedCell, atoms: WholeAtoms) -> Iterator[str]:
    """Yield in words what is on sites that the file does not list, and what its full sites lack."""
    for kind, counts in enumerate(atoms.counts):
        n_sites = int(cell.counts[kind])
        for element, n in counts.items():
            if n and not cell.occupancies[kind][element]:
                yield f"{n} {element} sit where the file lists no site: it lists too few"
            elif cell.is_full(kind) and n < n_sites:
                yield f"{n_sites - n} {element} are missing from sites that the file lists as full"


def _with_vacancies(
    cell: DisorderedCell, element: str, where: BoolArray, *, share: float
) -> DisorderedCell:
    """Return the cell in which some full sites of an element may lose a share of all its atoms."""
    full = np.array([cell.is_full(k) and element in s for k, s in enumerate(cell.occupancies)])
    chosen = full[cell.kinds] & where
    if not chosen.any():
        return cell
    kinds, occupancies, vacant = cell.kinds.copy(), list(cell.occupancies), dict(cell.vacant)
    for kind in map(int, np.unique(cell.kinds[chosen])):
        own = chosen & (cell.kinds == kind)
        most = min(1.0, share * float(full[cell.kinds].sum()) / float(own.sum()))
        if own.sum() == (cell.kinds == kind).sum():
            vacant[kind] = most
        else:
            vacant[len(occupancies)] = most
            kinds[own] = len(occupancies)
            occupancies.append(cell.occupancies[kind])
    return replace(cell, kinds=kinds, occupancies=tuple(occupancies), vacant=vacant)


def _outside_polyanions(cell: DisorderedCell, anion: str, states: OxidationStates) -> BoolArray:
    """Return which sites are bonded to no cation of a polyanion, if they hold the anion."""
    distances = cell.distances()
    outside = np.ones(len(cell.kinds), dtype=bool)
    for kind, shares in enumerate(cell.occupancies):
        centers = [e for e in shares.keys() & POLYANION if states.lowest[e] > 0]
        if centers:
            charges = _charges(states)
            reach = BONDED * max(bond_length(anion, e, charges=charges) for e in centers)
            outside &= ~(distances[:, cell.kinds == kind] < reach).any(axis=1)
    return outside


def _with_voids(cell: DisorderedCell, states: OxidationStates, *, mobile: str) -> DisorderedCell:
    """Return the cell with a kind of empty sites more, on which the mobile ion may sit."""
    charges = _charges(states)
    framework = [k for k, shares in enumerate(cell.occupancies) if shares.keys() != {mobile}]
    least = np.zeros(len(cell.kinds))
    for kind in framework:
        bonds = [bond_length(mobile, e, charges=charges) for e in cell.occupancies[kind]]
        least[cell.kinds == kind] = max(bonds)
    voids = _voids(cell, least)
    if not len(voids):
        return cell
    return DisorderedCell(
        cell.matrix,
        np.vstack([cell.frac_coords, voids]),
        np.concatenate([cell.kinds, np.full(len(voids), len(cell.occupancies))]),
        (*cell.occupancies, {mobile: 0.0}),
        cell.vacant,
    )


def _voids(cell: DisorderedCell, least: FloatArray) -> FloatArray:
    """Return the centers of voids that are `least` (angstrom) from each site, fractional.

    At most about as many as there are sites. They are the corners of the Voronoi cells around all
    sites, which have the symmetry of these.
    """
    images = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    sites = (cell.frac_coords[None, :, :] + images[:, None, :]).reshape(-1, 3)
    try:
        corners = Voronoi(sites @ cell.matrix).vertices @ np.linalg.inv(cell.matrix)
    except QhullError:
        return np.zeros((0, 3))
    near = corners[((corners > -0.25) & (corners < 1.25)).all(axis=1)]
    pairs = cKDTree(near @ cell.matrix).query_pairs(SAME_VOID, output_type="ndarray")
    joined = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(near), len(near)))
    _, of_group = connected_components(joined, directed=False)
    counts = np.bincount(of_group)
    sums = np.stack([np.bincount(of_group, near[:, i]) for i in range(3)], axis=1)
    centers = sums / counts[:, None]
    centers = centers[((centers > -1e-6) & (centers < 1.0 - 1e-6)).all(axis=1)]
    tree = cKDTree(sites @ cell.matrix)
    distances, which = tree.query(centers @ cell.matrix, k=min(12, len(sites)))
    room = (distances - np.tile(least, len(images))[which]).min(axis=1)
    # The widest, and all that are as wide: symmetry makes them equal.
    narrowest = np.sort(room)[::-1][: len(cell.kinds)].min(initial=np.inf) - 1e-3
    return np.asarray(centers[room >= max(narrowest, 0.0)] % 1.0)


def _charges(states: OxidationStates) -> dict[str, float]:
    return {e: 0.5 * (states.lowest[e] + states.highest[e]) for e in states.lowest}
