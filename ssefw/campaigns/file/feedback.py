"""How a campaign learns from its outcomes."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from ssefw.campaigns.file.block import Block
from ssefw.units import AskedAmount, AskedConductivity, AskedCount, Limits, Pure

__all__ = ["FeedbackSpec"]


class FeedbackSpec(Block):
    """How a campaign learns from its outcomes.

    Attributes
    ----------
    labels
        Label sets to begin with, by name or by path relative to the campaign file.
    system, settings
        Screening system that is refitted, and its settings.
    threshold
        S/cm from which a material counts as a hit.
    batch
        Compute so many candidates at a time and re-rank the others after each; without it all
        candidates are open from the start, and outcomes change the order of those that wait.
    target
        Stop when so many hits are found.
    min_expected
        Stop when the next batch is expected to hold fewer hits than this.
    exploration
        Standard deviations of the score that are added to it when the next are chosen.
    per_framework
        So many candidates of the same elements beside the mobile ion are taken in a turn.
    blind
        Leave what is known of the campaign's own compositions out of the sets to begin with: the
        first ranking is then a prediction, and the outcomes its test.
    """

    labels: tuple[str, ...] = Field(("starter",), min_length=1)
    system: str = "composition"
    settings: dict[str, Any] = Field(default_factory=dict)
    threshold: AskedConductivity = 1e-4
    batch: AskedCount | None = None
    target: AskedCount | None = None
    min_expected: Annotated[Pure, Limits("", above=0, most=1e9)] | None = None
    exploration: AskedAmount = 0.5
    per_framework: AskedCount = 2
    blind: bool = False

    @model_validator(mode="after")
    def _needs_batch(self) -> Self:
        if self.batch is None and (self.target is not None or self.min_expected is not None):
            raise ValueError("target and min_expected are rules of a loop: give batch as well")
        return self
