"""The percolation radius of packings whose windows are known by geometry."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.bvse.radius import ionic_radius, percolation_radii
from ssefw.errors import DataError


def test_the_window_of_a_simple_cubic_framework_is_its_face():
    edge = 4.0
    structure = Structure(Lattice.cubic(edge), ["F-", "Li+"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    expected = edge / np.sqrt(2) - ionic_radius("F", -1)
    radii = percolation_radii(structure, resolution=0.1)
    assert (radii.one, radii.two, radii.three) == pytest.approx([expected] * 3, abs=0.01)


def test_the_window_of_antifluorite_is_the_triangle_of_anions(li2o):
    li2o.add_oxidation_state_by_element({"Li": 1, "O": -2})
    expected = 4.619 / np.sqrt(6) - ionic_radius("O", -2)
    assert percolation_radii(li2o, resolution=0.08).three == pytest.approx(expected, abs=0.08)


def test_channels_of_different_width_percolate_in_different_dimensions():
    lattice = Lattice.orthorhombic(3.0, 4.0, 5.0)
    structure = Structure(lattice, ["F-", "Li+"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    radii = percolation_radii(structure, resolution=0.1)
    radius = ionic_radius("F", -1)
    # Along a the window is the rectangle b x c, then a x c, then a x b.
    windows = [np.hypot(4, 5) / 2, np.hypot(3, 5) / 2, np.hypot(3, 4) / 2]
    assert (radii.one, radii.two, radii.three) == pytest.approx(
        [window - radius for window in windows], abs=0.02
    )


def test_an_ion_without_a_shannon_radius_is_refused():
    with pytest.raises(DataError, match=r"No Shannon radius for O with the charge -1"):
        ionic_radius("O", -1)
