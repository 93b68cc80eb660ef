"""True outputs of pw.x."""

from pathlib import Path

import numpy as np
import pytest

from ssefw.analysis.readers import guess_format, read_frames

DATA = Path(__file__).parents[2] / "data" / "espresso_md"
BOHR = 0.529177210903


def test_molecular_dynamics_gives_positions_cell_and_time():
    frames = read_frames(DATA / "md.out")
    assert guess_format(DATA / "md.out") == "espresso"
    assert frames.species == ("Li", "Li", "F", "F")
    assert frames.n_frames == 6
    assert frames.timestep == pytest.approx(1.9351, rel=1e-4)
    np.testing.assert_allclose(frames.lattice, np.eye(3) * 7.6 * BOHR)
    first = np.array([0.0023738120, 0.0041614354, -0.0005844921]) * 7.6 * BOHR
    np.testing.assert_allclose(frames.positions[0, 0], first, rtol=1e-9)


def test_a_run_with_variable_cell_that_crashed_gives_the_frames_before():
    frames = read_frames(DATA / "vc_md_crashed.out")
    assert frames.n_frames == 3
    # Printed volumes.
    volumes = np.linalg.det(frames.lattice)
    np.testing.assert_allclose(volumes, [53.94730, 33.63724, 16.39580], rtol=1e-6)
    # 40 Rydberg atomic units of time.
    assert frames.timestep == pytest.approx(1.9351, rel=2e-3)


def test_other_units_of_positions_mean_the_same_frames(tmp_path):
    text = (DATA / "md.out").read_text()
    crystal = read_frames(DATA / "md.out")
    scaled = tmp_path / "alat.out"
    # In this cubic cell, crystal coordinates and units of alat are the same numbers.
    scaled.write_text(text.replace("ATOMIC_POSITIONS (crystal)", "ATOMIC_POSITIONS (alat)"))
    np.testing.assert_allclose(read_frames(scaled).positions, crystal.positions, atol=1e-12)
