"""Cutoffs and k-points that are converged for a structure, found one after the other.

A series of single points goes from coarse to fine; the finest stands for the limit, and the
coarsest from which on all energies are within the tolerance of it is chosen. Cutoffs are varied
with coarse k-points and k-points at the cutoff that was found.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pymatgen.core import Structure

from ssefw.documents import Convergence, ConvergencePoint
from ssefw.engines.espresso.engine import EspressoEngine
from ssefw.engines.espresso.inputs import kpoint_grid
from ssefw.errors import AnalysisError

__all__ = ["coarsest_within", "converge"]

CUTOFFS = (30.0, 40.0, 50.0, 60.0, 80.0, 100.0)
SPACINGS = (0.6, 0.45, 0.35, 0.25, 0.2)
DUAL = 8.0
"""Cutoff of the density over that of wavefunctions."""


def coarsest_within(points: Sequence[ConvergencePoint], *, tolerance: float) -> ConvergencePoint:
    """Return the coarsest point from which on all energies agree with the finest.

    Parameters
    ----------
    points
        From coarse to fine.
    tolerance
        In eV/atom.

    Raises
    ------
    AnalysisError
        If the last two do not agree: then the finest is no limit.
    """
    limit = points[-1].energy_per_atom
    if len(points) < 2 or abs(points[-2].energy_per_atom - limit) > tolerance:
        step = abs(points[-2].energy_per_atom - limit) if len(points) > 1 else float("nan")
        msg = (
            f"Not converged to {1e3 * tolerance:g} meV/atom: the last step, to "
            f"{points[-1].setting:g}, changes the energy by {1e3 * step:.2f}. Go on to finer ones."
        )
        raise AnalysisError(msg)
    chosen = points[-1]
    for point in reversed(points):
        if abs(point.energy_per_atom - limit) > tolerance:
            break
        chosen = point
    return chosen


def converge(
    engine: EspressoEngine,
    structure: Structure,
    *,
    tolerance: float = 1e-3,
    cutoffs: Sequence[float] = CUTOFFS,
    spacings: Sequence[float] = SPACINGS,
) -> Convergence:
    """Find cutoff and k-points for a structure.

    Parameters
    ----------
    tolerance
        In eV/atom; 1 meV is that of Laskowski et al. 2023 (DOI 10.1039/d2ee03499a).
    cutoffs
        Of wavefunctions, in Ry, rising; that of the density is eight times as high.
    spacings
        Of k-points, in 1/A with 2 pi, falling. Those that give the same grid are computed once.

    Raises
    ------
    AnalysisError
        If a series ends before it is converged.
    """

    def at_cutoff(cutoff: float) -> EspressoEngine:
        return replace(engine, ecutwfc=cutoff, ecutrho=DUAL * cutoff, kspacing=spacings[0])

    series = _series(structure, cutoffs, at_cutoff)
    cutoff = coarsest_within(series, tolerance=tolerance).setting
    best = at_cutoff(cutoff)
    grids = {kpoint_grid(structure, spacing=spacing): spacing for spacing in reversed(spacings)}
    distinct = sorted(grids.values(), reverse=True)
    points: tuple[ConvergencePoint, ...] = ()
    if len(distinct) > 1:
        points = _series(structure, distinct, lambda spacing: replace(best, kspacing=spacing))
        best = replace(best, kspacing=coarsest_within(points, tolerance=tolerance).setting)
    return Convergence(
        formula=structure.composition.reduced_formula,
        tolerance=tolerance,
        ecutwfc=cutoff,
        ecutrho=DUAL * cutoff,
        kspacing=best.kspacing or spacings[0],
        cutoffs=series,
        spacings=points,
        provenance=best.provenance({"tolerance": tolerance}),
    )


def _series(
    structure: Structure,
    settings: Sequence[float],
    engine_at: Callable[[float], EspressoEngine],
) -> tuple[ConvergencePoint, ...]:
    return tuple(
        ConvergencePoint(
            setting=setting, energy_per_atom=engine_at(setting).static(structure).energy_per_atom
        )
        for setting in settings
    )
