"""From a pool to an ordered list: the cascade, the scores, the order.

A ranking holds the materials that passed every filter, best score first, each with its interval,
votes, distance to the labels and filter trail; what was stopped is counted by filter.
"""

from ssefw.screening.ranking.candidates import ranked_candidates, screen_properties
from ssefw.screening.ranking.order import rank_materials
from ssefw.screening.ranking.parts import merged_ranking, rank_part
from ssefw.screening.ranking.pool_file import rank_pool
from ssefw.screening.ranking.result import RankingResult

__all__ = [
    "RankingResult",
    "merged_ranking",
    "rank_materials",
    "rank_part",
    "rank_pool",
    "ranked_candidates",
    "screen_properties",
]
