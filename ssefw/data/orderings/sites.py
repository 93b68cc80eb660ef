"""The sites of a disordered crystal: what may sit on each, and which exclude each other."""

import itertools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import spglib
from pymatgen.core import Element, Lattice, Structure

__all__ = ["DisorderedCell", "read_sites"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SAME_PLACE = 0.1
"""Sites nearer than this (angstrom) are one place that a refinement describes twice: a fraction of
the thermal motion of any atom."""

SYMMETRY_TOLERANCE = 0.01
"""Distance (angstrom) within which sites count as equivalent; coordinates are given to 1e-4."""

FULL = 1e-3
"""An occupancy nearer to one than this is one: files give three to five digits."""

Occupancies = Mapping[str, float]


@dataclass(frozen=True)
class DisorderedCell:
    """Sites, and which share of each element sits on each.

    Attributes
    ----------
    matrix
        Cell vectors in rows, angstrom.
    frac_coords
        Of each site, (n, 3).
    kinds
        For each site the index of its occupancies.
    occupancies
        Element to share for each kind; what is missing to one is empty.
    vacant
        For kinds of full occupancy whose sites may be empty all the same: the share that may.
    """

    matrix: FloatArray
    frac_coords: FloatArray
    kinds: IntArray
    occupancies: tuple[Occupancies, ...]
    vacant: Mapping[int, float] = field(default_factory=dict)

    @cached_property
    def amounts(self) -> dict[str, float]:
        """Atoms of each element in the cell."""
        found: dict[str, float] = {}
        for kind, count in enumerate(self.counts):
            for element, share in self.occupancies[kind].items():
                found[element] = found.get(element, 0.0) + share * count
        return found

    @cached_property
    def counts(self) -> IntArray:
        """Sites of each kind."""
        return np.bincount(self.kinds, minlength=len(self.occupancies))

    def is_fixed(self, kind: int) -> bool:
        """Whether every site of a kind holds one atom of one element."""
        return self.is_full(kind) and kind not in self.vacant

    def is_full(self, kind: int) -> bool:
        """Whether every site of a kind is reported to hold one atom of one element."""
        shares = list(self.occupancies[kind].values())
        return len(shares) == 1 and shares[0] > 1.0 - FULL

    def least_filled(self, kind: int) -> float:
        """Return the least share of the sites of a kind that hold the atom reported on them."""
        return 1.0 - self.vacant.get(kind, 0.0) if self.is_full(kind) else 0.0

    def repeated(self, transformation: IntArray) -> "DisorderedCell":
        """Return the supercell of a transformation, whose rows are its vectors in those of this."""
        inverse = np.linalg.inv(transformation)
        n_cells = round(abs(float(np.linalg.det(transformation))))
        reach = np.abs(transformation).sum(axis=0)
        ranges = [np.arange(-n, n + 1) for n in reach]
        cells = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
        within = cells @ inverse
        inside = ((within > -1e-9) & (within < 1.0 - 1e-9)).all(axis=1)
        cells = cells[inside]
        if len(cells) != n_cells:
            raise AssertionError(f"{len(cells)} lattice points in a supercell of {n_cells}")
        frac = (self.frac_coords[:, None, :] + cells[None, :, :]).reshape(-1, 3) @ inverse
        return replace(
            self,
            matrix=transformation @ self.matrix,
            frac_coords=frac % 1.0,
            kinds=np.repeat(self.kinds, n_cells),
        )

    def primitive(self) -> "DisorderedCell":
        """Return the smallest cell of the averaged crystal; itself where none smaller is found."""
        found = _quietly(
            spglib.standardize_cell,
            (self.matrix, self.frac_coords, self.kinds),
            to_primitive=True,
            no_idealize=True,
            symprec=SYMMETRY_TOLERANCE,
        )
        if found is None or len(found[2]) >= len(self.kinds):
            return self
        matrix, frac, kinds = found
        return replace(
            self,
            matrix=np.asarray(matrix, dtype=float),
            frac_coords=np.asarray(frac, dtype=float) % 1.0,
            kinds=np.asarray(kinds, dtype=np.int64),
        )

    def permutations(self) -> IntArray:
        """Return how each symmetry of the averaged cell exchanges its sites, (n_symmetries, n)."""
        found = _quietly(
            spglib.get_symmetry,
            (self.matrix, self.frac_coords, self.kinds),
            symprec=SYMMETRY_TOLERANCE,
        )
        identity = np.arange(len(self.kinds))
        if found is None:
            return identity[None, :]
        operations = zip(found["rotations"], found["translations"], strict=True)
        return np.array([_images(self, rotation, shift) for rotation, shift in operations])

    def distances(self) -> FloatArray:
        """Return the shortest distance (n, n) between the images of any two sites, in angstrom.

        On the diagonal, that of a site to its own images.
        """
        lattice = Lattice(self.matrix)
        found = np.asarray(lattice.get_all_distances(self.frac_coords, self.frac_coords))
        own = min(
            float(np.linalg.norm(np.array(cell) @ self.matrix))
            for cell in itertools.product((-1, 0, 1), repeat=3)
            if any(cell)
        )
        np.fill_diagonal(found, own)
        return found


def read_sites(structure: Structure) -> DisorderedCell:
    """Return the sites of a structure; sites that are one place become one.

    Isotopes are their element. Occupancies that are equal to 1e-3 make one kind.
    """
    shares = [_shares(site.species.items()) for site in structure]
    frac = np.asarray(structure.frac_coords, dtype=float) % 1.0
    shares, frac = _merged(structure.lattice, shares, frac)
    kinds: dict[tuple[tuple[str, int], ...], int] = {}
    occupancies: list[Occupancies] = []
    numbers = []
    for share in shares:
        key = tuple(sorted((element, round(value / FULL)) for element, value in share.items()))
        if key not in kinds:
            kinds[key] = len(occupancies)
            occupancies.append(share)
        numbers.append(kinds[key])
    return DisorderedCell(
        np.asarray(structure.lattice.matrix, dtype=float),
        frac,
        np.array(numbers, dtype=np.int64),
        tuple(occupancies),
    )


def _shares(species: object) -> dict[str, float]:
    found: dict[str, float] = {}
    for specie, share in cast("list[tuple[Element, float]]", species):
        symbol = "H" if specie.symbol in {"D", "T"} else specie.symbol
        found[symbol] = found.get(symbol, 0.0) + float(share)
    return {symbol: share for symbol, share in found.items() if share > 1e-6}


def _merged(
    lattice: Lattice, shares: list[dict[str, float]], frac: FloatArray
) -> tuple[list[dict[str, float]], FloatArray]:
    """Join sites that are one place, where together they hold no more than one atom."""
    distances = np.asarray(lattice.get_all_distances(frac, frac))
    partly = np.array([sum(share.values()) < 1.0 - FULL for share in shares])
    near = (distances < SAME_PLACE) & partly[:, None] & partly[None, :]
    taken = np.zeros(len(shares), dtype=bool)
    kept_shares, kept_frac = [], []
    for i, share in enumerate(shares):
        if taken[i]:
            continue
        joined, members = dict(share), [i]
        for j in np.flatnonzero(near[i] & ~taken):
            if j <= i or sum(joined.values()) + sum(shares[j].values()) > 1.0 + FULL:
                continue
            members.append(int(j))
            for element, value in shares[j].items():
                joined[element] = joined.get(element, 0.0) + value
        taken[members] = True
        offsets = frac[members] - frac[i]
        kept_frac.append(frac[i] + (offsets - np.round(offsets)).mean(axis=0))
        kept_shares.append(joined)
    return kept_shares, np.array(kept_frac) % 1.0


def _images(cell: DisorderedCell, rotation: IntArray, shift: FloatArray) -> IntArray:
    moved = cell.frac_coords @ rotation.T + shift
    apart = moved[:, None, :] - cell.frac_coords[None, :, :]
    apart -= np.round(apart)
    squares = ((apart @ cell.matrix) ** 2).sum(axis=2)
    squares[cell.kinds[:, None] != cell.kinds[None, :]] = np.inf
    return np.asarray(squares.argmin(axis=1))


def _quietly(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces a change of its error handling
        try:
            return function(*args, **options)
        except Exception:  # noqa: BLE001  it says no in several ways, and the cell then stays
            return None
