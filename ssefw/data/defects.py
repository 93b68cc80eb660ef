"""Cells with one defect, a vacancy or an interstitial ion, before and after a hop.

A crystal whose interstitial sites are marked (`mark_interstitials`) has hops between marks; one
without has hops between its ions, which are those of the vacancy. An interstitial ion moves to the
next mark by itself, or takes the place of an ion that it pushes on to the next mark
(interstitialcy): then both move, and each keeps its identity along the way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pymatgen.core import DummySpecies, PeriodicSite, Structure
from pymatgen.core.operations import SymmOp

from ssefw.data.held import HeldCandidate
from ssefw.data.hops import SYMPREC, Hop, HopClass, classes_of, find_hops, site_actions
from ssefw.errors import DataError

__all__ = [
    "HopCell",
    "Mechanism",
    "carry_over",
    "crystal_of",
    "defect_at",
    "distinct_sites",
    "find_hops_of",
    "find_pushes",
    "hop_cell",
    "ion_of",
    "mark_interstitials",
    "supercell_size",
]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

Mechanism = Literal["vacancy", "interstitial", "concerted"]
"""An ion hops into a vacancy, an interstitial ion hops to the next interstitial site, or it takes
the place of an ion that goes there."""

MARK = "X"
ION = "interstitial ion"


def mark_interstitials(crystal: Structure, frac_coords: npt.ArrayLike, *, ion: str) -> Structure:
    """Return a crystal with marks at sites that one more ion can take.

    Raises
    ------
    DataError
        If there are none.
    """
    places = np.asarray(frac_coords, dtype=np.float64).reshape(-1, 3)
    if not len(places):
        formula = crystal.composition.reduced_formula
        raise DataError(f"{formula} has no interstitial site of {ion}. Try hops of vacancies.")
    marks = [PeriodicSite(DummySpecies(MARK), place, crystal.lattice) for place in places]
    marked = Structure.from_sites([*crystal, *marks])
    marked.properties = {**crystal.properties, ION: ion}
    return marked


def crystal_of(structure: Structure) -> Structure:
    """Return a crystal without its marks."""
    if ION not in structure.properties:
        return structure
    sites = [site for site in structure if site.specie.symbol != MARK]
    return Structure.from_sites(sites)


def ion_of(structure: Structure, hop: Hop) -> str:
    """Return the element that a hop moves."""
    symbol: str = structure[hop.start].specie.symbol
    return structure.properties[ION] if symbol == MARK else symbol


def find_hops_of(
    structure: Structure, mechanism: Mechanism, *, specie: str, max_length: float
) -> tuple[HopClass, ...]:
    """Find the symmetry-distinct hops of a mechanism, shortest first.

    Parameters
    ----------
    structure
        With marks, but for vacancies.
    max_length
        Longest hop, in A; of two ions that move together, both their ways in one.
    """
    if mechanism == "vacancy":
        return find_hops(structure, specie=specie, max_length=max_length)
    if mechanism == "interstitial":
        return find_hops(structure, specie=MARK, max_length=max_length)
    return find_pushes(structure, max_length=max_length)


def find_pushes(structure: Structure, *, max_length: float) -> tuple[HopClass, ...]:
    """Find the symmetry-distinct hops by which an interstitial ion pushes another, shortest first.

    Parameters
    ----------
    structure
        A crystal with marks.
    max_length
        Longest way of both ions together, in A.

    Raises
    ------
    DataError
        If none is short enough.
    """
    ion = structure.properties[ION]
    symbols = [site.specie.symbol for site in structure]
    marks = [k for k, symbol in enumerate(symbols) if symbol == MARK]
    ions = [k for k, symbol in enumerate(symbols) if symbol == ion]
    steps = _steps(structure, ions, marks, max_length)
    hops = []
    for site in ions:
        around = steps[site]
        for start, here, first in around:
            for end, there, second in around:
                if first + second > max_length + 1e-6 or (start, here) == (end, there):
                    continue
                image = tuple(int(b - a) for a, b in zip(here, there, strict=True))
                pushed = tuple(-int(a) for a in here)
                hops.append(
                    Hop(
                        start, end, (image[0], image[1], image[2]), first + second,
                        via=(site, (pushed[0], pushed[1], pushed[2])),
                    )
                )  # fmt: skip
    if not hops:
        raise DataError(
            f"No interstitial {ion} can push another within {max_length:g} A. Allow longer hops."
        )
    return classes_of(hops, site_actions(structure, [*ions, *marks]))


def _steps(
    structure: Structure, ions: Sequence[int], marks: Sequence[int], max_length: float
) -> dict[int, list[tuple[int, tuple[int, ...], float]]]:
    """Return for each ion the marks around it, the cells they are in, and their distances."""
    center, other, image, distance = structure.get_neighbor_list(max_length)
    found: dict[int, list[tuple[int, tuple[int, ...], float]]] = {site: [] for site in ions}
    wanted, targets = set(ions), set(marks)
    for i, j, cell, d in zip(center, other, np.rint(image).astype(int), distance, strict=True):
        if int(i) in wanted and int(j) in targets:
            found[int(i)].append((int(j), tuple(int(x) for x in cell), float(d)))
    return found


@dataclass(frozen=True)
class HopCell:
    """A supercell with one defect, before and after it has hopped.

    Attributes
    ----------
    start, end
        The defect at both ends; the same atoms in the same order.
    movers
        Indices of the ions that move, the one that the hop begins with first.
    places
        Where the defect is at both ends, Cartesian.
    sites
        Site of the crystal (or mark) that the defect is at, at both ends.
    size
        How often the cell is repeated along its lattice vectors.
    """

    start: Structure
    end: Structure
    movers: tuple[int, ...]
    places: tuple[FloatArray, FloatArray]
    sites: tuple[int, int]
    size: tuple[int, int, int]

    @property
    def mover(self) -> int:
        """Index of the ion that the hop begins with."""
        return self.movers[0]


def hop_cell(structure: Structure, hop: Hop, *, min_length: float = 10.0) -> HopCell:
    """Build the two ends of a hop in a supercell.

    Parameters
    ----------
    min_length
        Smallest distance (A) of a defect from its images, measured as the distances of the
        supercell's opposite faces.

    Raises
    ------
    DataError
        If the hop ends on an image of its start.
    """
    host, size = _host(structure, min_length)
    start = structure.lattice.get_cartesian_coords(structure.frac_coords[hop.start])
    end = structure.lattice.get_cartesian_coords(structure.frac_coords[hop.end] + hop.image)
    if _distance(host, start, end) < SYMPREC:
        msg = (
            f"The hop ends on an image of its own start in a supercell of {size}: with this few "
            f"sites there is nowhere to hop to. Ask for a longer cell than {min_length:g} A."
        )
        raise DataError(msg)
    if ION not in structure.properties:
        mover, vacancy = _site_at(host, start), _site_at(host, end)
        before, after = host.copy(), host.copy()
        after.translate_sites([mover], end - start, frac_coords=False, to_unit_cell=False)
        before.remove_sites([vacancy])
        after.remove_sites([vacancy])
        index = mover - (vacancy < mover)
        return HopCell(before, after, (index,), (end, start), (hop.end, hop.start), size)
    ion = ion_of(structure, hop)
    before = _with_ion(host, ion, start)
    after = before.copy()
    movers: tuple[int, ...] = (len(host),)
    if hop.via is None:
        after.translate_sites([len(host)], end - start, frac_coords=False, to_unit_cell=False)
    else:
        site, image = hop.via
        place = structure.lattice.get_cartesian_coords(structure.frac_coords[site] + image)
        pushed = _site_at(host, place)
        after.translate_sites([len(host)], place - start, frac_coords=False, to_unit_cell=False)
        after.translate_sites([pushed], end - place, frac_coords=False, to_unit_cell=False)
        movers = (len(host), pushed)
    return HopCell(before, after, movers, (start, end), (hop.start, hop.end), size)


def defect_at(structure: Structure, site: int, *, min_length: float = 10.0) -> Structure:
    """Return a supercell without the ion at a site, or with one more at a mark; see `hop_cell`."""
    host, _ = _host(structure, min_length)
    place = structure.cart_coords[site]
    if ION in structure.properties:
        return _with_ion(host, structure.properties[ION], place)
    host.remove_sites([_site_at(host, place)])
    return host


def _with_ion(host: Structure, ion: str, place: FloatArray) -> Structure:
    found = host.copy()
    found.append(ion, place, coords_are_cartesian=True)
    return found


def _distance(structure: Structure, one: FloatArray, other: FloatArray) -> float:
    return float(np.linalg.norm(_shortest(structure.lattice.matrix, (other - one)[None])[0]))


def supercell_size(
    crystal: Structure | HeldCandidate, *, min_length: float
) -> tuple[int, int, int]:
    """Return how often a cell is repeated so that opposite faces are `min_length` (A) apart."""
    heights = 1.0 / np.linalg.norm(crystal.lattice.inv_matrix, axis=0)
    a, b, c = (int(n) for n in np.maximum(1, np.ceil(min_length / heights - 1e-6)))
    return a, b, c


def _host(structure: Structure, min_length: float) -> tuple[Structure, tuple[int, int, int]]:
    size = supercell_size(structure, min_length=min_length)
    host = crystal_of(structure).copy()
    host.properties = {}
    host.remove_oxidation_states()
    host.make_supercell(size, to_unit_cell=True)
    return host, size


def _site_at(structure: Structure, cart: FloatArray) -> int:
    frac = structure.lattice.get_fractional_coords(cart)
    difference = structure.frac_coords - frac
    difference -= np.rint(difference)
    distances = np.linalg.norm(structure.lattice.get_cartesian_coords(difference), axis=1)
    return int(distances.argmin())


def distinct_sites(
    structure: Structure, kinds: Sequence[HopClass], *, min_length: float = 10.0
) -> dict[int, int]:
    """Return for each site that hops start or end at the one whose defect stands for it.

    Defects are one where an operation of the crystal joins them that also carries the supercell
    into itself.
    """
    size = np.array(supercell_size(structure, min_length=min_length))
    sites = sorted({site for kind in kinds for site in (kind.hop.start, kind.hop.end)})
    if not sites:
        return {}
    mobile = [
        k for k, s in enumerate(structure) if s.specie.symbol == structure[sites[0]].specie.symbol
    ]
    representatives = {site: site for site in sites}
    for rotation, target, _ in site_actions(structure, mobile):
        steps = rotation * size[None, :] / size[:, None]
        if np.abs(steps - np.rint(steps)).max() > 1e-9:
            continue
        for site in sites:
            representatives[site] = min(representatives[site], target[site])
    # The lowest of a set may be none of the sites asked for: then the lowest asked for stands.
    chosen: dict[int, int] = {}
    for site in sites:
        chosen.setdefault(representatives[site], site)
    return {site: chosen[representatives[site]] for site in sites}


def carry_over(
    relaxed: Structure,
    ideal: Structure,
    other: Structure,
    operations: Iterable[SymmOp],
    *,
    holes: tuple[FloatArray, FloatArray],
    mover: tuple[int, int] | None = None,
) -> Structure | None:
    """Return a relaxed end from another, where symmetry makes them one.

    Parameters
    ----------
    relaxed, ideal
        A cell with a defect, relaxed and as cut from the crystal.
    other
        The cell that is asked for, as cut from the crystal.
    operations
        Of the crystal, in Cartesian coordinates.
    holes
        Where the defects of `ideal` and of `other` are, Cartesian.
    mover
        Index in `ideal` of an ion, and that in `other` of the one it should rather be carried
        onto, as the operation does that turns a hop around.
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
        is_best = mover is None or target[mover[0]] == mover[1]
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
