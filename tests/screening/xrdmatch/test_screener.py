"""The system as a whole: pools, problems, similarity, variants."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from ssefw.data.materials import Material
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.xrdmatch.screener import VARIANTS, XRDMatchScreener
from ssefw.screening.xrdmatch.similarity import directions, nearest
from tests.screening.conftest import rock_salt

QUICK = {"members": 2, "iterations": 20, "batch": 8}


def crystal(formula):
    return Material(name=formula, formula=formula, build=lambda: rock_salt(formula))


@pytest.fixture(scope="module")
def fitted(toy_crystals):
    pool = [crystal(f"Li2{m}S3") for m in ("Na", "K", "Mg", "Ca", "Zn")]
    return XRDMatchScreener(**QUICK).fit(toy_crystals, pool=pool)


def test_the_nearest_conductor_of_a_conductor_is_itself(fitted, toy_crystals):
    scores = fitted.score([toy_crystals.materials[3], crystal("Li3ScO4")])
    assert scores.details["similarity"][0] == pytest.approx(1, abs=1e-9)
    assert scores.details["nearest_conductor"][0] == toy_crystals.materials[3].formula
    assert scores.details["similarity"][1] < 0.7


def test_votes_and_mean_are_the_members_own_and_the_score_is_calibrated(fitted, toy_crystals):
    scores = fitted.score(toy_crystals.materials)
    each = fitted.probabilities(fitted.patterns(toy_crystals.materials)[0])
    np.testing.assert_allclose(scores.details["mean_probability"], each.mean(axis=0))
    np.testing.assert_array_equal(scores.votes, (each >= 0.5).sum(axis=0))
    order = np.argsort(scores.details["mean_probability"])
    assert (np.diff(scores.probability[order]) >= 0).all()


def test_scores_of_members_that_learned_nothing_are_pulled_to_the_share_of_conductors(toy_crystals):
    """Twenty of forty-eight labels are drawn from noise: what a member says of the rest is air."""
    rows = np.concatenate(
        [np.flatnonzero(toy_crystals.y == 1)[:12], np.flatnonzero(toy_crystals.y == 0)]
    )
    data = toy_crystals.take(rows)
    noise = replace(data, y=np.random.default_rng(2).permutation(data.y))
    scores = XRDMatchScreener(model="svm").fit(noise).score(noise.materials)
    assert scores.probability.mean() == pytest.approx(noise.y.mean(), abs=0.1)
    assert scores.details["mean_probability"].mean() > scores.probability.mean()


def test_labels_that_all_members_saw_calibrate_nothing_and_that_is_said(toy_crystals, caplog):
    few = toy_crystals.take([*range(10), *range(30, 40)])
    with caplog.at_level(logging.WARNING):
        model = XRDMatchScreener(model="svm", members=2).fit(few)
    assert "are not calibrated" in caplog.text
    scores = model.score(few.materials)
    assert "not calibrated" in scores.meaning
    np.testing.assert_allclose(scores.probability, scores.details["mean_probability"])


def test_the_pool_is_counted_and_what_has_no_pattern_is_said(toy_crystals, caplog):
    pool = [crystal("Li2NaS3"), Material(name="bare", formula="LiCl")]
    with caplog.at_level(logging.WARNING):
        model = XRDMatchScreener(**QUICK).fit(toy_crystals, pool=pool)
    assert model.trained_on["unlabeled"] == 1
    assert "1 of 2 materials of the pool have no powder pattern" in caplog.text


@pytest.mark.parametrize("setting", [{"model": "svm"}, {"method": "supervised"}])
def test_members_taught_by_labels_alone_say_that_they_leave_the_pool(setting, toy_crystals, caplog):
    bare = [Material(name="bare", formula="LiCl")]
    with caplog.at_level(logging.WARNING):
        model = XRDMatchScreener(**QUICK, **setting).fit(toy_crystals, pool=bare)
    assert "do not look at the pool" in caplog.text
    assert model.trained_on["unlabeled"] == 0


def test_the_pool_changes_what_is_learned_unless_supervised(fitted, toy_crystals):
    without = XRDMatchScreener(**QUICK).fit(toy_crystals)
    rows = toy_crystals.materials[:4]
    assert (without.score(rows).probability != fitted.score(rows).probability).any()
    pool = [crystal("Li2NaS3")]
    supervised = [
        XRDMatchScreener(**QUICK, method="supervised").fit(toy_crystals, pool=p).score(rows)
        for p in ((), pool)
    ]
    np.testing.assert_array_equal(supervised[0].probability, supervised[1].probability)


def test_labels_without_structure_are_refused(toy):
    with pytest.raises(DataError, match="has no structure and hence no powder pattern"):
        XRDMatchScreener(**QUICK).fit(toy)


def test_patterns_on_another_grid_are_refused(fitted):
    with pytest.raises(DataError, match="have 90 points, the others have 181"):
        fitted.probabilities(np.ones((1, 90), dtype=np.float32))


def test_a_variant_sets_what_is_not_given():
    paper = XRDMatchScreener(variant="paper", seed=4)
    assert paper.ensemble.training.network == "vgg11"
    assert not paper.ensemble.training.convex
    assert not paper.ensemble.training.warm_up
    assert paper.grid.size == 4501
    code = XRDMatchScreener(variant="code", network="small")
    assert (code.ensemble.training.network, code.ensemble.augmentation) == ("small", "code")
    assert code.ensemble.training.convex
    assert code.ensemble.training.warm_up
    assert set(VARIANTS) == {"fast", "paper", "code"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"variant": "best"},
        {"bin_width": 0.03},
        {"bin_width": 0},
        {"tau": "high"},
        {"members": 2.5},
        {"members": True},
        {"convex": 1},
        {"learning_rate": 0},
        {"network": "resnet"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        XRDMatchScreener(**wrong)


def test_settings_make_the_same_screener_again(fitted):
    again = XRDMatchScreener(**fitted.settings())
    assert again.ensemble == fitted.ensemble


def test_similarity_falls_with_the_distance_of_peaks():
    patterns = np.zeros((3, 181), dtype=np.float32)
    for row, place in enumerate((60, 61, 120)):
        patterns[row, place] = 1
    unit = directions(patterns, step=0.5)
    best, similarity = nearest(unit[:1], unit[1:])
    assert best[0] == 0
    # Two Gaussians of standard deviation s, d apart, have the cosine exp(-d^2 / 4 s^2).
    s = 1 / 2.3548
    assert similarity[0] == pytest.approx(np.exp(-(0.5**2) / (4 * s * s)), abs=0.02)
    assert (unit[0] @ unit[2]) == pytest.approx(0, abs=1e-6)
