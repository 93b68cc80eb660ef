"""Ends of hops: supercells with one defect, relaxed once for all hops that share them.

A hop starts with a defect (a vacancy, an interstitial ion) at one site and ends with it at another.
Those that symmetry makes one are relaxed once, and carried over to where the other hops want them.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from pymatgen.core import Structure

from ssefw.data.defects import HopCell, carry_over, defect_at, distinct_sites
from ssefw.data.hops import HopClass, symmetry_operations
from ssefw.documents import RelaxResult
from ssefw.engines.band import displacements
from ssefw.engines.base import Engine
from ssefw.errors import DataError, EngineError

__all__ = ["Ends", "ends_of_hop", "relax_end"]

logger = logging.getLogger(__name__)


def relax_end(
    engine: Engine, structure: Structure, site: int, *, min_length: float, fmax: float, steps: int
) -> RelaxResult:
    """Relax the supercell with a defect at one site of the crystal, its cell fixed.

    Parameters
    ----------
    fmax, steps
        Largest force at the end (eV/A), and most steps to get there.

    Raises
    ------
    EngineError
        If it does not converge.
    """
    ideal = defect_at(structure, site, min_length=min_length)
    logger.info("relaxing a defect at site %d, %d atoms", site, len(ideal))
    result = engine.relax(ideal, fmax=fmax, max_steps=steps, relax_cell=False)
    if not result.converged:
        msg = (
            f"The defect at site {site} did not relax to {fmax:g} eV/A in {result.n_steps} steps "
            f"({result.max_force:.3f} eV/A are left). Allow more steps."
        )
        raise EngineError(msg)
    return result


class Ends:
    """The relaxed defects of a crystal, each computed when a hop first asks for it.

    Parameters
    ----------
    kinds
        The hops that share them.

    Attributes
    ----------
    representatives
        Site to the site whose defect stands for it.
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
        self.representatives = distinct_sites(structure, kinds, min_length=min_length)
        self._results: dict[int, RelaxResult | EngineError] = {}

    def of(self, kind: HopClass) -> dict[int, Structure]:
        """Return, by site, the relaxed defects that the ends of a hop are made from."""
        sites = {self.representatives[site] for site in (kind.hop.start, kind.hop.end)}
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
    cell: HopCell,
    relaxed: Mapping[int, Structure],
    *,
    representatives: Mapping[int, int],
    min_length: float,
) -> tuple[Structure, Structure]:
    """Return both ends of a hop, relaxed, from the defects that stand for them.

    Parameters
    ----------
    structure
        The crystal.
    cell
        The ends as cut from the crystal.
    relaxed
        Defects by site of the crystal.
    representatives
        See `ssefw.data.defects.distinct_sites`.

    Raises
    ------
    DataError
        If an ion that moves left its site: then that end is no minimum, or fell onto the other.
    """
    operations = symmetry_operations(structure)
    places = dict(zip(("start", "end"), cell.places, strict=True))
    ideals = {"start": cell.start, "end": cell.end}
    ends: dict[str, Structure] = {}
    for name, site in zip(("start", "end"), cell.sites, strict=True):
        found = None
        if name == "end" and kind.symmetric:
            found = carry_over(
                ends["start"], cell.start, cell.end, operations,
                holes=(places["start"], places["end"]), mover=(cell.movers[0], cell.movers[-1]),
            )  # fmt: skip
        if found is None:
            source = representatives[site]
            found = carry_over(
                relaxed[source], defect_at(structure, source, min_length=min_length),
                ideals[name], operations,
                holes=(structure.cart_coords[source], places[name]),
            )  # fmt: skip
        if found is None:
            msg = (
                f"The defect at site {source} cannot be carried over to site {site}: "
                "the crystal is less symmetric than it looked. Relax it more tightly."
            )
            raise DataError(msg)
        ends[name] = found
    for mover in cell.movers:
        way = displacements(cell.start, cell.end)[mover]
        length = float(np.linalg.norm(way))
        for name, end in ends.items():
            moved = float(np.linalg.norm(displacements(ideals[name], end), axis=1)[mover])
            if moved > length / 2:
                msg = (
                    f"At the {name} of the hop the ion left its site, by {moved:.2f} A of "
                    f"{length:.2f} A: beside the defect that site is no minimum. Choose another "
                    "hop, a longer one through this site, or another mechanism."
                )
                raise DataError(msg)
    return ends["start"], ends["end"]
