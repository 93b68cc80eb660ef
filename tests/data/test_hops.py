"""Hops between sites of a crystal, against what is known of simple lattices."""

import math

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data.defects import carry_over, hop_cell
from ssefw.data.hops import (
    find_hops,
    hops_to_cross,
    percolation_levels,
    symmetry_operations,
)
from ssefw.errors import DataError


@pytest.fixture
def li2s():
    """Antifluorite Li2S, a = 5.708 A."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.708), ["S", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )


@pytest.fixture
def layers():
    """Li in planes that are 6 A apart: square nets of 3 A."""
    lattice = Lattice.tetragonal(3.0, 6.0)
    return Structure(lattice, ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_antifluorite_has_one_hop_to_six_neighbors(li2s):
    (first, *_) = find_hops(li2s, max_length=3.0)
    assert first.hop.length == pytest.approx(5.708 / 2)
    assert first.symmetric
    assert len(first.hops) == 8 * 6 / 2


def test_primitive_and_conventional_cell_have_the_same_classes(li2s):
    primitive = li2s.get_primitive_structure()
    for max_length in (3.0, 4.2, 5.2):
        ours, theirs = (find_hops(cell, max_length=max_length) for cell in (li2s, primitive))
        assert [c.hop.length for c in ours] == pytest.approx([c.hop.length for c in theirs])
        assert [len(c.hops) / 4 for c in ours] == [len(c.hops) for c in theirs]


def test_rock_salt_has_twelve_neighbors(lif):
    (first,) = find_hops(lif, max_length=3.0)
    assert len(first.hops) == 4 * 12 / 2


def test_hops_between_unlike_sites_are_not_symmetric():
    lattice = Lattice.tetragonal(4.0, 7.0)
    crystal = Structure(lattice, ["Li", "Li", "O"], [[0, 0, 0], [0, 0, 0.4], [0.5, 0.5, 0.1]])
    classes = find_hops(crystal, max_length=3.0)
    assert [c.symmetric for c in classes] == [False]


def test_hops_within_planes_percolate_in_two_dimensions(layers):
    classes = find_hops(layers, max_length=6.5)
    near = next(c for c in classes if c.hop.length < 3.1)
    across = next(c for c in classes if c.hop.image[2] and abs(c.hop.length - 6.0) < 0.01)
    assert percolation_levels({near: (0.3, 0.3)}) == (pytest.approx(0.3), pytest.approx(0.3), None)
    levels = percolation_levels({near: (0.3, 0.3), across: (0.8, 0.8)})
    assert levels == (pytest.approx(0.3), pytest.approx(0.3), pytest.approx(0.8))


def test_barrier_counts_from_the_lowest_site_on_the_way():
    """A chain A-B-A-B: from A over 0.5 eV to B, which lies 0.2 eV higher."""
    lattice = Lattice.orthorhombic(8.0, 8.0, 6.0)
    crystal = Structure(lattice, ["Li", "Li", "O"], [[0, 0, 0], [0, 0, 0.5], [0.2, 0.1, 0.05]])
    classes = find_hops(crystal, max_length=3.2)
    barriers = {}
    for kind in classes:
        from_a = kind.hop.start == 0
        barriers[kind] = (0.5, 0.3) if from_a else (0.3, 0.5)
    one, two, _ = percolation_levels(barriers)
    assert one == pytest.approx(0.5)
    assert two is None


def test_vacancy_cell_is_as_long_as_asked(li2s):
    (first, *_) = find_hops(li2s.get_primitive_structure(), max_length=3.0)
    cell = hop_cell(li2s.get_primitive_structure(), first.hop, min_length=10.0)
    matrix = cell.start.lattice.matrix
    volume = abs(np.linalg.det(matrix))
    for k in range(3):
        face = np.linalg.norm(np.cross(matrix[k - 1], matrix[k - 2]))
        assert volume / face >= 10.0 - 1e-6


def test_ends_of_a_hop_differ_in_the_mover_alone(li2s):
    (first, *_) = find_hops(li2s, max_length=3.0)
    cell = hop_cell(li2s, first.hop, min_length=5.0)
    moved = np.linalg.norm(cell.end.cart_coords - cell.start.cart_coords, axis=1)
    assert np.flatnonzero(moved > 0.1).tolist() == [cell.mover]
    assert moved.max() == pytest.approx(first.hop.length)
    assert len(cell.start) == len(li2s) * math.prod(cell.size) - 1
    assert cell.end.is_valid(tol=1.0)


def test_a_hop_onto_its_own_image_is_refused(lif):
    primitive = lif.get_primitive_structure()
    (first,) = find_hops(primitive, max_length=3.0)
    with pytest.raises(DataError, match="image of its own start"):
        hop_cell(primitive, first.hop, min_length=1.0)


def test_symmetry_carries_the_relaxed_start_to_the_relaxed_end(li2s):
    """Neighbors of the vacancy move outwards; so they do around the other vacancy."""
    (first, *_) = find_hops(li2s, max_length=3.0)
    cell = hop_cell(li2s, first.hop, min_length=10.0)
    operations = symmetry_operations(li2s)

    def relaxed(ideal, vacancy):
        frac = ideal.frac_coords - ideal.lattice.get_fractional_coords(vacancy)
        away = ideal.lattice.get_cartesian_coords(frac - np.rint(frac))
        distance = np.linalg.norm(away, axis=1, keepdims=True)
        coords = ideal.cart_coords + 0.2 * away / distance * np.exp(-(distance**2) / 2)
        return Structure(ideal.lattice, ideal.species, coords, coords_are_cartesian=True)

    vacant_at_start = cell.end.cart_coords[cell.mover]
    vacant_at_end = cell.start.cart_coords[cell.mover]
    found = carry_over(
        relaxed(cell.start, vacant_at_start),
        cell.start,
        cell.end,
        operations,
        holes=(vacant_at_start, vacant_at_end),
    )
    expected = relaxed(cell.end, vacant_at_end)
    frac = found.frac_coords - expected.frac_coords
    error = found.lattice.get_cartesian_coords(frac - np.rint(frac))
    assert np.abs(error).max() < 1e-3


@pytest.mark.parametrize(
    ("species", "options", "message"),
    [
        ([{"Li": 0.5}, "O"], {}, "partly occupied"),
        (["Na", "O"], {}, "holds no Li"),
        (["Li", "O"], {"specie": "X"}, "holds no X"),
        (["Li", "O"], {"max_length": 2.0}, "Allow longer hops"),
    ],
)
def test_crystals_without_hops_are_refused(species, options, message):
    crystal = Structure(Lattice.cubic(4.0), species, [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(DataError, match=message):
        find_hops(crystal, **options)


def test_shortest_hops_that_cross_are_enough(li2s, layers):
    assert len(hops_to_cross(find_hops(li2s, max_length=5.0))) == 1
    classes = find_hops(layers, max_length=6.2)
    chosen = hops_to_cross(classes)
    assert any(kind.hop.image[2] for kind in chosen)
    assert len(chosen) <= len(classes)
