"""What cards compare with: measured lattices, forces and published barriers of PBE.

Crystals are in ``crystals.yaml``. Forces are our own, by pw.x (PBE, PAW of pslibrary 1.0.0, 45 Ry
and 60 for LiF, some 2 x 2 x 2 k-points): three cells a compound, one with all atoms displaced by
0.08 A and two with one lithium ion 0.6 A off its site, once towards the next site.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ase.io
import yaml
from ase import Atoms
from pymatgen.core import Lattice, Structure

__all__ = ["Crystal", "crystals", "frames_with_forces"]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Crystal:
    """A crystal with what is known of it.

    Attributes
    ----------
    measured
        Whether its lattice is one that was measured at room temperature.
    barrier
        Of a lithium vacancy's shortest hop, eV, as published.
    source
        Of lattice and barrier.
    """

    name: str
    structure: Structure
    measured: bool
    barrier: float | None
    source: str


@cache
def crystals() -> tuple[Crystal, ...]:
    """Return the crystals that cards compare with."""
    items = yaml.safe_load((_HERE / "crystals.yaml").read_text(encoding="utf-8"))
    return tuple(_crystal(item) for item in items)


def _crystal(item: dict[str, Any]) -> Crystal:
    lengths, angles = item["lengths"], item.get("angles", [90, 90, 90])
    symbols, places = zip(*(site.split(maxsplit=1) for site in item["sites"]), strict=True)
    structure = Structure.from_spacegroup(
        item["space_group"],
        Lattice.from_parameters(*lengths, *angles),
        symbols,
        [[float(x) for x in place.split()] for place in places],
    )
    return Crystal(
        name=structure.composition.reduced_formula,
        structure=structure,
        measured=item.get("measured", True),
        barrier=item.get("barrier"),
        source=item["source"],
    )


@cache
def frames_with_forces() -> dict[str, tuple[Atoms, ...]]:
    """Return displaced cells with the forces of PBE, by compound."""
    found: dict[str, tuple[Atoms, ...]] = {}
    for atoms in ase.io.read(_HERE / "pbe_forces.xyz", ":", format="extxyz"):
        name = atoms.info["compound"]
        found[name] = (*found.get(name, ()), atoms)
    return found
