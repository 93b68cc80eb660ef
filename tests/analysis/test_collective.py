"""The Haven ratio of several runs, and the conductivity of ions that move together."""

import numpy as np
import pytest

from ssefw.analysis import fit_conductivity
from ssefw.analysis.line.collective import collective_conductivity, pooled_haven
from ssefw.documents import Diffusivity, Estimate


def around(value, factor, unit=""):
    return Estimate(
        value=value,
        lower=value / factor,
        upper=value * factor,
        level=0.95,
        unit=unit,
        method="test",
    )


def run(temperature, haven):
    tracer = around(1e-3 * np.exp(-0.25 / (8.617333e-5 * temperature)), 1.3, "cm^2/s")
    return Diffusivity(
        specie="Li", temperature=temperature, tracer=tracer, haven=haven, regime="diffusive",
        n_mobile=20, n_atoms=50, volume=1000.0, n_frames=100, duration=50.0, n_hops=100.0,
        hop_distance=3.0,
    )  # fmt: skip


def test_runs_that_agree_know_the_ratio_better_by_the_root_of_their_number():
    one = pooled_haven([around(0.5, 2.0)], level=0.95)
    four = pooled_haven([around(0.5, 2.0)] * 4, level=0.95)
    assert one.value == four.value == pytest.approx(0.5)
    assert one.upper == pytest.approx(1.0)
    assert np.log(four.upper / 0.5) == pytest.approx(np.log(2.0) / 2.0)


def test_runs_that_disagree_widen_the_interval_to_their_scatter():
    apart = pooled_haven([around(0.1, 1.1), around(1.0, 1.1)], level=0.95)
    assert apart.value == pytest.approx(np.sqrt(0.1))
    assert apart.lower < 0.1
    assert apart.upper > 1.0


def test_what_no_run_resolves_is_none():
    unknown = Estimate.undetermined("one path", unit="")
    assert pooled_haven([unknown, None], level=0.95) is None
    assert collective_conductivity(around(1e-3, 2.0, "S/cm"), None) is None
    bound = Estimate.below(1e-3, unit="S/cm", reason="no hops", level=0.95)
    assert collective_conductivity(bound, around(0.5, 2.0)) is None


def test_a_fit_carries_the_ratio_and_its_error_to_the_conductivity():
    fit = fit_conductivity([run(t, around(0.5, 3.0)) for t in (600.0, 750.0, 900.0)])
    alone, together = fit.conductivity, fit.collective
    assert together.value == pytest.approx(2.0 * alone.value)
    assert together.upper / together.lower > alone.upper / alone.lower
    assert fit.haven.value == pytest.approx(0.5)
    assert fit_conductivity([run(t, None) for t in (600.0, 900.0)]).collective is None


def test_runs_without_a_value_do_not_count():
    hot = run(900.0, around(0.5, 1.5))
    cold = run(600.0, around(5.0, 1.5)).model_copy(
        update={"tracer": Estimate.below(1e-6, unit="cm^2/s", reason="no hops", level=0.95)}
    )
    assert fit_conductivity([hot, cold, run(750.0, None)]).haven.value == pytest.approx(0.5)
