"""Cells with a vacancy or an interstitial ion, and how interstitial ions move."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data.defects import (
    crystal_of,
    defect_at,
    distinct_sites,
    find_hops_of,
    hop_cell,
    ion_of,
    mark_interstitials,
)
from ssefw.data.hops import percolation_levels
from ssefw.errors import DataError

OCTAHEDRA = [[0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]


@pytest.fixture
def marked(li2o):
    """Li2O with its octahedral sites marked."""
    return mark_interstitials(li2o, OCTAHEDRA, ion="Li")


def test_octahedra_of_antifluorite_have_twelve_neighbors(marked):
    (kind,) = find_hops_of(marked, "interstitial", specie="Li", max_length=3.5)
    assert kind.hop.length == pytest.approx(4.619 / np.sqrt(2))
    assert kind.symmetric
    assert len(kind.hops) == 4 * 12 / 2
    assert ion_of(marked, kind.hop) == "Li"
    assert percolation_levels({kind: (0.1, 0.1)})[2] == pytest.approx(0.1)


def test_each_lithium_of_antifluorite_can_be_pushed_between_four_octahedra(marked):
    (kind,) = find_hops_of(marked, "concerted", specie="Li", max_length=4.1)
    assert kind.hop.length == pytest.approx(2 * 4.619 * np.sqrt(3) / 4)
    assert kind.symmetric
    assert len(kind.hops) == 8 * 6  # pairs of corners of its tetrahedron
    assert len({(hop.via, hop.start, hop.end) for hop in kind.hops}) == 48


def test_a_straight_push_and_one_around_a_corner_differ(copper):
    marked = mark_interstitials(copper, OCTAHEDRA, ion="Cu")
    straight, bent = find_hops_of(marked, "concerted", specie="Cu", max_length=3.7)
    assert {len(straight.hops), len(bent.hops)} == {4 * 3, 4 * 12}
    assert straight.hop.length == pytest.approx(bent.hop.length)


def test_a_hop_reversed_twice_is_itself(marked):
    for kind in find_hops_of(marked, "concerted", specie="Li", max_length=5.0):
        for hop in kind.hops:
            assert hop.reversed().reversed() == hop
            assert hop.reversed() != hop


def test_an_interstitial_cell_has_one_ion_more_and_one_that_moves(marked, li2o):
    (kind,) = find_hops_of(marked, "interstitial", specie="Li", max_length=3.5)
    cell = hop_cell(marked, kind.hop, min_length=9.0)
    assert len(cell.start) == 8 * len(li2o) + 1
    moved = np.linalg.norm(cell.end.cart_coords - cell.start.cart_coords, axis=1)
    assert np.flatnonzero(moved > 0.1).tolist() == list(cell.movers) == [len(cell.start) - 1]
    assert cell.start.composition.reduced_formula != li2o.composition.reduced_formula
    assert cell.start[-1].specie.symbol == "Li"


def test_pushed_and_pushing_ion_keep_their_identity(marked):
    (kind,) = find_hops_of(marked, "concerted", specie="Li", max_length=4.1)
    for hop in kind.hops:
        cell = hop_cell(marked, hop, min_length=9.0)
        first, second = cell.movers
        moved = np.linalg.norm(cell.end.cart_coords - cell.start.cart_coords, axis=1)
        assert sorted(np.flatnonzero(moved > 0.1)) == sorted(cell.movers)
        assert moved[list(cell.movers)] == pytest.approx([2.0, 2.0], abs=0.001)
        # The one arrives where the other was, in the same place but for lattice vectors.
        meet = cell.end.frac_coords[first] - cell.start.frac_coords[second]
        assert meet == pytest.approx(np.rint(meet), abs=1e-6)
        assert cell.end.is_valid(tol=1.5)
        assert cell.start.is_valid(tol=1.5)


def test_equivalent_interstitials_are_relaxed_once(marked):
    kinds = find_hops_of(marked, "concerted", specie="Li", max_length=4.1)
    assert len(set(distinct_sites(marked, kinds, min_length=9.0).values())) == 1
    site = kinds[0].hop.start
    assert len(defect_at(marked, site, min_length=4.0)) == 13


def test_marks_are_taken_off(marked, li2o):
    assert crystal_of(marked) == li2o
    assert crystal_of(li2o) is li2o
    assert crystal_of(Structure.from_dict(marked.as_dict())) == li2o


def test_a_crystal_without_interstitial_sites_is_refused(li2o):
    with pytest.raises(DataError, match="no interstitial site of Li"):
        mark_interstitials(li2o, [], ion="Li")


def test_an_interstitial_that_meets_its_own_image_is_refused(marked, li2o):
    (kind,) = find_hops_of(marked, "interstitial", specie="Li", max_length=3.5)
    primitive = mark_interstitials(li2o.get_primitive_structure(), [[0.5, 0.5, 0.5]], ion="Li")
    (only, *_) = find_hops_of(primitive, "interstitial", specie="Li", max_length=3.5)
    assert only.hop.length == pytest.approx(kind.hop.length)
    with pytest.raises(DataError, match="nowhere to hop to"):
        hop_cell(primitive, only.hop, min_length=1.0)


def test_ions_too_far_to_be_pushed_are_told(marked):
    with pytest.raises(DataError, match=r"push another within 3 A\. Allow longer"):
        find_hops_of(marked, "concerted", specie="Li", max_length=3.0)


def test_a_push_along_a_line_of_unlike_sites_is_not_symmetric():
    lattice = Lattice.orthorhombic(6.0, 7.0, 8.0)
    crystal = Structure(lattice, ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    marked = mark_interstitials(crystal, [[0, 0, 0.25], [0, 0.3, 0]], ion="Li")
    kinds = find_hops_of(marked, "concerted", specie="Li", max_length=4.2)
    assert not any(kind.symmetric for kind in kinds if kind.hop.start != kind.hop.end)
