"""What the report shows of outcomes that became labels: the ranking before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

from ssefw.campaigns.learning.tested import PredictionTest, has_predictions, prediction_test
from ssefw.documents import Conflict, KindOffset, RankChange, Reranking

__all__ = ["FeedbackSection", "feedback_section"]

SHOWN = 50


@dataclass(frozen=True)
class FeedbackSection:
    """The first ranking of a campaign beside the last.

    Attributes
    ----------
    rounds
        How often it was re-ranked with new labels.
    rows
        Candidates in their last order, at most as many as are shown.
    hidden
        How many more there are.
    test
        How predicted conductivities did, of systems that predict the number.
    """

    rounds: int
    screener: str
    threshold: float
    labels_before: str
    labels_after: str
    n_new: int
    rows: tuple[RankChange, ...]
    hidden: int
    refused: tuple[tuple[str, str], ...]
    conflicts: tuple[Conflict, ...]
    offsets: tuple[KindOffset, ...]
    test: PredictionTest | None

    @property
    def has_numbers(self) -> bool:
        """Whether a conductivity was predicted of any candidate, and not only a class."""
        return has_predictions(self.rows)


def feedback_section(
    learned: Sequence[Reranking], *, shown: int | None = SHOWN
) -> FeedbackSection | None:
    """Return the section, or None if the campaign was not re-ranked."""
    if not learned:
        return None
    last = learned[-1]
    same = (last.screener, last.threshold)
    chain = [item for item in learned if (item.screener, item.threshold) == same]
    first = {change.candidate_id: change for change in chain[0].changes}
    rows = tuple(
        change.model_copy(
            update={
                "before": first[change.candidate_id].before,
                "score_before": first[change.candidate_id].score_before,
                "sigma_before": first[change.candidate_id].sigma_before,
            }
        )
        if change.candidate_id in first
        else change
        for change in last.changes
    )
    return FeedbackSection(
        rounds=len({item.ranking_after for item in chain} - {chain[0].ranking_before}),
        screener=last.screener,
        threshold=last.threshold,
        labels_before=chain[0].labels_before,
        labels_after=last.labels_after,
        n_new=len({name for item in chain for name, _ in item.new_labels}),
        rows=rows[:shown],
        hidden=0 if shown is None else max(0, len(rows) - shown),
        refused=last.refused,
        conflicts=last.conflicts,
        offsets=last.offsets,
        test=prediction_test(chain),
    )
