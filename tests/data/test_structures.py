"""Identity, order and size of structures."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from ssefw.data import content_id, expand_to_length, order_structure, same_structure
from ssefw.data.reading.structure_files import flat_structure
from ssefw.data.structures import site_kinds
from ssefw.errors import DataError

ANTIFLUORITE = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.619), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(12)), st.tuples(*[st.integers(-2, 2)] * 3))
def test_the_id_does_not_depend_on_order_or_wrapping(order, shift):
    sites = [ANTIFLUORITE[index] for index in order]
    moved = Structure(
        ANTIFLUORITE.lattice,
        [site.species for site in sites],
        [site.frac_coords + np.array(shift) for site in sites],
    )
    assert content_id(moved) == content_id(ANTIFLUORITE)


def test_another_lattice_constant_is_another_id():
    other = ANTIFLUORITE.copy()
    other.apply_strain(0.01)
    assert content_id(other) != content_id(ANTIFLUORITE)


def test_one_crystal_is_recognized_in_any_cell_and_origin():
    moved = ANTIFLUORITE.get_primitive_structure()
    moved.translate_sites(list(range(len(moved))), [0.13, 0.2, 0.31])
    assert same_structure(moved, ANTIFLUORITE)


@settings(deadline=None, max_examples=20)
@given(
    st.tuples(*[st.floats(3.0, 12.0)] * 3),
    st.tuples(*[st.floats(60.0, 120.0)] * 3),
    st.floats(4.0, 12.0),
)
def test_a_supercell_has_its_faces_far_enough_apart(lengths, angles, min_length):
    try:
        lattice = Lattice.from_parameters(*lengths, *angles)
    except ValueError:
        return
    if not lattice.volume > 10.0:
        return
    cell = expand_to_length(
        Structure(lattice, ["Li"], [[0, 0, 0]]), min_length=min_length, max_atoms=10**6
    )
    heights = cell.volume / np.linalg.norm(
        np.cross(np.roll(cell.lattice.matrix, -1, 0), np.roll(cell.lattice.matrix, -2, 0)), axis=1
    )
    assert heights.min() >= min_length - 1e-4


def test_a_supercell_beyond_the_limit_is_refused_with_its_size():
    with pytest.raises(DataError, match=r"needs 324 atoms.*max_atoms = 100"):
        expand_to_length(ANTIFLUORITE, min_length=12.0, max_atoms=100)


def test_a_half_occupied_site_is_ordered_by_electrostatics():
    # CsCl-like chain: of two half full cation sites around each anion, one is taken.
    disordered = Structure(
        Lattice.tetragonal(4.0, 8.0),
        [{"Li": 0.5}, {"Li": 0.5}, "F"],
        [[0, 0, 0], [0, 0, 0.5], [0.5, 0.5, 0.1]],
    )
    ordered = order_structure(disordered)
    assert ordered.is_ordered
    assert ordered.composition.reduced_formula == "LiF"
    (lithium,) = (site for site in ordered if site.specie.symbol == "Li")
    assert lithium.frac_coords[2] == pytest.approx(0.0)  # the nearer one to the anion


def test_an_ordered_structure_is_left_alone():
    assert order_structure(ANTIFLUORITE) is ANTIFLUORITE


def test_occupancies_that_make_no_whole_atoms_are_refused():
    odd = Structure(Lattice.cubic(4.0), [{"Li": 0.37}, "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(DataError, match=r"whole atoms|charge|oxidation"):
        order_structure(odd)


def test_the_id_of_a_structure_is_that_of_earlier_versions():
    """Ids stand in stores: how they are computed may change, what they are may not."""
    alloy = Structure(
        Lattice.from_parameters(3.12345, 4.1, 5.2, 90, 95.55555, 90),
        [{"Li+": 0.5, "Na+": 0.25}, "O2-", "Cl-"],
        [[0.12344999, -0.25, 0.99999], [0.33335, 0.66665, 1.5], [0, 0, 0.5]],
    )
    lattice = [round(value, 3) + 0.0 for value in alloy.lattice.parameters]
    sites = sorted(
        (
            [
                [element.symbol, round(float(amount), 4)]
                for element, amount in sorted(
                    site.species.element_composition.items(), key=lambda item: item[0].symbol
                )
            ],
            [round(x, 4) % 1.0 + 0.0 for x in site.frac_coords],
        )
        for site in alloy
    )
    text = json.dumps([lattice, sites], separators=(",", ":"))
    assert content_id(alloy) == hashlib.sha256(text.encode()).hexdigest()[:16]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(["Li", "Li+", "O2-", "O", "S"]), min_size=1, max_size=8))
def test_sites_that_share_what_they_hold_make_the_same_crystal(kinds):
    places = [[n / 9, n / 9, n / 9] for n in range(len(kinds))]
    record = {"lattice": [6, 6, 6, 90, 90, 90], "species": kinds, "frac": places}
    shared = flat_structure(record, source="row")
    apart = Structure(Lattice.cubic(6), kinds, places)
    assert shared == apart
    assert content_id(shared) == content_id(apart)
    assert site_kinds(shared) == site_kinds(apart)
    contents, numbers = site_kinds(shared)
    assert [contents[n] for n in numbers] == [site.species.get_el_amt_dict() for site in apart]


def test_a_shared_site_is_one_content_whatever_its_oxidation_states():
    mixed = {"Li+": 0.5, "Na": 0.25}
    crystal = Structure(Lattice.cubic(4), [mixed, {"Li": 0.5, "Na": 0.25}], [[0] * 3, [0.5] * 3])
    assert site_kinds(crystal) == ([{"Li": 0.5, "Na": 0.25}], [0, 0])
