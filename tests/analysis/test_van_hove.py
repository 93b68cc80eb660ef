"""Van Hove functions and radial distributions with known answers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssefw.analysis import Frames, mean_squared_displacement
from ssefw.analysis.pair_counts import count_pairs, triangular_cell
from ssefw.analysis.pair_functions import radial_distribution, van_hove
from ssefw.analysis.synthetic import LatticeWalk
from ssefw.errors import AnalysisError


def gas(n_frames=400, n_ions=30, seed=0, scale=0.6):
    """Brownian ions that do not see each other, in a skew cell, and a framework that stands."""
    rng = np.random.default_rng(seed)
    lattice = np.array([[6.0, 0, 0], [2.5, 7.0, 0], [-2.0, 1.5, 8.0]])
    ions = np.cumsum(rng.normal(scale=scale, size=(n_frames, n_ions, 3)), axis=0)
    ions += rng.random((n_ions, 3)) @ lattice
    solid = np.broadcast_to(rng.random((4, 3)) @ lattice, (n_frames, 4, 3))
    return Frames(
        np.concatenate([ions, solid], axis=1),
        lattice,
        ("Li",) * n_ions + ("S",) * 4,
        10.0,
        is_unwrapped=True,
    )


def test_the_distinct_part_of_an_ideal_gas_is_one_at_every_distance_and_time():
    result = van_hove(gas(n_ions=60), times=[0.0, 1.0, 3.0], r_max=12.0, n_bins=12, n_origins=100)
    # Beyond half the cell an image counts; the ion itself is the one that is missing.
    np.testing.assert_allclose(result.distinct_part[:, 3:], 1.0, atol=0.05)


def test_the_self_part_of_brownian_motion_integrates_to_one_and_has_its_mean_square():
    frames = gas(scale=0.2)
    result = van_hove(frames, times=[0.0, 1.0], r_max=12.0, n_bins=120)
    width = 0.1
    np.testing.assert_allclose(result.self_part.sum(axis=1) * width, 1.0, atol=1e-12)
    assert result.self_part[0, 0] * width == 1.0
    mean_square = (result.self_part[1] * result.radii**2).sum() * width
    msd = mean_squared_displacement(frames.positions[:, :30])[100]
    assert mean_square == pytest.approx(msd, rel=1e-3)


def test_distances_are_those_of_every_image_in_a_direct_sum():
    frames = gas(n_frames=3, n_ions=6)
    frac = frames.positions[:, :6] @ np.linalg.inv(frames.lattice)
    counts = count_pairs(
        frac,
        frac,
        frames.lattice,
        np.array([[0]]),
        np.array([2]),
        r_max=15.0,
        n_bins=30,
        same=np.arange(6),
    )[0]
    shifts = np.stack(np.meshgrid(*[range(-8, 9)] * 3, indexing="ij"), -1).reshape(-1, 3)
    direct = np.zeros(30, dtype=int)
    for i in range(6):
        for j in range(6):
            delta = (frac[2, j] - frac[0, i] + shifts) @ frames.lattice
            if i == j:
                delta = delta[~(shifts == 0).all(axis=1)]
            direct += np.histogram(np.linalg.norm(delta, axis=1), bins=30, range=(0, 15.0))[0]
    np.testing.assert_array_equal(counts, direct)


@given(seed=st.integers(0, 10**6), shift=st.integers(-3, 3))
@settings(max_examples=10, deadline=None)
def test_moving_an_atom_by_whole_cells_changes_no_distance(seed, shift):
    rng = np.random.default_rng(seed)
    lattice = np.eye(3) * 5 + rng.normal(scale=1.0, size=(3, 3))
    frac = rng.random((1, 5, 3))
    moved = frac + shift * rng.integers(-1, 2, size=(1, 5, 1))
    same = np.full(5, -1)
    arguments = (lattice, np.array([[0]]), np.array([0]))
    counts = [
        count_pairs(a, frac, *arguments, r_max=9.0, n_bins=9, same=same) for a in (frac, moved)
    ]
    assert np.abs(counts[0] - counts[1]).sum() <= 2  # a distance on the edge of a bin may fall over


def test_a_rotated_cell_keeps_lengths_and_angles():
    lattice = np.random.default_rng(1).normal(size=(3, 3)) + 4 * np.eye(3)
    rotated = triangular_cell(lattice)
    np.testing.assert_allclose(rotated @ rotated.T, lattice @ lattice.T, atol=1e-12)
    assert np.triu(rotated, 1) == pytest.approx(0)


def test_the_neighbors_of_rock_salt_are_counted():
    box = 2 * 4.0
    sites = np.indices((4, 4, 4)).reshape(3, -1).T * 2.0
    is_li = sites.sum(axis=1) % 4 == 0
    species = tuple("Li" if flag else "F" for flag in is_li)
    frames = Frames(np.stack([sites, sites]), np.eye(3) * box, species, 1.0)
    result = radial_distribution(frames, specie="Li", other="F", r_max=5.0, n_bins=50)
    around = dict(zip(np.round(result.radii, 2), result.coordination, strict=True))
    assert around[2.25] == 6.0
    assert around[3.65] == 6.0 + 8.0
    like = radial_distribution(frames, specie="Li", other="Li", r_max=3.0, n_bins=30)
    assert like.coordination[-1] == 12.0


def test_the_distinct_part_at_time_zero_is_the_radial_distribution():
    frames = gas()
    distinct = van_hove(frames, times=[0.0], r_max=8.0, n_bins=16, n_origins=400).distinct_part[0]
    g = radial_distribution(frames, specie="Li", other="Li", r_max=8.0, n_bins=16, n_frames=400).g
    np.testing.assert_allclose(distinct, g, atol=0.02)


def test_the_tail_stays_flat_when_ions_have_left_their_cell():
    walk = LatticeWalk(n_frames=2000, rate=2.0, n_cells=4, n_ions=40)
    result = van_hove(walk.frames(0), times=[5.0, 15.0, 30.0], n_origins=100)
    tails = result.distinct_part[:, 50:90].mean(axis=1)
    np.testing.assert_allclose(tails, tails[0], rtol=0.03)


def test_origins_do_not_reach_across_a_break():
    frames = gas(n_frames=100)
    broken = replace(frames, breaks=(50,))
    with pytest.raises(AnalysisError, match="longest stretch without a break"):
        van_hove(broken, times=[0.6])
    assert van_hove(broken, times=[0.4]).n_origins[0] == 20


@pytest.mark.parametrize("grid", [{"r_max": 0.0}, {"n_bins": 0}])
def test_an_empty_grid_is_refused(grid):
    with pytest.raises(AnalysisError, match="both must be positive"):
        van_hove(gas(n_frames=10), **grid)
