"""Validation: what is held out, the same rows for all, and differences on the same draws."""

from dataclasses import replace

import numpy as np
import pytest

from ssefw.data.dataset import dataset_of
from ssefw.data.split_protocols import PROTOCOLS, SplitOptions, protocol_splits, publication_year
from ssefw.errors import DataError
from ssefw.screening.baselines import BASELINES, NearestComposition
from ssefw.screening.evaluation.evaluate import Predictions, cuts_from_other_splits, evaluation_of
from ssefw.screening.evaluation.metrics import CUT, best_cut, measure
from ssefw.screening.evaluation.regression_metrics import Numbers, measure_numbers
from ssefw.screening.evaluation.validation import baselines, compared, system, trials
from tests.screening.conftest import make_labels

QUICK = {"members": ["dt"], "n_splits": 2}


@pytest.mark.parametrize("kind", sorted(set(PROTOCOLS) - {"clusters", "years"}))
def test_no_row_is_learned_from_and_tested_on(toy, kind):
    _, splits = protocol_splits(kind, toy, SplitOptions(folds=3, repeats=2))
    for split in splits:
        assert not set(split.train.tolist()) & set(split.test.tolist())
        if kind in {"families", "family"}:
            sides = [{toy.clusters[row] for row in rows} for rows in (split.train, split.test)]
            assert not sides[0] & sides[1]
        if kind == "groups":
            assert not set(toy.groups[split.train]) & set(toy.groups[split.test])


def test_a_label_without_a_family_is_a_family_with_its_near_duplicates():
    formulas = ["Li3PS4", "Li3.05PS4", "Li2O", "LiF", "Li3N", "LiCl", "Li2S", "LiBr"]
    data = dataset_of(make_labels(formulas, [1e-3, 1e-3, 1e-9, 1e-9] * 2, ["", "", *"abcdef"]))
    _, splits = protocol_splits("families", data, SplitOptions(folds=2))
    assert all({0, 1} <= set(s.test.tolist()) or not {0, 1} & set(s.test.tolist()) for s in splits)


def test_labels_without_families_are_told_what_to_do():
    data = dataset_of(make_labels(["Li2O", "LiF", "Li3N", "LiCl"], [1e-3, 1e-9, 1e-3, 1e-9]))
    with pytest.raises(DataError, match="states no families"):
        protocol_splits("family", data, SplitOptions())
    with pytest.raises(DataError, match="no protocol 'famly'"):
        protocol_splits("famly", data, SplitOptions())


@pytest.mark.parametrize(
    ("reference", "year"),
    [
        ("10.1006/jssc.2002.9701", 2002),
        ("10.1016/j.ssi.2014.07.018|10.1016/j.ssi.2016.07.010", 2014),
        ("Solid State Ionics (1996)", 1996),
        ("10.1999/zaac.x", None),
        ("10.1149/1.2086597", None),
        ("10.1016/0022-4596(87)90135-6", None),
    ],
)
def test_the_year_of_a_reference(reference, year):
    assert publication_year(reference) == year


def test_by_years_the_past_is_learned_from(toy):
    dated = [
        label.model_copy(update={"reference": f"10.1000/x.{1990 + row % 20}.1"})
        for row, label in enumerate(toy.labels)
    ]
    data = replace(toy, labels=tuple(dated))
    words, [split] = protocol_splits("years", data, SplitOptions(share=0.2))
    years = np.array([publication_year(label.reference) for label in data.labels])
    assert split.name == f"before {years[split.test].min()}"
    assert years[split.train].max() < years[split.test].min()
    assert "1 split" in words


def test_published_folds_are_read_from_their_folder(toy, tmp_path):
    for number, (train, test) in enumerate([((0, 1, 40), (2, 41)), ((2, 41), (0, 1, 40))]):
        folder = tmp_path / f"fold_{number}"
        folder.mkdir()
        for name, rows in (("train", train), ("val", test)):
            lines = [f"row-{row}" for row in rows] + ["unread"]
            (folder / f"{name}.csv").write_text("icsd_collectioncode\n" + "\n".join(lines) + "\n")
    _, splits = protocol_splits(tmp_path, toy, SplitOptions())
    assert [split.test.tolist() for split in splits] == [[2, 41], [0, 1, 40]]


def test_every_contestant_is_measured_beside_the_reference(toy, monkeypatch):
    monkeypatch.setattr("ssefw.screening.baselines.TREES", 20)
    contestants = [system("composition", QUICK), *baselines()]
    protocol, splits = protocol_splits("groups", toy, SplitOptions(folds=2))
    done = list(trials(contestants, toy, splits))
    assert [trial.contestant for trial in done[::2]] == [one.name for one in contestants]
    found = compared(done, contestants, toy, protocol=protocol, draws=20)
    assert list(found.evaluations) == ["composition", *BASELINES]
    assert {one.n for one in found.evaluations.values()} == {len(toy)}
    assert found.evaluations["plain extra trees"].metrics["mcc"].value == 1
    assert found.differences["constant"]["auc_pr"].value < 0
    assert found.differences["constant"]["mae"].value > 2
    assert set(found.differences) == {"composition", *BASELINES} - {"plain extra trees"}


def test_a_system_that_cannot_learn_is_named_and_the_others_stay(toy):
    contestants = [system("atomsets", {"source": "no-such-source"}), *baselines()[:1]]
    _, splits = protocol_splits("plain", toy, SplitOptions(folds=2))
    found = compared(
        list(trials(contestants, toy, splits)), contestants, toy, protocol="", draws=20
    )
    assert list(found.evaluations) == ["constant"]
    assert "atomsets" in found.failures


def test_the_nearest_composition_is_an_answer(toy):
    found = NearestComposition().fit(toy).score(toy.materials)
    assert np.array_equal(found.probability, toy.y)
    assert found.log_sigma[:2] == pytest.approx([-3, -3])


def test_the_best_cut_is_the_one_an_exhaustive_search_finds(rng):
    for _ in range(30):
        y = rng.integers(0, 2, 25)
        p = np.round(np.clip(0.2 * y + rng.uniform(0, 0.5, 25), 0, 1), 2)
        cut = best_cut(y, p)
        every = [measure(y, (p >= c).astype(float))["mcc"] for c in np.unique(p)]
        assert measure(y, (p >= cut).astype(float))["mcc"] == pytest.approx(max(every))
    assert best_cut(np.ones(5, int), np.linspace(0, 1, 5)) == CUT


def test_a_good_order_below_one_half_has_no_mcc_and_one_at_the_best_cut(toy):
    probability = 0.1 + 0.2 * toy.y
    predictions = Predictions(np.arange(len(toy)), probability, np.arange(len(toy)) % 5)
    found = evaluation_of(predictions, toy, name="x", settings={}, protocol="", draws=50)
    assert found.metrics["auc_roc"].value == 1
    assert found.metrics["mcc"].value == 0
    assert found.metrics["mcc_best_cut"].value == 1
    assert found.record["best_cut"] == pytest.approx(0.2)


def test_a_cut_is_not_chosen_on_the_rows_it_is_used_on(toy):
    split = (np.arange(len(toy)) % 2).astype(int)
    probability = np.where(split == 0, 0.1 + 0.2 * toy.y, 0.6 + 0.2 * toy.y)
    cuts = cuts_from_other_splits(Predictions(np.arange(len(toy)), probability, split), toy)
    assert set(np.round(cuts[split == 0], 3)) == {0.7}
    assert set(np.round(cuts[split == 1], 3)) == {0.2}


def test_repeating_splits_narrows_no_interval(toy):
    rng = np.random.default_rng(0)
    p = np.clip(rng.uniform(0, 1, len(toy)) + 0.2 * toy.y, 0, 1)
    rows = np.arange(len(toy))
    once = Predictions(rows, p, np.zeros(len(toy), int))
    often = Predictions(np.tile(rows, 4), np.tile(p, 4), np.repeat(np.arange(4), len(toy)))
    widths = [
        evaluation_of(one, toy, name="x", settings={}, protocol="", draws=50).metrics["auc_pr"]
        for one in (once, often)
    ]
    assert widths[1].upper - widths[1].lower == pytest.approx(
        widths[0].upper - widths[0].lower, rel=0.01
    )


def test_a_bound_is_no_error_where_the_prediction_keeps_it():
    numbers = Numbers(
        stated=np.array([-3.0, -10.0, -2.0]),
        side=np.array([0, 1, -1]),
        predicted=np.array([-4.0, -12.0, -3.0]),
        lower=np.array([-5.0, -13.0, -4.0]),
        upper=np.array([-3.5, -11.0, -2.5]),
    )
    found = measure_numbers(numbers, groups=np.arange(3), n=20)
    assert found["mae"].value == pytest.approx(4 / 3)
    assert found["mae_censored"].value == pytest.approx(2 / 3)
    # -3 is above the first interval; the second keeps its bound; the third ends below its bound.
    assert found["coverage"].value == pytest.approx(1 / 3)
    assert found["mae"].unit == "decades"
    assert found["spearman"].value == pytest.approx(1)


def test_regression_measures_are_those_of_scikit_learn(rng):
    from scipy.stats import spearmanr
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    stated, predicted = rng.normal(-5, 2, 60).round(1), rng.normal(-5, 2, 60).round(1)
    numbers = Numbers(stated, np.zeros(60, int), predicted)
    found = measure_numbers(numbers, groups=np.arange(60), n=5)
    assert found["mae"].value == pytest.approx(mean_absolute_error(stated, predicted))
    assert found["rmse"].value == pytest.approx(root_mean_squared_error(stated, predicted))
    assert found["r2"].value == pytest.approx(r2_score(stated, predicted))
    assert found["spearman"].value == pytest.approx(spearmanr(stated, predicted)[0])
    assert "coverage" not in found
