"""Mean pressures and the volume without one, against known answers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssefw.analysis.pressure import (
    kinetic_pressure,
    mean_pressure,
    modulus_of,
    pressure_free,
)
from ssefw.documents import Estimate, PressurePoint
from ssefw.errors import AnalysisError


def point(ratio, pressure, *, error=0.01, affine=20.0):
    return PressurePoint(
        ratio=ratio,
        pressure=Estimate(
            value=pressure, lower=pressure - error, upper=pressure + error, unit="GPa"
        ),
        affine_modulus=affine,
        n_frames=100,
        trajectory_key="k",
    )


def test_an_ideal_gas_has_its_pressure():
    # A mole and one atom more, since the gas rests as a whole, in 22.414 l at 273.15 K: 1 atm.
    n_atoms, liters = 6.02214076e23, 22.414e27
    found = kinetic_pressure(round(n_atoms) + 1, volume=liters, temperature=273.15)
    assert found == pytest.approx(101325e-9, rel=1e-4)


def test_the_interval_covers_the_mean_of_correlated_pressures():
    rng = np.random.default_rng(1)
    memory = math.exp(-1 / 2.0)  # of two frames
    hits = 0
    for _ in range(400):
        noise = rng.standard_normal(100) * math.sqrt(1 - memory**2)
        series = np.empty(100)
        series[0] = rng.standard_normal()
        for k in range(1, 100):
            series[k] = memory * series[k - 1] + noise[k]
        found = mean_pressure(3.0 + series)
        hits += found.lower <= 3.0 <= found.upper
    assert 0.91 <= hits / 400 <= 0.98


def test_too_few_frames_are_refused():
    with pytest.raises(AnalysisError, match="run longer"):
        mean_pressure(np.zeros(15))


@given(st.floats(5.0, 200.0), st.floats(0.3, 1.1), st.floats(-0.04, 0.1))
def test_three_runs_find_the_volume_of_a_crystal_whatever_its_modulus(affine, share, growth):
    modulus = share * affine

    def run(ratio):  # ln V / V0 = -P / B, without noise
        pressure = modulus * (math.log1p(growth) - math.log(ratio))
        return point(ratio, pressure, error=0.01 * affine, affine=affine)

    points = [run(1.0)]
    for _ in range(2):
        points.append(run(pressure_free(points).value))
    found = pressure_free(points)
    assert found.value == pytest.approx(1.0 + growth, abs=5e-3)
    assert found.lower < found.value < found.upper


def test_noise_gives_no_modulus_that_a_crystal_cannot_have():
    assert modulus_of([point(1.0, 0.1), point(1.0005, 0.5)]) == pytest.approx(4.0)
    assert 10.0 < modulus_of([point(1.0, 0.1)]) < 20.0
