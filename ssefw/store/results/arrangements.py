"""Which runs are of which arrangement of a disordered crystal, and what arrangements differ by."""

import math
from collections.abc import Mapping, Sequence

from ssefw import analysis
from ssefw.documents import Conductivity, Diffusivity, Outcome
from ssefw.store.results.result_store import ResultStore

__all__ = ["ENOUGH_SPREADS", "arrangement_of_runs", "fits_of_arrangements", "usual_spread"]

ENOUGH_SPREADS = 3
"""Compounds whose spread is known, before theirs takes the place of the default."""


def arrangement_of_runs(outcome: Outcome) -> dict[str, int]:
    """Return the number of the arrangement that a trajectory is of, by the trajectory's key."""
    return {
        key: arrangement.ordering.index
        for arrangement in outcome.arrangements
        for key in arrangement.trajectory_keys
    }


def fits_of_arrangements(
    found: Sequence[Diffusivity],
    places: Mapping[str, int],
    *,
    temperature: float,
    prefactor_spread: float | None = None,
) -> dict[int, Conductivity]:
    """Return the conductivity of each arrangement, by its number.

    Parameters
    ----------
    found
        Diffusivities of all runs.
    places
        Number of the arrangement by the key of a trajectory.
    temperature
        Where the conductivity is wanted, K.
    prefactor_spread
        As for `analysis.fit_conductivity`.
    """
    groups: dict[int, list[Diffusivity]] = {}
    for point in found:
        if point.trajectory_key in places:
            groups.setdefault(places[point.trajectory_key], []).append(point)
    return {
        index: analysis.fit_conductivity(
            points, temperature=temperature, prefactor_spread=prefactor_spread
        )
        for index, points in sorted(groups.items())
    }


def usual_spread(results: ResultStore) -> float:
    """Return the spread between arrangements that other compounds of the store showed, decades."""
    known = {"arrangement_spread.kind": "value"}
    found: dict[str, float] = {}
    for outcome in results.find(Outcome, where=known):
        spread = outcome.arrangement_spread
        if spread is not None and spread.value is not None:
            found[outcome.candidate_id] = spread.value
    if len(found) < ENOUGH_SPREADS:
        return analysis.DEFAULT_SPREAD
    return math.sqrt(sum(value**2 for value in found.values()) / len(found))
