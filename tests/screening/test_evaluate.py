"""Measures against known answers, intervals against their coverage, chance against chance."""

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    roc_auc_score,
)

from ssefw.data.splits import k_fold, leave_one_cluster_out
from ssefw.errors import DataError
from ssefw.screening.composition import CompositionScreener
from ssefw.screening.evaluation.evaluate import (
    cross_validate,
    cross_validate_oracle,
    evaluate_model,
    evaluate_predictions,
    shuffled_labels,
)
from ssefw.screening.evaluation.metrics import (
    chance,
    difference_with_intervals,
    expected_calibration_error,
    measure,
    measure_with_intervals,
    reliability_curve,
)


def quick():
    return CompositionScreener(n_splits=3, members=["dt", "nb"])


def test_measures_are_those_of_scikit_learn(rng):
    y = rng.integers(0, 2, 200)
    p = np.clip(0.3 * y + rng.uniform(0, 0.7, 200), 0, 1)
    found = measure(y, p)
    assert found["mcc"] == pytest.approx(matthews_corrcoef(y, p >= 0.5))
    assert found["f1"] == pytest.approx(f1_score(y, p >= 0.5))
    for tied in (p, np.round(p, 1)):
        found = measure(y, tied)
        assert found["auc_pr"] == pytest.approx(average_precision_score(y, tied))
        assert found["auc_roc"] == pytest.approx(roc_auc_score(y, tied))


def test_a_perfect_and_a_constant_score():
    y = np.array([0, 0, 0, 1] * 10)
    perfect, constant = measure(y, y.astype(float)), measure(y, np.full(40, 0.25))
    assert perfect["mcc"] == perfect["auc_pr"] == perfect["f1"] == 1
    assert perfect["enrichment_top10"] == pytest.approx(4)
    assert constant["mcc"] == 0
    assert constant["auc_pr"] == pytest.approx(0.25)
    assert constant["enrichment_top10"] == pytest.approx(1)


def test_one_class_leaves_ranking_measures_undetermined():
    y = np.zeros(12, dtype=int)
    found = measure_with_intervals(y, np.linspace(0, 0.4, 12), groups=np.arange(12), n=20)
    assert found["auc_pr"].kind == "undetermined"
    assert found["accuracy"].value == 1


def test_probabilities_that_are_true_are_calibrated(rng):
    p = rng.uniform(0, 1, 50_000)
    y = (rng.uniform(0, 1, 50_000) < p).astype(int)
    assert expected_calibration_error(y, p) < 0.01
    assert expected_calibration_error(y, p**3) > 0.1
    assert sum(n for _, _, n in reliability_curve(y, p)) == 50_000


def test_the_interval_of_the_accuracy_covers_the_truth():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(100):
        y = rng.integers(0, 2, 80)
        right = rng.uniform(size=80) < 0.8
        p = np.where(right == (y == 1), 0.9, 0.1)
        found = measure_with_intervals(y, p, groups=np.arange(80), n=100, seed=1)["accuracy"]
        held += found.lower <= 0.8 <= found.upper
    assert 86 <= held <= 100


def test_rows_of_one_group_widen_the_interval(rng):
    y = np.repeat(rng.integers(0, 2, 20), 10)
    p = np.repeat(rng.uniform(0, 1, 20), 10)
    alone = measure_with_intervals(y, p, groups=np.arange(200), n=200)["accuracy"]
    together = measure_with_intervals(y, p, groups=np.repeat(np.arange(20), 10), n=200)["accuracy"]
    assert together.upper - together.lower > 1.5 * (alone.upper - alone.lower)


def test_a_model_does_not_differ_from_itself(rng):
    y, p = rng.integers(0, 2, 60), rng.uniform(0, 1, 60)
    for gap in difference_with_intervals(y, p, p, groups=np.arange(60), n=50).values():
        assert gap.lower == gap.value == gap.upper == 0


def test_a_paired_interval_tells_models_apart_whose_own_intervals_overlap(rng):
    """Two models err on the same hard rows; one of them errs on a few more."""
    y = rng.integers(0, 2, 300)
    hard = rng.uniform(size=300) < 0.3
    more = hard | (rng.uniform(size=300) < 0.05)
    p, other = (np.where(wrong == (y == 1), 0.1, 0.9) for wrong in (hard, more))
    groups = np.arange(300)
    gap = difference_with_intervals(y, p, other, groups=groups, n=300)["mcc"]
    one, two = (measure_with_intervals(y, q, groups=groups, n=300)["mcc"] for q in (p, other))
    assert gap.lower > 0
    assert gap.value == pytest.approx(one.value - two.value)
    assert one.lower < two.upper


def test_chance_is_where_it_must_be(rng):
    y = rng.integers(0, 2, 300)
    p = np.clip(y * 0.4 + rng.uniform(0, 0.6, 300), 0, 1)
    controls = chance(y, p, n=50)
    assert controls["shuffled"]["mcc"].lower < 0 < controls["shuffled"]["mcc"].upper
    assert controls["mean"]["mcc"].value == 0
    assert controls["mean"]["auc_pr"].value == pytest.approx(y.mean())


def test_cross_validation_tests_every_row_and_learns_the_rule(toy):
    found = cross_validate(quick, toy, k_fold(toy, k=3))
    assert sorted(found.rows) == list(range(len(toy)))
    result = evaluate_predictions(found, toy, screener=quick(), protocol="3-fold")
    assert result.metrics["mcc"].value > 0.8
    assert result.record["splits"]["mcc"]["n"] == 3


def test_a_held_out_cluster_does_not_teach(toy):
    """Poisoning the labels of the held-out rows changes nothing that is said of them."""
    from dataclasses import replace

    split = leave_one_cluster_out(toy)[0]
    poisoned = toy.y.copy()
    poisoned[split.test] = 1 - poisoned[split.test]
    one = cross_validate(quick, toy, [split])
    other = cross_validate(quick, replace(toy, y=poisoned), [split])
    np.testing.assert_array_equal(one.probability, other.probability)


def test_the_oracle_is_never_worse_than_what_it_chooses_among(toy):
    noise = shuffled_labels(toy, seed=2)
    splits = leave_one_cluster_out(noise)
    makers = [
        quick,
        lambda: CompositionScreener(n_splits=3, members=["lr"]),
    ]
    oracle = cross_validate_oracle(makers, noise, splits)
    for maker in makers:
        single = cross_validate(maker, noise, splits)
        for number in range(len(splits)):
            best, own = (
                measure(noise.y[x.rows[x.split == number]], x.probability[x.split == number])
                for x in (oracle, single)
            )
            assert best["auc_pr"] >= own["auc_pr"] - 1e-12


def test_shuffled_labels_cannot_be_learned(toy):
    noise = shuffled_labels(toy, seed=0)
    found = cross_validate(quick, noise, k_fold(noise, k=3))
    assert abs(measure(noise.y[found.rows], found.probability)["mcc"]) < 0.35


def test_an_evaluation_says_how_much_it_has_seen(toy):
    half = toy.take(np.arange(0, len(toy), 2))
    rest = toy.take(np.arange(1, len(toy), 2))
    model = quick().fit(half)
    assert evaluate_model(model, half).record["similar_to_training"] == len(half)
    result = evaluate_model(model, rest)
    assert result.record["similar_to_training"] == 0
    assert result.record["trained_on"] == "toy"
    assert result.n == len(rest)


def test_another_threshold_than_the_models_is_refused(toy):
    from dataclasses import replace

    model = quick().fit(toy)
    with pytest.raises(DataError, match=r"--threshold 0\.0001"):
        evaluate_model(model, replace(toy, threshold=1e-3))
