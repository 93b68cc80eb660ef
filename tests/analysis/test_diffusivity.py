"""Diffusivity of walks whose diffusivity is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssefw.analysis import Frames, estimate_diffusivity, hop_count_rsd
from ssefw.analysis.synthetic import LatticeWalk
from ssefw.errors import AnalysisError


def estimate(walk, seed=0, **settings_):
    settings_ = {"temperature": 900.0, "hop_distance": walk.spacing} | settings_
    return estimate_diffusivity(walk.frames(seed), **settings_)


@pytest.mark.parametrize(
    "walk",
    [
        LatticeWalk(n_frames=1500, rate=0.2, n_ions=32),
        LatticeWalk(n_cells=2, n_ions=8, n_frames=2000, rate=0.3),
        LatticeWalk(n_frames=1500, rate=0.3, string=4),
        LatticeWalk(n_frames=2000, timestep=50.0, rate=0.5, cosine=-0.3, n_ions=32),
    ],
    ids=["independent", "small cell", "strings of four", "back hops"],
)
def test_the_interval_covers_a_known_diffusivity_and_the_estimate_is_unbiased(walk):
    found = [estimate(walk, seed).tracer for seed in range(30)]
    values = np.array([e.value for e in found if e.kind == "value"])
    told = [e for e in found if e.kind != "undetermined"]
    missed = [e.upper < walk.tracer or (e.lower or 0.0) > walk.tracer for e in told]
    assert len(values) >= 22
    assert len(told) >= 26
    assert values.mean() == pytest.approx(walk.tracer, abs=4 * values.std() / len(values) ** 0.5)
    # 30 draws at 95 %: fewer than 25 has a probability below 1 in 500.
    assert sum(missed) <= 5


@given(
    rate=st.floats(0.2, 2.0),
    spacing=st.floats(1.5, 5.0),
    n_ions=st.integers(8, 48),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=15, deadline=None)
def test_any_walk_is_estimated_within_six_standard_errors(rate, spacing, n_ions, seed):
    walk = LatticeWalk(
        rate=rate, spacing=spacing, n_ions=n_ions, n_frames=800, timestep=50.0, n_cells=5
    )
    tracer = estimate(walk, seed).tracer
    if tracer.kind == "value":
        assert abs(np.log(tracer.value / walk.tracer)) < 3 * np.log(tracer.upper / tracer.value)
    elif tracer.kind == "upper_bound":
        assert tracer.upper > 0.7 * walk.tracer


def test_the_haven_ratio_of_strings_is_one_over_their_length():
    walk = LatticeWalk(n_frames=3000, rate=0.5, string=4)
    haven = estimate(walk).haven
    assert haven.lower < 0.25 < haven.upper < 1.0


def test_wrapped_and_unwrapped_positions_agree():
    walk = LatticeWalk(n_cells=5, n_frames=800, rate=0.5)
    wrapped = estimate_diffusivity(walk.frames(1), temperature=900.0, hop_distance=3.2)
    free = estimate_diffusivity(
        walk.frames(1, is_wrapped=False), temperature=900.0, hop_distance=3.2
    )
    assert wrapped.tracer.value == pytest.approx(free.tracer.value, rel=1e-9)


def test_drift_of_the_whole_crystal_changes_nothing():
    still, drifting = (
        estimate(LatticeWalk(n_frames=600, rate=1.0, drift=drift), 3).tracer.upper
        for drift in (0.0, 0.05)
    )
    assert drifting == pytest.approx(still, rel=1e-6)


def test_a_crystal_that_only_vibrates_gives_the_bound_of_having_seen_no_hop():
    walk = LatticeWalk(rate=0.0, n_frames=1500)
    result = estimate(walk)
    # Poisson: 2.9957 hops expected are missed with a probability of 5 %.
    no_hop = 2.9957 / (walk.n_ions * 29.98) * walk.spacing**2 / 6 * 1e-4
    assert result.regime == "vibrating"
    assert result.tracer.kind == "upper_bound"
    assert 0.999 * no_hop <= result.tracer.upper < 1.5 * no_hop


def test_bounds_from_rare_hops_hold_as_often_as_they_say():
    walk = LatticeWalk(rate=0.001, n_frames=1500)
    uppers = [estimate(walk, seed).tracer.upper for seed in range(40)]
    # 40 draws at 95 %: fewer than 34 has a probability below 1 in 1,000.
    assert sum(upper >= walk.tracer for upper in uppers) >= 34


def test_atoms_that_never_move_give_a_bound():
    walk = LatticeWalk(rate=0.0, amplitude=0.0, drift=0.0, n_frames=200)
    assert estimate(walk).regime == "vibrating"


def fractional_brownian(hurst, n_frames=600, n_ions=40, seed=0):
    """Ions whose MSD grows as t^(2 hurst), one angstrom^2 at 20 frames, in a frame that stands."""
    t = np.arange(1, n_frames) ** (2 * hurst)
    lag = np.abs(np.subtract.outer(np.arange(1, n_frames), np.arange(1, n_frames)))
    covariance = 0.5 * (t[:, None] + t[None] - lag ** (2 * hurst)) / (3 * 20.0 ** (2 * hurst))
    noise = np.random.default_rng(seed).normal(size=(n_frames - 1, n_ions * 3))
    moved = np.linalg.cholesky(covariance + 1e-12 * np.eye(n_frames - 1)) @ noise
    positions = np.zeros((n_frames, n_ions + 8, 3))
    positions[1:, :n_ions] = moved.reshape(-1, n_ions, 3)
    positions += np.random.default_rng(1).random((n_ions + 8, 3)) * 12.0
    return Frames(
        positions, np.eye(3) * 12.0, ("Li",) * n_ions + ("S",) * 8, 50.0, is_unwrapped=True
    )


def test_an_msd_that_bends_at_all_lags_gives_a_bound_or_a_warning():
    for seed in range(6):
        result = estimate_diffusivity(
            fractional_brownian(0.25, seed=seed), temperature=900.0, hop_distance=1.0
        )
        assert result.regime == "subdiffusive" or "bends before" in result.warnings[0]


def test_a_run_shorter_than_the_memory_of_its_hops_gives_a_bound_that_holds():
    walk = LatticeWalk(n_frames=400, rate=0.5, cosine=-0.9)
    found = [estimate(walk, seed) for seed in range(6)]
    assert all(r.tracer.kind == "upper_bound" or "bends" in r.warnings[0] for r in found)
    assert all(r.tracer.upper > walk.tracer for r in found)


def test_a_memory_near_the_length_of_the_run_gives_no_interval():
    """Ions that go on in the direction of their last hop look diffusive long before they are."""
    walk = LatticeWalk(n_frames=1500, timestep=40.0, n_ions=32, rate=0.1, cosine=0.3)
    found = [estimate(walk, seed) for seed in range(20)]
    given = [f.tracer for f in found if f.tracer.kind != "undetermined"]
    assert len(given) <= 10
    refused = [f for f in found if f.tracer.kind == "undetermined"]
    assert all("the MSD steepens up to the longest lags" in f.reason for f in refused)


def test_bounds_from_ten_hops_hold_as_often_as_they_say():
    walk = LatticeWalk(n_frames=1500, timestep=40.0, n_ions=32, rate=0.005)
    found = [estimate(walk, seed).tracer for seed in range(40)]
    told = [e for e in found if e.kind != "undetermined"]
    missed = [e.upper < walk.tracer or (e.lower or 0.0) > walk.tracer for e in told]
    # 40 draws at 95 %: more than 6 has a probability below 1 in 200.
    assert sum(missed) <= 6


def test_the_same_motion_without_memory_gives_a_value_and_no_warning():
    result = estimate_diffusivity(fractional_brownian(0.5), temperature=900.0, hop_distance=1.0)
    assert result.warnings == ()
    # One angstrom^2 a ps.
    assert result.tracer.lower < 1e-4 / 6 < result.tracer.upper


def test_a_molten_framework_blocks_the_fit_with_the_reason():
    result = estimate(LatticeWalk(n_cells=6, rate=1.0, framework_rate=0.3, n_frames=1500))
    assert result.regime == "melted"
    assert result.tracer.kind == "undetermined"
    assert "framework left its sites" in result.reason


def test_a_melt_is_seen_before_most_atoms_have_left_their_sites():
    """With 0.4 hops an atom, two thirds are still at home; their MSD grows all the same."""
    result = estimate(LatticeWalk(n_frames=2000, rate=0.3, framework_rate=0.01, amplitude=0.2))
    assert result.regime == "melted"
    assert "the MSD of S grows" in result.reason
    assert result.framework_lindemann > 0.15


def gliding(walk, *, times):
    """Return frames in which the upper half of the framework glides a spacing at each time."""
    frames = walk.frames(0, is_wrapped=False)
    framework = ~frames.is_specie("Li")
    upper = framework & (frames.positions[0][:, 2] > 0.5 * walk.n_cells * walk.spacing)
    glides = (np.arange(walk.n_frames)[:, None] >= np.array(times)).sum(axis=1)
    positions = frames.positions.copy()
    positions[:, upper, 0] += walk.spacing * glides[:, None]
    return replace(frames, positions=positions)


@pytest.mark.parametrize("times", [(1500,), (400, 1200, 1900, 2500)], ids=["once", "often"])
def test_layers_that_glide_past_each_other_are_not_molten(times):
    walk = LatticeWalk(n_frames=3000, rate=1.0)
    found = estimate_diffusivity(
        gliding(walk, times=times), temperature=900.0, hop_distance=walk.spacing
    )
    assert found.regime == "diffusive"
    assert found.tracer.lower < walk.tracer < found.tracer.upper
    assert found.warnings[-1].startswith("parts of the framework, such as layers, glide")
    assert found.framework_rmsd == pytest.approx(len(times) * walk.spacing / 2, rel=0.1)


def test_a_melt_with_layers_that_glide_is_molten():
    walk = LatticeWalk(n_cells=6, rate=1.0, framework_rate=0.3, n_frames=1500)
    found = estimate_diffusivity(
        gliding(walk, times=(700,)), temperature=900.0, hop_distance=walk.spacing
    )
    assert found.regime == "melted"


def test_a_melt_of_molecules_is_molten():
    """Tetrahedra that keep their shape and do not even turn, each of which goes its own way."""
    walk = LatticeWalk(spacing=6.4, rate=1.0, framework_rate=0.02, amplitude=0.1)
    frames = walk.frames(0, is_wrapped=False)
    centers = np.flatnonzero(~frames.is_specie("Li"))
    corners = 2.05 / 3**0.5 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    around = (frames.positions[:, centers, None] + corners).reshape(walk.n_frames, -1, 3)
    around += np.random.default_rng(0).normal(scale=0.1, size=around.shape)
    molecules = replace(
        frames,
        positions=np.concatenate([frames.positions, around], axis=1),
        species=("Li",) * walk.n_ions + ("P",) * len(centers) + ("S",) * around.shape[1],
    )
    found = estimate_diffusivity(molecules, temperature=900.0, hop_distance=walk.spacing)
    assert found.regime == "melted"


def test_a_hot_framework_that_rattles_between_two_sites_is_not_molten():
    walk = LatticeWalk(n_frames=3000, rate=1.0, amplitude=0.2)
    frames = walk.frames(0, is_wrapped=False)
    rng = np.random.default_rng(0)
    framework = ~frames.is_specie("Li")
    sides = np.cumsum(rng.poisson(0.02, size=(walk.n_frames, framework.sum())), axis=0) % 2
    positions = frames.positions.copy()
    positions[:, framework, 0] += 1.2 * sides
    found = estimate_diffusivity(
        replace(frames, positions=positions), temperature=900.0, hop_distance=walk.spacing
    )
    assert found.framework_lindemann > 0.15
    assert found.regime == "diffusive"


def test_atoms_that_shift_slowly_around_their_sites_do_not_diffuse():
    """Forgotten after 100 frames, so that short lags see a line; no atom ever leaves."""
    walk = LatticeWalk(n_frames=6000, rate=1.0, amplitude=0.25)
    frames = walk.frames(0, is_wrapped=False)
    some = np.flatnonzero(~frames.is_specie("Li"))[::2]
    kept = np.exp(-1.0 / 100.0)
    shifts = np.random.default_rng(0).normal(size=(walk.n_frames, len(some), 3))
    shifts *= 0.3 * (1.0 - kept**2) ** 0.5
    for now in range(1, walk.n_frames):
        shifts[now] += kept * shifts[now - 1]
    species = np.array(frames.species)
    species[some] = "Ge"
    positions = frames.positions.copy()
    positions[:, some] += shifts
    moved = replace(frames, positions=positions, species=tuple(species))
    found = estimate_diffusivity(moved, temperature=300.0, hop_distance=walk.spacing)
    assert found.regime == "diffusive"
    assert not any("Ge atoms diffuse" in warning for warning in found.warnings)


def test_corners_that_rotate_around_centers_that_stay_are_a_warning_only():
    walk = LatticeWalk(n_frames=3000, rate=1.0, amplitude=0.3)
    frames = walk.frames(0, is_wrapped=False)
    framework = np.flatnonzero(~frames.is_specie("Li"))
    corners = framework[::2]
    species = np.array(frames.species)
    species[corners] = "O"
    rng = np.random.default_rng(1)
    hops = rng.normal(size=(walk.n_frames, len(corners), 3)).cumsum(axis=0) * 0.04
    positions = frames.positions.copy()
    positions[:, corners] += hops
    moved = replace(frames, positions=positions, species=tuple(species))
    found = estimate_diffusivity(moved, temperature=900.0, hop_distance=walk.spacing)
    assert found.regime == "diffusive"
    assert any("O atoms" in warning for warning in found.warnings)


def test_a_vibrating_framework_is_not_molten():
    assert estimate(LatticeWalk(rate=1.0, amplitude=0.3)).regime == "diffusive"


def test_breaks_lose_time_but_do_not_bias():
    walk = LatticeWalk(n_frames=3000, rate=0.5)
    frames = walk.frames(5, is_wrapped=False)
    positions = frames.positions.copy()
    positions[1000:] += np.random.default_rng(0).normal(size=(frames.n_atoms, 3)) * 5
    broken = estimate_diffusivity(
        replace(frames, positions=positions, breaks=(1000,)), temperature=900.0, hop_distance=3.2
    )
    assert broken.tracer.lower < walk.tracer < broken.tracer.upper
    assert broken.duration == pytest.approx(2998 * 0.02)


def test_without_framework_nothing_is_held_still_and_it_says_so():
    frames = LatticeWalk(n_frames=600, rate=1.0, drift=0.0).frames(0)
    ions = frames.is_specie("Li")
    alone = Frames(frames.positions[:, ions], frames.lattice, ("Li",) * 64, 20.0)
    result = estimate_diffusivity(alone, temperature=900.0)
    assert result.drift_reference == "none"
    assert "no framework atom" in result.warnings[0]


def test_a_run_off_its_set_point_is_warned_of():
    frames = LatticeWalk(n_frames=300).frames(0)
    hot = replace(frames, temperatures=np.full(300, 1000.0))
    assert "1000 K" in estimate_diffusivity(hot, temperature=900.0).warnings[-1]


def test_a_wider_level_gives_a_wider_interval():
    walk = LatticeWalk(n_frames=1500, rate=0.5)
    narrow, wide = (estimate(walk, level=level).tracer for level in (0.68, 0.95))
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_the_rule_of_he_zhu_and_mo():
    # Fig. 4 of doi:10.1038/s41524-018-0074-y: 100 hops give about 40 %.
    assert hop_count_rsd(100.0) == pytest.approx(0.383)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"specie": "Na"}, "no atom of specie 'Na'.*Li, S"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"level": 95.0}, "between 0 and 1"),
        ({"equilibration": -1.0}, "cannot be negative"),
        ({"equilibration": 100.0}, "nothing is left of 100 frames"),
        ({"equilibration": 1.9}, "too few"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    frames = LatticeWalk(n_frames=100).frames(0)
    with pytest.raises(AnalysisError, match=message):
        estimate_diffusivity(frames, **({"temperature": 900.0} | change))


def test_one_frame_is_refused():
    frames = LatticeWalk(n_frames=1).frames(0)
    with pytest.raises(AnalysisError, match="too few"):
        estimate_diffusivity(frames, temperature=900.0)
