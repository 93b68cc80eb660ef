"""The five atomistic features of Sendek et al. 2017, for ordered and disordered crystals.

Where sites are partly occupied every count is an expectation: a neighbor counts as its occupancy,
and the nearest neighbor is the nearest one that is there. Sites closer than 1.2 A of which one is
not full are alternatives of each other, and never neighbors.

https://doi.org/10.1039/C6EE02697D
"""

import numpy as np
import numpy.typing as npt
from pymatgen.core import Element, Structure

from ssefw.errors import DataError
from ssefw.screening.features.crystal_graph import Bonds, crystal_bonds
from ssefw.screening.features.sites import Sites, structure_sites

__all__ = ["SENDEK_FEATURES", "missing_element", "sendek_features"]

Floats = npt.NDArray[np.float64]

SENDEK_FEATURES = (
    "Li-Li bonds per Li",
    "bond ionicity of the sublattice",
    "anion-anion coordination",
    "shortest Li-anion distance",
    "shortest Li-Li distance",
)
BOND = 4.0
REACH = 8.0
ALTERNATIVE = 1.2
_LI = 3


def sendek_features(structure: Structure) -> Floats:
    """Return the features of a structure, distances in angstrom, shape (5,).

    Raises
    ------
    DataError
        If there is no lithium or no anion.
    """
    sites = structure_sites(structure, charged=True)
    occupancy = sites.occupancy
    lithium, anion = _ions(sites)
    if missing := _missing(lithium, anion):
        raise DataError(
            f"{structure.composition.reduced_formula} has {missing}, so Sendek's features are "
            "not defined."
        )
    bonds = crystal_bonds(sites, cutoff=REACH)
    full = occupancy.sum(axis=1) > 1 - 1e-3
    real = (bonds.distance >= ALTERNATIVE) | (full[bonds.center] & full[bonds.neighbor])
    near = real & (bonds.distance <= BOND)
    rest = occupancy.copy()
    rest[:, _LI] = 0
    return np.array(
        [
            _count(bonds, near, lithium, lithium),
            _ionicity(bonds, near, rest),
            _count(bonds, near, anion, anion),
            _shortest(bonds, real, lithium, anion),
            _shortest(bonds, real, lithium, lithium),
        ]
    )


def missing_element(structure: Structure) -> str:
    """Return "no lithium" or "no anion" where features are not defined, else nothing."""
    return _missing(*_ions(structure_sites(structure, charged=True)))


def _missing(lithium: Floats, anion: Floats) -> str:
    if lithium.sum() == 0:
        return "no lithium"
    return "no anion" if anion.sum() == 0 else ""


def _ions(sites: Sites) -> tuple[Floats, Floats]:
    """Return how much lithium and how much of any anion each site holds."""
    if sites.charge_sign is None:
        raise ValueError("sites were made without charges")
    return sites.occupancy[:, _LI], (sites.occupancy * (sites.charge_sign < 0)).sum(axis=1)


def _count(bonds: Bonds, used: npt.NDArray[np.bool_], here: Floats, there: Floats) -> float:
    """Return the mean number of neighbors of a kind, over the atoms of another."""
    pairs = here[bonds.center[used]] * there[bonds.neighbor[used]]
    return float(pairs.sum() / here.sum())


def _ionicity(bonds: Bonds, used: npt.NDArray[np.bool_], rest: Floats) -> float:
    """Return the mean difference of electronegativity over bonds between atoms other than Li."""
    kinds = np.flatnonzero(rest.sum(axis=0))
    chi = np.array([Element.from_Z(int(z)).X for z in kinds])
    gap = np.nan_to_num(np.abs(chi[:, None] - chi[None, :]))
    share = rest[:, kinds]
    center, neighbor = share[bonds.center[used]], share[bonds.neighbor[used]]
    weight = (center.sum(axis=1) * neighbor.sum(axis=1)).sum()
    return float(((center @ gap) * neighbor).sum() / weight) if weight > 0 else 0.0


def _shortest(bonds: Bonds, used: npt.NDArray[np.bool_], here: Floats, there: Floats) -> float:
    """Return the mean distance to the nearest atom of a kind; what is not found is at 8 A."""
    total = 0.0
    for site in np.flatnonzero(here):
        mine = used & (bonds.center == site) & (there[bonds.neighbor] > 0)
        order = np.argsort(bonds.distance[mine], kind="stable")
        distance = np.append(bonds.distance[mine][order], REACH)
        present = np.append(np.minimum(there[bonds.neighbor[mine]][order], 1.0), 1.0)
        absent_before = np.append(1.0, np.cumprod(1 - present[:-1]))
        total += here[site] * float(distance @ (present * absent_before))
    return total / float(here.sum())
