"""Systems together: believed as far as they were right, alike where labels are few."""

from dataclasses import replace

import numpy as np
import pytest

from ssefw.data.compositions import fractions
from ssefw.data.materials import Material
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening import base
from ssefw.screening.base import ModelState, Scores, Screener
from ssefw.screening.consensus import ConsensusScreener


class Rule(Screener):
    """Says what it is told to: sulfur conducts, or a coin, or nothing without a structure."""

    name = "rule"
    needs = "composition"

    def __init__(self, *, kind="sulfur", far=1.0, seed=0):
        self.kind, self.far, self.seed = kind, far, seed

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
        if self.kind == "half":
            blind = [k for k, m in enumerate(materials) if sum(map(ord, m.formula)) % 2]
            p[blind] = np.nan
            problems = dict.fromkeys(blind, "no structure")
        if self.kind == "structures":
            p, problems = np.full(len(p), np.nan), dict.fromkeys(range(len(p)), "no structure")
        return Scores(
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


def test_it_is_never_worse_by_choice_than_its_best_part(toy):
    screener = consensus("sulfur", "coin").fit(toy)
    best = min(screener.losses_, key=screener.losses_.get)
    assert set(screener.losses_) == {"/stack", "/mean", "sulfur", "coin"}
    assert screener.losses_[best] <= screener.losses_["sulfur"]
    assert screener.losses_["sulfur"] < screener.losses_["coin"]


def test_where_the_stack_is_not_better_the_best_part_speaks_alone(toy, monkeypatch):
    monkeypatch.setattr(
        "ssefw.screening.consensus._loss_without",
        lambda logits, y, fold: -np.corrcoef(logits[:, 0], y)[0, 1] + logits.shape[1],
    )
    screener = consensus("sulfur", "coin").fit(toy)
    scores = screener.score(toy.materials)
    assert "sulfur alone, since on labels not seen the stack was not better" in scores.meaning
    assert screener.weights["coin"] == 0.0 < screener.weights["sulfur"]
    alone = consensus("sulfur").fit(toy).score(toy.materials)
    assert scores.probability == pytest.approx(alone.probability)


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
