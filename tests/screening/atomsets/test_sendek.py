"""Sendek's features against rock salt, where they can be counted by hand."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.errors import DataError
from ssefw.screening.features.sendek import sendek_features

A = 5.13  # angstrom


@pytest.fixture
def lithium_chloride():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(A), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def test_rock_salt_has_twelve_neighbors_of_its_kind(lithium_chloride):
    expected = [12, 0, 12, A / 2, A / np.sqrt(2)]
    np.testing.assert_allclose(sendek_features(lithium_chloride), expected, rtol=1e-9)


def test_the_choice_of_cell_does_not_matter(lithium_chloride):
    primitive = lithium_chloride.get_primitive_structure()
    np.testing.assert_allclose(
        sendek_features(primitive), sendek_features(lithium_chloride), rtol=1e-9
    )


def test_half_empty_lithium_sites_have_half_the_neighbors(lithium_chloride):
    half = lithium_chloride.copy()
    half.replace_species({"Li": {"Li": 0.5}})
    found = sendek_features(half)
    assert found[0] == pytest.approx(6)
    assert found[3] == pytest.approx(A / 2)
    assert A / np.sqrt(2) < found[4] < 1.01 * A / np.sqrt(2) * 1.1


def test_split_sites_are_not_neighbors_of_each_other():
    cell = Lattice.cubic(4.0)
    split = Structure(
        cell, [{"Li": 0.5}, {"Li": 0.5}, "Cl"], [[0, 0, 0.1], [0, 0, -0.1], [0.5, 0.5, 0.5]]
    )
    assert sendek_features(split)[4] > 3


def test_the_ionicity_is_the_difference_of_electronegativity():
    lattice = Lattice.cubic(4.0)
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0]]
    found = sendek_features(Structure(lattice, ["Mg", "O", "Li"], sites))
    # Mg has 6 Mg within 4 A and 8 O, O likewise; chi is 1.31 and 3.44.
    assert found[1] == pytest.approx((3.44 - 1.31) * 16 / (16 + 12))


def test_a_structure_without_anions_is_refused():
    alloy = Structure(Lattice.cubic(3.2), ["Li", "Mg"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(DataError, match="no anion"):
        sendek_features(alloy)
