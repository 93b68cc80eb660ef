"""The support vector machine beside the networks: views, margins, and the system made of it."""

import numpy as np
import pytest
from sklearn.svm import SVC

from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import load_screener, save_screener
from ssefw.screening.consensus import ConsensusScreener
from ssefw.screening.xrdmatch.ensemble import (
    EnsembleSettings,
    ensemble_probabilities,
    train_members,
)
from ssefw.screening.xrdmatch.machine import WIDTHS, fit_machine, machine_probabilities, views
from ssefw.screening.xrdmatch.screener import XRDMatchScreener
from ssefw.screening.xrdmatch.training import TrainingSettings


@pytest.fixture
def problem(rng):
    """Class 1 has its peaks at low angles; one in ten is mistaken for the other."""
    y = np.repeat([0, 1], 15)
    patterns = np.zeros((30, 181), dtype=np.float32)
    for row, kind in zip(patterns, y ^ (rng.random(30) < 0.1), strict=True):
        row[(30 if kind else 110) + rng.choice(40, 6, replace=False)] = rng.uniform(0.2, 1, 6)
    return patterns, y


def test_each_view_of_a_pattern_has_length_one(problem):
    parts = np.split(views(problem[0], step=0.5), len(WIDTHS), axis=1)
    for part in parts:
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1)


def test_a_pattern_without_a_peak_is_far_from_all_and_no_error():
    assert not views(np.zeros((1, 181), dtype=np.float32), step=0.5).any()


def test_a_machine_of_arrays_answers_as_the_library_does(problem):
    patterns, y = problem
    seen = views(patterns, step=0.5)
    library = SVC(C=1.0, gamma="scale").fit(seen, y)
    margin = library.decision_function(seen)
    own = machine_probabilities([fit_machine(patterns, y, step=0.5)], patterns, step=0.5)[0]
    np.testing.assert_allclose(own, 1 / (1 + np.exp(-margin)), rtol=1e-9)
    np.testing.assert_array_equal(own >= 0.5, library.predict(seen) == 1)


def test_an_ensemble_of_machines_draws_labels_as_one_of_networks_does(problem):
    patterns, y = problem
    training = TrainingSettings(iterations=1, batch=2)
    drawn = [
        train_members(patterns, y, patterns, EnsembleSettings(training, model=model, members=3))
        for model in ("networks", "svm")
    ]
    for network, machine in zip(*drawn, strict=True):
        np.testing.assert_array_equal(network.rows, machine.rows)
    settings = EnsembleSettings(training, model="svm", members=3)
    each = ensemble_probabilities([m.weights for m in drawn[1]], patterns, settings)
    assert each.shape == (3, 30)
    assert (((each >= 0.5).mean(axis=0) >= 0.5) == y).mean() > 0.8


def test_the_system_of_machines_learns_saves_and_explains(toy_crystals, tmp_path):
    screener = XRDMatchScreener(model="svm", members=3).fit(toy_crystals)
    scores = screener.score(toy_crystals.materials)
    assert ((scores.probability >= 0.5) == (toy_crystals.y == 1)).mean() > 0.9
    assert "3 support vector machines, calibrated on" in scores.meaning
    path = tmp_path / "svm.model"
    save_screener(screener, path)
    again = load_screener(path).score(toy_crystals.materials)
    np.testing.assert_array_equal(again.probability, scores.probability)
    assert len(screener.explain(toy_crystals.materials[0], top=4)) == 4


def test_machines_refuse_what_networks_refuse(toy):
    with pytest.raises(DataError, match="no structure and hence no powder pattern"):
        XRDMatchScreener(model="svm").fit(toy)
    with pytest.raises(ConfigurationError, match="Known: networks, svm"):
        XRDMatchScreener(model="forest")


def test_a_consensus_weighs_machines_beside_compositions(toy_crystals):
    systems = {
        "patterns": {"system": "xrdmatch", "model": "svm", "members": 2, "per_class": 5},
        "formulas": {"system": "composition", "n_splits": 2, "members": ["nb"]},
    }
    consensus = ConsensusScreener(systems=systems, folds=2).fit(toy_crystals)
    assert min(consensus.weights.values()) > 0
    scores = consensus.score(toy_crystals.materials)
    assert ((scores.probability >= 0.5) == (toy_crystals.y == 1)).mean() > 0.9
