"""Which crystals of a pool are one and the same, whatever cell describes them.

Two crystals are compared only where they may be the same: with the same formula, and volumes an
atom that lattices within the tolerance can have. A crystal is reduced to its primitive cell once,
when it is first compared, so that a pool of many compounds is compared in proportion to its size.
"""

import math
from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass

from pymatgen.core import Structure

from ssefw.data.held import HeldCandidate, packed, unpacked
from ssefw.data.structures import (
    ANGLE_TOLERANCE,
    LENGTH_TOLERANCE,
    reduced_cell,
    same_reduced,
)

__all__ = ["VOLUME_TOLERANCE", "Crystals"]

VOLUME_TOLERANCE = 3 * math.log1p(LENGTH_TOLERANCE) + 3 * math.radians(ANGLE_TOLERANCE)
"""Largest difference of the logarithms of two volumes: three lengths, and three angles. In a Niggli
cell, whose angles are between 60 and 120 degrees, the logarithm changes by at most 0.58 of an angle
in radians, so that this leaves out no pair."""

STRETCH = 0.06
"""Largest relative difference of the edges of two Niggli cells, which are the shortest vectors of
their lattices: one lattice is the other strained by at most LENGTH_TOLERANCE and, for each of three
angles, half of ANGLE_TOLERANCE in radians, and a vector changes by no more than the strain."""


class Crystals:
    """Crystals that are not the same, by formula and volume an atom."""

    def __init__(self) -> None:
        """Begin with none."""
        self._places: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
        self._given: dict[str, Structure | HeldCandidate] = {}
        self._reduced: dict[str, _Reduced] = {}

    def twin_or_add(self, key: str, formula: str, crystal: Structure | HeldCandidate) -> str | None:
        """Return the key of the first crystal that is the same; without one, add this and say None.

        Parameters
        ----------
        key
            Names the crystal, once.
        formula
            Reduced; crystals of different formulas are never compared.
        """
        volume = math.log(crystal.volume / crystal.num_sites)
        places = self._places[formula]
        first = bisect_left(places, (volume - VOLUME_TOLERANCE,))
        near = []
        for place in places[first:]:
            if place[0] > volume + VOLUME_TOLERANCE:
                break
            near.append(place)
        self._given[key] = crystal
        for _, _, other in sorted(near, key=lambda place: place[1]):
            one, two = self._cell(other), self._cell(key)
            if _may_be_same(one, two) and same_reduced(one.structure, two.structure):
                del self._given[key]
                self._reduced.pop(key, None)
                return other
        insort(places, (volume, len(self._given), key))
        return None

    def _cell(self, key: str) -> "_Reduced":
        if key not in self._reduced:
            given = self._given[key]
            cell = reduced_cell(given if isinstance(given, Structure) else given.structure)
            self._reduced[key] = _Reduced(sorted(cell.lattice.abc), len(cell), packed(cell))
        return self._reduced[key]


@dataclass(frozen=True, slots=True)
class _Reduced:
    """A primitive Niggli cell with its edges in ascending order (angstrom)."""

    edges: list[float]
    num_sites: int
    packed: bytes

    @property
    def structure(self) -> Structure:
        return unpacked(self.packed)


def _may_be_same(one: _Reduced, two: _Reduced) -> bool:
    """Return whether two Niggli cells can be one within the tolerances; it takes microseconds."""
    edges = zip(one.edges, two.edges, strict=True)
    return one.num_sites == two.num_sites and all(abs(math.log(a / b)) <= STRETCH for a, b in edges)
