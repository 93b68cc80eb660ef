"""Percolation thresholds of fields whose answer is known by construction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssefw.bvse.percolation import box_thresholds, extend_lattice, percolation_thresholds


def blank(*shape):
    return np.full(shape, 5.0)


def test_a_channel_along_one_axis_percolates_in_one_dimension():
    field = blank(8, 9, 10)
    field[:, 4, 5] = 0.0
    field[3, 4, 5] = 0.25
    thresholds = percolation_thresholds(field)
    assert tuple(thresholds) == pytest.approx((0.25, 5.0, 5.0))


def test_crossing_channels_percolate_in_two_and_three_dimensions():
    field = blank(8, 9, 10)
    field[:, 4, 5], field[2, :, 5], field[2, 4, :] = 0.1, 0.2, 0.3
    field[0, 4, 5], field[2, 4, 5] = 0.0, 0.1
    assert tuple(percolation_thresholds(field)) == pytest.approx((0.1, 0.2, 0.3))


def test_parallel_channels_that_do_not_meet_stay_one_dimensional():
    field = blank(10, 10, 10)
    field[:, 2, 2] = 0.0
    field[7, :, 7] = 0.0
    assert tuple(percolation_thresholds(field)) == pytest.approx((0.0, 5.0, 5.0))


def test_a_channel_along_the_diagonal_is_one_dimensional_and_the_box_rule_says_three():
    field = blank(9, 9, 9)
    for i in range(9):
        field[i, i, i] = 0.0
    assert tuple(percolation_thresholds(field)) == pytest.approx((0.0, 5.0, 5.0))
    assert box_thresholds(field).three < 0.02


def test_a_net_of_index_two_percolates_in_three_dimensions():
    """Loops (1,1,0), (1,0,1), (0,1,1) span a sublattice of index 2: rank 3 nevertheless."""
    n = 24
    field = blank(n, n, n)
    for i in range(n):
        field[i, i, 0] = field[i, 0, i] = field[0, i, i] = 0.0
    assert tuple(percolation_thresholds(field)) == (0.0, 0.0, 0.0)


def test_what_never_percolates_below_the_cap_is_infinite():
    field = blank(6, 6, 6) * 10
    field[3, 3, 3] = 0.0
    assert tuple(percolation_thresholds(field)) == (np.inf, np.inf, np.inf)
    assert tuple(box_thresholds(field)) == (np.inf, np.inf, np.inf)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.tuples(*[st.integers(0, 11)] * 3))
def test_translation_permutation_and_supercell_change_nothing(seed, shift):
    field = np.random.default_rng(seed).random((6, 7, 8))
    expected = tuple(percolation_thresholds(field))
    rolled = np.roll(field, shift, axis=(0, 1, 2))
    assert tuple(percolation_thresholds(rolled)) == pytest.approx(expected, abs=0)
    assert tuple(percolation_thresholds(field.transpose(2, 0, 1))) == pytest.approx(expected, abs=0)
    assert tuple(percolation_thresholds(np.tile(field, (2, 1, 3)))) == pytest.approx(
        expected, abs=0
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_thresholds_are_where_a_walk_over_the_crystal_first_finds_the_dimension(
    seed, dimension_by_walking
):
    field = np.random.default_rng(seed).random((4, 5, 3))
    field -= field.min()
    for dimension, threshold in enumerate(percolation_thresholds(field), start=1):
        assert dimension_by_walking(field <= threshold + 1e-12) >= dimension
        assert dimension_by_walking(field < threshold - 1e-12) < dimension


@given(
    vectors=st.lists(st.tuples(*[st.integers(-4, 4)] * 3), min_size=1, max_size=6),
)
def test_rank_of_collected_vectors_is_the_rank_of_their_matrix(vectors):
    lattice, rank = np.zeros((3, 3), dtype=np.int64), 0
    for vector in vectors:
        rank = extend_lattice(lattice, rank, np.array(vector))
    assert rank == np.linalg.matrix_rank(np.array(vectors))
