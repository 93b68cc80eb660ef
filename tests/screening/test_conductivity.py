"""The predicted number: bounds stay bounds, intervals hold, and thresholds follow from it."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from ssefw.data.dataset import dataset_of
from ssefw.data.materials import Material
from ssefw.documents import Cell, Estimate
from ssefw.errors import DataError
from ssefw.screening.base import load_screener, make_screener, save_screener
from ssefw.screening.composition import CompositionScreener
from ssefw.screening.conductivity.kernel import NOISE, LabelKernel
from ssefw.screening.conductivity.quantiles import SHARES, asked_at, chance_above, interval, means
from ssefw.screening.conductivity.recalibration import NoveltyCorrection, Recalibration, trust_of
from ssefw.screening.conductivity.screener import ConductivityScreener
from ssefw.screening.conductivity.spreads import BEYOND, grid_of, spreads_of
from ssefw.screening.ranking import rank_materials
from tests.screening.conftest import METALS, make_labels

QUICK = {"folds": 2}


def series(rng, *, noise):
    """Labels whose log10 sigma falls with the share of oxygen, with noise of so many decades."""
    formulas = [f"Li{3 + k % 3}{m}S{s}O{6 - s}" for k, m in enumerate(METALS) for s in range(1, 6)]
    truth = np.array([-9 + 1.2 * s for _ in METALS for s in range(1, 6)])
    return formulas, 10.0 ** (truth + noise * rng.normal(size=len(truth)))


@pytest.fixture(scope="module")
def learned():
    formulas, sigmas = series(np.random.default_rng(1), noise=0.3)
    return ConductivityScreener(**QUICK).fit(dataset_of(make_labels(formulas, sigmas)))


def test_a_trend_is_learned_to_within_its_noise(learned):
    asked = [Material(name=f, formula=f) for f in ("Li3YS5O", "Li3YS3O3", "Li3YSO5")]
    found = learned.score(asked)
    assert found.log_sigma == pytest.approx([-3, -5.4, -7.8], abs=1.0)
    assert (np.diff(found.quantiles, axis=1) >= 0).all()


def test_intervals_hold_what_they_say_of_compositions_they_had_not_seen():
    held = []
    for seed in range(3):
        formulas, sigmas = series(np.random.default_rng(seed), noise=1.0)
        rows = np.random.default_rng(seed).permutation(len(formulas))
        train, test = rows[:50], rows[50:]
        data = dataset_of(make_labels([formulas[i] for i in train], sigmas[train]))
        asked = [Material(name=formulas[i], formula=formulas[i]) for i in test]
        low, high = interval(ConductivityScreener(**QUICK).fit(data).score(asked).quantiles)
        truth = np.log10(sigmas[test])
        held.append((low <= truth) & (truth <= high))
    # 75 draws at 90 %: a standard error of 3.5 %.
    assert 0.8 <= np.mean(held) <= 1.0


def test_the_probability_of_any_threshold_follows_from_the_number(learned):
    scores = learned.score([Material(name="x", formula="Li3YS4O2")])
    own = chance_above(scores.quantiles, 1e-4)
    assert own == pytest.approx(scores.probability, abs=0.03)
    chances = [asked_at(scores, t).probability[0] for t in (1e-8, 1e-6, 1e-4, 1e-2)]
    assert chances == sorted(chances, reverse=True)
    assert 0 < chances[-1] < 0.2
    assert chances[0] > 0.8


def test_a_system_of_one_threshold_is_not_asked_for_another(toy):
    scores = CompositionScreener(n_splits=2, members=["dt"]).fit(toy).score(toy.materials[:1])
    with pytest.raises(DataError, match="one threshold only"):
        asked_at(scores, 1e-3)


def test_quantiles_of_a_normal_distribution_give_its_chances():
    from scipy.stats import norm

    rows = norm.ppf(SHARES, loc=-4, scale=1)[None]
    low, high = interval(rows)
    assert (low[0], high[0]) == pytest.approx(norm.interval(0.9, loc=-4), abs=0.01)
    for decade in (-5.5, -4, -2.5):
        assert chance_above(rows, 10**decade)[0] == pytest.approx(norm.sf(decade, -4), abs=0.01)
    assert 0 < chance_above(rows, 10.0)[0] < 0.001


def test_a_bound_spreads_over_what_it_allows():
    labels = list(make_labels(["LiF", "LiCl", "LiBr", "LiI"], [1e-12, 1e-11, 1e-5, 1e-3]).labels)
    bound = Estimate.below(1e-8, unit="S/cm", reason="reported")
    labels.append(labels[0].model_copy(update={"conductivity": bound}))
    grid = grid_of(np.array([-12.0, -3.0]))
    below = spreads_of(labels, grid)
    assert below[4] == pytest.approx((below[0] + below[1]) / 2)
    # Of a bound below all values only the side is known.
    lonely = [*labels[2:4], labels[4]]
    median = np.interp(0.5, spreads_of(lonely, grid)[2], grid)
    assert median == pytest.approx(-8 - BEYOND, abs=0.01)


def test_bounds_that_decide_no_class_are_learned_from():
    formulas = [f"Li{m}S2" for m in METALS] + [f"Li{m}O2" for m in METALS]
    labels = make_labels(formulas, [1e-3] * 15 + [1e-9] * 15)
    bounds = [
        label.model_copy(
            update={
                "formula": f"Li2{m}SO",
                "conductivity": Estimate.below(1e-3, unit="S/cm", reason="reported"),
            }
        )
        for label, m in zip(labels.labels, METALS, strict=False)
    ]
    both = labels.model_copy(update={"labels": (*labels.labels, *bounds)})
    data = dataset_of(both, undecided=True)
    assert (len(data), (data.y == -1).sum()) == (45, 15)
    scores = ConductivityScreener(**QUICK).fit(data).score(data.materials[30:])
    assert np.isfinite(scores.probability).all()
    assert len(dataset_of(both)) == 30


def test_feedback_gives_bounds_to_the_system_that_learns_from_them():
    from ssefw.campaigns.file import FeedbackSpec
    from ssefw.campaigns.learning.models import _learnable

    labels = make_labels(["Li3PS4", "Li6PS5Cl", "Li2O", "LiF"], [1e-3, 1e-3, 1e-9, 1e-9])
    bound = Estimate.below(1e-2, unit="S/cm", reason="too few hops")
    open_bound = labels.labels[0].model_copy(update={"formula": "Li3N", "conductivity": bound})
    mixed = labels.model_copy(update={"labels": (*labels.labels, open_bound)})
    sizes = {
        name: len(_learnable(mixed, make_screener(name, {}), FeedbackSpec(system=name)))
        for name in ("conductivity", "composition")
    }
    assert sizes == {"conductivity": 5, "composition": 4}


def test_the_kernel_is_a_gaussian_process_of_scikit_learn(rng):
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import PairwiseKernel

    x, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    kernel = LabelKernel.fit(x, np.ones(4))
    peer = GaussianProcessRegressor(
        PairwiseKernel(1 / kernel.length, metric="laplacian"), alpha=NOISE, optimizer=None
    ).fit(kernel.points, y - y.mean())
    asked = rng.normal(size=(5, 4))
    points = (asked - kernel.shift) * kernel.scale
    np.testing.assert_allclose(kernel.shares(asked) @ y, peer.predict(points) + y.mean(), atol=1e-8)


def test_recalibration_makes_shares_uniform(rng):
    overconfident = np.clip(0.5 + 2.5 * (rng.uniform(size=4000) - 0.5), 0, 1)
    found = Recalibration.of(overconfident, overconfident).share(overconfident)
    inside = overconfident[(overconfident > 0) & (overconfident < 1)]
    assert np.mean(found < 0.3) == pytest.approx(0.3, abs=0.03)
    assert len(inside) < 2000
    exact = Recalibration.of(*[np.linspace(0, 1, 500)] * 2)
    np.testing.assert_allclose(exact.share(exact.predicted), exact.predicted, atol=0.01)


def test_a_prediction_is_trusted_as_far_as_it_helps(rng):
    truth = rng.uniform(size=(400, 1)) < np.linspace(0, 1, 60)
    everything, known = np.repeat(np.linspace(0, 1, 60)[None], 400, axis=0), np.ones((400, 60))
    oracle, noise = truth.astype(float), truth[rng.permutation(400)].astype(float)
    assert trust_of(oracle, everything, truth, known) == 1
    assert trust_of(noise, everything, truth, known) == pytest.approx(0, abs=0.1)
    assert trust_of((oracle + noise) / 2, everything, truth, known) == pytest.approx(1, abs=0.1)
    half = np.where(rng.uniform(size=(400, 1)) < 0.5, oracle, noise)
    assert trust_of(half, everything, truth, known) == pytest.approx(0.5, abs=0.1)
    assert trust_of(everything, everything, truth, known) == 1


def test_the_number_is_the_mean_of_its_distribution():
    from scipy.stats import norm

    grid = np.linspace(-20, 5, 251)
    humps = (norm.cdf(grid, -9, 0.5) + norm.cdf(grid, -3, 0.5)) / 2
    assert means(np.array([norm.cdf(grid, -4.2, 1), humps]), grid) == pytest.approx([-4.2, -6])


def test_far_from_labels_the_far_correction_holds():
    near, far = Recalibration.of(*[np.full(50, 0.5)] * 2), Recalibration.of(*[np.zeros(50)] * 2)
    correction = NoveltyCorrection(near, far, nearby=0.1, distant=1.1)
    asked, everything = np.full((3, 1), 0.25), np.full(1, 0.5)
    found = correction.share(asked, everything, np.array([0.0, 0.6, 5.0]))[:, 0]
    assert found[0] == near.share(np.array(0.25))
    assert found[2] == far.share(np.array(0.25))
    assert found[1] == pytest.approx((found[0] + found[2]) / 2)


def test_a_cell_counts_where_it_is_known():
    formulas, sigmas = series(np.random.default_rng(0), noise=0.1)
    labels = make_labels(formulas, sigmas)
    cells = [
        Cell(a=5, b=5, c=5, alpha=90, beta=90, gamma=90, space_group=225 if s > 1e-5 else 2,
             formula_units=1)
        for s in sigmas
    ]  # fmt: skip
    data = dataset_of(
        labels.model_copy(
            update={
                "labels": tuple(
                    label.model_copy(update={"cell": cell})
                    for label, cell in zip(labels.labels, cells, strict=True)
                )
            }
        )
    )
    found = ConductivityScreener(**QUICK).fit(data)
    asked = [
        Material(name="x", formula="Li3YS3O3", given_cell=cell) for cell in (cells[0], cells[4])
    ]
    bare = Material(name="x", formula="Li3YS3O3")
    scores = found.score([*asked, bare])
    assert scores.log_sigma[0] < scores.log_sigma[1]
    alone = ConductivityScreener(**QUICK, cell="none").fit(data).score([bare])
    assert scores.log_sigma[2] == pytest.approx(alone.log_sigma[0], abs=1e-12)


def test_a_ranking_states_the_conductivity_and_asks_any_threshold(learned):
    pool = [Material(name=f, formula=f) for f in ("Li3YS5O", "Li3YSO5", "Li3LaS2O4")]
    first = rank_materials(pool, learned).ranking.entries[0]
    assert (first.source, first.sigma.unit, first.sigma.level) == ("Li3YS5O", "S/cm", 0.9)
    assert first.sigma.lower < first.sigma.value < first.sigma.upper
    strict = rank_materials(pool, learned, threshold=1e-2).ranking
    assert strict.entries[0].score < first.score
    assert "0.01 S/cm" in strict.meaning


def test_a_saved_model_says_the_same_and_a_damaged_one_is_refused(learned, tmp_path):
    file = tmp_path / "m.model"
    save_screener(learned, file)
    asked = [Material(name="x", formula="Li3YS4O2")]
    np.testing.assert_array_equal(
        load_screener(file).score(asked).quantiles, learned.score(asked).quantiles
    )
    state = learned.state()
    arrays = {**state.arrays, "spreads": state.arrays["spreads"][:-1]}
    with pytest.raises(DataError, match="not one for each label"):
        ConductivityScreener(**QUICK).restore(SimpleNamespace(meta=state.meta, arrays=arrays))


def test_what_orders_the_labels_is_important(learned):
    named = learned.importances(top=200)
    assert sum(weight for _, weight in named) == pytest.approx(1)
    assert named[0][1] >= named[1][1] > 0
    with pytest.raises(DataError, match="no members that vote"):
        rank_materials([Material(name="x", formula="Li2O")], learned, accepted_only=True)


def test_an_element_without_descriptors_stops_only_its_own_row(learned):
    scores = learned.score([Material(name=f, formula=f) for f in ("Li3YS4O2", "LiHeO", "LiF")])
    assert list(scores.problems) == [1]
    assert np.isfinite(scores.probability[[0, 2]]).all()


def test_one_composition_cannot_be_held_out():
    data = dataset_of(make_labels(["Li2O"] * 4, [1e-3, 1e-9, 1e-3, 1e-9]))
    with pytest.raises(DataError, match="one composition"):
        make_screener("conductivity", QUICK).fit(data)


def test_a_label_says_no_more_than_its_interval():
    labels = make_labels(["Li2S", "Li2O", "Li3N"], [1e-3, 1e-5, 1e-7])
    grid = grid_of(np.array([-3.0, -7.0]))
    measured = labels.labels[0]
    wide = Estimate(value=1e-3, lower=1e-6, upper=1.0, unit="S/cm")
    computed = measured.model_copy(update={"kind": "mlip", "conductivity": wide})
    sharp = computed.model_copy(
        update={"conductivity": Estimate(value=1e-3, lower=1e-3, upper=1e-3, unit="S/cm")}
    )
    below = spreads_of([measured, sharp, computed], grid)
    # Of the points of a grid inside, which loses up to a step of 0.1 on either side.
    widths = [np.ptp(grid[(row > 0.16) & (row < 0.84)]) for row in below]
    assert widths[0] == pytest.approx(2 * 0.5, abs=0.21)
    assert widths[1] == pytest.approx(2 * 0.7, abs=0.21)
    assert widths[2] == pytest.approx(2 * math.hypot(3 / 1.96, 0.7), abs=0.21)
