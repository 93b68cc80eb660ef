"""Barriers of a disordered crystal: bands in several arrangements of its ions, and their range.

A vacancy that hops needs whole atoms around it. Each arrangement is a crystal of its own, with
hops of its own; what they say of the disordered crystal is how far apart they are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from pymatgen.core import Structure

from ssefw.documents import Barrier, Estimate, OrderingSettings
from ssefw.documents.orderings import ArrangementChoice
from ssefw.engines.stopping import StopCheck, never_stop
from ssefw.errors import AnalysisError, DataError, EngineError

__all__ = ["ORDERED_WIDTH", "arranged_crystals", "over_arrangements"]

K = TypeVar("K", int, int | None)

ORDERED_WIDTH = 5.0
"""Least width (angstrom) of an ordered cell that is repeated for the bands. Each of its ions is a
kind of site of its own: a wider cell has more kinds of hops, each with bands to compute."""


def arranged_crystals(
    crystal: Structure, *, specie: str, number: int, choose: ArrangementChoice = "sampled"
) -> dict[int, Structure]:
    """Return ordered cells of a disordered crystal by their number; more of them keep the first.

    Parameters
    ----------
    crystal
        With occupancies.
    specie
        The mobile ion.
    number
        How many cells.
    choose
        Whether they are drawn at a temperature, at random, or those of lowest energy.

    Raises
    ------
    DataError
        If it cannot be ordered.
    """
    settings = OrderingSettings(
        number=number, choose=choose, min_length=ORDERED_WIDTH, mobile=specie
    )
    # Compiled kernels, which ordered crystals do not need.
    from ssefw.data.orderings import order_crystal  # noqa: PLC0415

    found = order_crystal(crystal, settings)
    return {ordering.index: ordering.structure for ordering in found.orderings}


def over_arrangements(
    crystals: Mapping[K, Structure],
    compute: Callable[[Structure, K], Barrier],
    *,
    formula: str,
    candidate_id: str = "",
    stop: StopCheck = never_stop,
) -> Barrier:
    """Return one barrier for those of several arrangements, with the range that they span.

    Parameters
    ----------
    crystals
        The ordered cells by their number.
    compute
        Gives the barrier of one of them.
    formula, candidate_id
        Of the disordered crystal.

    Raises
    ------
    AnalysisError
        If no arrangement has a barrier, or it was time to stop before all were computed.
    """
    found: dict[K, Barrier] = {}
    failed: dict[K, str] = {}
    for index, crystal in crystals.items():
        try:
            found[index] = compute(crystal, index)
        except (AnalysisError, DataError, EngineError) as error:
            if stop() is not None:
                raise
            failed[index] = str(error)
    own: list[str] = [f"arrangement {index}: {_said(barrier)}" for index, barrier in found.items()]
    own += [f"arrangement {index} has no barrier: {reason}" for index, reason in failed.items()]
    if not found:
        raise AnalysisError(f"None of {len(crystals)} arrangements of {formula}: {'; '.join(own)}")
    barriers = list(found.values())
    shared: dict[str, None] = dict.fromkeys(
        warning for barrier in barriers for warning in barrier.warnings
    )
    return barriers[0].model_copy(
        update={
            "candidate_id": candidate_id,
            "formula": formula,
            "barrier_1d": _range([barrier.barrier_1d for barrier in barriers]),
            "barrier_2d": _range([barrier.barrier_2d for barrier in barriers]),
            "barrier_3d": _range([barrier.barrier_3d for barrier in barriers]),
            "bands": tuple(band for barrier in barriers for band in barrier.bands),
            "warnings": (*own, *shared),
            "wall_time": sum(barrier.wall_time for barrier in barriers),
        }
    )


def _said(barrier: Barrier) -> str:
    dimensions = (barrier.barrier_1d, barrier.barrier_2d, barrier.barrier_3d)
    return "to cross in 1D, 2D, 3D " + ", ".join(
        f"{e.value:.3f}" if e.value is not None else str(e) for e in dimensions
    )


def _range(estimates: Sequence[Estimate]) -> Estimate:
    """Return the median of arrangements; the interval reaches from the lowest to the highest."""
    known = [e for e in estimates if e.value is not None]
    if not known:
        return estimates[0]
    lower = min(float(e.lower) for e in known if e.lower is not None)
    upper = max(float(e.upper) for e in known if e.upper is not None)
    missing = len(estimates) - len(known)
    note = f"; {missing} more have no value" if missing else ""
    return Estimate(
        value=float(np.median([float(e.value) for e in known if e.value is not None])),
        lower=lower,
        upper=upper,
        level=known[0].level,
        unit=known[0].unit,
        method=f"median of {len(known)} arrangements, the interval spans theirs{note}",
    )
