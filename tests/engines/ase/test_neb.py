"""Bands and barriers with a quick calculator: the vacancy of copper, and model landscapes."""

import itertools

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from pymatgen.core import Lattice, Structure

from ssefw.data.hops import find_hops
from ssefw.documents import NebPath
from ssefw.engines import Engine, NebSettings, RunDirectory
from ssefw.engines.ase import AseEngine
from ssefw.engines.band import (
    band_document,
    check_images,
    idpp_images,
    linear_images,
    path_lengths,
    saddle_of,
)
from ssefw.engines.migration import MigrationSettings, hop_barrier
from ssefw.engines.migration.percolation import percolation_barrier
from ssefw.engines.migration.seeding import images_along
from ssefw.errors import AnalysisError, DataError, EngineError

EMT = AseEngine(calculator="ase.calculators.emt.EMT")
QUICK = MigrationSettings(
    min_length=6.0, n_images=5, end_fmax=0.02, path="linear", band=NebSettings(fmax=0.05)
)
"""Ends and band are relaxed as far as the tolerances below need."""


class Ridge(Calculator):
    """One atom between two wells at x = 1 and x = 3, over a saddle of 0.5 eV off the line.

    E = 0.5 (1 - u^2)^2 + 4 (y - 0.6 (1 - u^2) - 2)^2 + 4 (z - 2)^2 with u = x - 2: the path bends,
    and along it the energy is the double well.
    """

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        x, y, z = atoms.positions[0]
        u = x - 2
        well = 1 - u**2
        off = y - 0.6 * well - 2
        energy = 0.5 * well**2 + 4 * off**2 + 4 * (z - 2) ** 2
        dx = -2 * u * well + 8 * off * 1.2 * u
        forces = np.zeros((len(atoms), 3))
        forces[0] = [-dx, -8 * off, -8 * (z - 2)]
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}


@pytest.fixture
def wells():
    """Images between the wells of `Ridge`."""
    lattice = Lattice.cubic(12.0)
    ends = [Structure(lattice, ["Li"], [[x, 2, 2]], coords_are_cartesian=True) for x in (1, 3)]
    return linear_images(*ends, n_images=6)


@pytest.fixture
def ridge(monkeypatch):
    """An engine for `Ridge`."""
    engine = AseEngine(calculator="ase.calculators.emt.EMT")
    monkeypatch.setattr(AseEngine, "calculator_instance", lambda _: Ridge())
    return engine


def test_climbing_image_finds_the_exact_saddle(ridge, wells, tmp_path):
    band = ridge.neb(wells, NebSettings(fmax=0.01, max_steps=500), tmp_path)
    assert band.status == "converged"
    assert band.climbed
    assert band.forward == pytest.approx(0.5, abs=1e-3)
    assert band.reverse == pytest.approx(0.5, abs=1e-3)
    top = int(np.argmax(band.energies))
    assert band.structures[top].cart_coords[0] == pytest.approx([2.0, 2.6, 2.0], abs=0.02)


def test_plain_band_finds_the_saddle_by_its_spline(ridge, wells, tmp_path):
    settings = NebSettings(fmax=0.01, max_steps=500, climb=False)
    band = ridge.neb(wells, settings, tmp_path)
    assert not band.climbed
    assert max(band.energies) < 0.48  # no image is at the saddle
    assert band.forward == pytest.approx(0.5, abs=0.02)
    assert band.unresolved == pytest.approx(band.forward - max(band.energies))


def test_a_band_that_was_stopped_continues(ridge, wells, tmp_path):
    settings = NebSettings(fmax=0.01, max_steps=500)
    whole = ridge.neb(wells, settings, tmp_path / "whole")
    counter = itertools.count()
    first = ridge.neb(
        wells, settings, tmp_path / "parts", stop=lambda: "walltime" if next(counter) == 5 else None
    )
    assert first.status == "interrupted"
    assert first.forward is None
    second = ridge.neb(wells, settings, tmp_path / "parts")
    assert second.forward == pytest.approx(whole.forward, abs=1e-3)
    assert [h.iteration for h in second.history] == list(range(len(second.history)))
    assert second.history[0].highest == first.history[0].highest


def test_a_band_out_of_steps_has_no_barrier(ridge, wells, tmp_path):
    band = ridge.neb(wells, NebSettings(fmax=1e-6, max_steps=3), tmp_path)
    assert band.status == "unconverged"
    assert band.forward is None
    assert "3 iterations" in band.reason


def test_vacancy_hop_in_copper_is_symmetric_and_near_the_known_barrier(copper, tmp_path):
    """EMT puts the barrier near the 0.70 eV of experiment (Ehrhart 1991)."""
    relaxed = EMT.relax(copper, fmax=0.001, max_steps=200, relax_cell=True).structure
    (kind,) = find_hops(relaxed, specie="Cu", max_length=2.8)
    band = hop_barrier(EMT, relaxed, kind, tmp_path, settings=QUICK)
    assert band.climbed
    assert band.forward == pytest.approx(band.reverse, abs=0.002)
    assert 0.4 < band.forward < 1.0
    result = percolation_barrier(relaxed, {kind: band}, specie="Cu")
    assert (
        result.barrier_1d.value == result.barrier_3d.value == pytest.approx(band.forward, abs=0.01)
    )


def test_a_crystal_without_a_barrier_is_refused(copper):
    (kind,) = find_hops(copper, specie="Cu", max_length=2.8)
    band = NebPath(
        energies=(0.0, 0.1, 0.0), lengths=(0.0, 1.0, 2.0), max_forces=(0.0, 1.0, 0.0),
        status="failed", climbed=False, reason="it broke",
    )  # fmt: skip
    with pytest.raises(AnalysisError, match="it broke"):
        percolation_barrier(copper, {kind: band})


def test_a_minimum_on_the_way_is_where_the_barrier_starts(copper):
    (kind,) = find_hops(copper, specie="Cu", max_length=2.8)
    band = band_document(
        structures=[], energies=[0, 0.4, -0.2, 0.4, 0], lengths=[0, 1, 2, 3, 4],
        forces=[0] * 5, status="converged", climbed=True,
    )  # fmt: skip
    barrier = percolation_barrier(copper, {kind: band}, specie="Cu")
    assert barrier.barrier_1d.value == pytest.approx(0.6)
    assert any("below both ends" in warning for warning in barrier.warnings)


@pytest.mark.parametrize("barrier", [0.05, 0.3, 1.2])
def test_spline_finds_the_top_of_a_cosine(barrier):
    s = np.linspace(0, 3.0, 6)
    energies = barrier * (1 - np.cos(2 * np.pi * s / 3.0)) / 2
    position, energy, unresolved = saddle_of(energies, s, climbed=False)
    assert position == pytest.approx(1.5, abs=1e-6)
    assert energy == pytest.approx(barrier, rel=0.03)
    assert unresolved == pytest.approx(energy - energies.max())


def test_a_band_that_only_falls_has_no_saddle():
    assert saddle_of([0.0, -0.3, 0.0], [0.0, 1.0, 2.0], climbed=False) is None
    assert saddle_of([0.0, 0.3, 0.6], [0.0, 1.0, 2.0], climbed=False) is None


def test_a_minimum_between_the_ends_is_told():
    band = band_document(
        structures=[], energies=[0, 0.4, -0.2, 0.3, 0], lengths=[0, 1, 2, 3, 4],
        forces=[0] * 5, status="converged", climbed=True,
    )  # fmt: skip
    assert band.forward == pytest.approx(0.4)
    assert any("below both ends" in warning for warning in band.warnings)


def test_unconverged_bands_cannot_carry_a_barrier():
    with pytest.raises(ValueError, match="has no barrier"):
        NebPath(
            energies=(0.0,), lengths=(0.0,), max_forces=(0.0,), status="failed", climbed=False,
            forward=0.3,
        )  # fmt: skip


def test_idpp_keeps_atoms_apart():
    """An atom that passes through another on a straight line goes around it."""
    lattice = Lattice.cubic(9.0)
    middle = [4.5, 4.6, 4.5]
    ends = [
        Structure(lattice, ["Li", "O"], [[x, 4.5, 4.5], middle], coords_are_cartesian=True)
        for x in (2.5, 6.5)
    ]
    straight = linear_images(*ends, n_images=5)
    bent = idpp_images(straight)
    assert straight[2].get_distance(0, 1) < 0.2
    assert bent[2].get_distance(0, 1) > 1.0
    with pytest.raises(DataError, match="apart"):
        check_images(straight)


def test_images_along_a_path_begin_and_end_at_the_relaxed_ends(wells):
    path = np.array([[0, 0, 0], [0.9, 0.7, 0], [1.9, 0.1, 0]])
    images = images_along(wells[0], wells[-1], mover=0, path=path, n_images=5)
    assert images[0].cart_coords == pytest.approx(wells[0].cart_coords)
    assert images[-1].cart_coords == pytest.approx(wells[-1].cart_coords)
    assert images[2].cart_coords[0, 1] > 2.5
    assert path_lengths(images)[-1] > 2.2


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda images: images[:2], "three images"),
        (lambda images: [images[0]] * 4, "one structure"),
        (lambda images: [*images[:-1], Structure(Lattice.cubic(11), ["Li"], [[0, 0, 0]])], "cell"),
        (lambda images: [*images[:-1], Structure(images[0].lattice, ["Na"], [[0, 0, 0]])], "speci"),
    ],
)
def test_what_is_no_path_is_refused(wells, spoil, message):
    with pytest.raises(DataError, match=message):
        check_images(spoil(wells))


def test_an_engine_without_neb_says_so(wells, tmp_path):
    class Other(AseEngine):
        neb = Engine.neb

    with pytest.raises(EngineError, match="Choose another engine"):
        Other().neb(wells, NebSettings(), tmp_path)


def test_a_folder_of_another_band_is_refused(ridge, wells, tmp_path):
    RunDirectory(tmp_path, key="other")
    with pytest.raises(EngineError, match="holds the run"):
        ridge.neb(wells, NebSettings(), tmp_path)
