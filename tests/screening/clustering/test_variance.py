"""W by hand, its invariances, and what chance gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssefw.errors import DataError
from ssefw.screening.clustering.variance import (
    cluster_variance,
    expected_variance,
    held_out_deviations,
    random_control,
    shuffled_control,
)


def test_w_is_the_sum_of_squares_around_the_means():
    """{-3, -5} and {-8, -8}: 1 + 1 + 0 + 0."""
    values = np.array([-3.0, -5.0, -8.0, -8.0])
    assert cluster_variance(values, np.array([[0, 0, 1, 1]])) == pytest.approx([2.0])
    assert cluster_variance(values, np.array([[0, 0, 0, 0]])) == pytest.approx([18.0])


def test_a_label_alone_keeps_the_deviation_of_the_coarser_depth():
    """0, 2, 7 around 3 deviate by 9, 1, 16; then 7 is alone and stays at 16; then all are."""
    values = np.array([0.0, 2.0, 7.0])
    depths = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 2]])
    assert cluster_variance(values, depths) == pytest.approx([26.0, 1 + 1 + 16, 1 + 1 + 16])
    assert cluster_variance(values, depths, frozen=False) == pytest.approx([26.0, 2.0, 0.0])


def test_a_label_alone_from_the_start_keeps_its_deviation_from_the_mean_of_all():
    values = np.array([0.0, 2.0, 7.0])
    assert cluster_variance(values, np.array([[0, 0, 1]])) == pytest.approx([18.0])


@given(seed=st.integers(0, 10_000))
def test_w_does_not_depend_on_the_order_of_labels_or_the_names_of_clusters(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=12)
    depths = np.array([rng.integers(0, k, 12) for k in (1, 2, 4, 8)])
    turn = rng.permutation(12)
    names = rng.permutation(20)[:8]
    one = cluster_variance(values, depths)
    np.testing.assert_allclose(cluster_variance(values[turn], names[depths[:, turn]]), one)
    np.testing.assert_allclose(cluster_variance(values + 5, depths), one)


def test_shuffled_labels_match_their_expectation():
    """Without the frozen rule a cluster of m labels has (m - 1) s^2 on average."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=60)
    depths = np.array([rng.integers(0, k, 60) for k in (1, 3, 10, 40)])
    want = expected_variance(values, depths)
    found = shuffled_control(values, depths, repeats=800, frozen=False)
    np.testing.assert_allclose(found, want, rtol=0.03)
    assert found[0] == pytest.approx(((values - values.mean()) ** 2).sum())


def test_random_clusters_match_their_expectation():
    """n labels in k clusters leave k (1 - (1 - 1/k)^n) clusters occupied on average."""
    values = np.random.default_rng(0).normal(size=40)
    depths = np.array([1, 5, 50])
    occupied = depths * (1 - (1 - 1 / depths) ** 40)
    want = (40 - occupied) * values.var(ddof=1)
    found = random_control(values, depths, repeats=800, frozen=False)
    np.testing.assert_allclose(found, want, rtol=0.03)


def test_clusters_that_know_beat_both_controls():
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 4, 80)
    values = -3.0 * kind + 0.1 * rng.normal(size=80)
    w = cluster_variance(values, kind[None])
    assert w[0] < 0.01 * shuffled_control(values, kind[None])[0]
    assert w[0] < 0.01 * random_control(values, [4])[0]


def test_held_out_labels_deviate_from_the_training_labels_of_their_cluster():
    """Training: 0 and 2 in one cluster, 10 in the other; 4 and 9 are held out."""
    values = np.array([0.0, 2.0, 10.0, 4.0, 9.0])
    clusters = np.array([[0, 0, 1, 0, 1]])
    found = held_out_deviations(values, clusters, [0, 1, 2])[0]
    assert found[3:] == pytest.approx([9.0, 1.0])


def test_where_no_training_label_is_the_coarser_cluster_speaks():
    values = np.array([0.0, 2.0, 10.0, 4.0])
    clusters = np.array([[0, 0, 1, 0], [0, 0, 1, 2]])
    found = held_out_deviations(values, clusters, [0, 1, 2])
    assert found[:, 3] == pytest.approx([9.0, 9.0])


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match="finite"):
        cluster_variance(np.array([1.0, np.nan]), np.array([[0, 0]]))
