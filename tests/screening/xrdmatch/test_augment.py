"""Random changes of patterns do what the paper says, row by row."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssefw.errors import ConfigurationError
from ssefw.screening.xrdmatch.augment import (
    AUGMENTATIONS,
    eliminate_peaks,
    make_augmentation,
    scale_peaks,
    shift,
    shift_by,
    strain,
)


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@pytest.fixture
def sticks():
    """Two hundred rows of five separate peaks, well inside the grid."""
    patterns = torch.zeros(200, 900)
    patterns[:, [300, 350, 400, 500, 600]] = torch.tensor([0.2, 1.0, 0.5, 0.3, 0.7])
    return patterns


def test_a_shift_moves_rows_whole_and_fills_with_zeros():
    rows = torch.tensor([[1.0, 2, 3, 4], [1, 2, 3, 4]])
    moved = shift_by(rows, torch.tensor([1, -2]))
    assert moved.tolist() == [[0, 1, 2, 3], [3, 4, 0, 0]]


def test_shifts_cover_their_range_both_ways(sticks):
    places = shift(sticks, most=30).argmax(dim=1) - 350
    assert -30 <= places.min() < -20
    assert 20 < places.max() <= 30


def test_every_peak_is_about_doubled_when_all_are_scaled(sticks):
    ratio = (scale_peaks(sticks) / sticks)[sticks > 0]
    assert ratio.min() >= 1.88
    assert ratio.max() <= 2.12
    assert ratio.mean() == pytest.approx(2, abs=0.01)


def test_a_share_of_peaks_is_weakened_and_half_of_these_vanish(sticks):
    ratio = (eliminate_peaks(sticks, share=0.12) / sticks)[sticks > 0]
    n = len(ratio)
    assert (ratio < 1).sum() / n == pytest.approx(0.12, abs=4 * (0.12 * 0.88 / n) ** 0.5)
    assert (ratio == 0).sum() / n == pytest.approx(0.06, abs=4 * (0.06 * 0.94 / n) ** 0.5)
    assert (ratio <= 1).all()


def test_points_of_one_broad_peak_change_together():
    broad = torch.zeros(50, 40)
    broad[:, 10:15] = torch.tensor([0.2, 0.6, 1.0, 0.6, 0.2])
    ratio = eliminate_peaks(scale_peaks(broad), share=0.5)[:, 10:15] / broad[:, 10:15]
    torch.testing.assert_close(ratio, ratio[:, :1].expand(-1, 5))


def test_strain_moves_peaks_as_the_law_of_bragg_says():
    angles = 0.02 * np.arange(4501)
    rows = torch.zeros(40, 4501)
    rows[:, [1000, 4000]] = torch.tensor([1.0, 0.5])
    moved = strain(rows, most=0.02, start=0.0, step=0.02)
    for row in moved:
        low, high = angles[np.flatnonzero(row.numpy())]
        stretch = np.sin(np.radians(10)) / np.sin(np.radians(low / 2))
        assert np.sin(np.radians(40)) / np.sin(np.radians(high / 2)) == pytest.approx(
            stretch, abs=2e-3
        )


@settings(max_examples=15, deadline=None)
@given(kind=st.sampled_from(AUGMENTATIONS), rows=st.integers(1, 5), size=st.integers(50, 400))
def test_changed_patterns_keep_shape_and_stay_non_negative(kind, rows, size):
    patterns = torch.rand(rows, size) * (torch.rand(rows, size) > 0.9)
    change = make_augmentation(kind, start=0.0, step=90 / size)
    for changed in (change.weak(patterns), change.strong(patterns)):
        assert changed.shape == patterns.shape
        assert (changed >= 0).all()
        assert torch.isfinite(changed).all()


def test_half_of_the_rows_stay_and_others_go_right_in_the_variant_of_the_code(sticks):
    moved = make_augmentation("code", start=0.0, step=0.1).weak(sticks).argmax(dim=1) - 350
    assert (moved == 0).float().mean() == pytest.approx(0.5, abs=0.15)
    assert moved[moved != 0].min() >= 10
    assert moved.max() <= 30


def test_a_gap_that_closes_never_merges_peaks(sticks):
    from ssefw.screening.xrdmatch.augment import _change_gap

    changed = _change_gap(sticks, most=500)
    # Peaks may leave at the upper end; those that stay keep their order and height.
    for row in changed:
        left = row[row > 0].tolist()
        assert left == pytest.approx([0.2, 1.0, 0.5, 0.3, 0.7][: len(left)])


def test_no_change_touches_the_patterns_it_is_given(sticks):
    before = sticks.clone()
    for kind in AUGMENTATIONS:
        change = make_augmentation(kind, start=0.0, step=0.1)
        change.weak(sticks)
        change.strong(sticks)
    assert torch.equal(before, sticks)


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(ConfigurationError, match="Known: paper, code, strain"):
        make_augmentation("mixup", start=0.0, step=0.1)
