"""The entries of a ranking as candidates of a campaign, with what the screen said."""

from typing import Any

from ssefw.documents import Candidate, RankedCandidate
from ssefw.screening.ranking.result import RankingResult

__all__ = ["ranked_candidates", "screen_properties"]


def ranked_candidates(result: RankingResult) -> list[Candidate]:
    """Return the entries that have a structure as candidates of a campaign, best first.

    What the pool states and the score, votes, distance and predicted conductivity (S/cm, with the
    ends of its interval) travel as properties.
    """
    materials = {material.name: material for material in result.cascade.passed}
    candidates = []
    for entry in result.ranking.entries:
        material = materials[entry.source]
        if material.build is None:
            continue
        properties = {**material.properties, **screen_properties(entry)}
        candidates.append(
            Candidate(
                id=entry.candidate_id,
                formula=material.structure.composition.reduced_formula,
                structure=material.structure,
                source=entry.source,
                properties=properties,
            )
        )
    return candidates


def screen_properties(entry: RankedCandidate) -> dict[str, Any]:
    """Return what a screen says of a material, as properties that travel with its crystal."""
    said: dict[str, Any] = {
        "screen_score": entry.score,
        "screen_votes": entry.votes,
        "screen_distance": entry.distance,
    }
    sigma = entry.sigma
    if sigma is None:
        return said
    names = ("screen_sigma", "screen_sigma_lower", "screen_sigma_upper")
    return said | dict(zip(names, (sigma.value, sigma.lower, sigma.upper), strict=True))
