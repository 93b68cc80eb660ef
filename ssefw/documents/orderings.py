"""Ordered cells that stand for a disordered crystal."""

from typing import Annotated, Literal

from pydantic import Field

from ssefw.documents.base import Document, Structure
from ssefw.documents.runs import RelaxResult
from ssefw.documents.transport import Conductivity, Diffusivity
from ssefw.units import EnergyPerAtom, Fraction, Length, Pure, Temperature, Unit

Charge = Annotated[float, Unit("e")]

ArrangementChoice = Literal["lowest", "sampled", "random"]
"""The lowest electrostatic energies, arrangements drawn by their Boltzmann weight, or any."""


class OrderingSettings(Document):
    """How a disordered crystal becomes ordered cells.

    Attributes
    ----------
    choose
        The ``lowest`` electrostatic energies, arrangements ``sampled`` by their Boltzmann weight,
        or ``random`` ones. In all of them no two atoms are too close.
    number
        How many; a larger number keeps the first ones.
    temperature, permittivity
        Of the Boltzmann weight: ions were mobile down to this temperature when the crystal was
        made, and charges are screened by electrons and by the lattice. Bare charges would single
        out one arrangement at any temperature.
    min_length, max_atoms
        The supercell: least distance between opposite faces and most atoms.
    tolerance
        Share of the atoms that rounding to whole atoms may change, beyond what neutrality asks for.
    limit
        A crystal whose composition would change more is refused.
    mobile
        The element that takes up charge that the occupancies leave.
    seed
        The same seed gives the same cells.
    """

    choose: ArrangementChoice = "sampled"
    number: int = Field(3, ge=1)
    temperature: Temperature = Field(1000.0, gt=0)
    permittivity: Pure = Field(10.0, ge=1)
    min_length: Length = Field(10.0, gt=0)
    max_atoms: int = Field(400, ge=1)
    tolerance: Fraction = Field(0.01, ge=0)
    limit: Fraction = Field(0.02, ge=0)
    mobile: str = "Li"
    seed: int = 0


class Ordering(Document):
    """One ordered cell.

    Attributes
    ----------
    index
        Its number among those of the crystal, from zero.
    energy_per_atom
        Electrostatic energy of the point charges, not screened.
    above_lowest
        That energy above the lowest of those chosen.
    """

    index: int
    structure: Structure
    energy_per_atom: EnergyPerAtom
    above_lowest: EnergyPerAtom


class Orderings(Document):
    """Ordered cells of a disordered crystal, all of one shape and composition.

    Attributes
    ----------
    formula
        Of the crystal as reported.
    n_atoms, n_cells
        Atoms in a cell, and how many primitive cells of the averaged crystal it holds.
    width
        Least distance between opposite faces.
    composition
        Atoms of each element in a cell.
    changes
        Atoms of each element more (or less) in a cell than reported.
    error
        Share of the atoms that are of another element than reported: half the sum of the changes
        of the atomic fractions, whatever their sign.
    charges
        Oxidation states that were assigned; a mean for an element of mixed valence.
    n_distinct
        Arrangements that differ by more than symmetry, where there are so few that all were listed.
    """

    formula: str
    n_atoms: int
    n_cells: int
    width: Length
    composition: dict[str, int]
    changes: dict[str, Pure]
    error: Fraction
    charges: dict[str, Charge]
    n_distinct: int | None = None
    orderings: tuple[Ordering, ...]
    warnings: tuple[str, ...] = ()


class Arrangement(Document):
    """What one ordered cell of a disordered crystal gave in a campaign.

    Attributes
    ----------
    reason
        Why it has no dynamics, or no conductivity.
    above_lowest
        Relaxed energy above the lowest of the arrangements that were relaxed.
    conductivity
        Of this arrangement alone, with the error of its runs.
    """

    ordering: Ordering
    reason: str = ""
    relaxed: RelaxResult | None = None
    above_lowest: EnergyPerAtom | None = None
    conductivity: Conductivity | None = None
    diffusivities: tuple[Diffusivity, ...] = ()
    trajectory_keys: tuple[str, ...] = ()
