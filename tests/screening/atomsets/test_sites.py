"""Sites as occupancies: disorder, charges, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition, DummySpecies, Lattice, Structure

from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.features.sites import (
    composition_sites,
    oxidation_states,
    represented,
    structure_sites,
)

CUBE = Lattice.cubic(4.0)
ROCK_SALT = [[0, 0, 0], [0.5, 0.5, 0.5]]


def two_sites(one, other):
    return Structure(CUBE, [one, other], ROCK_SALT)


def test_a_mixed_site_holds_its_elements_in_their_shares():
    sites = structure_sites(two_sites({"Li": 0.25, "Na": 0.5}, "Cl"))
    assert sites.occupancy[0, 3] == 0.25
    assert sites.occupancy[0, 11] == 0.5
    assert sites.occupancy[0].sum() == 0.75


def test_deuterium_is_hydrogen():
    sites = structure_sites(two_sites("Li", "D"))
    assert sites.occupancy[1, 1] == 1.0


def test_an_empty_site_is_left_out():
    sites = structure_sites(two_sites({"Li": 1.0}, {"Cl": 0.0}))
    assert len(sites) == 1


def test_a_structure_without_atoms_is_refused():
    with pytest.raises(DataError, match="no atoms"):
        structure_sites(two_sites({"Li": 0.0}, {"Cl": 0.0}))


def test_an_over_full_site_is_refused_and_rounding_is_scaled():
    crowded = two_sites("Li", "Cl")
    crowded.sites[0]._species = Composition({"Li": 0.8, "Na": 0.5}, allow_negative=True)
    with pytest.raises(DataError, match=r"occupied 1\.300 times"):
        structure_sites(crowded)
    crowded.sites[0]._species = Composition({"Li": 0.335, "Na": 0.67})
    assert structure_sites(crowded).occupancy[0].sum() == pytest.approx(1.0)


def test_a_placeholder_is_no_element():
    with pytest.raises(DataError, match="no element"):
        structure_sites(two_sites("Li", DummySpecies("X")))


@pytest.mark.parametrize("symbol", ["Ar", "Ra", "Am"])
def test_an_element_without_trained_embedding_is_named(symbol):
    with pytest.raises(DataError, match=f"embedding of {symbol}"):
        structure_sites(two_sites("Li", symbol))


def test_camns_replaces_each_species_of_a_site_by_its_own_charge():
    structure = two_sites({"Li": 0.5, "Al": 0.3}, {"S": 0.4, "Cl": 0.6})
    simple = represented(structure_sites(structure, charged=True), "CAMNS").occupancy
    np.testing.assert_allclose(simple[0, [3, 13]], [0.5, 0.3])
    np.testing.assert_allclose(simple[1, 16], 1.0)


def test_stated_charges_count_before_guessed_ones():
    structure = two_sites({"Li+": 1.0}, {"H-": 1.0})
    stated = represented(structure_sites(structure, charged=True), "CAMNS").occupancy
    assert stated[1, 16] == 1.0
    odd = two_sites({"Li+": 1.0}, {"H+": 1.0})
    assert represented(structure_sites(odd, charged=True), "CAMNS").occupancy[1, 13] == 1.0


def test_a_metal_alloy_is_neutral():
    sites = represented(composition_sites(Composition("LiMg3Al"), charged=True), "CAMNS")
    assert set(np.flatnonzero(sites.occupancy.sum(axis=0))) == {3, 12}


def test_can_leaves_out_lithium_only():
    sites = represented(structure_sites(two_sites({"Li": 0.5, "Na": 0.5}, "Cl")), "CAN")
    assert len(sites) == 2
    assert sites.occupancy[0].sum() == 0.5
    with pytest.raises(DataError, match="leaves out lithium"):
        represented(structure_sites(Structure(CUBE, ["Li"], [[0, 0, 0]])), "CAN")


def test_an_unknown_representation_is_refused():
    with pytest.raises(ConfigurationError, match="CAMN, CAMNS, CAN, CANS"):
        represented(composition_sites(Composition("LiCl")), "CAMX")


@pytest.mark.parametrize(
    ("formula", "states"),
    [
        ("Li3PS4", {"Li": 1, "P": 5, "S": -2}),
        ("Li6PS5Cl", {"Li": 1, "P": 5, "S": -2, "Cl": -1}),
        ("Li7La3Zr2O12", {"Li": 1, "La": 3, "Zr": 4, "O": -2}),
        ("Li1.3Al0.3Ti1.7P3O12", {"Li": 1, "Al": 3, "Ti": 4, "P": 5, "O": -2}),
        ("LiNO3", {"Li": 1, "N": 5, "O": -2}),
        ("Li3N", {"Li": 1, "N": -3}),
        ("LiBH4", {"Li": 1, "B": 3, "H": -1}),
    ],
)
def test_oxidation_states_are_those_of_a_textbook(formula, states):
    amounts = Composition(formula).get_el_amt_dict()
    assert oxidation_states(amounts) == states


@given(st.floats(0.01, 50))
def test_oxidation_states_do_not_depend_on_the_number_of_formula_units(factor):
    amounts = {"Li": 6.0, "P": 1.0, "S": 5.0, "Cl": 1.0}
    scaled = {symbol: factor * amount for symbol, amount in amounts.items()}
    assert oxidation_states(scaled) == oxidation_states(amounts)
