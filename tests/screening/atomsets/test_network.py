"""The network is a function of a weighted set, learns, stops early and goes on after a stop."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from ssefw.errors import ConfigurationError
from ssefw.screening.atomsets.distance import TrainingDistance
from ssefw.screening.atomsets.ensemble import fit_groups
from ssefw.screening.atomsets.network import (
    PAPER,
    AtomSetBatch,
    NetworkConfig,
    initial_parameters,
    logits,
    predict,
)
from ssefw.screening.atomsets.sources import WeightedSet, set_statistics
from ssefw.screening.atomsets.training import Start, feature_scale, train_networks
from ssefw.screening.papers.lamb import LookaheadLamb, triangular2

SMALL = NetworkConfig(**PAPER, neurons=8, readout=4, epochs=30, patience=10, batch=16)


@pytest.fixture
def parameters():
    generator = torch.Generator().manual_seed(0)
    made = initial_parameters(SMALL, width=3, members=2, generator=generator)
    return {name: value.double() for name, value in made.items()}


def batch(sets):
    return AtomSetBatch.of(sets, center=np.zeros(3), scale=np.ones(3), dtype=torch.float64)


def random_set(rng, n=5):
    weight = rng.random(n)
    return WeightedSet(rng.normal(size=(n, 3)), weight / weight.sum())


def sets_and_classes(rng, n=60):
    """Class 1 where the mean of the first component is positive."""
    sets = [random_set(rng, rng.integers(1, 6)) for _ in range(n)]
    y = np.array([float((one.weight @ one.vectors)[0] > 0) for one in sets])
    return sets, y


def test_order_of_sites_does_not_matter(parameters, rng):
    one = random_set(rng)
    order = rng.permutation(5)
    other = WeightedSet(one.vectors[order], one.weight[order])
    np.testing.assert_allclose(
        predict(parameters, batch([one]), SMALL), predict(parameters, batch([other]), SMALL)
    )


@pytest.mark.parametrize("pooling", ["set2set", "mean", "statistics"])
@pytest.mark.parametrize("site_layers", [0, 2])
def test_a_site_of_double_weight_is_two_sites(pooling, site_layers):
    config = replace(SMALL, pooling=pooling, site_layers=site_layers)
    made = initial_parameters(
        config, width=3, members=2, generator=torch.Generator().manual_seed(0)
    )
    parameters = {name: value.double() for name, value in made.items()}
    x = np.array([[0.3, -1.0, 0.2], [1.0, 0.5, -0.4]])
    one = WeightedSet(x, np.array([2 / 3, 1 / 3]))
    other = WeightedSet(x[[0, 0, 1]], np.full(3, 1 / 3))
    np.testing.assert_allclose(
        predict(parameters, batch([one]), config), predict(parameters, batch([other]), config)
    )


def test_the_statistics_read_out_are_those_the_trees_see():
    config = replace(SMALL, pooling="statistics", site_layers=0, layers=1, neurons=12)
    one = WeightedSet(np.array([[1.0, 2.0, 0.0], [4.0, -1.0, 1.0]]), np.array([0.75, 0.25]))
    parameters = {
        "whole_0/weight": torch.eye(12).double()[None],
        "whole_0/bias": torch.full((1, 1, 12), 10.0).double(),
    }
    for k, wanted in enumerate(set_statistics([one])[0]):
        read = torch.zeros(12, 1).double()
        read[k] = 1
        out = {"out/weight": read[None], "out/bias": torch.full((1, 1, 1), -10.0).double()}
        assert logits(parameters | out, batch([one]), config).item() == pytest.approx(
            wanted, abs=1e-5
        )


def test_materials_of_a_batch_do_not_know_each_other(parameters, rng):
    sets = [random_set(rng, n) for n in (1, 4, 2)]
    together = predict(parameters, batch(sets), SMALL)
    alone = np.hstack([predict(parameters, batch([one]), SMALL) for one in sets])
    np.testing.assert_allclose(together, alone)


def test_a_batch_takes_materials_in_any_order(parameters, rng):
    whole = batch([random_set(rng, n) for n in (1, 4, 2)])
    taken = whole.take(torch.tensor([2, 0]))
    np.testing.assert_allclose(
        predict(parameters, taken, SMALL), predict(parameters, whole, SMALL)[:, [2, 0]]
    )


@pytest.mark.parametrize("optimizer", ["adam", "lamb"])
def test_a_rule_of_the_mean_is_learned(optimizer, rng):
    sets, y = sets_and_classes(rng)
    config = replace(SMALL, optimizer=optimizer, rate=1e-2, rate_max=5e-2, epochs=60)
    center, scale = feature_scale(sets)
    whole = AtomSetBatch.of(sets, center=center, scale=scale)
    learns = np.ones((1, 60), dtype=bool)
    learns[:, ::5] = False
    trained = train_networks(whole, y, learns, config, seed=0)
    said = predict(trained.parameters, whole, config)[0] >= 0.5
    assert (said == (y == 1))[~learns[0]].mean() > 0.8


def test_the_best_epoch_is_kept_and_patience_ends_the_training(rng):
    sets, y = sets_and_classes(rng, 30)
    learns = rng.random((3, 30)) < 0.7
    trained = train_networks(batch_float(sets), y, learns, SMALL, seed=1)
    np.testing.assert_allclose(trained.curve.min(axis=0), trained.loss, rtol=1e-6)
    np.testing.assert_array_equal(trained.curve.argmin(axis=0) + 1, trained.best_epoch)


def batch_float(sets):
    return AtomSetBatch.of(sets, center=np.zeros(3), scale=np.ones(3))


def test_what_a_member_does_not_learn_from_changes_only_when_it_stops(rng):
    """Labels on the other side are looked at for stopping and for nothing else."""
    sets, y = sets_and_classes(rng, 30)
    learns = np.ones((1, 30), dtype=bool)
    learns[0, :6] = False
    config = replace(SMALL, epochs=1)
    turned = y.copy()
    turned[:6] = 1 - turned[:6]
    one = train_networks(batch_float(sets), y, learns, config, seed=3).parameters
    other = train_networks(batch_float(sets), turned, learns, config, seed=3).parameters
    for name in one:
        assert torch.equal(one[name], other[name])


def test_pretrained_layers_are_taken_over_and_the_last_is_not(rng):
    sets, y = sets_and_classes(rng, 30)
    config = replace(SMALL, epochs=1, rate=0.0)
    learns = np.ones((2, 30), dtype=bool)
    learns[:, :5] = False
    first = train_networks(batch_float(sets), y, learns[:1], config, seed=0).parameters
    kept = {name: value for name, value in first.items() if not name.startswith("out/")}
    start = Start(kept, np.zeros(3), np.ones(3))
    again = train_networks(batch_float(sets), y, learns, config, seed=9, start=start).parameters
    assert torch.equal(again["site_0/weight"][1], first["site_0/weight"][0])
    assert not torch.equal(again["out/weight"][0], first["out/weight"][0])


def test_finished_groups_are_read_back_and_cut_off_ones_are_trained_again(rng, tmp_path):
    sets, y = sets_and_classes(rng, 30)
    learns = rng.random((2, 30)) < 0.7
    configs = [SMALL, replace(SMALL, neurons=6)]
    fit = lambda: fit_groups(configs, sets, y.astype(int), learns, seed=0, folder=tmp_path)  # noqa: E731
    first = fit()
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == 2
    written = {file: file.stat().st_mtime_ns for file in files}
    files[0].write_bytes(files[0].read_bytes()[:100])
    second = fit()
    assert files[1].stat().st_mtime_ns == written[files[1]]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.probability(sets), other.probability(sets))


def test_groups_fitted_by_two_processes_are_those_of_one(rng, tmp_path):
    sets, y = sets_and_classes(rng, 30)
    learns = rng.random((2, 30)) < 0.7
    configs = [SMALL, replace(SMALL, neurons=6)]
    fit = partial(fit_groups, configs, sets, y.astype(int), learns, seed=0)
    for one, other in zip(fit(), fit(workers=2, folder=tmp_path), strict=True):
        np.testing.assert_array_equal(one.probability(sets), other.probability(sets))
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_a_member_may_be_stopped_by_its_area_under_precision_recall(rng):
    sets, y = sets_and_classes(rng, 40)
    learns = rng.random((2, 40)) < 0.6
    config = replace(SMALL, stop="auc_pr", patience=30)
    trained = train_networks(batch_float(sets), y, learns, config, seed=1)
    said = predict(trained.parameters, batch_float(sets), config)
    for member, side in enumerate(~learns):
        area = average_precision_score(y[side], said[member, side])
        assert -trained.loss[member] == pytest.approx(area, abs=1e-6)
        assert area == pytest.approx(-trained.curve[:, member].min(), abs=1e-6)


def test_a_side_of_one_class_stops_by_its_loss(rng):
    sets, y = sets_and_classes(rng, 30)
    learns = np.ones((2, 30), dtype=bool)
    learns[0, np.flatnonzero(y == 1)[:4]] = False
    config = replace(SMALL, stop="auc_pr")
    trained = train_networks(batch_float(sets), y, learns, config, seed=1)
    assert trained.loss[0] > 0
    assert trained.best_epoch[1] == config.epochs


def test_smoothed_labels_keep_a_network_from_being_sure(rng):
    sets, y = sets_and_classes(rng)
    learns = np.ones((1, 60), dtype=bool)
    config = replace(SMALL, rate=1e-2, epochs=60, dropout=0.0, dropout_final=0.0)
    sure, unsure = (
        predict(
            train_networks(
                batch_float(sets), y, learns, replace(config, smoothing=share), seed=0
            ).parameters,
            batch_float(sets),
            config,
        )
        for share in (0.0, 0.8)
    )
    assert np.abs(unsure - 0.5).mean() < 0.15 < np.abs(sure - 0.5).mean()


def test_lamb_moves_each_member_by_its_own_norm():
    values = torch.tensor([[[1.0, 0.0]], [[10.0, 0.0]]], requires_grad=True)
    lamb = LookaheadLamb([values])
    values.grad = torch.ones_like(values)
    before = values.detach().clone()
    lamb.step(0.1)
    moved = (before - values.detach()).norm(dim=(1, 2))
    np.testing.assert_allclose(moved.numpy(), [0.1, 1.0], rtol=1e-5)


def test_lookahead_goes_halfway_back_every_six_steps():
    value = torch.ones(1, 1, 1, requires_grad=True)
    plain = 1.0
    lamb = LookaheadLamb([value])
    for _ in range(6):
        value.grad = torch.ones_like(value)
        lamb.step(0.1)
        plain *= 0.9
    assert value.item() == pytest.approx(1 + 0.5 * (plain - 1), rel=1e-4)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 1.0), (10, 3.0), (20, 1.0), (30, 2.0), (40, 1.0), (50, 1.5)]
)
def test_the_cyclic_rate_halves_its_height_every_cycle(step, rate):
    assert triangular2(step, low=1.0, high=3.0, half_cycle=10) == pytest.approx(rate)


def test_settings_that_make_no_network_are_refused():
    with pytest.raises(ConfigurationError, match="no setting 'width'"):
        NetworkConfig.from_settings({"width": 3})
    with pytest.raises(
        ConfigurationError, match=r"layers of a network is at least 1 and below 1e\+06, got 0"
    ):
        NetworkConfig.from_settings({"layers": 0})
    with pytest.raises(ConfigurationError, match="neurons of a network is a whole number"):
        NetworkConfig.from_settings({"neurons": 32.5})
    with pytest.raises(ConfigurationError, match="dropout of a network is at least 0 and below 1"):
        NetworkConfig.from_settings({"dropout": 1.0})
    with pytest.raises(ConfigurationError, match="adam, lamb"):
        NetworkConfig.from_settings({"optimizer": "sgd"})
    with pytest.raises(ConfigurationError, match="Unknown pooling 'max'"):
        NetworkConfig.from_settings({"pooling": "max"})
    with pytest.raises(ConfigurationError, match="smoothing of a network"):
        NetworkConfig.from_settings({"smoothing": 1.0})


def test_a_rate_without_a_decimal_point_is_a_number():
    assert NetworkConfig.from_settings({"rate": "6e-5"}).rate == 6e-5


def test_the_earlier_name_of_an_optimizer_is_understood():
    assert NetworkConfig.from_settings({"optimizer": "adamw"}) == NetworkConfig()


def test_the_distance_to_a_label_is_zero_and_its_unit_the_mean_to_the_center():
    points = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    distance = TrainingDistance(points)
    np.testing.assert_allclose(distance(points), 0, atol=1e-12)
    # All lie at the unit from their center, so the center lies at 1 from the nearest.
    assert distance(np.zeros((1, 2)))[0] == pytest.approx(1.0)


def test_the_distance_divides_squares_by_the_deviation():
    points = np.array([[4.0, 0], [-4, 0], [0, 1], [0, -1]])
    distance = TrainingDistance(points)
    far = distance(np.array([[4.0 + 1, 0], [4.0, 1]]))
    # Deviations are 4 to 1 along the axes, squares count by their inverse.
    assert far[1] / far[0] == pytest.approx(2.0)
