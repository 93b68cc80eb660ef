"""A large pool that is ranked in parts, and the parts joined to one order."""

from collections.abc import Callable, Collection, Iterable, Sequence

from ssefw.data.materials import Material
from ssefw.data.pools import Reject
from ssefw.documents import CascadeStep, RankedPart, Ranking
from ssefw.screening.base import Screener
from ssefw.screening.filters.cascade import Cascade, CascadeResult
from ssefw.screening.ranking.order import scored_order
from ssefw.screening.ranking.result import RankingResult
from ssefw.screening.ranking.rows import holding_lithium

__all__ = ["merged_ranking", "rank_part"]


def rank_part(
    rows: Iterable[Material | Reject],
    screener: Screener,
    *,
    cascade: Cascade | None = None,
    top: int | None = None,
    accepted_only: bool = False,
    threshold: float | None = None,
) -> RankedPart:
    """Rank some rows of a large pool; see `rank_materials` for what is asked.

    Of these rows none may be left. `merged_ranking` joins the parts.

    Parameters
    ----------
    top
        So many of these rows are kept, since no more can be among the best of all.
    accepted_only, threshold
        As for `rank_materials`.
    """
    without_ion: list[str] = []
    result = scored_order(
        holding_lithium(rows, without_ion),
        screener,
        cascade=cascade,
        top=top,
        accepted_only=accepted_only,
        threshold=threshold,
    )
    ranking = result.ranking
    return RankedPart(
        entries=ranking.entries,
        screener=ranking.screener,
        meaning=ranking.meaning,
        label_set=ranking.label_set,
        cascade=ranking.cascade,
        rejects=tuple((reject.source, reject.reason) for reject in result.rejects),
        unscored=tuple(result.unscored),
        without_ion=tuple(without_ion),
        provenance=ranking.provenance,
    )


def merged_ranking(
    parts: Sequence[RankedPart],
    *,
    top: int | None,
    read: Callable[[Collection[str]], list[Material]],
) -> RankingResult:
    """Join the parts of a pool to what `rank_pool` gives of the whole; names must differ.

    Parameters
    ----------
    read
        Returns the materials of some names.

    Raises
    ------
    DataError
        If nothing is left to rank.
    """
    entries = sorted(
        (entry for part in parts for entry in part.entries),
        key=lambda entry: (-entry.score, entry.source),
    )[:top]
    steps = [_sum_of(steps) for steps in zip(*(part.cascade for part in parts), strict=True)]
    outcome = CascadeResult(steps=steps)
    rejects = [Reject(*reject) for part in parts for reject in part.rejects]
    unscored = [pair for part in parts for pair in part.unscored]
    ranking = Ranking(
        entries=tuple(entries),
        screener=parts[0].screener,
        # A part of which nothing was left to score has no meaning to tell.
        meaning=next((part.meaning for part in parts if part.meaning), ""),
        label_set=parts[0].label_set,
        cascade=tuple(steps),
        provenance=parts[0].provenance,
    )
    result = RankingResult(ranking, outcome, rejects, unscored, [])
    result.without_ion = [name for part in parts for name in part.without_ion]
    result.refuse_empty()
    outcome.passed = read({entry.source for entry in entries})
    return result


def _sum_of(steps: Sequence[CascadeStep]) -> CascadeStep:
    return CascadeStep(
        name=steps[0].name,
        n_in=sum(step.n_in for step in steps),
        n_passed=sum(step.n_passed for step in steps),
        n_undetermined=sum(step.n_undetermined for step in steps),
    )
