"""The smallest supercell in which a disordered crystal has whole atoms and no charge."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.data.orderings.charges import OxidationStates
from ssefw.data.orderings.composition import WholeAtoms, least_error, round_composition
from ssefw.data.orderings.sites import DisorderedCell
from ssefw.data.orderings.supercells import fewest_cells, widest_supercell
from ssefw.documents import OrderingSettings
from ssefw.errors import DataError

__all__ = ["WholeCell", "choose_cell"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class WholeCell:
    """A supercell, the whole atoms on its sites, and the distance between its faces (angstrom)."""

    cell: DisorderedCell
    atoms: WholeAtoms
    width: float


def choose_cell(
    cell: DisorderedCell,
    states: OxidationStates,
    settings: OrderingSettings,
    *,
    more_than: int = 0,
) -> WholeCell:
    """Return the smallest supercell of more than `more_than` cells that is good enough.

    Good enough is an error of composition within the tolerance of what neutrality alone asks for,
    with each element still there. Where no cell is, the one of least error within the limit is
    taken.

    Parameters
    ----------
    cell
        The disordered one.
    states
        Oxidation states of its elements.
    settings
        Least width, most atoms and tolerances.
    more_than
        Cells that were not good enough.

    Raises
    ------
    DataError
        If none is neutral within the limit, or none is wide enough.
    """
    limit = settings.limit
    unavoidable = least_error(cell, states, mobile=settings.mobile, limit=limit)
    if unavoidable > limit:
        raise DataError(_not_neutral(cell, states, settings, unavoidable))
    n_atoms = sum(cell.amounts.values())
    first = max(fewest_cells(cell.matrix, min_length=settings.min_length), more_than + 1)
    last = int(settings.max_atoms * (1.0 + limit) / n_atoms)
    best: WholeAtoms | None = None
    least: WholeAtoms | None = None
    for n_cells in range(first, last + 1):
        found = round_composition(
            cell, states, n_cells=n_cells, mobile=settings.mobile, limit=limit
        )
        if found is None or found.n_atoms > settings.max_atoms:
            continue
        if least is None or found.error < least.error:
            least = found
        if not found.keeps_elements or found.error > limit:
            continue
        if best is not None and found.error >= best.error:
            continue
        _, width = widest_supercell(cell.matrix, n_cells)
        if width < settings.min_length - 1e-6:
            continue
        best = found
        if found.error <= unavoidable + settings.tolerance:
            break
    if best is None:
        raise DataError(_no_cell(least, n_atoms, settings, first=first))
    transformation, width = widest_supercell(cell.matrix, best.n_cells)
    return WholeCell(cell.repeated(transformation), best, width)


def _not_neutral(
    cell: DisorderedCell, states: OxidationStates, settings: OrderingSettings, error: float
) -> str:
    charge = sum(states.lowest[e] * amount for e, amount in cell.amounts.items())
    shown = " ".join(f"{e}{states.lowest[e]:+d}" for e in sorted(states.lowest))
    change = (
        f"a neutral cell would change at least {error:.1%} of them, more than "
        f"limit = {settings.limit:.1%}"
        if np.isfinite(error)
        else "no filling of its sites is neutral"
    )
    return (
        f"with {shown} its occupancies leave a charge of {charge:+.3g} on "
        f"{sum(cell.amounts.values()):.4g} atoms, and {change}; check the occupancies, or write "
        "other oxidation states into the file"
    )


def _no_cell(
    least: WholeAtoms | None, n_atoms: float, settings: OrderingSettings, *, first: int
) -> str:
    if least is None:
        return (
            f"a cell of whole atoms that is {settings.min_length:g} A wide has at least "
            f"{first * n_atoms:.0f} atoms, more than max_atoms = {settings.max_atoms}; lower "
            "min_length or raise max_atoms"
        )
    if not least.keeps_elements:
        lost = sorted(
            element
            for element in least.changes
            if not any(count.get(element) for count in least.counts)
        )
        return (
            f"the nearest neutral cell of at most {settings.max_atoms} atoms has no "
            f"{' and no '.join(lost)}; check the occupancies, or raise max_atoms"
        )
    if least.error > settings.limit:
        return (
            f"the nearest neutral cell of at most {settings.max_atoms} atoms changes "
            f"{least.error:.1%} of the atoms, more than limit = {settings.limit:.1%}; raise "
            "max_atoms"
        )
    return (
        f"no cell of at most {settings.max_atoms} atoms is {settings.min_length:g} A wide; lower "
        "min_length or raise max_atoms"
    )
