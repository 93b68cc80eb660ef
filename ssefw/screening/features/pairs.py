"""Descriptors of pairs of atoms: radial distribution, bond valences, the sine Coulomb matrix.

Numbers are those of matminer's ``RadialDistributionFunction``, ``GlobalInstabilityIndex`` and
``SineCoulombMatrix``, from arrays of all pairs at once.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure
from scipy import constants

from ssefw.errors import DataError

__all__ = ["instability", "radial_distribution", "sine_coulomb"]

BOHR_PER_ANGSTROM: Final = constants.value("Angstrom star") / constants.value("Bohr radius")

FloatArray = npt.NDArray[np.float64]
Parameters = Callable[[str, str, float, float], tuple[float, float]]


def radial_distribution(
    structure: Structure, *, cutoff: float = 10.0, bin_size: float = 0.1
) -> FloatArray:
    """Return the pairs in each bin of distance (angstrom) over those of the mean density.

    Summed over the atoms of the cell, as in matminer.
    """
    distance = structure.get_neighbor_list(cutoff)[3]
    edges = np.arange(0, cutoff + bin_size, bin_size)
    pairs = np.histogram(distance, bins=edges)[0]
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    return np.asarray(pairs / shells / len(structure) * structure.volume)


def instability(structure: Structure, parameters: Parameters, *, cutoff: float) -> FloatArray:
    """Return the root mean square of bond-valence sums less charges, shape (1,).

    Parameters
    ----------
    parameters
        Gives length and softness (angstrom) of a cation, an anion and their charges; raises
        IndexError where there are none.
    cutoff
        Angstrom to which bonds count.

    Raises
    ------
    DataError
        If there is one element only, a charge is not whole, or a pair has no parameters.
    """
    kinds = list(structure.composition)
    if len({kind.symbol for kind in kinds}) == 1:
        raise DataError("Global instability: one element alone makes no ionic bonds.")
    place = {kind: number for number, kind in enumerate(kinds)}
    kind = np.array([place[site.specie] for site in structure])
    charge = np.array([float(one.oxi_state) for one in kinds])
    if (charge % 1 != 0).any():
        raise DataError("Global instability: a charge is not whole, so no table has it.")
    center, other, _, distance = structure.get_neighbor_list(cutoff)
    total = np.zeros(len(structure))
    pair = kind[center] * len(kinds) + kind[other]
    for one in np.unique(pair):
        inside, outside = divmod(int(one), len(kinds))
        if charge[inside] * charge[outside] >= 0:
            continue
        cation, anion = (inside, outside) if charge[inside] > 0 else (outside, inside)
        try:
            length, softness = parameters(
                kinds[cation].symbol, kinds[anion].symbol, charge[cation], charge[anion]
            )
        except IndexError:
            raise DataError(
                f"Global instability: there are no bond-valence parameters of {kinds[cation]} and "
                f"{kinds[anion]}."
            ) from None
        here = pair == one
        valence = np.exp((length - distance[here]) / softness) * np.sign(charge[inside])
        total += np.bincount(center[here], weights=valence, minlength=len(structure))
    return np.array([np.sqrt(((total - charge[kind]) ** 2).mean())])


def sine_coulomb(structure: Structure) -> FloatArray:
    """Return the eigenvalues of the sine Coulomb matrix, largest magnitude first, shape (n,)."""
    number = np.array([site.specie.Z for site in structure], dtype=float)
    coords = structure.frac_coords
    waves = np.sin(np.pi * (coords[:, None] - coords[None])) ** 2
    away = np.linalg.norm(waves @ structure.lattice.matrix, axis=2) * BOHR_PER_ANGSTROM
    np.fill_diagonal(away, 1.0)
    if not (away > 0).all():
        raise DataError("Sine Coulomb: two atoms coincide. Correct the structure.")
    matrix = number[:, None] * number / away
    np.fill_diagonal(matrix, 0.5 * number**2.4)
    values = np.linalg.eigvalsh(matrix)
    return np.asarray(values[np.argsort(-np.abs(values), kind="stable")])
