"""Every classifier of the table learns, and its arrays predict what its library predicts."""

import warnings

import numpy as np
import pytest

from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.classifiers import CLASSIFIERS, classifier, fit_classifier
from ssefw.screening.frozen import Frozen, freeze

OPTIONAL = {"lgbm": "lightgbm", "xgb": "xgboost"}


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 12)) * np.exp(2 * rng.normal(size=12))
    y = (x[:, 0] / x[:, 0].std() + x[:, 1] / x[:, 1].std() > 0).astype(int)
    new = rng.normal(size=(300, 12)) * x.std(axis=0)
    return x, y, new


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_arrays_predict_what_the_library_predicts(name, problem):
    pytest.importorskip(OPTIONAL.get(name, "sklearn"))
    x, y, new = problem
    fitted = classifier(name, seed=1).fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = fitted.predict_proba(new)[:, 1]
    # XGBoost adds up its trees in single precision.
    np.testing.assert_allclose(freeze(fitted).probability(new), expected, atol=2e-6)


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_a_simple_rule_is_learned_and_a_seed_repeats_it(name, problem):
    pytest.importorskip(OPTIONAL.get(name, "sklearn"))
    x, y, _ = problem
    one, weights = fit_classifier(name, x, y, seed=3)
    again, _ = fit_classifier(name, x, y, seed=3)
    assert ((one.probability(x) >= 0.5) == y).mean() > 0.75
    np.testing.assert_array_equal(one.probability(x), again.probability(x))
    if weights.any():
        assert weights.sum() == pytest.approx(1)


def test_an_unknown_classifier_names_those_that_exist():
    with pytest.raises(ConfigurationError, match="gb, knn, lgbm"):
        classifier("gbm", seed=0)


def test_an_unknown_form_is_refused():
    with pytest.raises(DataError, match="line, neighbors, normal, trees"):
        Frozen("pickle", {}).probability(np.zeros((1, 2)))


def test_the_search_of_settings_stays_within_its_space(toy):
    pytest.importorskip("optuna")
    from ssefw.screening.features import composition_features
    from ssefw.screening.tuning import search_settings

    features = composition_features([m.composition for m in toy.materials])
    found = search_settings("dt", features, toy, trials=4, folds=3)
    assert found.keys() == CLASSIFIERS["dt"].space.keys()
    for name, value in found.items():
        limits = CLASSIFIERS["dt"].space[name]
        assert limits.low <= value <= limits.high
