"""The mean over arrangements: its interval covers the truth, and knows what one alone is worth."""

import numpy as np
import pytest

from ssefw.analysis import pool_conductivities
from ssefw.analysis.arrangements import mean_of_arrangements
from ssefw.documents import ArrheniusPoint, Conductivity, Estimate
from ssefw.errors import AnalysisError


def conductivity(value, *, decades=0.1, kind="value"):
    def estimate(center, unit):
        if kind == "upper_bound":
            return Estimate.below(center, unit=unit, reason="no hop was seen")
        factor = 10 ** (1.96 * decades)
        return Estimate(value=center, lower=center / factor, upper=center * factor, unit=unit)

    point = ArrheniusPoint(
        temperature=800.0,
        diffusivity=estimate(value * 1e-3, "cm^2/s"),
        conductivity=estimate(value, "S/cm"),
        is_used=True,
    )
    energy = Estimate(value=0.3, lower=0.25, upper=0.35, unit="eV")
    return Conductivity(
        specie="Li",
        conductivity=estimate(value, "S/cm"),
        activation_energy=energy,
        prefactor=estimate(1e-3, "cm^2/s"),
        points=(point,),
        carrier_charge=1.0,
        n_mobile=24,
        volume=1000.0,
    )


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("error", [0.05, 0.2])
def test_the_interval_covers_the_mean_as_often_as_it_says(n, error):
    rng = np.random.default_rng(n)
    hits = 0
    for _ in range(400):
        # Compounds differ in how far their arrangements differ, as the prior says.
        spread = 0.3 * abs(rng.standard_t(4.0))
        values = rng.normal(-3.0, np.hypot(spread, error), n)
        found = mean_of_arrangements(values.tolist(), [error] * n, scale=0.3)
        hits += found.lower <= -3.0 <= found.upper
    assert 0.92 <= hits / 400 <= 0.98


@pytest.mark.parametrize("spread", [0.1, 0.3, 0.6])
def test_three_arrangements_cover_it_for_any_one_spread(spread):
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        values = rng.normal(-3.0, np.hypot(spread, 0.1), 3)
        found = mean_of_arrangements(values.tolist(), [0.1] * 3, scale=0.3)
        hits += found.lower <= -3.0 <= found.upper
    # A spread of twice the usual is covered a little less often, a small one more often.
    assert hits / 300 >= 0.87


def test_one_arrangement_is_never_a_bare_number():
    one = mean_of_arrangements([-3.0], [0.01], scale=0.3)
    assert one.value == pytest.approx(-3.0, abs=0.02)
    assert one.upper - one.lower > 1.0
    five = mean_of_arrangements([-3.0, -3.05, -2.95, -3.02, -2.98], [0.01] * 5, scale=0.3)
    assert five.upper - five.lower < 0.5 * (one.upper - one.lower)


def test_long_runs_do_not_shrink_the_interval_to_nothing():
    values = [-3.4, -3.0, -2.6]
    short = mean_of_arrangements(values, [0.1] * 3)
    long = mean_of_arrangements(values, [1e-4] * 3)
    assert long.upper - long.lower > 0.7 * (short.upper - short.lower)
    assert long.spread == pytest.approx(0.4, abs=0.2)


def test_units_do_not_matter():
    one = mean_of_arrangements([-3.4, -3.0, -2.6], [0.1] * 3, scale=0.3)
    other = mean_of_arrangements([-34.0, -30.0, -26.0], [1.0] * 3, scale=3.0)
    assert [other.value, other.lower, other.upper] == pytest.approx(
        [10 * one.value, 10 * one.lower, 10 * one.upper], rel=0.01
    )


def test_a_bound_pulls_the_mean_down():
    without = mean_of_arrangements([-3.0, -3.1], [0.1, 0.1])
    with_bound = mean_of_arrangements([-3.0, -3.1], [0.1, 0.1], bounds=[-4.0])
    assert with_bound.value < without.value - 0.1
    loose = mean_of_arrangements([-3.0, -3.1], [0.1, 0.1], bounds=[-1.0])
    assert loose.value == pytest.approx(without.value, abs=0.05)


def test_no_value_has_no_mean():
    with pytest.raises(AnalysisError, match="no arrangement"):
        mean_of_arrangements([], [])
    with pytest.raises(AnalysisError, match="no arrangement"):
        pool_conductivities([])


def test_pooling_gives_one_conductivity_and_the_spread():
    pooled, spread = pool_conductivities([conductivity(x) for x in (1e-3, 2e-3, 4e-3)])
    assert pooled.conductivity.value == pytest.approx(2e-3, rel=0.05)
    assert pooled.conductivity.lower < 1e-3
    assert pooled.conductivity.upper > 4e-3
    assert pooled.log10_conductivity.value == pytest.approx(np.log10(2e-3), abs=0.03)
    assert pooled.points[0].diffusivity.value == pytest.approx(2e-6, rel=0.05)
    assert spread.kind == "value"
    assert spread.lower < 0.3 < spread.upper
    assert not pooled.warnings


def test_pooling_one_warns_and_all_bounds_are_a_bound():
    pooled, spread = pool_conductivities([conductivity(1e-3)])
    assert "one arrangement alone" in pooled.warnings[0]
    assert spread.kind == "undetermined"
    assert pooled.conductivity.upper / pooled.conductivity.lower > 10
    bounds = [conductivity(x, kind="upper_bound") for x in (1e-5, 1e-4)]
    pooled, spread = pool_conductivities(bounds)
    assert pooled.conductivity.kind == "upper_bound"
    assert pooled.conductivity.upper == pytest.approx(1e-4)
    assert spread.kind == "undetermined"
