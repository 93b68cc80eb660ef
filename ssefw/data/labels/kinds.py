"""Labels of different kinds together: how far computed ones lie from experiment, and conflicts.

A material with a measured and a computed conductivity teaches the offset of that kind of
computation, in decades, with its interval. Values are never averaged over kinds: of two statements
on one material one is kept, and the other is on record with the reason.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from scipy.special import gammaincinv, stdtrit

from ssefw.data.compositions import composition_id, parse_formula
from ssefw.data.labels.experiment import kind_offset, shipped_scoreboard
from ssefw.data.labels.sets import SUPERIONIC, class_of
from ssefw.documents import Conflict, Estimate, KindOffset, Label, LabelKind, LabelSet

__all__ = ["DOUBT", "corrected", "learn_offsets", "mix_labels", "resolve_labels"]

RANK = {"experiment": 0, "aimd": 1, "mlip": 2, "neb": 3}
"""Which kind is believed where two disagree."""

DOUBT: dict[LabelKind, float] = {"experiment": 0.3, "aimd": 0.5, "mlip": 0.7, "neb": 1.0}
"""Decades by which a label of each kind may be off beside its interval; where the offset of a kind
against experiment is known, its spread is in the interval already and this adds little."""

FEWEST_PAIRS = 3
DECADES = "decades"


def learn_offsets(labels: Iterable[Label], *, level: float = 0.95) -> list[KindOffset]:
    """Return offset and spread of each computed kind and level of theory against experiment.

    Only materials with a value of both count, matched by composition; one that has several
    measured polymorphs is left out, since which one was computed is not known. Fewer than three
    pairs give no number.
    """
    pairs: dict[tuple[LabelKind, str], list[tuple[str, float, float]]] = defaultdict(list)
    for group in _by_material(labels).values():
        measured = [label for label in group if label.kind == "experiment"]
        if len(measured) != 1 or measured[0].conductivity.value is None:
            continue
        truth = math.log10(measured[0].conductivity.value)
        for label in group:
            value = label.conductivity.value
            if label.kind != "experiment" and value is not None:
                pair = (label.formula, math.log10(value), truth)
                pairs[label.kind, label.level_of_theory].append(pair)
    return [_offset(kind, theory, found, level) for (kind, theory), found in sorted(pairs.items())]


def _offset(
    kind: LabelKind, theory: str, pairs: list[tuple[str, float, float]], level: float
) -> KindOffset:
    gaps = np.array([computed - measured for _, computed, measured in pairs])
    n = len(gaps)
    if n < FEWEST_PAIRS:
        reason = f"{n} of the {FEWEST_PAIRS} compounds with both that are needed"
        offset = spread = Estimate.undetermined(reason, unit=DECADES)
    else:
        middle, sd = float(gaps.mean()), float(gaps.std(ddof=1))
        half = float(stdtrit(n - 1, (1 + level) / 2)) * sd / math.sqrt(n)
        # Quantiles of chi squared with n - 1 degrees of freedom.
        tails = 2 * gammaincinv((n - 1) / 2, [(1 + level) / 2, (1 - level) / 2])
        offset = Estimate(
            value=middle,
            lower=middle - half,
            upper=middle + half,
            level=level,
            unit=DECADES,
            method=f"mean of {n} differences, Student's t",
        )
        spread = Estimate(
            value=sd,
            lower=float(sd * math.sqrt((n - 1) / tails[0])),
            upper=float(sd * math.sqrt((n - 1) / tails[1])),
            level=level,
            unit=DECADES,
            method=f"standard deviation of {n} differences, chi-squared",
        )
    return KindOffset(
        kind=kind,
        level_of_theory=theory,
        offset=offset,
        spread=spread,
        pairs=tuple(pairs),
    )


def corrected(label: Label, offsets: Sequence[KindOffset]) -> Label:
    """Return a computed label on the scale of experiment, where its offset is known.

    The value moves by the offset; the spread of the kind and the uncertainty of the offset join the
    interval, all in decades as independent errors. A bound moves by the offset and is loosened by
    the spread. What was computed stays on record in `as_computed`.
    """
    known = {(item.kind, item.level_of_theory): item for item in offsets}
    item = known.get((label.kind, label.level_of_theory))
    if item is None or item.offset.value is None or item.spread.value is None:
        return label
    shift, sigma = item.offset.value, label.conductivity
    quantile = float(stdtrit(max(1, len(item.pairs) - 1), (1 + sigma.level) / 2))
    half = quantile * item.spread.value * math.sqrt(1 + 1 / len(item.pairs))

    def moved(number: float | None, side: int) -> float | None:
        if number is None:
            return None
        if sigma.value is None:
            return float(10 ** (math.log10(number) - shift + side * half))
        own = abs(math.log10(max(number, 1e-300) / sigma.value))
        return float(10 ** (math.log10(sigma.value) - shift + side * math.hypot(own, half)))

    conductivity = sigma.model_copy(
        update={
            "value": moved(sigma.value, 0),
            "lower": moved(sigma.lower, -1),
            "upper": moved(sigma.upper, 1),
            "method": f"{sigma.method}; less {shift:+.2f} decades, spread {item.spread.value:.2f}",
        }
    )
    return label.model_copy(update={"conductivity": conductivity, "as_computed": sigma})


def resolve_labels(
    labels: Iterable[Label], *, threshold: float = SUPERIONIC
) -> tuple[list[Label], list[Conflict]]:
    """Keep one statement on each material and list the others that say something else.

    Experiment goes before dynamics from first principles, these before those of a potential, and
    these before NEB; of one kind the narrower interval goes first. Polymorphs that were measured
    apart stay apart. A conflict is a different class at `threshold` (S/cm), or intervals that do
    not meet; a statement that agrees is left out without one.
    """
    given = list(labels)
    kept: set[int] = set()
    conflicts: list[Conflict] = []
    for group in _by_material(given).values():
        measured = [label for label in group if label.kind == "experiment"]
        computed = sorted((x for x in group if x.kind != "experiment"), key=_belief)
        chosen = measured or computed[:1]
        kept |= {id(label) for label in chosen}
        for label in computed if measured else computed[1:]:
            conflict = _conflict(chosen, label, threshold)
            if conflict is not None:
                conflicts.append(conflict)
        for one, other in pairwise(measured):
            conflict = _conflict([one], other, threshold)
            if conflict is not None and not _are_polymorphs(one, other):
                conflicts.append(conflict.model_copy(update={"action": "both are kept"}))
    # In the order given, on which the random numbers of a model hang.
    return [label for label in given if id(label) in kept], conflicts


def mix_labels(
    base: LabelSet,
    computed: LabelSet,
    *,
    threshold: float = SUPERIONIC,
    reference: LabelSet | None = None,
) -> tuple[LabelSet, list[KindOffset], list[Conflict]]:
    """Return one set to learn from, what was learned of the kinds, and the conflicts.

    Parameters
    ----------
    reference
        Labels that computed ones are compared with; `base` if None.
    """
    offsets = [
        _or_shipped(item) for item in learn_offsets((*(reference or base).labels, *computed.labels))
    ]
    known = {(item.kind, item.level_of_theory) for item in offsets}
    for label in computed.labels:
        key = (label.kind, label.level_of_theory)
        if key not in known and (shipped := _shipped_offset(*key)) is not None:
            offsets.append(shipped)
            known.add(key)
    moved = [corrected(label, offsets) for label in computed.labels]
    labels, conflicts = resolve_labels((*base.labels, *moved), threshold=threshold)
    mixed = LabelSet(
        name=f"{base.name}+{computed.name}" if computed.labels else base.name,
        labels=tuple(labels),
        convention=(
            f"{base.convention} Computed labels less the offset of their kind where that is known; "
            "one statement a material, experiment first."
        ).strip(),
        rejects=(*base.rejects, *computed.rejects),
    )
    return mixed, offsets, conflicts


def _or_shipped(item: KindOffset) -> KindOffset:
    """Return an offset, or that of a scoreboard where labels are too few to have one."""
    if item.offset.value is not None:
        return item
    return _shipped_offset(item.kind, item.level_of_theory) or item


def _shipped_offset(kind: LabelKind, level_of_theory: str) -> KindOffset | None:
    """Return what the scoreboard of an engine says of its kind of label, if it says enough."""
    return kind_offset(shipped_scoreboard(level_of_theory)) if kind == "mlip" else None


def _by_material(labels: Iterable[Label]) -> dict[str, list[Label]]:
    groups: dict[str, list[Label]] = defaultdict(list)
    for label in labels:
        groups[composition_id(parse_formula(label.formula))].append(label)
    return groups


def _belief(label: Label) -> tuple[int, float, str]:
    return RANK[label.kind], _width(label.conductivity), label.row_id


def _width(sigma: Estimate) -> float:
    if sigma.value is None or sigma.lower is None or sigma.upper is None:
        return math.inf
    return math.log10(sigma.upper) - math.log10(max(sigma.lower, 1e-300))


def _are_polymorphs(one: Label, other: Label) -> bool:
    return (
        one.cell is not None
        and other.cell is not None
        and one.cell.space_group != other.cell.space_group
    )


def _conflict(chosen: Sequence[Label], label: Label, threshold: float) -> Conflict | None:
    """Return how a label disagrees with all that was chosen, if it does."""
    disagreements = [_disagreement(one, label, threshold) for one in chosen]
    if not all(disagreements):
        return None
    first = chosen[0]
    return Conflict(
        formula=label.formula,
        kept=first.row_id or first.candidate_id,
        other=label.row_id or label.candidate_id,
        kept_kind=first.kind,
        other_kind=label.kind,
        kept_conductivity=first.conductivity,
        other_conductivity=label.conductivity,
        reason=disagreements[0],
        action=f"the {first.kind} is learned from",
    )


def _disagreement(one: Label, other: Label, threshold: float) -> str:
    a, b = one.conductivity, other.conductivity
    classes = class_of(a, threshold=threshold), class_of(b, threshold=threshold)
    if -1 not in classes and classes[0] != classes[1]:
        return f"on different sides of {threshold:g} S/cm"
    low_a, high_a, low_b, high_b = a.lower, a.upper, b.lower, b.upper
    if a.kind != "undetermined" != b.kind and (
        (high_a is not None and low_b is not None and high_a < low_b)
        or (high_b is not None and low_a is not None and high_b < low_a)
    ):
        return "the intervals do not meet"
    return ""
