"""Fitting a NEP: its gradient is right, it learns, and the same seed gives the same potential."""

from dataclasses import replace

import numpy as np
import pytest

from ssefw.errors import DataError, EngineError
from ssefw.nep import TrainingSet, errors_on, fit
from ssefw.nep.training import _Loss, _weights, new_model
from tests.nep.conftest import SMALL, shaken_alloys


def loss_at(model, weights, data):
    """The loss itself, from the errors that the gradient's own pass gathers."""
    total = 0.0
    for frame in range(data.n_frames):
        _, squares = _Loss(model, data, SMALL)(tuple(weights), np.array([frame]))
        first, last = data.first_atom[frame : frame + 2]
        hard = max(1.0, np.sqrt(np.mean(data.forces[first:last] ** 2))) ** 1.5
        widths = np.array([SMALL.width_energy, SMALL.width_force, SMALL.width_stress]) * hard
        total += float((squares[:3] / widths**2).sum())
    return total / data.n_frames


def test_the_gradient_is_the_slope_of_the_loss():
    frames = shaken_alloys(2)
    model = new_model(frames, SMALL)
    data = TrainingSet(frames, model.species, model.radial_cutoff)
    weights = [array.copy() for array in _weights(model)]
    gradient, _ = _Loss(model, data, SMALL)(tuple(weights), np.arange(2))
    rng = np.random.default_rng(0)
    for k, slopes in enumerate(gradient):
        direction = rng.normal(size=slopes.shape)
        direction /= np.linalg.norm(direction)
        ends = []
        for step in (1e-5, -1e-5):
            moved = list(weights)
            moved[k] = weights[k] + step * direction
            ends.append(loss_at(model, moved, data))
        above, below = ends
        expected = float((slopes * direction).sum())
        # The gradient itself is a difference: a part in a thousand.
        assert (above - below) / 2e-5 == pytest.approx(expected, rel=5e-3, abs=1e-2)


def test_a_fit_learns_its_teacher(model):
    unseen = shaken_alloys(10, first_seed=500)
    force_size = np.sqrt(np.mean([np.mean(frame.forces**2) for frame in unseen]))
    errors = errors_on(model, unseen)
    assert errors.force < 0.2 * force_size
    assert errors.energy < 0.01
    assert errors.stress is not None
    assert errors.stress < 0.005


def test_a_fit_goes_on_from_a_potential(model):
    frames = shaken_alloys(40)
    further = fit(frames, SMALL.refit(steps=300, seed=1), start=model)
    assert errors_on(further, frames).force < errors_on(model, frames).force


def test_the_same_frames_and_seed_give_the_same_potential():
    frames, short = shaken_alloys(5), replace(SMALL, steps=20)
    assert fit(frames, short).digest == fit(frames, short).digest
    assert fit(frames, short).digest != fit(frames, replace(short, seed=1)).digest


def test_frames_without_stress_are_learned_from():
    frames = [replace(frame, stress=None) for frame in shaken_alloys(5)]
    fitted = fit(frames, replace(SMALL, steps=50))
    assert errors_on(fitted, frames).stress is None


def test_a_perfect_crystal_alone_does_not_break_the_scale():
    frame = shaken_alloys(1)[0]
    model = new_model([frame, frame], SMALL)
    assert np.isfinite(model.scale).all()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"energy": np.nan}, "not finite"),
        ({"forces": np.zeros((3, 3))}, "arrays of another size"),
        ({"cell": np.eye(3) * 1.5}, "A\\^3 for 32 atoms"),
    ],
)
def test_frames_of_no_use_are_refused_by_number(change, why):
    frames = shaken_alloys(2)
    with pytest.raises(DataError, match=f"Frame 1 of 2.*{why}"):
        fit([frames[0], replace(frames[1], **change)], replace(SMALL, steps=1))


def test_no_frames_are_refused():
    with pytest.raises(DataError, match="no frames"):
        fit([], SMALL)


def test_a_diverging_fit_is_told():
    with pytest.raises(EngineError, match="diverged"):
        fit(shaken_alloys(3), replace(SMALL, steps=200, rate=1e200))
