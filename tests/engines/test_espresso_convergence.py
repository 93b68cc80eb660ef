"""Convergence of cutoffs and k-points, on energies with a known limit."""

import math
from types import SimpleNamespace

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.espresso.convergence import ConvergencePoint, coarsest_within, converge
from ssefw.errors import AnalysisError


@pytest.fixture
def exponential(monkeypatch):
    """Energies that fall exponentially with the cutoff and rise with the k-point spacing."""
    calls = []

    def static(engine, structure):
        calls.append((engine.ecutwfc, engine.kspacing))
        energy = math.exp(-engine.ecutwfc / 8) + 0.1 * engine.kspacing**4
        return SimpleNamespace(energy_per_atom=energy)

    monkeypatch.setattr(EspressoEngine, "static", static)
    return calls


def test_coarsest_settings_within_the_tolerance_are_found(exponential, lif):
    found = converge(EspressoEngine(), lif, tolerance=1e-3)
    # exp(-x/8) < 1e-3 from x = 55 on; 0.1 s^4 is within 1e-3 of its limit below s = 0.32.
    assert found.engine.ecutwfc == 60
    assert found.engine.ecutrho == 480
    assert found.engine.kspacing == pytest.approx(0.25, abs=0.1)
    assert [point.setting for point in found.cutoffs] == [30, 40, 50, 60, 80, 100]


def test_equal_grids_are_computed_once(exponential):
    cell = Structure(Lattice.cubic(60.0), ["Li"], [[0, 0, 0]])
    found = converge(EspressoEngine(), cell)
    assert found.spacings == ()
    assert len(exponential) == 6


def test_a_series_that_has_not_ended_is_refused():
    points = [ConvergencePoint(30, -1.0), ConvergencePoint(40, -1.1), ConvergencePoint(50, -1.15)]
    with pytest.raises(AnalysisError, match="Go on to finer"):
        coarsest_within(points, tolerance=1e-3)


def test_agreement_by_chance_in_between_does_not_count():
    energies = [-1.15, -1.2, -1.149, -1.15]
    points = [ConvergencePoint(10.0 * k, energy) for k, energy in enumerate(energies)]
    assert coarsest_within(points, tolerance=2e-3).setting == 20.0
