"""The start of a run is left out where its energies are clearly others, and no more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssefw.analysis.settling import Settling, find_settling


def fluctuations(n, *, memory, seed):
    """Return a stationary series that forgets within `memory` frames; standard deviation 1."""
    rng = np.random.default_rng(seed)
    kept = np.exp(-1.0 / memory)
    kicks = rng.normal(size=n) * np.sqrt(1.0 - kept**2)
    series = [rng.normal()]
    for kick in kicks[1:]:
        series.append(kept * series[-1] + kick)
    return np.array(series)


@pytest.mark.parametrize("settles_within", [100, 200, 300])
def test_a_start_of_another_energy_is_left_out(settles_within):
    for seed in range(10):
        energies = fluctuations(2000, memory=5, seed=seed)
        energies += 4.0 * np.exp(-np.arange(2000) / settles_within)
        found = find_settling(energies)
        assert settles_within / 2 < found.n_frames < 5 * settles_within
        assert found.is_over
        rest = 4.0 * np.exp(-found.n_frames / settles_within)
        assert rest < 2.2


def test_energies_that_rise_at_the_start_are_left_out_too():
    energies = fluctuations(2000, memory=5, seed=0) - 5.0 * (np.arange(2000) < 300)
    assert 280 <= find_settling(energies).n_frames <= 340


def test_of_stationary_runs_nearly_all_are_kept_whole():
    cut = [find_settling(fluctuations(1000, memory=20, seed=k)).n_frames > 0 for k in range(200)]
    assert np.mean(cut) < 0.06


def test_a_run_that_settles_all_along_says_so():
    energies = fluctuations(2000, memory=5, seed=1) + np.linspace(10.0, 0.0, 2000)
    found = find_settling(energies)
    assert found.n_frames == pytest.approx(1000, abs=40)
    assert not found.is_over


def test_what_cannot_be_told_is_left_as_it_is():
    start = np.where(np.arange(199) < 50, 10.0, 0.0)
    assert find_settling(start) == Settling()
    assert find_settling(np.append(start, 0.0)).n_frames == 50
    assert find_settling(np.full(1000, 3.0)) == Settling()
    assert find_settling(np.where(np.arange(1000) == 7, np.nan, 0.0)) == Settling()
    assert find_settling(np.empty(0)) == Settling()


@given(
    n=st.integers(0, 700),
    shift=st.floats(-1e4, 1e4),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 10**6),
)
@settings(deadline=None, max_examples=50)
def test_it_does_not_depend_on_the_zero_or_the_unit_of_energies(n, shift, scale, seed):
    energies = np.random.default_rng(seed).normal(size=n).cumsum()
    found = find_settling(energies)
    assert found == find_settling(shift + scale * energies)
    assert 0 <= found.n_frames <= n / 2 + 10
