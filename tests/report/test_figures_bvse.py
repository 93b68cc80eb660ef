"""The figure of a barrier shows what the landscape says."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.bvse import site_energy_landscape
from ssefw.report.figures.bvse import barrier_figure, percolating_path
from ssefw.report.style import save_figure


@pytest.fixture(scope="module")
def result():
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.517), ["Te2-", "Li+"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    return site_energy_landscape(structure, resolution=0.3)


def test_the_path_is_continuous_and_as_high_as_the_barrier(result):
    points, energies, sites = percolating_path(result.landscape)
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).max() < 0.25
    assert energies.max() == pytest.approx(result.landscape.thresholds.one, abs=1e-4)
    assert sites[-1] == len(points) - 1


def test_the_path_ends_at_a_periodic_image_of_its_start(result):
    points, _, _ = percolating_path(result.landscape)
    shift = (points[-1] - points[0]) @ np.linalg.inv(result.landscape.framework.matrix)
    assert shift == pytest.approx(np.round(shift), abs=0.02)
    assert np.round(shift).any()


def test_the_figure_names_the_barriers_and_is_written(result, tmp_path):
    figure = barrier_figure(result)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["1D/2D/3D 0.253 eV"]
    for path in save_figure(figure, tmp_path / "barrier"):
        assert path.stat().st_size > 10_000
