"""Density maps hold every ion, where it is."""

import numpy as np
import pytest
from ase.io.cube import read_cube_data
from pymatgen.io.vasp import Chgcar

from ssefw.analysis import Frames
from ssefw.analysis.density import density_map, write_chgcar, write_cube
from ssefw.analysis.synthetic import LatticeWalk
from ssefw.errors import AnalysisError

LATTICE = np.array([[6.0, 0, 0], [1.0, 5.0, 0], [-0.5, 0.7, 7.0]])


@pytest.fixture
def still():
    """One Li at a known place and two sulfur atoms, that stand."""
    frac = np.array([[0.26, 0.51, 0.99], [0.1, 0.2, 0.3], [0.6, 0.7, 0.8]])
    return Frames(np.stack([frac @ LATTICE] * 3), LATTICE, ("Li", "S", "P"), 1.0)


def test_an_ion_at_rest_fills_one_voxel(still):
    result = density_map(still, spacing=0.5)
    voxel = still.volume / result.density.size
    place = np.unravel_index(result.density.argmax(), result.density.shape)
    assert result.density.max() * voxel == pytest.approx(1.0)
    expected = np.floor(np.array([0.26, 0.51, 0.99]) * result.density.shape).astype(int)
    assert place == tuple(expected)


def test_the_density_holds_all_ions_at_all_times():
    frames = LatticeWalk(n_frames=300, rate=1.0, drift=0.1).frames(0)
    result = density_map(frames)
    assert result.density.sum() * frames.volume / result.density.size == pytest.approx(64.0)


def test_a_drifting_crystal_does_not_smear():
    sharp, drifting = (
        density_map(LatticeWalk(n_frames=300, rate=0.0, drift=drift).frames(0)).density.max()
        for drift in (0.0, 0.2)
    )
    assert drifting == pytest.approx(sharp, rel=0.5)
    assert drifting > 0.3 * sharp


def test_a_cube_reads_in_ase_with_ions_and_framework(still, tmp_path):
    result = density_map(still, spacing=0.5)
    write_cube(result, tmp_path / "li.cube")
    values, atoms = read_cube_data(str(tmp_path / "li.cube"))
    assert atoms.get_chemical_symbols() == ["S", "P"]
    np.testing.assert_allclose(atoms.cell, LATTICE, atol=1e-4)
    np.testing.assert_allclose(atoms.positions, still.positions[0, 1:], atol=1e-4)
    np.testing.assert_allclose(values / 0.529177210903**3, result.density, rtol=1e-4)


def test_a_chgcar_reads_in_pymatgen_with_ions_and_framework(still, tmp_path):
    result = density_map(still, spacing=0.5)
    write_chgcar(result, tmp_path / "CHGCAR")
    chgcar = Chgcar.from_file(tmp_path / "CHGCAR")
    np.testing.assert_allclose(chgcar.data["total"], result.density * still.volume, rtol=1e-9)
    assert chgcar.structure.composition.reduced_formula == "PS"
    # The grid points of a CHGCAR are half a voxel before the centers: so are the atoms.
    half = 0.5 / np.array(result.density.shape)
    sulfur = next(s for s in chgcar.structure if s.specie.symbol == "S")
    np.testing.assert_allclose(sulfur.frac_coords + half, [0.1, 0.2, 0.3], atol=1e-6)


def test_a_grid_without_spacing_is_refused(still):
    with pytest.raises(AnalysisError, match="must be positive"):
        density_map(still, spacing=0.0)
