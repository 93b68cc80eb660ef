"""CIFs as databases and programs write them: what a site is called, and what a group is."""

from pathlib import Path

import pytest

from ssefw.data import candidate_from_text
from ssefw.errors import DataError

CIF = """\
data_x
_symmetry_space_group_name_H-M '{group}'
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma {gamma}
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{atoms}
"""
ROCK_SALT = ["Li1 Li 0 0 0 0.5", "Na1 Na 0 0 0 0.5", "Cl1 Cl 0.5 0.5 0.5 1"]
NASICON = [
    "Li1 Li 0 0 0 0.8",
    "Ti1 Ti 0 0 0.1415 1",
    "P1 P 0.288 0 0.25 1",
    "O1 O 0.184 0.994 0.19 1",
    "O2 O 0.189 0.165 0.081 1",
]
# One spinel with its origin at a lithium site, and at the center of symmetry.
SPINELS = [
    ["Li1 Li 0 0 0 0.5", "Mn1 Mn 0.625 0.625 0.625 1", "O1 O 0.388 0.388 0.388 1"],
    ["Li1 Li 0.125 0.125 0.125 0.5", "Mn1 Mn 0.5 0.5 0.5 1", "O1 O 0.263 0.263 0.263 1"],
]


def read(atoms, group="F m -3 m", *, a=5.4, c=None, gamma=90):
    text = CIF.format(group=group, a=a, c=c or a, gamma=gamma, atoms="\n".join(atoms))
    return candidate_from_text(text, name="x").structure


@pytest.mark.parametrize(
    "atoms",
    [
        ["Li1 7Li 0 0 0 0.5", *ROCK_SALT[1:]],
        [*ROCK_SALT[:2], "Cl1 Cl 0.5 0.5 0.5 ."],
        [*ROCK_SALT[:2], "Cl1 Cl 0.5 0.5 0.5 ?"],
        [*ROCK_SALT, "Va1 Va 0.25 0.25 0.25 1"],
        [*ROCK_SALT, "Vc1 ? 0.25 0.25 0.25 1"],
        ["Li1 Li 0 0 0 0.52", "Na1 Na 0 0 0 0.52", ROCK_SALT[2]],
    ],
)
def test_isotopes_vacancies_and_occupancies_that_are_not_stated_or_rounded(atoms):
    amounts = read(atoms).composition.as_dict()
    assert amounts == pytest.approx({"Li": 2, "Na": 2, "Cl": 4})


def test_a_group_of_atoms_is_refused():
    with pytest.raises(DataError, match="'OH', a group of atoms"):
        read([*ROCK_SALT[:2], "O1 OH 0.5 0.5 0.5 1"])


@pytest.mark.parametrize("group", ["R -3 c", "R-3c", "R -3 c H", "R -3 c:H", "R -3 2/c"])
def test_hexagonal_axes_by_any_name(group):
    found = read(NASICON, group, a=8.5, c=20.82, gamma=120).composition.as_dict()
    assert found == pytest.approx({"Li": 4.8, "Ti": 12, "P": 18, "O": 72})


@pytest.mark.parametrize(
    ("atoms", "group"),
    [
        (SPINELS[0], "F d -3 m"),
        (SPINELS[1], "F d -3 m"),
        (SPINELS[0], "F d -3 m S"),
        (SPINELS[0], "F d -3 m :1"),
        (SPINELS[1], "F d -3 m Z"),
        (SPINELS[1], "F d -3 m :2"),
    ],
)
def test_the_origin_is_the_one_named_or_the_one_that_keeps_atoms_apart(atoms, group):
    crystal = read(atoms, group, a=8.2)
    assert crystal.composition.as_dict() == pytest.approx({"Li": 4, "Mn": 16, "O": 32})
    manganese = next(site for site in crystal if site.species_string == "Mn")
    bonds = crystal.get_neighbors(manganese, 2.2)
    assert [bond.species_string for bond in bonds] == ["O"] * 6


def test_a_space_group_that_is_unknown_is_no_p1():
    with pytest.raises(DataError, match="'Q 1 2 3' is unknown"):
        read(ROCK_SALT, "Q 1 2 3")


def composition(text):
    return candidate_from_text(text, name="x").structure.composition


@pytest.mark.parametrize(("third", "twice"), [("0.333", "0.667"), ("0.33", "0.67")])
def test_rounded_thirds_are_one_site_and_not_three(third, twice):
    text = (Path(__file__).parent / "disordered/Li3YCl6.cif").read_text()
    rounded = text.replace("0.3333", third).replace("0.6667", twice)
    assert composition(rounded).almost_equals(composition(text))


def test_a_full_mirror_site_that_is_off_its_mirror_is_one_atom():
    text = (Path(__file__).parent / "disordered/Li6PS5Cl.cif").read_text()
    off = text.replace("0.1196 0.8804 0.6196", "0.120 0.880 0.619")
    assert composition(off).almost_equals(composition(text))
