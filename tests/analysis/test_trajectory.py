"""Unwrapping, drift, changing cells, breaks and joins."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssefw.analysis import Frames, join_frames, slice_frames, unwrapped_paths
from ssefw.analysis.trajectory import fractional_paths
from ssefw.errors import AnalysisError

LATTICE = np.array([[6.0, 0, 0], [1.0, 5.0, 0], [-0.5, 0.7, 7.0]])


def walk(n_frames=20, n_atoms=4, seed=0, scale=0.05):
    rng = np.random.default_rng(seed)
    return rng.random((n_atoms, 3)) + np.cumsum(
        rng.normal(scale=scale, size=(n_frames, n_atoms, 3)), axis=0
    )


def frames_of(frac, lattice=LATTICE, **settings_):
    positions = np.einsum(
        "tni,...tij->tnj" if np.ndim(lattice) == 3 else "tni,ij->tnj", frac, lattice
    )
    species = ("Li",) * (frac.shape[1] - 2) + ("S", "S")
    return Frames(positions, lattice, species, 10.0, **settings_)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_wrapping_changes_no_path(seed):
    frac = walk(seed=seed)
    wrapped, _ = unwrapped_paths(frames_of(frac % 1.0), reference="none")
    free, _ = unwrapped_paths(frames_of(frac, is_unwrapped=True), reference="none")
    np.testing.assert_allclose(wrapped, free, atol=1e-10)
    np.testing.assert_allclose(free, (frac - frac[0]) @ LATTICE, atol=1e-10)


def test_the_reference_stands_still():
    frac = walk()
    for reference, held in (("framework", [2, 3]), ("all", [0, 1, 2, 3])):
        paths, _ = unwrapped_paths(frames_of(frac), specie="Li", reference=reference)
        np.testing.assert_allclose(paths[:, held].mean(axis=1), 0.0, atol=1e-12)


def test_atoms_at_rest_in_a_breathing_cell_do_not_move():
    frac = np.repeat(walk(1), 30, axis=0)
    cells = LATTICE * (1 + 0.05 * np.sin(np.arange(30)))[:, None, None]
    for shift in (0, 1):
        paths, _ = unwrapped_paths(frames_of(frac + shift, cells), reference="none")
        np.testing.assert_allclose(paths, 0.0, atol=1e-12)


def test_a_constant_cell_given_for_each_frame_changes_nothing():
    frac = walk()
    one, _ = unwrapped_paths(frames_of(frac), specie="Li")
    many, _ = unwrapped_paths(frames_of(frac, np.repeat(LATTICE[None], 20, 0)), specie="Li")
    np.testing.assert_allclose(one, many, atol=1e-12)


def test_steps_too_long_to_unwrap_are_reported():
    frac = walk(scale=0.25)
    _, longest = unwrapped_paths(frames_of(frac % 1.0), reference="none")
    assert longest > 0.45


def test_paths_start_anew_behind_a_break():
    frac = walk()
    paths, _ = unwrapped_paths(frames_of(frac % 1.0, breaks=(8,)), reference="none")
    np.testing.assert_array_equal(paths[[0, 8]], 0.0)
    np.testing.assert_allclose(paths[8:], (frac[8:] - frac[8]) @ LATTICE, atol=1e-10)


def test_fractional_paths_say_where_an_atom_is():
    frac = walk()
    found = fractional_paths(frames_of(frac % 1.0), reference="none")
    np.testing.assert_allclose((found - frac) - np.rint(found - frac), 0.0, atol=1e-10)
    assert np.abs(np.diff(found, axis=0)).max() < 0.5


def test_a_run_that_is_cut_and_joined_is_the_same_run():
    frames = frames_of(walk(30))
    parts = [
        replace(frames, positions=frames.positions[:11]),
        replace(frames, positions=frames.positions[10:21], start=0.1),
        replace(frames, positions=frames.positions[21:], start=0.21),
    ]
    joined = join_frames(parts)
    assert joined.breaks == ()
    np.testing.assert_array_equal(joined.positions, frames.positions)


def test_missing_time_between_segments_is_a_break():
    frames = frames_of(walk(30))
    parts = [
        replace(frames, positions=frames.positions[:10]),
        replace(frames, positions=frames.positions[15:], start=0.15),
    ]
    assert join_frames(parts).breaks == (10,)
    assert join_frames(parts).duration == pytest.approx(0.23)


def test_segments_of_different_stride_meet_at_the_common_one():
    frames = frames_of(walk(41))
    parts = [
        slice_frames(replace(frames, positions=frames.positions[:21]), stride=2),
        slice_frames(replace(frames, positions=frames.positions[20:], start=0.2), stride=4),
    ]
    joined = join_frames(parts)
    assert joined.timestep == 40.0
    np.testing.assert_array_equal(joined.positions, frames.positions[::4])


def test_temperatures_and_cells_are_sliced_and_joined_with_the_frames():
    frac = walk(10)
    cells = LATTICE * (1 + 0.01 * np.arange(10))[:, None, None]
    frames = frames_of(frac, cells, temperatures=np.arange(10.0))
    half = slice_frames(frames, first=4, stride=2)
    np.testing.assert_array_equal(half.temperatures, [4, 6, 8])
    np.testing.assert_array_equal(half.lattice, cells[[4, 6, 8]])
    assert half.start == pytest.approx(0.04)
    whole = join_frames([frames, replace(frames, start=0.1)])
    assert whole.temperatures.shape == (20,)
    assert whole.lattice.shape == (20, 3, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.zeros((3, 4))}, "n_frames, n_atoms, 3"),
        ({"positions": np.zeros((0, 4, 3))}, "empty"),
        ({"positions": np.full((20, 4, 3), np.nan)}, "first for atom 0 in frame 0"),
        ({"lattice": np.zeros((3, 3))}, "singular"),
        ({"lattice": np.eye(2)}, "lattice has shape"),
        ({"species": ("Li",)}, "1 species for 4 atoms"),
        ({"timestep": 0.0}, "must be positive"),
        ({"timestep": np.nan}, "must be positive"),
        ({"temperatures": np.zeros(3)}, "temperatures have shape"),
        ({"breaks": (0,)}, "between 1 and 19"),
    ],
)
def test_frames_that_make_no_sense_are_refused(change, message):
    frames = frames_of(walk())
    fields = {"positions": frames.positions, "lattice": LATTICE, "species": frames.species}
    with pytest.raises(AnalysisError, match=message):
        Frames(**(fields | {"timestep": 10.0} | change))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"species": ("Na",) * 4}, "different atoms"),
        ({"start": 0.1}, "before the one before"),
        ({"timestep": 10.007, "start": 0.3}, "meet only rarely"),
    ],
)
def test_segments_that_do_not_fit_are_refused(second, message):
    frames = frames_of(walk())
    with pytest.raises(AnalysisError, match=message):
        join_frames([frames, replace(frames, **second)])
    with pytest.raises(AnalysisError, match="no segment"):
        join_frames([])
