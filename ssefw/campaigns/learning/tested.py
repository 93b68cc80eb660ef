"""Predicted conductivities held against what campaigns then computed of the same candidates."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ssefw.documents import Estimate, RankChange, Reranking
from ssefw.screening.conductivity.quantiles import PREDICTED

__all__ = ["PredictionTest", "has_predictions", "prediction_test"]


@dataclass(frozen=True)
class PredictionTest:
    """How predictions did that were made before their candidate was computed.

    Attributes
    ----------
    n, held
        Candidates with a prediction and an outcome, and how many outcomes agree with the predicted
        interval: values that lie in it, and bounds that leave a part of it.
    level
        Share of outcomes that the intervals promise to hold.
    n_values, error
        Candidates whose outcome is a value, and how far predictions lay off in the mean, in
        decades; None where there is no value.
    """

    n: int
    held: int
    level: float
    n_values: int
    error: float | None

    def __str__(self) -> str:
        said = (
            f"{self.held} of {self.n} computed conductivities agree with the interval that was "
            f"predicted before ({self.level:.0%} promised)"
        )
        if self.error is None:
            return said
        return f"{said}; predictions lay {self.error:.1f} decades off in the mean"


def has_predictions(changes: Iterable[RankChange]) -> bool:
    """Whether a conductivity was predicted of any candidate, and not only a class."""
    said = (sigma for change in changes for sigma in (change.sigma_before, change.sigma_after))
    return any(sigma is not None and sigma.method == PREDICTED for sigma in said)


def prediction_test(learned: Sequence[Reranking]) -> PredictionTest | None:
    """Return how the predictions of a campaign did, or None where there were none to test.

    Of each candidate the prediction counts that stood when its outcome came. What a label already
    said of it is no prediction.

    Parameters
    ----------
    learned
        Re-rankings of one campaign by one system, in order.
    """
    found: dict[str, tuple[Estimate, Estimate]] = {}
    known: set[str] = set()
    for record in learned:
        for change in record.changes:
            if change.sigma is None or change.candidate_id in known:
                continue
            known.add(change.candidate_id)
            said = change.sigma_before
            if said is not None and said.method == PREDICTED:
                found[change.candidate_id] = (said, change.sigma)
    if not found:
        return None
    errors = [
        abs(math.log10(said.value / computed.value))
        for said, computed in found.values()
        if said.value and computed.value
    ]
    return PredictionTest(
        n=len(found),
        held=sum(_agrees(said, computed) for said, computed in found.values()),
        level=next(iter(found.values()))[0].level,
        n_values=len(errors),
        error=sum(errors) / len(errors) if errors else None,
    )


def _agrees(said: Estimate, computed: Estimate) -> bool:
    low, high = said.lower or 0.0, said.upper or math.inf
    if computed.value is not None:
        return low <= computed.value <= high
    if computed.upper is not None:
        return low <= computed.upper
    return computed.lower is None or computed.lower <= high
