"""What a self-consistent calculation with plane waves costs, before anything ran.

Each iteration applies the Hamiltonian to every band, on the grid of the density, and makes bands
orthogonal. The two prefactors are those of pw.x 6.7 with ultrasoft pseudopotentials on one core of
a 2020s server (11 and 23 bands, 25 to 30 Ry: within 40 %); for other programs, machines and large
cells, trust it to a factor of three.
"""

import math

__all__ = ["RYDBERG", "scf_core_seconds"]

ITERATIONS = 12
"""Electronic iterations of one self-consistent calculation."""

APPLY = 1.5e-6
"""Core-seconds for each band and plane wave of the density."""

ORTHOGONALIZE = 2.7e-8
"""Core-seconds for each pair of bands and plane wave of the wavefunctions."""

BOHR = 0.529177211
RYDBERG = 13.605693
"""In eV."""


def scf_core_seconds(
    *,
    volume: float,
    electrons: float,
    ecutwfc: float,
    ecutrho: float,
    n_kpoints: int = 1,
    spins: int = 1,
) -> float:
    """Return the core-seconds of one self-consistent calculation, forces included.

    Parameters
    ----------
    volume
        Of the cell, in A^3.
    ecutwfc, ecutrho
        Cutoffs of wavefunctions and density, in Ry.
    n_kpoints
        A single one is Gamma, where wavefunctions are real and cost half.
    """
    bands = electrons / 2
    waves = _plane_waves(volume, ecutwfc)
    density = _plane_waves(volume, ecutrho)
    once = APPLY * bands * density + ORTHOGONALIZE * bands**2 * waves
    return ITERATIONS * spins * once * (0.5 if n_kpoints == 1 else n_kpoints)


def _plane_waves(volume: float, cutoff: float) -> float:
    return volume / BOHR**3 * math.sqrt(cutoff) ** 3 / (6 * math.pi**2)
