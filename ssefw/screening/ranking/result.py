"""What comes of ranking a pool: the order, and all that is not in it."""

from ssefw.data.pools import Reject
from ssefw.documents import Ranking
from ssefw.errors import DataError
from ssefw.screening.filters.cascade import CascadeResult

__all__ = ["RankingResult"]


class RankingResult:
    """A ranking, and what happened on the way to it.

    Attributes
    ----------
    ranking
        The document that is stored and fed to a campaign.
    cascade
        Counts and the trail of every material, also of those that were stopped.
    rejects
        Rows of the pool that could not be read.
    unscored
        Name of a material that passed the filters, and why it could not be scored.
    repeated
        Names of the rows that were left out because an earlier row has the same name.
    without_ion
        Names of the rows that hold no lithium; of a pool in a file, which is ranked as candidates.
    """

    def __init__(
        self,
        ranking: Ranking,
        cascade: CascadeResult,
        rejects: list[Reject],
        unscored: list[tuple[str, str]],
        repeated: list[str],
    ) -> None:
        self.ranking = ranking
        self.cascade = cascade
        self.rejects = rejects
        self.unscored = unscored
        self.repeated = repeated
        self.without_ion: list[str] = []

    def refuse_empty(self) -> None:
        """Raise `DataError` if nothing is left to rank; the message says what stopped the pool."""
        if not self.ranking.entries:
            raise DataError(self._why_empty())

    def _why_empty(self) -> str:
        counts = ", ".join(
            f"{step.name} {step.n_in} -> {step.n_passed} ({step.n_undetermined} undetermined)"
            for step in self.cascade.steps
        )
        reasons = [f"{reject.source}: {reject.reason}" for reject in self.rejects[:1]]
        reasons += [f"{name}: {reason}" for name, reason in self.unscored[:1]]
        return (
            "Nothing of the pool is left to rank. "
            + (f"Filters: {counts}. " if counts else "")
            + (f"First problem: {reasons[0]} " if reasons else "")
            + "Loosen the filters or give a pool that states what they ask for; --gaps and "
            "--phases let gaps and oxidation limits be predicted."
        )
