"""A run is as long as its diffusivity needs, and says why it is not longer."""

import pytest

from ssefw.documents import Diffusivity, Estimate, Outcome
from ssefw.documents import Trajectory as Ledger
from ssefw.makers import LengthPolicy
from ssefw.store import connect
from tests.conftest import CAMPAIGN, work_here

POLICY = LengthPolicy(relative_error=0.3, max_length=50.0, step=10.0, enough_bound=1e-7)


def diffusivity(tracer, regime="diffusive", **more):
    return Diffusivity(
        specie="Li",
        temperature=900.0,
        tracer=tracer,
        regime=regime,
        n_mobile=10,
        volume=1000.0,
        n_frames=100,
        hop_distance=2.0,
        **({"n_hops": 20.0, "n_atoms": 50, "duration": 10.0} | more),
    )


def value(relative):
    return Estimate(value=1e-5, lower=1e-5 * (1 - relative), upper=1e-5 * (1 + relative), unit="")


@pytest.mark.parametrize(
    ("tracer", "regime", "length", "goes_on", "reason"),
    [
        (value(0.5), "diffusive", 10.0, True, ""),
        (value(0.2), "diffusive", 10.0, False, "relative error 0.2"),
        (value(0.5), "diffusive", 50.0, False, "the most allowed; relative error 0.5"),
        (Estimate.below(1e-5, unit="", reason="r"), "subdiffusive", 10.0, True, ""),
        (Estimate.below(5e-8, unit="", reason="r"), "vibrating", 10.0, False, "low enough"),
        (Estimate.below(1e-5, unit="", reason="r"), "vibrating", 50.0, False, "vibrating"),
        (Estimate.undetermined("r", unit=""), "melted", 10.0, False, "melted"),
    ],
)
def test_a_policy_judges(tracer, regime, length, goes_on, reason):
    verdict = POLICY.judge(diffusivity(tracer, regime), length=length)
    assert verdict.goes_on is goes_on
    assert reason in verdict.reason


def test_few_hops_do_not_make_an_interval_that_is_narrow_enough():
    found = diffusivity(value(0.2), n_hops=8.0)
    assert POLICY.judge(found, length=10.0).goes_on
    assert not POLICY.model_copy(update={"min_hops": 5.0}).judge(found, length=10.0).goes_on


def test_a_temperature_off_its_set_point_ends_a_run():
    hot = POLICY.judge(diffusivity(value(0.5), mean_temperature=1250.0), length=10.0)
    assert not hot.goes_on
    assert "ran away: 1250 K on average, 900 K wanted" in hot.reason
    assert POLICY.judge(diffusivity(value(0.5), mean_temperature=1000.0), length=10.0).goes_on


def test_a_few_atoms_may_fluctuate_around_their_set_point():
    few = diffusivity(value(0.5), mean_temperature=1250.0, n_atoms=4, duration=1.0)
    assert POLICY.judge(few, length=1.0).goes_on


@pytest.mark.parametrize(
    ("tracer", "hopeless"),
    [
        # 10 ps with an error of 150 %: 250 ps are needed for 30 %, 5 times the 50 ps allowed.
        (value(1.5), True),
        (value(1.2), False),
        # D = 2e-7 is 6 * 10 ions * 2e-3 A^2/ps * 50 ps / 4 A^2 = 1.5 hops; 43 make 30 %.
        (Estimate.below(1e-7, unit="", reason="r"), False),  # the bound itself can be enough
        (Estimate.below(2e-6, unit="", reason="r"), False),  # 15 hops: 3 times too few
        (Estimate.below(1.3e-6, unit="", reason="r"), True),
    ],
)
def test_a_run_that_no_length_allowed_would_save_is_given_up(tracer, hopeless):
    strict = POLICY.model_copy(update={"enough_bound": 1e-8})
    verdict = strict.judge(diffusivity(tracer, n_hops=25.0), length=10.0)
    assert verdict.goes_on is not hopeless
    assert verdict.reason.startswith("hopeless: it would take") is hopeless
    patient = strict.model_copy(update={"give_up": None})
    assert patient.judge(diffusivity(tracer, n_hops=25.0), length=10.0).goes_on


def test_a_run_is_continued_under_its_key_until_the_policy_ends_it(tmp_path):
    text = CAMPAIGN.replace("[300, 600]", "[300]").replace("length: 1.0", "length: 0.4")
    text += "  converge: {relative_error: 0.1, max_length: 1.0, step: 0.4, give_up: null}\n"
    (tmp_path / "small.yaml").write_text(text)
    work_here(submit="small.yaml", folder=tmp_path)
    with connect(tmp_path / "st", read_only=True) as connection:
        outcomes = list(connection.results.find(Outcome))
        keys = {ledger.key for ledger in connection.results.find(Ledger)}
        count = connection.results.count(Diffusivity)
    assert len(outcomes) == len(keys) == count == 2
    for outcome in outcomes:
        (found,) = outcome.diffusivities
        assert found.length_reason.startswith("1 ps, the most allowed")
        assert found.duration == pytest.approx(0.8)
        assert outcome.cost.md_steps == 500  # 0.4 + 0.4 + 0.2 ps, nothing twice
