"""Frames as bytes: what goes in comes out, and what was torn is noticed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ssefw.data import Chunk, decode_chunk, encode_chunk, join_chunks
from ssefw.errors import DataError


def chunk(positions, *, first_frame=0, first_step=0, **changes):
    n_frames = len(positions)
    fields = {
        "first_step": first_step,
        "last_step": first_step + n_frames,
        "first_frame": first_frame,
        "positions": positions,
        "energies": np.linspace(-1.0, 1.0, n_frames),
        "temperatures": np.full(n_frames, 300.0),
        "cell": np.eye(3) * 5.0,
        "state": {"momenta": np.full((positions.shape[1], 3), np.pi)},
        "notes": {"segment": 0},
    }
    return Chunk(**fields | changes)


@settings(deadline=None)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(1, 5), st.just(3)),
        elements=st.floats(-500.0, 500.0),
    )
)
def test_positions_come_back_to_within_half_a_step(positions):
    back = decode_chunk(encode_chunk(chunk(positions)))
    assert back.positions.shape == positions.shape
    assert np.abs(back.positions - positions).max() <= 5.1e-6


@pytest.mark.parametrize("n_frames", [0, 1, 3])
def test_forces_come_back_to_1e_4_and_a_chunk_without_them_has_none(n_frames):
    rng = np.random.default_rng(2)
    positions, forces = rng.normal(size=(2, n_frames, 4, 3))
    stresses = rng.normal(0.0, 0.05, (n_frames, 3, 3))
    before = chunk(positions, forces=forces, stresses=stresses)
    after = decode_chunk(encode_chunk(before))
    assert after.forces.shape == forces.shape
    assert after.forces == pytest.approx(forces, abs=5.1e-5)
    assert after.stresses == pytest.approx(stresses, rel=1e-6)
    # A chunk in progress is read and written again and again: it must not drift.
    assert encode_chunk(after) == encode_chunk(before)
    plain = decode_chunk(encode_chunk(chunk(positions)))
    assert plain.forces is None
    assert plain.stresses is None
    last = chunk(positions, first_frame=n_frames, first_step=before.last_step)
    assert join_chunks([before, last]).forces is None  # half of them would be misread


def test_the_state_comes_back_bit_by_bit():
    before = chunk(np.zeros((2, 3, 3)), state={"x": np.random.default_rng(0).normal(size=(3, 3))})
    after = decode_chunk(encode_chunk(before))
    assert np.array_equal(after.state["x"], before.state["x"])
    assert np.array_equal(after.energies, before.energies)
    assert after.notes == before.notes


def test_equal_chunks_are_equal_bytes():
    positions = np.random.default_rng(0).normal(size=(4, 5, 3))
    assert encode_chunk(chunk(positions)) == encode_chunk(chunk(positions.copy()))


def test_a_trajectory_takes_less_room_than_single_precision():
    rng = np.random.default_rng(1)
    positions = 10 * rng.random((1, 50, 3)) + np.cumsum(rng.normal(0, 0.02, (100, 50, 3)), axis=0)
    packed = len(encode_chunk(chunk(positions)))
    assert packed < 0.75 * positions.astype(np.float32).nbytes


@given(st.floats(0.0, 1.0, exclude_max=True))
def test_a_torn_chunk_is_an_error_wherever_it_was_torn(share):
    payload = encode_chunk(chunk(np.random.default_rng(2).normal(size=(5, 4, 3))))
    with pytest.raises(DataError, match="not the bytes of a trajectory chunk"):
        decode_chunk(payload[: int(share * len(payload))])


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_splitting_and_joining_changes_nothing(lengths):
    positions = np.random.default_rng(3).normal(size=(sum(lengths), 3, 3))
    parts, start = [], 0
    for length in lengths:
        part = positions[start : start + length]
        parts.append(chunk(part, first_frame=start, first_step=start))
        start += length
    joined = join_chunks(parts)
    assert np.array_equal(joined.positions, positions)
    assert (joined.first_step, joined.last_step) == (0, len(positions))


@pytest.mark.parametrize("shift", [-1, 1], ids=["doubled", "missing"])
def test_a_gap_or_a_doubled_frame_is_not_joined(shift):
    first = chunk(np.zeros((4, 2, 3)))
    second = chunk(np.zeros((4, 2, 3)), first_frame=4 + shift, first_step=4)
    with pytest.raises(DataError):
        join_chunks([first, second])
