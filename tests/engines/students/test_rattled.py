"""Frames displaced and strained at random: how far, in which cells, and with whose labels."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from ssefw.engines.ase import AseEngine
from ssefw.engines.students.teacher import SHAKES, SHEAR, STRAINS, ase_teacher, rattled

NUMBER = 400


@pytest.fixture(scope="module")
def crystals():
    """Two snapshots that differ in all that a frame has."""
    made = (bulk("Cu", cubic=True) * (2, 2, 2), bulk("Ag", cubic=True) * (2, 2, 3))
    return [
        (tuple(atoms.get_chemical_symbols()), atoms.positions, atoms.cell.array) for atoms in made
    ]


@pytest.fixture(scope="module")
def taken_apart(crystals):
    """Of each frame its strain, and the displacements before it."""
    by_symbol = {symbols[0]: (positions, cell) for symbols, positions, cell in crystals}
    parts = []
    for symbols, positions, cell in rattled(crystals, NUMBER, seed=3):
        before, whole = by_symbol[symbols[0]]
        strain = np.linalg.solve(whole, cell)
        parts.append((symbols[0], strain, positions @ np.linalg.inv(strain) - before))
    return parts


def test_displacements_are_normal_and_as_wide_as_thermal_motion(taken_apart):
    widths = np.array([moves.std() for _, _, moves in taken_apart])
    # The width is drawn evenly; 96 or 144 numbers tell it within a twentieth or so.
    assert widths.mean() == pytest.approx(np.mean(SHAKES), rel=0.05)
    assert widths.min() > SHAKES[0] * 0.75
    assert widths.max() < SHAKES[1] * 1.25
    scaled = np.concatenate([(moves / moves.std()).ravel() for _, _, moves in taken_apart])
    assert np.mean(np.abs(scaled) < 1.0) == pytest.approx(0.683, abs=0.01)
    assert abs(scaled.mean()) < 0.02


def test_cells_are_strained_without_a_turn_by_what_heat_and_pressure_do(taken_apart):
    strains = np.array([strain for _, strain, _ in taken_apart])
    np.testing.assert_allclose(strains, strains.transpose(0, 2, 1), atol=1e-12)
    lengths = np.trace(strains, axis1=1, axis2=2) / 3.0
    even = (STRAINS[1] - STRAINS[0]) / np.sqrt(12.0)
    assert lengths.mean() == pytest.approx(np.mean(STRAINS), abs=0.004)
    assert lengths.std() == pytest.approx(np.hypot(even, SHEAR / np.sqrt(3.0)), rel=0.1)
    off_diagonal = strains[:, [0, 0, 1], [1, 2, 2]]
    assert off_diagonal.std() == pytest.approx(SHEAR / np.sqrt(2.0), rel=0.1)
    assert abs(off_diagonal.mean()) < 0.002


def test_all_snapshots_are_taken_and_a_seed_gives_the_same_frames(crystals, taken_apart):
    symbols = [symbol for symbol, _, _ in taken_apart]
    assert len(symbols) == NUMBER
    assert symbols.count("Cu") == pytest.approx(NUMBER / 2, abs=4 * np.sqrt(NUMBER) / 2)
    one, two, other = (rattled(crystals, 3, seed=seed) for seed in (3, 3, 4))
    for (_, x, a), (_, y, b) in zip(one, two, strict=True):
        assert np.array_equal(x, y)
        assert np.array_equal(a, b)
    assert not np.array_equal(one[0][2], other[0][2])


def test_labels_are_those_of_the_displaced_atoms_in_the_strained_cell(crystals):
    (snapshot,) = rattled(crystals[:1], 1, seed=0)
    (label,) = ase_teacher(AseEngine(calculator="ase.calculators.emt.EMT"))([snapshot])
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.set_cell(snapshot[2])
    atoms.positions = snapshot[1]
    atoms.calc = EMT()
    assert label.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(label.forces, atoms.get_forces(), atol=1e-9)
    np.testing.assert_allclose(label.stress, atoms.get_stress(voigt=False), atol=1e-12)
    assert np.abs(label.forces).max() > 0.1
    assert np.abs(label.stress).max() > 1e-3
