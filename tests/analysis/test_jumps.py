"""Jumps of walks whose jumps are known."""

from dataclasses import replace

import numpy as np
import pytest

from ssefw.analysis import Frames
from ssefw.analysis.density import density_map
from ssefw.analysis.jumps import correlation_factor, find_jumps, find_sites
from ssefw.analysis.synthetic import LatticeWalk
from ssefw.errors import AnalysisError

SITES = np.indices((4, 4, 4)).reshape(3, -1).T / 4


def two_sites(sequence):
    """One ion on a line between x = 1 and x = 4 in a cell of 6, on the given places."""
    positions = np.zeros((len(sequence), 2, 3))
    positions[:, 0, 0] = sequence
    return Frames(positions, np.eye(3) * 6.0, ("Li", "S"), 1000.0, is_unwrapped=True)


def line(sequence, **settings):
    return find_jumps(two_sites(sequence), [[1 / 6, 0, 0], [4 / 6, 0, 0]], radius=0.5, **settings)


def test_a_jump_counts_when_the_other_core_is_reached():
    jumps = line([1, 1.2, 2.5, 3.8, 4.1, 4])
    assert jumps.n_jumps == 1
    assert jumps.times[0] == 3.0
    np.testing.assert_allclose(jumps.displacements, [[3, 0, 0]])
    np.testing.assert_allclose(jumps.occupancy, [0.5, 0.5])


def test_an_excursion_that_returns_is_no_jump():
    assert line([1, 2.0, 3.4, 2.0, 1]).n_jumps == 0


def test_a_jump_across_the_cell_goes_the_short_way():
    np.testing.assert_allclose(line([1, -0.5, -2, -2]).displacements, [[-3, 0, 0]])


def test_a_jump_to_the_same_site_of_the_next_cell_counts():
    np.testing.assert_allclose(line([1, 7]).displacements, [[6, 0, 0]])


def test_nothing_jumps_across_a_break():
    frames = replace(two_sites([1, 1, 4, 4]), breaks=(2,))
    assert find_jumps(frames, [[1 / 6, 0, 0], [4 / 6, 0, 0]], radius=0.5).n_jumps == 0


def test_rates_are_jumps_over_time_on_the_site():
    rates = line([1, 1, 1, 4, 1, 1, 4, 4]).rates()
    # Five of eight frames on the first site, seven ps in all.
    assert rates[0, 1] == pytest.approx(2 / (5 / 8 * 7))


@pytest.mark.parametrize("cosine", [-0.4, 0.0, 0.4])
def test_rate_jump_diffusivity_and_correlation_of_a_walk_with_memory(cosine):
    walk = LatticeWalk(n_frames=4000, rate=0.3, cosine=cosine, drift=0.0)
    jumps = find_jumps(walk.frames(0), SITES)
    expected = walk.n_ions * 79.98 * walk.rate
    assert jumps.n_jumps == pytest.approx(expected, abs=4 * expected**0.5)
    assert jumps.residence_time == pytest.approx(1 / walk.rate, rel=0.1)
    factor = correlation_factor(jumps, tracer=walk.tracer)
    assert factor == pytest.approx((1 + cosine) / (1 - cosine), rel=0.15)


def test_strings_jump_together_and_independent_ions_as_often_as_by_chance():
    alone = LatticeWalk(n_frames=3000, rate=0.02, drift=0.0)
    pairs = LatticeWalk(n_frames=3000, rate=0.02, string=2, drift=0.0)
    settings = {"within": 0.05, "distance": 50.0}
    for walk, is_collective in ((alone, False), (pairs, True)):
        frames = walk.frames(0)
        jumps = find_jumps(frames, SITES)
        share = jumps.collective_share(frames.lattice, **settings)
        chance = jumps.chance_share(frames.volume, **settings)
        if is_collective:
            assert share > 0.95
        else:
            assert share == pytest.approx(chance, abs=4 * (chance / jumps.n_jumps) ** 0.5)


def test_the_sites_of_a_lattice_are_found_in_the_density():
    frames = LatticeWalk(n_frames=3000, rate=0.5, drift=0.0).frames(0)
    sites = find_sites(density_map(frames))
    assert len(sites) == 64
    apart = sites[:, None] - SITES[None]
    apart -= np.rint(apart)
    assert np.linalg.norm(apart * 12.8, axis=-1).min(axis=1).max() < 0.3


def test_without_jumps_there_is_no_residence_time():
    jumps = line([1, 1, 1])
    assert jumps.residence_time is None
    assert jumps.mean_distance is None
    assert correlation_factor(jumps, tracer=1e-6) is None
    assert jumps.collective_share(np.eye(3), within=1.0, distance=1.0) == 0.0


@pytest.mark.parametrize(
    ("sites", "radius", "message"),
    [
        ([[0, 0, 0]], None, "two sites at least"),
        ([[0, 0, 0], [0.5, 0, 0]], 2.0, "overlap"),
    ],
)
def test_sites_that_cannot_be_told_apart_are_refused(sites, radius, message):
    with pytest.raises(AnalysisError, match=message):
        find_jumps(two_sites([1, 4]), sites, radius=radius)
