"""Computed and measured labels together: offsets, what is kept, and what is said of the rest."""

import hashlib
import json
import math

import numpy as np
import pytest

from ssefw.data.labels.kinds import corrected, learn_offsets, mix_labels, resolve_labels
from ssefw.data.labels.outcomes import label_from_outcome
from ssefw.documents import Label, LabelSet
from tests.outcomes import bound, outcome, value

FORMULAS = [f"Li{n}PS{n + 1}" for n in range(2, 40)]


def measured(formula, sigma):
    return Label(
        candidate_id=formula,
        formula=formula,
        conductivity=value(sigma, decades=0.01),
        temperature=298.15,
        kind="experiment",
        row_id=f"exp-{formula}",
    )


def computed(formula, sigma, **fields):
    return label_from_outcome(outcome(formula, sigma, **fields))


def pairs(n, *, offset, spread, seed):
    rng = np.random.default_rng(seed)
    for formula in FORMULAS[:n]:
        truth = 10 ** rng.uniform(-8, -2)
        yield measured(formula, truth)
        yield computed(formula, float(truth * 10 ** rng.normal(offset, spread)))


def test_the_interval_of_the_offset_covers_the_truth_as_often_as_it_says():
    inside = 0
    for seed in range(200):
        (found,) = learn_offsets(pairs(8, offset=0.7, spread=0.5, seed=seed))
        inside += found.offset.lower <= 0.7 <= found.offset.upper
    assert 181 <= inside <= 198  # 95 % of 200, three standard deviations


def test_two_compounds_teach_no_offset():
    (found,) = learn_offsets(pairs(2, offset=0.7, spread=0.5, seed=0))
    assert found.offset.kind == "undetermined"
    assert "2 of the 3 compounds" in found.offset.reason
    label = computed("Li2O", 1e-3)
    assert corrected(label, [found]) == label


def test_a_label_moves_by_the_offset_and_widens_by_the_spread():
    offsets = learn_offsets(pairs(30, offset=1.0, spread=0.2, seed=1))
    label = computed("Li2O", 1e-3)
    found = corrected(label, offsets)
    moved = found.conductivity
    assert found.as_computed == label.conductivity
    assert math.log10(moved.value) == pytest.approx(-4.0, abs=0.15)
    assert moved.upper / moved.value > label.conductivity.upper / label.conductivity.value


def test_a_set_without_moved_labels_has_the_version_it_had_before_these_were_told_apart():
    plain = LabelSet(name="x", labels=(measured("Li2O", 1e-9),))
    (row,) = (label.model_dump(mode="json") for label in plain.labels)
    assert row.pop("as_computed") is None
    text = json.dumps(row, sort_keys=True)
    assert plain.version == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_a_bound_stays_a_bound_and_is_loosened():
    offsets = learn_offsets(pairs(30, offset=0.0, spread=0.5, seed=1))
    moved = corrected(computed("Li2O", bound(1e-6)), offsets).conductivity
    assert moved.kind == "upper_bound"
    assert moved.upper > 1e-6


def test_another_level_of_theory_is_not_corrected():
    offsets = learn_offsets(pairs(10, offset=1.0, spread=0.2, seed=1))
    label = computed("Li2O", 1e-3, engine="vasp-xrdmatch")
    assert corrected(label, offsets) == label


def test_experiment_is_kept_and_the_conflict_shown_not_averaged():
    kept, conflicts = resolve_labels([computed("Li6PS5I", 1e-2), measured("Li6PS5I", 1e-6)])
    assert [label.conductivity.value for label in kept] == [1e-6]
    (conflict,) = conflicts
    assert (conflict.kept_kind, conflict.other_kind) == ("experiment", "mlip")
    assert "different sides" in conflict.reason


def test_agreement_is_no_conflict():
    kept, conflicts = resolve_labels([computed("Li6PS5Cl", 2e-3), measured("Li6PS5Cl", 1.5e-3)])
    assert (len(kept), conflicts) == (1, [])


def test_of_two_computed_values_the_better_method_is_kept():
    labels = [computed("Li2O", 1e-3), computed("Li2O", 1e-7, engine="vasp-xrdmatch")]
    kept, conflicts = resolve_labels(labels)
    assert [label.kind for label in kept] == ["aimd"]
    assert conflicts[0].other_kind == "mlip"


def test_a_bound_that_does_not_decide_is_no_conflict_with_a_value_below_it():
    _, conflicts = resolve_labels([measured("Li2O", 1e-7), computed("Li2O", bound(1e-2))])
    assert conflicts == []


def test_mixing_says_where_the_labels_come_from():
    base = LabelSet(name="starter", labels=(measured("Li3PS4", 3e-7),))
    new = LabelSet(name="computed", labels=(computed("Li2O", bound(1e-9)),))
    mixed, _, _ = mix_labels(base, new)
    assert mixed.name == "starter+computed"
    assert {label.kind for label in mixed.labels} == {"experiment", "mlip"}
    assert mix_labels(base, LabelSet(name="computed", labels=()))[0].name == "starter"
