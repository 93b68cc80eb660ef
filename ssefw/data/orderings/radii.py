"""How near two atoms may be, from three kinds of radii that disagree for ions of one sign.

Two lithium ions touch at 1.8 A by ionic radii, at 2.6 A by covalent and at 2.9 A by atomic ones.
Arrangements first keep to the largest of the three, and go on to smaller ones only where the sites
of a crystal leave no other way.
"""

from collections.abc import Mapping

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from pymatgen.core import Element

__all__ = ["CLOSEST", "STRICTNESS", "bond_length", "closest_distance"]

CLOSEST = 0.6
"""Two atoms are never nearer than this share of the sum of their radii. Bonds have 0.8 and more of
it, and refined split sites mostly less than 0.5."""

SHORTEST_BOND = 0.8
"""Share of the sum of ionic radii that a bond has at least."""

STRICTNESS = ("largest", "middle", "smallest")
"""Which of the three sums of radii counts."""


def closest_distance(
    one: str, other: str, *, charges: Mapping[str, float], strictness: str = "smallest"
) -> float:
    """Return the least distance (angstrom) at which two elements are atoms side by side.

    Parameters
    ----------
    one, other
        Symbols of the elements.
    charges
        Oxidation state of each element.
    strictness
        Which of the three sums of radii counts, one of `STRICTNESS`.
    """
    sums = np.sort(_radii(one, charges[one]) + _radii(other, charges[other]))[::-1]
    return CLOSEST * float(sums[STRICTNESS.index(strictness)])


def bond_length(one: str, other: str, *, charges: Mapping[str, float]) -> float:
    """Return the least length (angstrom) of a bond between a cation and an anion."""
    ionic = _radii(one, charges[one])[2] + _radii(other, charges[other])[2]
    return SHORTEST_BOND * float(ionic)


def _radii(symbol: str, charge: float) -> np.ndarray:
    """Return the atomic, the covalent and the ionic radius; what is not known is covalent."""
    element = Element(symbol)
    covalent = float(covalent_radii[atomic_numbers[symbol]])
    atomic = float(element.atomic_radius or covalent)
    known = element.ionic_radii
    nearest = min(known, key=lambda state: abs(state - charge), default=None)
    # The radius of a cation says nothing about the anion, and that of bare protons is no size.
    fits = nearest is not None and nearest * charge > 0 and float(known[nearest]) > 0
    ionic = float(known[nearest]) if fits and nearest is not None else covalent
    return np.array([atomic, covalent, ionic])
