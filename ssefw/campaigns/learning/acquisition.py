"""Which candidates to compute next: expected hits for what they cost, some of the unknown, variety.

The gain of a candidate is the probability of a hit, raised by a share of its uncertainty, divided
by its predicted cost. Of one framework (the elements beside the mobile ion) only so many are taken
before other frameworks had their turn: ten copies of one structure teach what one does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ssefw.data.compositions import parse_formula
from ssefw.documents import Estimate, RankedCandidate

__all__ = ["NextCandidate", "acquisition_order", "expected_hits", "framework_of"]

EXPLORATION = 0.5
PER_FRAMEWORK = 2


@dataclass(frozen=True)
class NextCandidate:
    """A candidate in the order in which it should be computed.

    Attributes
    ----------
    gain
        Expected hits a core-hour, or a candidate where costs are not known.
    turn
        How many turns its framework had to wait; 0 for the first of it.
    sigma
        The predicted conductivity, of systems that predict the number.
    """

    candidate_id: str
    formula: str
    score: float
    gain: float
    framework: str
    turn: int
    sigma: Estimate | None = None

    def __str__(self) -> str:
        return self.formula if self.sigma is None else f"{self.formula} ({self.sigma})"


def framework_of(formula: str, *, specie: str = "Li") -> str:
    """Return the elements beside the mobile ion, sorted, for example ``Cl-P-S``."""
    symbols = {element.symbol for element in parse_formula(formula).element_composition}
    return "-".join(sorted(symbols - {specie})) or specie


def acquisition_order(
    entries: Sequence[RankedCandidate],
    *,
    core_hours: Mapping[str, float | None] | None = None,
    exploration: float = EXPLORATION,
    per_framework: int = PER_FRAMEWORK,
    specie: str = "Li",
) -> list[NextCandidate]:
    """Return all entries in the order in which they should be computed.

    Parameters
    ----------
    core_hours
        Predicted cost by candidate id; one that is not known counts as the median.
    exploration
        Standard deviations of the score that are added to it. 0 takes the best score.
    per_framework
        So many of a framework are taken in each turn.
    """
    known = core_hours or {}
    costs = [hours for entry in entries if (hours := known.get(entry.candidate_id))]
    usual = median(costs) if costs else 1.0
    ranked = sorted(
        (
            (min(1.0, entry.score + exploration * (entry.spread or 0.0)), entry)
            for entry in entries
        ),
        key=lambda pair: (-pair[0] / (known.get(pair[1].candidate_id) or usual),
                          pair[1].candidate_id),
    )  # fmt: skip
    seen: Counter[str] = Counter()
    choices = []
    for hope, entry in ranked:
        framework = framework_of(entry.formula, specie=specie)
        choices.append(
            NextCandidate(
                candidate_id=entry.candidate_id,
                formula=entry.formula,
                score=entry.score,
                gain=hope / (known.get(entry.candidate_id) or usual),
                framework=framework,
                turn=seen[framework] // per_framework,
                sigma=entry.sigma,
            )
        )
        seen[framework] += 1
    return sorted(choices, key=lambda choice: choice.turn)


def expected_hits(choices: Sequence[NextCandidate]) -> float:
    """Return how many hits a batch holds if the scores are honest probabilities."""
    return sum(choice.score for choice in choices)
