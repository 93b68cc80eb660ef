"""Ends of hops: supercells that lack one ion, relaxed once for all hops that share them.

A hop starts with one vacancy and ends with another. Vacancies that symmetry makes one are relaxed
once, and carried over to where the other hops want them.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from pymatgen.core import Structure

from ssefw.data.hops import (
    HopClass,
    VacancyCell,
    carry_over,
    distinct_sites,
    symmetry_operations,
    vacancy_at,
)
from ssefw.documents import RelaxResult
from ssefw.engines.band import displacements
from ssefw.engines.base import Engine
from ssefw.errors import DataError, EngineError

__all__ = ["Ends", "ends_of_hop", "relax_end"]

logger = logging.getLogger(__name__)


def relax_end(
    engine: Engine, structure: Structure, site: int, *, min_length: float, fmax: float, steps: int
) -> RelaxResult:
    """Relax the supercell that lacks the ion at one site of the crystal, its cell fixed.

    Parameters
    ----------
    fmax, steps
        Largest force at the end (eV/A), and most steps to get there.

    Raises
    ------
    EngineError
        If it does not converge.
    """
    ideal = vacancy_at(structure, site, min_length=min_length)
    logger.info("relaxing a vacancy at site %d, %d atoms", site, len(ideal))
    result = engine.relax(ideal, fmax=fmax, max_steps=steps, relax_cell=False)
    if not result.converged:
        msg = (
            f"The vacancy at site {site} did not relax to {fmax:g} eV/A in {result.n_steps} steps "
            f"({result.max_force:.3f} eV/A are left). Allow more steps."
        )
        raise EngineError(msg)
    return result


class Ends:
    """The relaxed vacancies of a crystal, each computed when a hop first asks for it.

    Parameters
    ----------
    kinds
        The hops that share them.

    Attributes
    ----------
    stands_for
        Site to the site whose vacancy stands for it.
    """

    def __init__(
        self,
        engine: Engine,
        structure: Structure,
        kinds: Sequence[HopClass],
        *,
        min_length: float,
        fmax: float,
        steps: int,
    ) -> None:
        self._engine = engine
        self._structure = structure
        self._limits = {"min_length": min_length, "fmax": fmax}
        self._steps = steps
        self.stands_for = distinct_sites(structure, kinds, min_length=min_length)
        self._results: dict[int, RelaxResult | EngineError] = {}

    def of(self, kind: HopClass) -> dict[int, Structure]:
        """Return, by site, the relaxed vacancies that the ends of a hop are made from."""
        sites = {self.stands_for[site] for site in (kind.hop.start, kind.hop.end)}
        for site in sorted(sites - self._results.keys()):
            try:
                self._results[site] = relax_end(
                    self._engine, self._structure, site, steps=self._steps, **self._limits
                )
            except EngineError as error:
                self._results[site] = error
        found: dict[int, Structure] = {}
        for site in sorted(sites):
            result = self._results[site]
            if isinstance(result, EngineError):
                raise result
            found[site] = result.structure
        return found


def ends_of_hop(
    structure: Structure,
    kind: HopClass,
    cell: VacancyCell,
    relaxed: Mapping[int, Structure],
    *,
    stands_for: Mapping[int, int],
    min_length: float,
) -> tuple[Structure, Structure]:
    """Return both ends of a hop, relaxed, from the vacancies that stand for them.

    Parameters
    ----------
    structure
        The crystal.
    cell
        The ends as cut from the crystal.
    relaxed
        Vacancies by site of the crystal.
    stands_for
        See `ssefw.data.hops.distinct_sites`.

    Raises
    ------
    DataError
        If the mover left its site: then that end is no minimum, or fell onto the other.
    """
    operations = symmetry_operations(structure)
    places = {"start": cell.end.cart_coords[cell.mover], "end": cell.start.cart_coords[cell.mover]}
    ideals = {"start": cell.start, "end": cell.end}
    ends: dict[str, Structure] = {}
    for name, site in (("start", kind.hop.end), ("end", kind.hop.start)):
        found = None
        if name == "end" and kind.symmetric:
            found = carry_over(
                ends["start"], cell.start, cell.end, operations,
                holes=(places["start"], places["end"]), mover=cell.mover,
            )  # fmt: skip
        if found is None:
            source = stands_for[site]
            found = carry_over(
                relaxed[source], vacancy_at(structure, source, min_length=min_length),
                ideals[name], operations,
                holes=(structure.cart_coords[source], places[name]),
            )  # fmt: skip
        if found is None:
            msg = (
                f"The vacancy at site {stands_for[site]} cannot be carried over to site {site}: "
                "the crystal is less symmetric than it looked. Relax it more tightly."
            )
            raise DataError(msg)
        ends[name] = found
    length = float(np.linalg.norm(places["start"] - places["end"]))
    for name, end in ends.items():
        moved = float(np.linalg.norm(displacements(ideals[name], end), axis=1)[cell.mover])
        if moved > length / 2:
            msg = (
                f"At the {name} of the hop the ion left its site, by {moved:.2f} A of "
                f"{length:.2f} A: beside the vacancy that site is no minimum. Choose another hop, "
                "or a longer one through this site."
            )
            raise DataError(msg)
    return ends["start"], ends["end"]
