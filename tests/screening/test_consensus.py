"""Systems together: believed as far as they were right, alike where labels are few."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from ssefw.data.compositions import fractions
from ssefw.data.materials import Material
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening import base
from ssefw.screening.base import ModelState, Scores, Screener
from ssefw.screening.conductivity.quantiles import SHARES, asked_at, interval
from ssefw.screening.consensus import ConsensusScreener
from ssefw.screening.joining import MEAN, STACK


class Rule(Screener):
    """Says what it is told to: sulfur conducts, or a coin, or nothing without a structure."""

    name = "rule"
    needs = "composition"

    def __init__(self, *, kind="sulfur", far=1.0, seed=0):
        self.kind, self.far, self.seed = kind, far, seed

    @property
    def learns_from_bounds(self):
        return self.kind == "number"

    def fit(self, data, *, pool=()):
        self.data = data
        return self

    def score(self, materials):
        rng = np.random.default_rng(len(materials))
        p = np.array([0.9 if "S" in fractions(m.composition) else 0.1 for m in materials])
        if self.kind == "coin":
            p = rng.uniform(0.05, 0.95, len(p))
        if self.kind == "wrong":
            p = 1 - p
        problems = {}
        if "half" in self.kind:
            blind = [k for k, m in enumerate(materials) if sum(map(ord, m.formula)) % 2]
            p[blind] = np.nan
            problems = dict.fromkeys(blind, "no structure")
        if self.kind == "structures":
            p, problems = np.full(len(p), np.nan), dict.fromkeys(range(len(p)), "no structure")
        quantiles = None
        if "number" in self.kind:
            middle = np.where(p > 0.5, -3.0, -8.0) + (self.kind == "half-number")
            middle[np.isnan(p)] = np.nan
            quantiles = middle[:, None] + norm.ppf(SHARES)[None]
        return Scores(
            quantiles=quantiles,
            log_sigma=None if quantiles is None else middle,
            names=tuple(m.name for m in materials),
            probability=p,
            spread=np.full(len(p), 0.01),
            lower=p,
            upper=p,
            meaning="a rule",
            distance=np.full(len(p), self.far),
            problems=problems,
        )

    def explain(self, material, *, top=10):
        return []

    def settings(self):
        return {"kind": self.kind, "far": self.far, "seed": self.seed}

    def state(self):
        return ModelState({}, {})

    def restore(self, state):
        return self

    @property
    def trained_on(self):
        return {"label_set": "", "label_version": "", "threshold": 1e-4, "formulas": []}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(base.SCREENERS, "rule", f"{__name__}:Rule")
    monkeypatch.setattr(
        "ssefw.screening.base.screener_class",
        lambda name: Rule if name == "rule" else ConsensusScreener,
    )


def consensus(*kinds, far=1.0, **settings):
    systems = {kind: {"system": "rule", "kind": kind, "far": far} for kind in kinds}
    return ConsensusScreener(systems=systems, folds=3, **settings)


def test_a_system_that_guesses_gets_little_weight(toy):
    weights = consensus("sulfur", "coin").fit(toy).weights
    assert weights["sulfur"] > 3 * weights["coin"]


def test_a_system_that_is_wrong_gets_none(toy):
    screener = consensus("sulfur", "wrong").fit(toy)
    assert screener.weights["wrong"] == 0.0
    assert ((screener.score(toy.materials).probability > 0.5) == (toy.y == 1)).all()


def test_the_mean_is_taken_unless_another_way_is_better_by_more_than_chance(toy):
    screener = consensus("sulfur", "coin").fit(toy)
    choice = screener.choice_
    assert set(choice.losses) == {MEAN, STACK, "sulfur", "coin"}
    gains = {way: choice.losses[MEAN] - choice.losses[way] for way in choice.errors}
    passed = {way for way, gain in gains.items() if gain > choice.needed * choice.errors[way]}
    assert (choice.name in passed) if passed else (choice.name == MEAN)
    assert choice.losses["sulfur"] < choice.losses["coin"]


@pytest.mark.parametrize(
    ("error", "name", "words"),
    [
        (10.0, MEAN, "mean of the calibrated logits, with weights .*which may be chance"),
        (0.0, "sulfur", "sulfur alone, better than the mean on labels not seen"),
    ],
)
def test_a_ranking_says_how_the_systems_were_joined(toy, monkeypatch, error, name, words):
    monkeypatch.setattr(
        "ssefw.screening.joining._lost_unseen",
        lambda way, each, y, names, fold: np.full(len(y), 0.1 if way == "sulfur" else 0.2),
    )
    monkeypatch.setattr("ssefw.screening.joining._standard_error", lambda values, groups: error)
    screener = consensus("sulfur", "coin").fit(toy)
    scores = screener.score(toy.materials)
    assert screener.choice_.name == name
    assert re.search(words, scores.meaning)
    assert (screener.weights["coin"] == 0.0) == (name == "sulfur")


def test_labels_that_a_part_cannot_score_teach_the_others(toy):
    screener = consensus("sulfur", "half").fit(toy)
    assert screener.weights["sulfur"] > 0.0
    scores = screener.score(toy.materials)
    assert not scores.problems
    assert ((scores.probability > 0.5) == (toy.y == 1)).all()
    few = consensus("sulfur", "half", fewest=1000).fit(toy)
    assert np.isfinite(few.score(toy.materials).probability).all()


def test_a_part_that_can_score_no_label_is_named(toy):
    with pytest.raises(DataError, match="'structures' can score none"):
        consensus("sulfur", "structures").fit(toy)
    with pytest.raises(DataError, match="by no part of the consensus"):
        consensus("half").fit(toy)


def test_with_few_labels_ranks_are_averaged_and_it_says_so(toy):
    screener = consensus("sulfur", "coin", fewest=1000).fit(toy)
    scores = screener.score(toy.materials)
    assert screener.weights == {"sulfur": 0.5, "coin": 0.5}
    assert "mean rank, since labels are few" in scores.meaning
    assert scores.probability[toy.y == 1].mean() > scores.probability[toy.y == 0].mean()


def test_disagreement_is_uncertainty(toy):
    alone = consensus("sulfur").fit(toy).score(toy.materials)
    both = consensus("sulfur", "wrong").fit(toy).score(toy.materials)
    assert both.spread.min() > 10 * alone.spread.max()


def test_far_from_all_labels_it_says_less(toy):
    near = consensus("sulfur").fit(toy).score(toy.materials).probability
    far = consensus("sulfur", far=5.0).fit(toy).score(toy.materials)
    assert (np.abs(far.probability - 0.5) < np.abs(near - 0.5)).all()
    assert (far.distance == 5.0).all()


def test_what_one_system_cannot_score_rests_on_the_others(toy):
    screener = consensus("sulfur", "coin").fit(toy)
    screener.parts_["coin"] = Rule(kind="structures")
    scores = screener.score(toy.materials)
    assert not scores.problems
    assert ((scores.probability > 0.5) == (toy.y == 1)).all()
    screener.parts_["sulfur"] = Rule(kind="structures")
    scores = screener.score([Material(name="x", formula="Li2S")])
    assert "sulfur: no structure; coin: no structure" in scores.problems[0]
    assert np.isnan(scores.probability[0])


def test_too_few_labels_for_two_folds_are_refused(toy):
    y = toy.y.copy()
    y[np.flatnonzero(y == 1)[1:]] = -1
    with pytest.raises(DataError, match="two folds with both classes"):
        consensus("sulfur").fit(replace(toy, y=y))


@pytest.mark.parametrize(
    "systems", [{}, {"a/b": {"system": "rule"}}, {"consensus": {}}, {"x": {"system": "consensus"}}]
)
def test_parts_that_make_no_sense_are_refused(systems):
    with pytest.raises(ConfigurationError):
        ConsensusScreener(systems=systems)


def test_parts_that_predict_the_number_give_the_consensus_one(toy):
    screener = consensus("sulfur", "number", "half-number").fit(toy)
    scores = screener.score(toy.materials)
    sulfur = np.array(["S" in fractions(m.composition) for m in toy.materials])
    blind = np.array([sum(map(ord, m.formula)) % 2 == 1 for m in toy.materials])
    assert scores.log_sigma[sulfur & blind] == pytest.approx(-3.0, abs=0.01)
    assert scores.log_sigma[sulfur & ~blind] == pytest.approx(-2.5, abs=0.01)
    low, high = interval(scores.quantiles)
    assert high - low == pytest.approx(2 * 1.645, abs=0.01)
    asked = asked_at(scores, 10.0 ** scores.log_sigma[0])
    assert asked.probability[0] == pytest.approx(0.5, abs=0.01)
    assert consensus("sulfur").fit(toy).score(toy.materials).quantiles is None


def test_what_no_part_predicts_cannot_be_asked_of_another_threshold(toy):
    scores = consensus("sulfur", "half-number").fit(toy).score(toy.materials)
    blind = [k for k, m in enumerate(toy.materials) if sum(map(ord, m.formula)) % 2]
    assert not scores.problems
    assert sorted(asked_at(scores, 1e-2).problems) == blind


def test_a_bound_that_decides_no_class_teaches_parts_that_use_it(toy):
    rows = np.arange(len(toy))
    undecided = replace(toy, y=np.where(rows == 0, -1, toy.y))
    fitted = consensus("sulfur", "number").fit(undecided)
    assert len(fitted.parts_["number"].data) == len(toy)
    assert len(fitted.parts_["sulfur"].data) == len(toy) - 1


def test_a_saved_consensus_keeps_what_a_part_could_not_score(toy, tmp_path):
    screener = consensus("sulfur", "half").fit(toy)
    assert np.isnan(screener.unseen_).any()
    base.save_screener(screener, tmp_path / "m.model")
    again = base.load_screener(tmp_path / "m.model")
    assert again.unseen_ == pytest.approx(screener.unseen_, nan_ok=True)
    assert again.trained_on["best_cut"] == screener.trained_on["best_cut"]
