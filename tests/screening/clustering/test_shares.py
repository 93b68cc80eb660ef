"""Shares of labels around a row, by hand, and the calibration of the score that rests on them."""

import numpy as np
import pytest

from ssefw.data.dataset import dataset_of
from ssefw.screening.base import load_screener, make_screener, save_screener
from ssefw.screening.clustering.shares import nearest_rows, shrunk_shares, surroundings
from tests.screening.clustering.test_pool import fluorite, halite
from tests.screening.conftest import METALS, make_labels

# Two labels of each class and a fifth row without: one cluster, then {0, 1, 4} and {2, 3}.
CLUSTERS = np.array([[8, 8, 8, 8, 8], [6, 6, 7, 7, 6]])
Y = np.array([1, 1, 0, 0])


def test_a_cluster_is_drawn_to_the_one_around_by_so_many_labels():
    shares = shrunk_shares(CLUSTERS, Y, 2.0)
    np.testing.assert_allclose(shares[0], 0.5)
    # Two positive labels and two times a half, over two and two.
    np.testing.assert_allclose(shares[1], [0.75, 0.75, 0.25, 0.25, 0.75])


def test_hidden_labels_count_nowhere():
    shown = np.array([True, False, True, True])
    shares = shrunk_shares(CLUSTERS, Y, 2.0, shown=shown)
    np.testing.assert_allclose(shares[0], 1 / 3)
    np.testing.assert_allclose(shares[1, 0], (1 + 2 / 3) / 3)
    np.testing.assert_allclose(shares[1, 2], (2 / 3) / 4)
    other = Y.copy()
    other[1] = 0
    np.testing.assert_array_equal(shares, shrunk_shares(CLUSTERS, other, 2.0, shown=shown))


def test_the_smallest_cluster_with_two_labels_speaks():
    found = surroundings(CLUSTERS, np.array([-3.0, -5.0, -8.0, -9.0]))
    np.testing.assert_allclose(found["log_sigma"], [-4, -4, -8.5, -8.5, -4])
    np.testing.assert_allclose(found["n_labels"], 2)


def test_the_first_of_equally_near_rows_counts():
    known = np.array([[0, 0], [1, 0], [1, 0]], dtype=np.float32)
    index, distance = nearest_rows(np.array([[1, 0], [0, 2]], dtype=np.float32), known)
    assert index.tolist() == [1, 0]
    assert distance.tolist() == [0, 2]


@pytest.fixture(scope="module")
def noisy():
    """Sixty labels of two frameworks: most of one kind conduct, few of the other."""
    rng = np.random.default_rng(4)
    metals = [
        *METALS,
        *["Rb", "Cs", "Fe", "Co", "Ni", "Cu", "Zn", "Mn", "Cr", "V", "Nb", "Ta", "Mo", "W", "Sn"],
    ]
    rows = {}
    for metal in metals:
        for anion, make, share in (("S", fluorite, 0.8), ("Cl", halite, 0.2)):
            sigma = 1e-3 if rng.random() < share else 1e-8
            rows[f"Li{metal}{anion}"] = (make(5.2 + 0.4 * rng.random()), sigma)
    return rows


def labels_of(rows):
    sigmas = [sigma for _, sigma in rows.values()]
    return dataset_of(make_labels(list(rows), sigmas, structure=lambda name: rows[name][0]))


def test_the_score_is_calibrated_on_labels_it_had_not_seen(noisy, tmp_path):
    data = labels_of(noisy)
    model = make_screener("clustering", {"deepest": 20}).fit(data)
    assert model.is_calibrated_
    scores = model.score(data.materials)
    assert "calibrated on unseen labels" in scores.meaning
    # Single labels are noise here, which the raw shares of fine clusters repeat.
    raw = model.shares_[:, : len(data)].mean(axis=0)
    assert abs(scores.probability - 0.5).max() < abs(raw - 0.5).max()
    assert (scores.lower <= scores.probability).all()
    assert (scores.probability <= scores.upper).all()
    save_screener(model, tmp_path / "m.model")
    again = load_screener(tmp_path / "m.model").score(data.materials)
    np.testing.assert_array_equal(again.probability, scores.probability)


def test_too_few_labels_are_not_calibrated_and_the_score_says_so(noisy):
    one = [name for name, (_, sigma) in noisy.items() if sigma > 1e-4][:1]
    others = [name for name, (_, sigma) in noisy.items() if sigma < 1e-4][:4]
    rows = {name: noisy[name] for name in one + others}
    model = make_screener("clustering", {"deepest": 4}).fit(labels_of(rows))
    assert not model.is_calibrated_
    assert model.calibration_ == (1.0, 0.0)
    assert "not calibrated" in model.score([]).meaning


def test_clusters_join_a_consensus(toy_crystals):
    systems = {
        "elements": {"system": "composition", "members": ["nb"], "n_splits": 3},
        "clusters": {"system": "clustering", "representation": "soap-unperturbed", "deepest": 20},
    }
    model = make_screener("consensus", {"systems": systems, "folds": 3}).fit(toy_crystals)
    scores = model.score(toy_crystals.materials[:6])
    assert not scores.problems
    assert scores.details.keys() == {"score_elements", "score_clusters"}
    assert set(model.weights) == {"elements", "clusters"}
