"""What a screen said of the candidates of a campaign before any of them was computed."""

from ssefw.documents import Ranking, Reranking
from ssefw.store.results.result_store import ResultStore

__all__ = ["first_ranking"]


def first_ranking(results: ResultStore, campaign: str) -> Ranking | None:
    """Return the ranking of a campaign that no outcome of it has changed.

    Where outcomes were learned from, the one that was stored first may already have.
    """
    learned = next(iter(results.find(Reranking, campaign=campaign)), None)
    if learned is not None:
        before = results.get(learned.ranking_before)
        return before if isinstance(before, Ranking) else None
    return next(iter(results.find(Ranking, campaign=campaign)), None)
