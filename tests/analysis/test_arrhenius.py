"""Arrhenius lines with known parameters, bounds and refusals."""

import numpy as np
import pytest
from scipy.constants import e, k
from scipy.special import gammaincinv

from ssefw.analysis import (
    conductivity_per_diffusivity,
    fit_conductivity,
    predict_conductivity,
)
from ssefw.analysis.line.prefactor import hopping_prefactor
from ssefw.documents import Estimate
from ssefw.errors import AnalysisError
from tests.outcomes import diffusivity

KT_PER_K = k / e
ENERGY, PREFACTOR = 0.28, 2e-3


def diffusivity_at(temperature, *, energy=ENERGY):
    return PREFACTOR * np.exp(-energy / (KT_PER_K * temperature))


def measured(temperature, *, relative=0.1, noise=0.0, energy=ENERGY):
    value = diffusivity_at(temperature, energy=energy) * np.exp(relative * noise)
    half = np.exp(1.959964 * relative)
    tracer = Estimate(value=value, lower=value / half, upper=value * half, unit="cm^2/s")
    return diffusivity(temperature, tracer)


def bounded(temperature, upper, *, level=0.95):
    tracer = Estimate.below(upper, unit="cm^2/s", reason="no hop", level=level)
    return diffusivity(temperature, tracer, regime="vibrating")


def sigma_300(energy=ENERGY):
    return diffusivity_at(300.0, energy=energy) * 20 / 1e-21 * e**2 / (k * 300.0)


def test_points_on_a_line_give_its_parameters_back():
    fit = fit_conductivity([measured(t) for t in (600, 800, 1000, 1200)])
    assert fit.activation_energy.value == pytest.approx(ENERGY, rel=1e-8)
    assert fit.prefactor.value == pytest.approx(PREFACTOR, rel=1e-7)
    assert fit.conductivity.value == pytest.approx(sigma_300(), rel=1e-6)
    assert fit.log10_conductivity.value == pytest.approx(np.log10(sigma_300()), abs=1e-6)
    assert fit.curvature_p == pytest.approx(1.0)


def test_sigma_as_a_pure_exponential_shifts_the_energy_by_about_kt():
    temperatures = (600, 800, 1000, 1200)
    points = [measured(t) for t in temperatures]
    fit = fit_conductivity(points, form="sigma")
    x = [1 / (KT_PER_K * t) for t in temperatures]
    y = [np.log(diffusivity_at(t) / t) for t in temperatures]
    assert fit.activation_energy.value == pytest.approx(-np.polyfit(x, y, 1)[0], rel=1e-6)
    assert fit.prefactor.unit == "S/cm"


def test_what_was_simulated_at_the_temperature_outranks_a_line_that_does_not_hold():
    """The line through a barrier of 0.28 eV above 600 K and 0.20 eV below misses sigma at 300 K."""
    bend = np.exp(-(ENERGY - 0.20) / (KT_PER_K * 600.0))
    own = measured(300)
    half = np.exp(1.959964 * 0.1)
    value = PREFACTOR * bend * np.exp(-0.20 / (KT_PER_K * 300.0))
    tracer = Estimate(value=value, lower=value / half, upper=value * half, unit="cm^2/s")
    fit = fit_conductivity(
        [own.model_copy(update={"tracer": tracer}), *(measured(t) for t in (600, 900, 1200))]
    )
    assert fit.curvature_p < 0.01
    expected = sigma_300() * value / own.tracer.value
    assert fit.conductivity.value == pytest.approx(expected, rel=1e-9)
    assert fit.conductivity.upper == pytest.approx(expected * half, rel=1e-6)
    assert fit.extrapolation == "direct"
    assert any("run at 300 K alone" in warning for warning in fit.warnings)


def test_the_interval_is_that_of_weighted_least_squares_with_known_errors():
    errors = np.array([0.3, 0.2, 0.05, 0.1])
    temperatures = np.array([600.0, 800.0, 1000.0, 1200.0])
    fit = fit_conductivity(
        [measured(t, relative=s) for t, s in zip(temperatures, errors, strict=True)]
    )
    x = 1 / (KT_PER_K * temperatures) - 1 / (KT_PER_K * 300.0)
    design = np.column_stack([np.ones(4), -x]) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    half = 1.959964 * covariance[0, 0] ** 0.5
    sigma = fit.statistics
    assert np.log(sigma.upper / sigma.value) == pytest.approx(half, rel=1e-5)
    assert np.log(sigma.value / sigma.lower) == pytest.approx(half, rel=1e-5)
    energy = fit.activation_energy
    assert energy.upper - energy.value == pytest.approx(1.959964 * covariance[1, 1] ** 0.5, 1e-5)


@pytest.mark.parametrize("temperatures", [(600, 900, 1200), (600, 800, 1000, 1200)])
def test_the_statistics_cover_a_straight_line_as_often_as_they_say(temperatures):
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(150):
        relative = rng.uniform(0.05, 0.3, size=len(temperatures))
        noise = rng.normal(size=len(temperatures))
        points = [
            measured(t, relative=r, noise=z)
            for t, r, z in zip(temperatures, relative, noise, strict=True)
        ]
        sigma = fit_conductivity(points).statistics
        covered += sigma.kind != "value" or sigma.lower <= sigma_300() <= sigma.upper
    assert 0.90 <= covered / 150 <= 0.99


def log_of_bent(temperature, *, change, at=None):
    """Return ln D where the barrier changes steadily, or at one temperature.

    It is `change` (eV) higher at 300 K than at 1000 K, or below `at` than above.
    """
    x, cold, hot = (1 / (KT_PER_K * t) for t in (temperature, 300.0, 1000.0))
    if at is None:
        return -ENERGY * x - change / (cold - hot) * (x - hot) ** 2 / 2
    return -ENERGY * x - change * max(x - 1 / (KT_PER_K * at), 0.0)


@pytest.mark.parametrize("temperatures", [(600, 800, 1000, 1200), (500, 600, 700, 900)])
@pytest.mark.parametrize("within", [False, True], ids=["steadily", "within-the-window"])
def test_the_interval_covers_the_truth_where_the_barrier_changes(temperatures, within):
    """By a tenth of an eV in one standard deviation, steadily; or by so much amid the window."""
    rng = np.random.default_rng(3)
    covered, straight, n = 0, 0, 0
    for _ in range(200):
        bend = {"change": rng.normal(0.0, 0.1)}
        if within:
            bend = {
                "change": rng.choice([-0.1, 0.1]),
                "at": rng.uniform(*np.sort(temperatures)[1:3]),
            }
        points = []
        for t in temperatures:
            relative = rng.uniform(0.1, 0.3)
            noise = relative * rng.normal() + log_of_bent(t, **bend) + ENERGY / (KT_PER_K * t)
            points.append(measured(t, relative=relative, noise=noise / relative))
        fit = fit_conductivity(points)
        truth = conductivity_per_diffusivity(temperature=300.0, n_mobile=20, volume=1e3, charge=1.0)
        truth *= PREFACTOR * np.exp(log_of_bent(300.0, **bend))
        if fit.conductivity.kind == "value":
            n += 1
            covered += fit.conductivity.lower <= truth <= fit.conductivity.upper
            straight += fit.statistics.lower <= truth <= fit.statistics.upper
    assert n > 120
    assert covered / n >= 0.92
    assert straight / n < covered / n - 0.05


def test_a_bend_widens_the_interval_and_leaves_the_value():
    fit = fit_conductivity([measured(t) for t in (600, 800, 1000, 1200)])
    assert fit.conductivity.value == fit.statistics.value
    x, center = np.array([1 / (KT_PER_K * t) for t in (600, 800, 1000, 1200)]), 1 / (KT_PER_K * 300)
    change = 0.1 / (center - 1 / (KT_PER_K * 1000))
    straight = np.polyval(np.polyfit(x, change * (x - x[-1]) ** 2 / 2, 1), center)
    off = change * (center - x[-1]) ** 2 / 2 - straight
    assert fit.bend_decades == pytest.approx(off / np.log(10), rel=1e-6)
    half = np.log10(fit.statistics.upper / fit.statistics.value)
    wide = np.log10(fit.conductivity.upper / fit.conductivity.value)
    assert wide == pytest.approx(np.hypot(half, 1.959964 * fit.bend_decades), rel=1e-6)


@pytest.mark.parametrize(
    ("temperatures", "grade"),
    [
        ((350, 400, 500), "direct"),
        ((420, 500, 600), "short"),
        ((500, 600, 700, 900), "long"),
        ((900, 1000, 1200), "very long"),
    ],
)
def test_an_extrapolation_is_graded_by_what_a_bend_would_do_to_it(temperatures, grade):
    assert fit_conductivity([measured(t) for t in temperatures]).extrapolation == grade


def test_bounds_have_no_grade_and_are_not_widened():
    fit = fit_conductivity([bounded(600, 1e-7), bounded(800, 1e-7)])
    assert fit.extrapolation is None
    assert fit.bend_decades is None
    assert fit.conductivity == fit.statistics


def test_two_temperatures_give_a_value_with_a_wide_interval_and_a_warning():
    two = fit_conductivity([measured(800), measured(1200)])
    five = fit_conductivity([measured(t) for t in (600, 800, 900, 1000, 1200)])
    assert two.conductivity.kind == "value"
    assert two.conductivity.upper / two.conductivity.lower > (
        five.conductivity.upper / five.conductivity.lower
    )
    assert two.curvature_p is None
    assert "two temperatures" in two.warnings[0]


def test_one_temperature_gives_an_upper_bound_because_hops_do_not_speed_up_in_the_cold():
    fit = fit_conductivity([measured(900)])
    assert fit.conductivity.kind == "upper_bound"
    assert fit.conductivity.upper >= diffusivity_at(900) / diffusivity_at(300) * sigma_300()
    assert fit.activation_energy.kind == "undetermined"
    assert "E_a >= 0" in fit.conductivity.reason


def test_a_temperature_below_the_target_alone_says_nothing():
    fit = fit_conductivity([measured(250)])
    assert fit.conductivity.kind == "undetermined"
    assert "at or above 300 K" in fit.conductivity.reason


def test_bounds_alone_give_the_lowest_bound():
    fit = fit_conductivity([bounded(600, 1e-7), bounded(900, 1e-6)])
    per_d = conductivity_per_diffusivity(temperature=300.0, n_mobile=20, volume=1000.0, charge=1.0)
    assert fit.conductivity.kind == "upper_bound"
    assert fit.conductivity.upper == pytest.approx(1e-7 * per_d)


def test_a_bound_far_above_the_line_changes_nothing():
    points = [measured(t) for t in (800, 1000, 1200)]
    with_bound = fit_conductivity([*points, bounded(600, 1.0)])
    assert with_bound.conductivity.value == pytest.approx(
        fit_conductivity(points).conductivity.value, rel=1e-3
    )


def test_a_bound_below_the_line_pulls_it_down():
    points = [measured(t) for t in (800, 1000, 1200)]
    free = fit_conductivity(points)
    held = fit_conductivity([*points, bounded(600, 0.5 * diffusivity_at(600))])
    assert held.conductivity.value < free.conductivity.value
    assert held.conductivity.upper < free.conductivity.upper
    assert held.activation_energy.value > free.activation_energy.value


def test_bounds_from_few_hops_do_not_bias_the_line():
    rng = np.random.default_rng(3)
    energy = 0.45
    expected = 3.0
    errors = []
    for _ in range(200):
        points = [measured(t, noise=rng.normal(), energy=energy) for t in (800, 1000, 1200)]
        # As estimate_diffusivity does with fewer than five hops: the bound that their count gives.
        seen = rng.poisson(expected)
        per_hop = diffusivity_at(600, energy=energy) / expected
        points.append(bounded(600, gammaincinv(seen + 1.0, 0.95) * per_hop))
        errors.append(fit_conductivity(points).activation_energy.value - energy)
    assert abs(np.mean(errors)) < 0.5 * np.std(errors)


def test_a_curved_line_is_not_drawn_out_to_300_k():
    points = [measured(t, relative=0.03, noise=z) for t, z in ((600, -30), (800, 0), (1000, 0))]
    fit = fit_conductivity([*points, measured(1200, relative=0.03, noise=-30)])
    assert fit.curvature_p < 1e-3
    assert fit.conductivity.kind == "undetermined"
    assert "straight Arrhenius line" in fit.conductivity.reason


def test_excluded_points_keep_their_reason():
    molten = diffusivity(
        1500,
        Estimate.undetermined("the framework left its sites", unit="cm^2/s"),
        regime="melted",
    )
    fit = fit_conductivity([measured(600), measured(900), measured(1200), molten])
    assert [p.is_used for p in fit.points] == [True, True, True, False]
    assert fit.points[-1].reason == "the framework left its sites"


def test_nothing_usable_is_undetermined_with_every_reason():
    molten = diffusivity(
        900, Estimate.undetermined("molten", unit="cm^2/s"), regime="melted", reason="molten"
    )
    fit = fit_conductivity([molten])
    assert fit.conductivity.kind == "undetermined"
    assert "900 K: molten" in fit.conductivity.reason


def test_nernst_and_einstein_with_the_constants_of_codata():
    per_d = conductivity_per_diffusivity(temperature=300.0, n_mobile=20, volume=1000.0, charge=2.0)
    expected = 20 / 1000e-30 * (2 * e) ** 2 / (k * 300.0) * 1e-4 / 100
    assert per_d == pytest.approx(expected, rel=1e-8)


def test_the_order_of_temperatures_does_not_matter():
    points = [measured(t, noise=z) for t, z in ((600, 1), (800, -1), (1000, 0.5))]
    assert fit_conductivity(points).conductivity == fit_conductivity(points[::-1]).conductivity


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "no diffusivity"),
        ([measured(600), measured(900).model_copy(update={"specie": "Na"})], "one at a time"),
        ([measured(600).model_copy(update={"specie": "Xx"})], "charge of a mobile Xx"),
    ],
)
def test_input_that_makes_no_line_is_refused(points, message):
    with pytest.raises(AnalysisError, match=message):
        fit_conductivity(points)


def test_a_value_without_an_error_cannot_be_weighted():
    exact = diffusivity(900, Estimate(value=1e-5, lower=1e-5, upper=1e-5, unit="cm^2/s"))
    with pytest.raises(AnalysisError, match="no width"):
        fit_conductivity([measured(600), exact])


def test_the_pellets_of_li6asse5i_give_their_conductivities_and_one_energy():
    # Resistances of a pellet of 0.785 cm^2 x 0.05 cm; sigma = L / (R A).
    resistances = {293: 875, 298: 702, 303: 580, 313: 325, 323: 212}
    published = {293: 7.28e-5, 298: 9.07e-5, 303: 1.12e-4, 313: 1.96e-4, 323: 3.00e-4}
    points = []
    for temperature, ohm in resistances.items():
        sigma = 0.05 / (ohm * 0.785)
        assert sigma == pytest.approx(published[temperature], rel=0.02)
        per_d = conductivity_per_diffusivity(
            temperature=temperature, n_mobile=20, volume=1000.0, charge=1.0
        )
        value = sigma / per_d
        tracer = Estimate(value=value, lower=value / 1.1, upper=value * 1.1, unit="cm^2/s")
        points.append(diffusivity(temperature, tracer))
    fit = fit_conductivity(points, temperature=298.0)
    x = [1 / (KT_PER_K * t) for t in resistances]
    y = [np.log(t / ohm) for t, ohm in resistances.items()]
    assert fit.activation_energy.value == pytest.approx(-np.polyfit(x, y, 1)[0], rel=1e-6)
    assert fit.conductivity.lower < published[298] < fit.conductivity.upper


@pytest.mark.parametrize(("melted_at", "doubted"), [(500.0, True), (800.0, True), (1200.0, False)])
def test_a_melt_at_or_below_a_fitted_temperature_is_said(melted_at, doubted):
    nothing = Estimate.undetermined("melted", unit="cm^2/s")
    points = [measured(t) for t in (600.0, 800.0, 1000.0) if t != melted_at]
    fit = fit_conductivity([*points, diffusivity(melted_at, nothing, regime="melted")])
    assert any(f"melted at {melted_at:g} K" in warning for warning in fit.warnings) is doubted


def uncertain():
    return [measured(t, relative=0.6, noise=noise) for t, noise in ((750, 1), (900, -1), (1050, 1))]


def test_a_prior_on_the_prefactor_is_as_strong_as_it_says():
    free = fit_conductivity(uncertain())
    weak = fit_conductivity(uncertain(), prefactor_spread=100.0)
    sure = fit_conductivity(uncertain(), prefactor_spread=1e-3)
    assert weak.conductivity.value == pytest.approx(free.conductivity.value, rel=1e-2)
    assert weak.statistics.upper == pytest.approx(free.statistics.upper, rel=5e-2)
    expected = hopping_prefactor(n_mobile=free.n_mobile, volume=free.volume)
    assert sure.prefactor.value == pytest.approx(expected, rel=1e-2)
    assert sure.prior_prefactor == pytest.approx(expected)
    assert sure.prior_decades == 1e-3
    assert "D0 taken beforehand" in sure.conductivity.method
    assert free.prior_prefactor is None


def test_a_prior_of_a_decade_narrows_what_points_leave_open():
    free, known = (fit_conductivity(uncertain(), prefactor_spread=s) for s in (None, 1.0))
    widths = [np.log10(f.conductivity.upper / f.conductivity.lower) for f in (free, known)]
    assert widths[1] < widths[0] - 1.0
    # The line of other temperatures is the same one.
    (again,) = predict_conductivity(known, [300.0])
    assert again.value == pytest.approx(known.conductivity.value, rel=1e-9)
    assert again.upper == pytest.approx(known.conductivity.upper, rel=1e-9)
    # Whether points are curved is asked of them alone.
    assert known.curvature_p == pytest.approx(free.curvature_p)


def test_free_hops_have_the_prefactor_of_their_spacing():
    # 10 THz over sites 3 A apart: 1e13 (3e-8)^2 / 6 cm^2/s
    assert hopping_prefactor(n_mobile=4, volume=4 * 27.0) == pytest.approx(1.5e-3)


@pytest.mark.parametrize(
    "wrong", [{"form": "sigma", "prefactor_spread": 1.0}, {"prefactor_spread": 0}]
)
def test_a_prior_that_means_nothing_is_refused(wrong):
    with pytest.raises(AnalysisError, match="a prior on the prefactor"):
        fit_conductivity(uncertain(), **wrong)
