"""What holds for every screening system."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from ssefw.data.materials import Material
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import (
    SCREENERS,
    load_screener,
    make_screener,
    save_screener,
    screener_class,
    screener_names,
)
from tests.screening.conftest import rock_salt

QUICK = {
    "atomsets": {"runs": 3, "members": ["net", "lr"], "networks": [{"epochs": 40, "neurons": 16}]},
    "clustering": {"representation": "soap-unperturbed"},
    "composition": {"n_splits": 3, "members": ["dt", "nb"]},
    "conductivity": {"folds": 2},
    "consensus": {
        "systems": {
            "trees": {"system": "composition", "n_splits": 2, "members": ["dt"]},
            "bayes": {"system": "composition", "n_splits": 2, "members": ["nb"]},
        },
        "folds": 2,
    },
    "kang2022": {"n_splits": 2, "members": ["dt", "nb"]},
    "mchaffie2025": {
        "runs": 2,
        "source": "chgnet",
        "layer": "elements",
        "representation": "CAMN",
        "networks": [{"epochs": 40, "neurons": 16, "pooling": "set2set", "smoothing": 0}],
    },
    "sendek2017": {"n_splits": 3},
    "xrdmatch": {
        "method": "fixmatch",
        "augmentation": "strain",
        "members": 2,
        "iterations": 60,
        "batch": 8,
        "learning_rate": 3e-3,
    },
}


def make(name, **settings):
    return make_screener(name, {**QUICK[name], **settings})


@pytest.fixture
def learnable(name, toy, toy_crystals):
    """What anyone can learn, with structures for the systems that need them."""
    return toy_crystals if screener_class(name).needs == "structure" else toy


def material(system, formula):
    """A material with a structure, if the system needs one."""
    build = (lambda: rock_salt(formula)) if screener_class(system).needs == "structure" else None
    return Material(name=formula, formula=formula, build=build)


SYSTEMS = pytest.mark.parametrize("name", [name for name in SCREENERS if name in QUICK])


@SYSTEMS
def test_a_simple_rule_is_learned(name, learnable):
    scores = make(name).fit(learnable).score(learnable.materials)
    assert ((scores.probability >= 0.5) == (learnable.y == 1)).mean() > 0.9


@SYSTEMS
def test_a_seed_repeats_the_result(name, learnable):
    one, other = (make(name, seed=5).fit(learnable).score(learnable.materials) for _ in range(2))
    np.testing.assert_array_equal(one.probability, other.probability)


@SYSTEMS
def test_scores_do_not_depend_on_the_order_of_rows(name, learnable):
    screener = make(name).fit(learnable)
    order = np.random.default_rng(0).permutation(len(learnable))
    scores = screener.score(learnable.materials)
    turned = screener.score([learnable.materials[row] for row in order])
    np.testing.assert_allclose(turned.probability, scores.probability[order], rtol=1e-12)
    assert turned.names == tuple(scores.names[row] for row in order)


@SYSTEMS
def test_nothing_is_scored_before_fit(name, learnable):
    with pytest.raises(NotFittedError):
        make(name).score(learnable.materials)


@SYSTEMS
def test_a_saved_model_scores_the_same(name, learnable, tmp_path):
    screener = make(name).fit(learnable)
    path = tmp_path / "screen.model"
    save_screener(screener, path)
    back = load_screener(path)
    one, other = screener.score(learnable.materials), back.score(learnable.materials)
    np.testing.assert_array_equal(one.probability, other.probability)
    np.testing.assert_array_equal(one.distance, other.distance)
    assert back.trained_on == screener.trained_on
    assert 0 < back.trained_on["best_cut"] < 1


@SYSTEMS
def test_intervals_hold_the_score_and_votes_their_number(name, learnable):
    scores = make(name).fit(learnable).score(learnable.materials)
    assert (scores.lower <= scores.probability).all()
    assert (scores.probability <= scores.upper).all()
    if scores.votes is not None:
        assert ((scores.votes >= 0) & (scores.votes <= scores.n_votes)).all()


@SYSTEMS
def test_a_labeled_material_is_at_distance_zero_and_a_strange_one_is_not(name, learnable):
    screener = make(name).fit(learnable)
    near = material(name, "Li3NaS4.2")
    strange = material(name, "LiCs2I3")
    distance = screener.score([learnable.materials[0], near, strange]).distance
    assert distance[0] == pytest.approx(0, abs=1e-9)
    assert 0 < distance[1] < 0.2 < distance[2]


@SYSTEMS
def test_what_cannot_be_scored_is_named_and_the_others_are_scored(name, learnable):
    screener = make(name).fit(learnable)
    scores = screener.score([learnable.materials[0], Material(name="noble", formula="LiAr")])
    assert np.isfinite(scores.probability[0])
    assert np.isnan(scores.probability[1])
    assert "Ar" in scores.problems[1]


@SYSTEMS
def test_unlabeled_rows_do_not_teach(name, learnable):
    from dataclasses import replace

    hidden = learnable.y.copy()
    hidden[::4] = -1
    kept = np.flatnonzero(hidden >= 0)
    one = make(name).fit(replace(learnable, y=hidden)).score(learnable.materials).probability
    other = make(name).fit(learnable.take(kept)).score(learnable.materials).probability
    np.testing.assert_allclose(one, other)


@SYSTEMS
def test_an_explanation_names_real_properties(name, learnable):
    reasons = make(name).fit(learnable).explain(learnable.materials[0], top=5)
    assert len(reasons) == 5
    effects = [abs(reason.effect) for reason in reasons]
    assert effects == sorted(effects, reverse=True)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "x.model"
    path.write_bytes(b"not a model")
    with pytest.raises(DataError, match="no model of ssefw"):
        load_screener(path)


def test_a_model_with_pickled_content_is_refused(tmp_path):
    path = tmp_path / "evil.model"
    with path.open("wb") as file:
        np.savez(file, __meta__=np.array([{"format": 1}], dtype=object))
    with pytest.raises(DataError, match="no model of ssefw"):
        load_screener(path)


def test_a_truncated_model_is_refused(toy, tmp_path):
    path = tmp_path / "cut.model"
    save_screener(make("composition").fit(toy), path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"no model of ssefw|damaged"):
        load_screener(path)


def test_an_unknown_system_or_setting_is_refused_with_a_hint():
    with pytest.raises(ConfigurationError, match="Did you mean 'composition'"):
        screener_class("compositon")
    with pytest.raises(ConfigurationError, match="has no setting 'trees'"):
        make_screener("composition", {"trees": 3})
    assert "composition" in screener_names()


def test_near_duplicates_never_calibrate_their_own_kind(toy):
    """A model that remembers is not called certain: calibration sees unseen groups only."""
    from dataclasses import replace

    rng = np.random.default_rng(1)
    noise = replace(toy, y=rng.permutation(toy.y))
    scores = (
        make("composition")
        .fit(noise)
        .score([Material(name="new", formula="Li3CrS4"), Material(name="other", formula="LiVPO4")])
    )
    assert (np.abs(scores.probability - 0.5) < 0.35).all()


def test_cell_descriptors_ask_for_cells(toy):
    with pytest.raises(DataError, match="neither cell nor structure"):
        make("composition", cell="kang").fit(toy)


def test_features_that_all_kinds_find_important_are_shared(toy):
    screener = make("composition", members=["rf", "et"]).fit(toy)
    names = [name for name, _ in screener.importances(top=145)]
    assert set(names) <= set(screener.feature_names)
    weights = [weight for _, weight in screener.importances()]
    assert weights == sorted(weights, reverse=True)


@pytest.mark.slow
def test_workers_do_not_change_the_result(toy):
    one = make("composition", workers=1).fit(toy).score(toy.materials)
    two = make("composition", workers=2).fit(toy).score(toy.materials)
    np.testing.assert_array_equal(one.probability, two.probability)
