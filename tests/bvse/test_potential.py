"""The site energy against its formula, summed independently, and its derivatives."""

import numpy as np
import pytest
from ase.neighborlist import NewPrimitiveNeighborList
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.special import erfc

from ssefw.bvse.cells import grid_operations
from ssefw.bvse.field import compute_field, grid_shape
from ssefw.bvse.potential import build_framework
from ssefw.errors import DataError


@pytest.fixture(scope="module")
def li3po4_like():
    """A triclinic cell with two kinds of cations, positions at random but not overlapping."""
    lattice = Lattice.from_parameters(5.1, 6.3, 7.2, 75, 98, 110)
    species = ["Li+", "Li+", "P5+", "Ge4+", "S2-", "S2-", "Cl-"]
    frac = np.random.default_rng(3).random((7, 3))
    return Structure(lattice, species, frac)


def energy_by_formula(structure, point, *, cutoff):
    """Adams & Rao's sum with pymatgen's neighbors; numbers of Li-S, Li-Cl, Li-P, Li-Ge by hand."""
    morse = {"S": (2.40971, 1.531394, 1.04027), "Cl": (2.39647, 1.577287, 0.49302)}
    like = {"P": (5, 3, 1.10), "Ge": (4, 4, 1.22)}  # charge, principal quantum number, radius

    def pair(symbol, r):
        if symbol in morse:
            r_min, alpha, d0 = morse[symbol]
            return d0 / 2 * ((np.exp(alpha * (r_min - r)) - 1) ** 2 - 1)
        charge, n, radius = like[symbol]
        return 14.4 * charge / np.sqrt(2 * n) / r * erfc(r / (0.74 * (1.31 + radius)))

    total = 0.0
    for neighbor in structure.get_sites_in_sphere(point, cutoff):
        symbol = neighbor.specie.symbol
        if symbol != "Li":
            total += pair(symbol, neighbor.nn_distance) - pair(symbol, cutoff)
    return total


def test_energy_is_the_published_sum(li3po4_like):
    framework = build_framework(li3po4_like, cutoff=9.0)
    points = np.random.default_rng(0).random((20, 3)) @ li3po4_like.lattice.matrix
    expected = [energy_by_formula(li3po4_like, point, cutoff=9.0) for point in points]
    assert framework.energies(points) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_table_of_neighbors_of_another_library_gives_the_same_energy(li3po4_like):
    """One Li site is probed with ASE's neighbor list, which shares no code with the kernel."""
    point = li3po4_like[0].coords
    neighbors = NewPrimitiveNeighborList([10.0] * 7, self_interaction=False, bothways=True, skin=0)
    neighbors.cutoffs = [5.0] * 7
    neighbors.update([True] * 3, li3po4_like.lattice.matrix, li3po4_like.cart_coords)
    indices, _ = neighbors.get_neighbors(0)
    framework = build_framework(li3po4_like, cutoff=10.0)
    others = [index for index in indices if li3po4_like[int(index)].specie.symbol != "Li"]
    r2 = ((framework.images[0] - point) ** 2).sum(axis=1)
    assert (r2 < 100).sum() == len(others)


@settings(max_examples=100, deadline=None)
@given(frac=st.tuples(*[st.floats(0, 1)] * 3))
def test_forces_are_minus_the_slope_of_the_energy(li3po4_like, frac):
    framework = build_framework(li3po4_like)
    point = np.array(frac) @ li3po4_like.lattice.matrix
    energy, gradient, hessian = framework.derivatives(point)
    step = 1e-4
    moves = step * np.eye(3)
    distances = np.sqrt(((framework.images[0] - point) ** 2).sum(axis=1))
    if distances.min() < 0.8:
        return  # on a nucleus the energy is hundreds of eV and finite differences say nothing
    if np.abs(distances - framework.cutoff).min() < 2 * step:
        return  # a pair that enters the cut-off sphere between the two points: the slope jumps
    slope = [
        (framework.energies(point + move)[0] - framework.energies(point - move)[0]) / (2 * step)
        for move in moves
    ]
    curvature = [
        (framework.derivatives(point + move)[1] - framework.derivatives(point - move)[1])
        / (2 * step)
        for move in moves
    ]
    assert energy == pytest.approx(framework.energies(point)[0], abs=1e-10)
    assert gradient == pytest.approx(np.array(slope), rel=1e-6, abs=1e-6)
    assert framework.forces(point)[0] == pytest.approx(-gradient)
    assert hessian == pytest.approx(np.array(curvature), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_grid_holds_the_energies_of_its_points(li3po4_like, threads):
    framework = build_framework(li3po4_like)
    shape = grid_shape(framework.matrix, resolution=0.4)
    field = compute_field(framework, shape=shape, threads=threads)
    frac = np.stack(np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij"), axis=-1)
    exact = framework.energies(frac.reshape(-1, 3) @ framework.matrix).reshape(shape)
    low = exact < exact.min() + 2.0
    assert low.sum() > 100
    assert np.abs(field.energies - exact)[low].max() < 1e-4


def test_shared_sites_weigh_their_species_by_occupancy(li3po4_like):
    shared = li3po4_like.copy()
    shared[3] = {"Ge4+": 0.25, "P5+": 0.75}
    pure = {}
    for specie in ("Ge4+", "P5+"):
        other = li3po4_like.copy()
        other[3] = specie
        pure[specie] = build_framework(other).energies([[1.0, 2.0, 3.0]])[0]
    expected = 0.25 * pure["Ge4+"] + 0.75 * pure["P5+"]
    assert build_framework(shared).energies([[1.0, 2.0, 3.0]])[0] == pytest.approx(expected)


def test_mobile_ions_do_not_count_whether_full_or_partial(li3po4_like):
    without = li3po4_like.copy()
    without.remove_species(["Li+"])
    partial = li3po4_like.copy()
    partial[0] = {"Li+": 0.3}
    points = [[1.0, 2.0, 3.0]]
    expected = build_framework(without).energies(points)
    assert build_framework(partial).energies(points) == pytest.approx(expected)
    assert build_framework(li3po4_like).energies(points) == pytest.approx(expected)


def test_a_pair_without_parameters_is_named():
    hydride = Structure(Lattice.cubic(4.1), ["Li+", "H-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(DataError, match=r"No Morse parameters for Li\+ and H-.*N3-, O2-"):
        build_framework(hydride)


def test_a_grid_too_fine_for_memory_is_refused():
    with pytest.raises(DataError, match="Choose a coarser resolution"):
        grid_shape(50 * np.eye(3), resolution=0.05)
    with pytest.raises(DataError, match="must be positive"):
        grid_shape(np.eye(3), resolution=0.0)


@pytest.mark.parametrize("resolution", [0.5, 0.37])
def test_a_grid_summed_by_symmetry_is_the_grid_summed_in_full(resolution):
    rutile_like = Structure.from_spacegroup(
        "P4_2/mnm",
        Lattice.tetragonal(4.6, 3.0),
        ["Ti4+", "O2-", "Li+"],
        [[0, 0, 0], [0.305, 0.305, 0], [0.5, 0, 0.25]],
    )
    framework = build_framework(rutile_like)
    shape, operations = grid_operations(
        framework, grid_shape(framework.matrix, resolution=resolution)
    )
    assert len(operations) == 16
    whole = compute_field(framework, shape=shape)
    reduced = compute_field(framework, shape=shape, operations=operations)
    assert reduced.energies == pytest.approx(whole.energies, abs=1e-9)
