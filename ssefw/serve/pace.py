"""How much of a core goes into what people watch."""

__all__ = ["LONGEST_REST", "rest_after"]

WATCHING_SHARE = 99.0
"""After a second of processor time it is waited for 99: one percent of a core goes into looking,
another into the pages that follow, and another into the analysis of each run that is watched,
however many watch and however large the campaign."""
LONGEST_REST = 15.0
"""Seconds that a page may lag behind, whatever it costs."""


def rest_after(used: float) -> float:
    """Return how many seconds to wait after so many of processor time, before more are used."""
    return min(WATCHING_SHARE * used, LONGEST_REST)
