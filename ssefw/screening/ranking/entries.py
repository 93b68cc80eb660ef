"""A material with its scores as a record of a ranking."""

import numpy as np

from ssefw.data.materials import Material
from ssefw.documents import Estimate, Gate, RankedCandidate
from ssefw.screening.base import Scores
from ssefw.screening.conductivity.quantiles import INTERVAL, PREDICTED, interval

__all__ = ["entry_of", "is_accepted"]


def entry_of(
    material: Material, scores: Scores, row: int, trail: tuple[Gate, ...]
) -> RankedCandidate:
    """Return the line of a ranking for a material.

    Parameters
    ----------
    material
        What was ranked.
    scores, row
        Of many materials, and the row of this one.
    trail
        What the filters said of it.
    """
    return RankedCandidate(
        candidate_id=material.candidate_id,
        formula=material.formula,
        score=float(scores.probability[row]),
        spread=float(scores.spread[row]),
        source=material.name,
        lower=float(scores.lower[row]),
        upper=float(scores.upper[row]),
        votes=None if scores.votes is None else int(scores.votes[row]),
        n_votes=scores.n_votes,
        distance=None if scores.distance is None else float(scores.distance[row]),
        trail=trail,
        sigma=_conductivity(scores, row),
        votes_by_kind={
            name.removeprefix("votes_"): int(values[row])
            for name, values in scores.details.items()
            if name.startswith("votes_")
        },
    )


def _conductivity(scores: Scores, row: int) -> Estimate | None:
    if scores.quantiles is None or scores.log_sigma is None:
        return None
    if not np.isfinite(scores.log_sigma[row]):
        return None
    low, high = interval(scores.quantiles[row : row + 1])
    return Estimate(
        value=float(10 ** scores.log_sigma[row]),
        lower=float(10 ** low[0]),
        upper=float(10 ** high[0]),
        unit="S/cm",
        level=INTERVAL,
        method=PREDICTED,
    )


def is_accepted(scores: Scores, row: int) -> bool:
    """Whether every member votes for a material (the rule of Kang et al. 2022)."""
    return scores.votes is not None and int(scores.votes[row]) == scores.n_votes
