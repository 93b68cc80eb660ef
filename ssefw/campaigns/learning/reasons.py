"""What labels say of a candidate: its own label, or the new label that is nearest to it."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ssefw.data.compositions import composition_id, parse_formula
from ssefw.data.labels.kinds import DOUBT
from ssefw.data.labels.sets import chance_above
from ssefw.data.pettifor import cumulative_fractions
from ssefw.documents import Estimate, Label, LabelSet, RankedCandidate

__all__ = ["Known", "Why"]

NEAR = 0.5
"""A new label within this distance of a candidate (in mean distances of labels) is named near."""


class Known:
    """Labels by the material they are of."""

    def __init__(self, labels: LabelSet, *, threshold: float) -> None:
        self._threshold = threshold
        self._by_id = {label.candidate_id: label for label in labels.labels}
        self._by_composition: dict[str, list[Label]] = defaultdict(list)
        for label in labels.labels:
            self._by_composition[composition_id(parse_formula(label.formula))].append(label)

    def label_of(self, entry: RankedCandidate) -> Label | None:
        """Return the label of a candidate itself: of its structure, or the only one of its kind.

        Of a composition with several labels it is not known which polymorph the candidate is.
        """
        if entry.candidate_id in self._by_id:
            return self._by_id[entry.candidate_id]
        found = self._by_composition.get(composition_id(parse_formula(entry.formula)), [])
        return found[0] if len(found) == 1 else None

    def probability(self, entry: RankedCandidate) -> float | None:
        """Return the probability of a hit by the candidate's own label, if that decides."""
        label = self.label_of(entry)
        if label is None:
            return None
        doubt = DOUBT[label.kind]
        return chance_above(label.conductivity, threshold=self._threshold, doubt=doubt)

    def conductivity(self, entry: RankedCandidate) -> Estimate | None:
        """Return the value or bound of the candidate's own label."""
        label = self.label_of(entry)
        return None if label is None else label.conductivity


class Why:
    """Says what moved a candidate: its own outcome, or the new label that is nearest to it."""

    def __init__(self, new: Sequence[Label], mixed: LabelSet) -> None:
        self._new = new
        shares = cumulative_fractions([parse_formula(label.formula) for label in mixed.labels])
        self._unit = float(np.abs(shares - shares.mean(axis=0)).sum(axis=1).mean()) or 1.0
        self._near = cumulative_fractions([parse_formula(label.formula) for label in new])

    def of(self, entry: RankedCandidate, own: Label | None, *, is_kept: bool) -> str:
        """Return the reason for the place of a candidate in a few words."""
        if own is not None:
            said = f"computed ({own.kind}): {own.conductivity}"
            return said if is_kept else f"{said}; another label of this material is learned from"
        if not self._new:
            return "no new labels"
        composition = parse_formula(entry.formula)
        gaps = np.abs(self._near - cumulative_fractions([composition])).sum(axis=1) / self._unit
        nearest = self._new[int(np.argmin(gaps))]
        told = _number(nearest.conductivity)
        if composition_id(composition) == composition_id(parse_formula(nearest.formula)):
            return f"of its composition now {told} is known"
        how = "near" if gaps.min() <= NEAR else "no new label is near; the closest is"
        return f"{how} {nearest.formula}, {told} (distance {gaps.min():.2f})"


def _number(conductivity: Estimate) -> str:
    """Return a value or bound in a few words."""
    bounds = {"upper_bound": ("<", conductivity.upper), "lower_bound": (">", conductivity.lower)}
    sign, number = bounds.get(conductivity.kind, ("", conductivity.value))
    if number is None:
        return "nothing certain"
    return f"{sign} {number:.1e} {conductivity.unit}".strip()
