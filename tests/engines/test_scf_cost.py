"""What self-consistent calculations and bands cost, predicted."""

import pytest

from ssefw.engines.ase import AseEngine
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.migration import MigrationSettings
from ssefw.engines.migration.cost import band_core_hours
from ssefw.engines.scf_cost import scf_core_seconds
from ssefw.engines.vasp import VaspEngine


def test_the_cost_is_near_what_pw_needed():
    """Cubic Li2O without one Li: 46 electrons, 25/200 Ry, Gamma; 6.1 s on one core."""
    seconds = scf_core_seconds(volume=98.5, electrons=46, ecutwfc=25, ecutrho=200)
    assert 6.1 / 2 < seconds < 6.1 * 2


def test_the_cost_grows_between_the_square_and_the_cube_of_the_cell():
    small, large = (
        scf_core_seconds(volume=1000 * n, electrons=300 * n, ecutwfc=60, ecutrho=480)
        for n in (1, 2)
    )
    assert 2.0**2 < large / small < 2.0**3


def test_gamma_costs_half_and_more_k_points_each():
    cell = {"volume": 100, "electrons": 46, "ecutwfc": 40, "ecutrho": 320}
    gamma, two = (scf_core_seconds(**cell, n_kpoints=n) for n in (1, 2))
    assert two == pytest.approx(4 * gamma)
    assert scf_core_seconds(**cell, spins=2) == pytest.approx(2 * gamma)


def test_bands_cost_their_images_and_ends(li2o):
    def hours(n_images, n_bands=1):
        settings = MigrationSettings(n_images=n_images)
        return band_core_hours(AseEngine(), li2o, n_bands=n_bands, n_ends=1, settings=settings)

    assert hours(7) - hours(5) == pytest.approx(hours(5) - hours(3))
    assert hours(5, n_bands=3) - hours(5, n_bands=2) == pytest.approx(hours(5, 2) - hours(5))
    assert 0.001 < hours(5) < 1.0  # minutes at most, as in the table of ten materials


def test_without_pseudopotentials_or_a_known_speed_there_is_no_prediction(li2o, monkeypatch):
    emt = AseEngine(calculator="ase.calculators.emt.EMT")
    monkeypatch.setenv("SSEFW_PSEUDO_DIR", "/nowhere")
    monkeypatch.setenv("SSEFW_POTCAR_DIR", "/nowhere")
    for engine in (emt, EspressoEngine(), VaspEngine()):
        assert engine.evaluation_core_seconds(li2o) is None


@pytest.mark.filterwarnings("ignore:POTCAR data with symbol")
def test_vasp_counts_electrons_of_its_potcars(vasp_site, lif):
    neutral, charged = VaspEngine(), VaspEngine(charge=-1.0)
    assert 0 < neutral.evaluation_core_seconds(lif) < charged.evaluation_core_seconds(lif)
