"""Scores of systems of known worth are joined as that worth is."""

import numpy as np
import pytest
from scipy.special import expit, logit

from ssefw.screening.joining import MEAN, STACK, choose, join_as


def labels(rng, n, *errors, copies=1):
    """Return classes and what systems say, each the truth with an error of its own.

    The last system is there so many times, with the same error each time.
    """
    truth = rng.normal(0.0, 2.0, n)
    y = (rng.random(n) < expit(truth)).astype(int)
    said = [truth + rng.normal(0.0, error, n) for error in errors]
    return y, expit(np.column_stack([*said, *[said[-1]] * (copies - 1)]))


def chosen(y, each, *, size=1):
    n = len(y)
    names = [f"s{k}" for k in range(each.shape[1])]
    return choose(each, y, names=names, fold=np.arange(n) // size % 5, groups=np.arange(n) // size)


def test_a_logit_that_is_three_times_too_sure_is_divided_by_three(rng):
    y, each = labels(rng, 4000, 0.0)
    joint = join_as(MEAN, expit(3 * logit(each)), y, ["loud"])
    assert joint.effect[0] == pytest.approx(1 / 3, rel=0.1)


def test_nobody_is_surer_than_the_labels_allow(rng):
    y, each = labels(rng, 30, 0.5)
    joint = join_as("a", np.where(each > 0.5, 1.0, 0.0), y, ["a"])
    certain = joint.probability(np.array([[0.0], [1.0], [1 / 32], [31 / 32]]))
    assert certain[:2] == pytest.approx(certain[2:])
    assert 0.0 < certain[0] < certain[1] < 1.0


def test_who_says_nothing_says_what_the_others_do(rng):
    y, each = labels(rng, 200, 1.0, 1.0, 1.0)
    joint = join_as(STACK, each, y, ["a", "b", "c"])
    part = joint.probability(np.array([[0.9, np.nan, np.nan], [np.nan] * 3]))
    alike = (logit(0.9) - logit(joint.rate)) * joint.slopes[0] + joint.shifts[0]
    whole = sum(joint.weights) * alike + joint.shift + logit(joint.rate)
    assert part[0] == pytest.approx(expit(whole))
    assert np.isnan(part[1])


def test_few_labels_leave_the_weights_nearly_equal_and_many_decide(rng):
    ratios = []
    for n in (40, 4000):
        y, each = labels(rng, n, 1.0, 6.0, copies=3)
        weights = join_as(STACK, each, y, list("abcd")).weights
        ratios.append(weights[0] / np.mean(weights[1:]))
    assert ratios[0] < 3 < ratios[1]


def test_among_equals_the_mean_is_taken_but_for_one_time_in_six(rng):
    n_other = sum(chosen(*labels(rng, 120, 1.5, 1.5, 1.5)).name != MEAN for _ in range(40))
    assert n_other <= 11  # of 40 at one in six, more have a chance below 3 %


def test_one_against_copies_of_a_bad_one_is_heard_where_labels_show_it(rng):
    choice = chosen(*labels(rng, 3000, 0.2, 4.0, copies=4))
    assert choice.name in {STACK, "s0"}
    assert choice.losses[choice.name] < choice.losses[MEAN]
    effect = choice.joint.effect
    assert effect[0] > 3 * effect[1:].sum()


def test_near_duplicates_do_not_count_as_so_many_labels(rng):
    y, each = labels(rng, 60, 1.0, 2.0)
    once, copied = chosen(y, each), chosen(np.repeat(y, 9), np.repeat(each, 9, axis=0), size=9)
    for name in ("s0", "s1"):
        assert copied.errors[name] > 0.5 * once.errors[name]  # as labels, a third


def test_one_system_has_nothing_to_be_chosen(rng):
    y, each = labels(rng, 50, 1.0)
    choice = chosen(y, each)
    assert choice.name == MEAN
    assert not choice.errors
