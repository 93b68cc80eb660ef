"""The nine simplifications, against the paper's rules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from ssefw.errors import ConfigurationError
from ssefw.screening.features.simplify import (
    SIMPLIFICATIONS,
    assign_oxidation_states,
    simplified,
    simplify,
)


def counts(structure):
    return {k: round(v, 6) for k, v in structure.composition.get_el_amt_dict().items()}


def charges(structure):
    return {s.symbol: s.oxi_state for site in structure for s in site.species}


@pytest.fixture
def lipo3_like():
    """Li, P, O in one cell: mobile, cation, anion."""
    coords = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    return Structure(Lattice.orthorhombic(4, 5, 6), ["Li", "P", "O", "O", "O"], coords)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("unperturbed", {"Li": 1, "P": 1, "O": 3}),
        ("CAMN", {"Li": 1, "Al": 1, "S": 3}),
        ("CAN", {"Al": 1, "S": 3}),
        ("AM", {"Li": 1, "S": 3}),
        ("A", {"S": 3}),
    ],
)
def test_a_simplification_keeps_what_its_letters_say(lipo3_like, name, left):
    assert counts(simplify(lipo3_like, name)) == left
    if name != "unperturbed":
        scaled = simplify(lipo3_like, f"{name}-40")
        assert counts(scaled) == left
        assert scaled.volume == pytest.approx(40 * 3)
        ratio = np.array(scaled.lattice.abc) / lipo3_like.lattice.abc
        np.testing.assert_allclose(ratio, ratio[0])


def test_atoms_stay_where_they_are(lipo3_like):
    can = simplify(lipo3_like, "CAN")
    np.testing.assert_allclose(can.frac_coords, lipo3_like.frac_coords[1:])
    np.testing.assert_allclose(can.lattice.matrix, lipo3_like.lattice.matrix)


def test_given_charges_come_first():
    charged = Structure(Lattice.cubic(4), ["Li+", "O-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert assign_oxidation_states(charged) is charged


def test_fixed_charges_come_second(lipo3_like):
    assert charges(assign_oxidation_states(lipo3_like)) == {"Li": 1, "P": 5, "O": -2}


def test_bond_valences_come_third():
    """Iron is fixed at three, which LiFeO2 wants and Fe3O4 does not: there bonds decide."""
    spinel = Structure.from_spacegroup(
        "Fd-3m",
        Lattice.cubic(8.396),
        ["Fe", "Fe", "O"],
        [[0.125, 0.125, 0.125], [0.5, 0.5, 0.5], [0.2549, 0.2549, 0.2549]],
    )
    found = assign_oxidation_states(spinel)
    assert abs(found.charge) < 0.5
    assert {round(s.oxi_state, 3) for site in found for s in site.species} != {3.0, -2.0}


def test_an_alloy_is_neutral_and_its_framework_becomes_mg():
    alloy = Structure(Lattice.cubic(3.2), ["Li", "Hg"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert counts(simplify(alloy, "CAMN")) == {"Li": 1, "Mg": 1}
    assert simplify(alloy, "CAN-40").volume == pytest.approx(40)


def test_without_anions_what_is_left_of_the_framework_becomes_sulfur():
    alloy = Structure(Lattice.cubic(3.2), ["Li", "Hg"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert counts(simplify(alloy, "A")) == {"S": 1}
    assert counts(simplify(alloy, "AM")) == {"Li": 1}


def test_of_the_mobile_metal_alone_the_atoms_become_sulfur():
    metal = Structure(Lattice.cubic(3.4), ["Li", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert counts(simplify(metal, "CAN")) == {"S": 2}
    assert counts(simplify(metal, "CAMN")) == {"Li": 2}
    assert simplify(metal, "A-40").volume == pytest.approx(80)


def test_any_ion_may_be_the_mobile_one():
    salt = Structure(Lattice.cubic(4), ["Na", "Li", "O"], [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0]])
    assert counts(simplify(salt, "AM", mobile="Na")) == {"Li": 1, "S": 1}
    assert counts(simplify(salt, "CAN", mobile="Na")) == {"Al": 1, "S": 1}


def test_a_shared_site_keeps_what_stays_and_adds_up_what_is_alike():
    mixed = Structure(
        Lattice.cubic(4.2),
        [{"Li": 0.5, "Al": 0.25, "Ga": 0.25}, {"O": 0.5, "S": 0.5}],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    whole = simplify(mixed, "CAMN")
    assert counts(whole) == {"Li": 0.5, "Al": 0.5, "S": 1.0}
    can = simplify(mixed, "CAN")
    assert counts(can) == {"Al": 0.5, "S": 1.0}
    assert not can.is_ordered


def test_an_unknown_simplification_is_refused():
    metal = Structure(Lattice.cubic(3.4), ["Li"], [[0, 0, 0]])
    with pytest.raises(ConfigurationError, match="Known: unperturbed, CAMN"):
        simplify(metal, "CAMNS")


@settings(deadline=None, max_examples=25)
@given(
    species=st.lists(
        st.sampled_from(["Li", "Na", "Al", "O", "S", "Hg", "F"]), min_size=1, max_size=6
    ),
    seed=st.integers(0, 1000),
)
def test_no_simplification_is_empty_and_none_adds_atoms(species, seed):
    coords = np.random.default_rng(seed).random((len(species), 3))
    structure = Structure(Lattice.cubic(9), species, coords)
    made = simplified(structure)
    assert set(made) == set(SIMPLIFICATIONS)
    for name, one in made.items():
        assert 0 < len(one) <= len(structure)
        if name != "unperturbed":
            assert set(counts(one)) <= {"Li", "Al", "S", "Mg"}
    assert len(made["CAMN"]) == len(structure)
    assert len(made["A"]) <= len(made["CAN"])
