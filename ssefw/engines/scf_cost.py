"""What a self-consistent calculation with plane waves costs, before anything ran.

Each iteration applies the Hamiltonian to every band, on the grid of the density, and makes bands
orthogonal. The two prefactors are those of pw.x 6.7 with ultrasoft pseudopotentials on one core of
a 2020s server (11 and 23 bands, 25 to 30 Ry: within 40 %); for other programs, machines and large
cells, trust it to a factor of three.
"""

import math

from pymatgen.core import Composition

__all__ = ["RYDBERG", "rough_step_seconds", "scf_core_seconds", "valence_electrons"]

ITERATIONS = 12
"""Electronic iterations of one self-consistent calculation."""

APPLY = 1.5e-6
"""Core-seconds for each band and plane wave of the density."""

ORTHOGONALIZE = 2.7e-8
"""Core-seconds for each pair of bands and plane wave of the wavefunctions."""

ITERATIONS_OF_A_STEP = 6
"""Of a step of dynamics or of a relaxation, which starts from the density of the one before."""

SPACING = 0.25
"""Distance of k-points of a usual relaxation, in 1/A with 2 pi."""

THINNED = 4
"""By which the symmetry of a usual crystal thins a grid of k-points, beside k and -k."""

LAST_TRANSITION_GROUP = 12
OF_F_BLOCK = 11
"""Valence electrons of a trivalent lanthanide, semi-core counted and f electrons in the core."""

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


def rough_step_seconds(
    composition: Composition,
    *,
    volume: float,
    ecutwfc: float,
    ecutrho: float,
    is_gamma: bool,
) -> float:
    """Return about the core-seconds of a step of dynamics (at Gamma) or of a relaxation.

    From the composition alone: neither pseudopotentials nor an ordered structure are needed. Where
    potentials treat semi-core electrons, or symmetry is unusual, it is off by a factor of two,
    beside what `scf_core_seconds` is off by.

    Parameters
    ----------
    volume
        Of the cell with so many atoms, in A^3.
    ecutwfc, ecutrho
        Cutoffs in Ry.
    """
    side = volume ** (1.0 / 3.0)
    grid = 1 if is_gamma else max(1, math.ceil(2.0 * math.pi / side / SPACING)) ** 3
    whole = scf_core_seconds(
        volume=volume,
        electrons=valence_electrons(composition),
        ecutwfc=ecutwfc,
        ecutrho=ecutrho,
        n_kpoints=1 if grid == 1 else max(2, round(grid / 2 / THINNED)),
    )
    return whole * ITERATIONS_OF_A_STEP / ITERATIONS


def valence_electrons(composition: Composition) -> float:
    """Return about how many electrons pseudopotentials leave: those of the outer shell, and d."""
    total = 0.0
    for element, amount in composition.element_composition.items():
        group = element.group
        if group is None:  # the f block
            total += amount * OF_F_BLOCK
        else:
            total += amount * (group - 10 if group > LAST_TRANSITION_GROUP else group)
    return total


def _plane_waves(volume: float, cutoff: float) -> float:
    return volume / BOHR**3 * math.sqrt(cutoff) ** 3 / (6 * math.pi**2)
