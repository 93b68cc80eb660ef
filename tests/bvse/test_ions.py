"""Oxidation states: given, guessed and refused."""

from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.bvse.ions import assign_charges, parse_ion
from ssefw.data import read_pool
from ssefw.data.orderings import order_crystal
from ssefw.documents import OrderingSettings
from ssefw.errors import DataError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Li", ("Li", 1)),
        ("Mg2+", ("Mg", 2)),
        ("O2-", ("O", -2)),
        ("F-", ("F", -1)),
        (" Ag ", ("Ag", 1)),
    ],
)
def test_an_ion_is_read_with_or_without_its_charge(text, expected):
    assert parse_ion(text) == expected


@pytest.mark.parametrize("text", ["lithium", "Li 1", "", "Xx", "2+"])
def test_what_is_no_ion_is_refused(text):
    with pytest.raises(DataError, match="Write it as Li, Mg2"):
        parse_ion(text)


def test_an_ion_without_parameters_is_refused_with_those_there_are():
    with pytest.raises(DataError, match="No Morse parameters for He"):
        parse_ion("He")
    with pytest.raises(DataError, match=r"Li3\+ as a mobile ion. Charges of Li with .*: Li\+"):
        parse_ion("Li3+")


def test_states_of_the_input_are_kept(li2o):
    li2o.add_oxidation_state_by_element({"Li": 1, "O": -2})
    charged = assign_charges(li2o)
    assert charged.origin == "input"
    assert charged.structure == li2o


def test_an_ordered_crystal_gets_states_from_its_bonds(li2o):
    charged = assign_charges(li2o)
    assert charged.origin == "bond valence"
    states = {specie.symbol: specie.oxi_state for specie in charged.structure.composition}
    assert states == {"Li": 1, "O": -2}


def test_bonds_of_an_arrangement_do_not_make_sulfur_singly_charged():
    cif = Path(__file__).parents[1] / "data/disordered/Li6PS5Cl.cif"
    crystal = read_pool(cif).candidates[0].structure
    settings = OrderingSettings(number=1, min_length=5.0)
    (arrangement,) = order_crystal(crystal, settings).orderings
    charged = assign_charges(arrangement.structure)
    states = {specie.symbol: specie.oxi_state for specie in charged.structure.composition}
    assert states == {"Li": 1, "P": 5, "S": -2, "Cl": -1}


def test_peroxides_keep_the_states_of_their_bonds():
    crystal = Structure.from_spacegroup(
        "P6_3/mmc",
        Lattice.hexagonal(3.14, 7.65),
        ["Li", "Li", "O"],
        [[0, 0, 0], [1 / 3, 2 / 3, 0.75], [1 / 3, 2 / 3, 0.15]],
    )
    charged = assign_charges(crystal)
    states = {specie.symbol: specie.oxi_state for specie in charged.structure.composition}
    assert states == {"Li": 1, "O": -1}


def disordered(species, *, amounts):
    lattice = Lattice.cubic(8.0)
    frac = [[0.1 + 0.2 * i, 0.15 * i, 0.3] for i in range(len(species))]
    return Structure(
        lattice,
        [dict(zip([s], [a], strict=True)) for s, a in zip(species, amounts, strict=True)],
        frac,
    )


def test_a_disordered_crystal_gets_the_only_neutral_choice():
    structure = disordered(["Li", "Ge", "S"], amounts=[0.8, 0.8, 1.0])
    with pytest.raises(DataError, match="No neutral choice"):
        assign_charges(structure)
    structure = disordered(["Li", "Ge", "S", "S"], amounts=[0.8, 0.8, 1.0, 1.0])
    charged = assign_charges(structure)
    assert charged.origin == "composition"
    assert {s.symbol: s.oxi_state for s in charged.structure.composition} == {
        "Li": 1,
        "Ge": 4,
        "S": -2,
    }


def test_rounded_occupancies_are_reported():
    structure = disordered(["Li", "Ge", "S", "S"], amounts=[0.79, 0.8, 1.0, 1.0])
    assert "unbalanced" in assign_charges(structure).notes[0]


def test_mixed_valence_takes_the_mean_and_says_so():
    structure = disordered(["Li", "Fe", "O"], amounts=[0.5, 0.6, 1.0])
    charged = assign_charges(structure)
    assert charged.notes == ("Fe has the mean oxidation state 2.50 (mixed valence)",)


def test_an_uncommon_state_of_one_cation_is_taken_where_nothing_else_is_neutral():
    structure = disordered(["Li", "Ba", "Os", "O", "O"], amounts=[0.25, 0.5, 0.25, 0.75, 0.75])
    charged = assign_charges(structure)
    assert charged.notes == ("Os has the uncommon oxidation state +7",)


def test_an_ambiguous_composition_is_refused_with_the_choices():
    structure = disordered(["Li", "Pb", "P", "O", "O"], amounts=[0.5, 0.5, 0.5, 1.0, 1.0])
    with pytest.raises(
        DataError, match=r"ambiguous: .*Pb2\+ P5\+.*; .*Pb4\+ P3\+.*Give a structure with"
    ):
        assign_charges(structure)


def test_an_intermetallic_is_refused():
    alloy = Structure(Lattice.cubic(3.2), ["Li", "Ag"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(DataError):
        assign_charges(alloy)


def test_a_neutral_atom_is_refused(li2o):
    li2o.add_oxidation_state_by_site([-2] * 4 + [1] * 8)
    li2o.append("Ar0+", [0.5, 0.5, 0.5])
    with pytest.raises(DataError, match="Ar has the oxidation state 0"):
        assign_charges(li2o)


def test_a_mobile_ion_of_another_charge_is_refused(li2o):
    li2o.add_oxidation_state_by_element({"Li": 2, "O": -4})
    with pytest.raises(DataError, match=r"Li has the oxidation state 2 .* mobile ion is Li\+"):
        assign_charges(li2o)
