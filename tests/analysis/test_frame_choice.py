"""Which frames are chosen: those that have forgotten each other, disagree, or cover the rest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ssefw.analysis.frame_choice import correlation_stride, farthest_points, force_deviation

POINTS = arrays(float, st.tuples(st.integers(1, 12), st.just(2)), elements=st.floats(-5, 5))


def test_the_stride_of_an_autoregression_is_twice_its_correlation_time():
    """x_t = a x_(t-1) + noise has 1/2 + sum a^k = (1 + a) / (2 (1 - a)): 9.5 for 0.9."""
    rng = np.random.default_rng(0)
    series = [0.0]
    for noise in rng.normal(size=200_000):
        series.append(0.9 * series[-1] + noise)
    assert correlation_stride(series) == pytest.approx(19, abs=3)


def test_noise_and_constants_are_not_thinned():
    rng = np.random.default_rng(0)
    assert correlation_stride(rng.normal(size=10_000)) <= 2
    assert correlation_stride(np.ones(100)) == 1
    assert correlation_stride([1.0]) == 1


def test_the_deviation_is_that_of_the_atom_on_which_members_differ_most():
    """Of two members that differ by d, each is d/2 from the mean."""
    forces = np.zeros((2, 3, 3))
    forces[1, 2] = [3.0, 0.0, 4.0]
    forces[1, 0] = [1.0, 0.0, 0.0]
    assert force_deviation(forces) == pytest.approx(2.5)


def test_one_member_alone_has_no_deviation():
    with pytest.raises(ValueError, match="two members"):
        force_deviation(np.zeros((1, 3, 3)))


@given(forces=arrays(float, (3, 4, 3), elements=st.floats(-10, 10)), shift=st.floats(-5, 5))
def test_what_all_members_say_alike_does_not_count(forces, shift):
    assert force_deviation(forces + shift) == pytest.approx(force_deviation(forces), abs=1e-9)
    assert force_deviation(forces[::-1]) == pytest.approx(force_deviation(forces), abs=1e-9)


def test_farthest_points_of_a_line_are_its_middle_and_ends():
    chosen, reached = farthest_points(np.arange(11.0)[:, None], 3)
    assert chosen[0] == 5
    assert set(chosen[1:]) == {0, 10}
    assert reached == [0.0, 5.0, 5.0]


@given(points=POINTS, n=st.integers(1, 15))
def test_chosen_points_differ_and_come_closer_to_each_other(points, n):
    chosen, reached = farthest_points(points, n)
    assert len(chosen) == len(set(chosen)) == min(n, len(points))
    assert reached[1:] == sorted(reached[1:], reverse=True)
    left = np.linalg.norm(points[:, None] - points[chosen][None], axis=2).min(axis=1).max()
    assert len(chosen) == 1 or left <= reached[-1] + 1e-9


def test_no_point_of_none_is_refused():
    with pytest.raises(ValueError, match="cannot be chosen"):
        farthest_points(np.empty((0, 2)), 1)
