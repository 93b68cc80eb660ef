"""Descriptors against the packages that define them, against geometry, and against symmetry."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.features.cavity import atom_radius, cavity_radii
from ssefw.screening.features.descriptors import DESCRIPTORS, density_features, describe
from ssefw.screening.features.modified_xrd import N_POINTS, STOP, modified_xrd
from ssefw.screening.features.simplify import simplify
from ssefw.screening.features.soap import SOAP


@pytest.fixture(scope="module")
def crystal():
    """A triclinic cell of all four kinds."""
    lattice = Lattice.from_parameters(4.1, 5.3, 6.2, 80, 95, 104)
    coords = np.random.default_rng(3).random((7, 3))
    return Structure(lattice, ["Li", "Li", "Al", "S", "S", "S", "Mg"], coords)


def test_soap_is_that_of_dscribe(crystal):
    dscribe = pytest.importorskip("dscribe.descriptors")
    from ase import Atoms

    peer = dscribe.SOAP(
        species=["Li", "Mg", "Al", "S"], periodic=True, r_cut=3.0, n_max=5, l_max=3, average="outer"
    )
    atoms = Atoms(
        [site.specie.symbol for site in crystal],
        positions=crystal.cart_coords,
        cell=crystal.lattice.matrix,
        pbc=True,
    )
    whole = peer.create(atoms)
    want = np.concatenate([whole[peer.get_location((x, "S"))] for x in ("Li", "Mg", "Al", "S")])
    np.testing.assert_allclose(SOAP().simplified(crystal), want, rtol=1e-7, atol=1e-9)


def test_soap_of_higher_degree_is_that_of_dscribe(crystal):
    dscribe = pytest.importorskip("dscribe.descriptors")
    from ase import Atoms

    peer = dscribe.SOAP(
        species=["Mg", "S"], periodic=True, r_cut=4.0, n_max=3, l_max=4, average="outer"
    )
    kept = crystal.copy()
    kept.remove_species(["Li", "Al"])
    atoms = Atoms(
        [site.specie.symbol for site in kept],
        positions=kept.cart_coords,
        cell=kept.lattice.matrix,
        pbc=True,
    )
    whole = peer.create(atoms)
    mine = SOAP(r_cut=4.0, n_max=3, l_max=4).simplified(kept)
    # Blocks of 9 pairs of radial functions and 5 degrees: Li, Mg, Al, then S with itself.
    np.testing.assert_allclose(mine[45:90], whole[peer.get_location(("Mg", "S"))], rtol=1e-7)
    np.testing.assert_allclose(mine[135:], whole[peer.get_location(("S", "S"))], rtol=1e-7)


def test_soap_does_not_change_with_cell_or_orientation(crystal):
    one = SOAP().simplified(crystal)
    np.testing.assert_allclose(SOAP().simplified(crystal * (2, 1, 1)), one, rtol=1e-9, atol=1e-10)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    other = Structure(crystal.lattice.matrix @ rotation, crystal.species, crystal.frac_coords)
    np.testing.assert_allclose(SOAP().simplified(other), one, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(
        SOAP().by_element(other), SOAP().by_element(crystal), rtol=1e-9, atol=1e-10
    )


def test_a_shared_site_of_equal_kinds_is_one_atom():
    """Two half sulfurs on a site have the environment of one."""
    halves = Structure(
        Lattice.cubic(4), [{"S2-": 0.5, "S-": 0.5}, "Al3+"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    whole = Structure(Lattice.cubic(4), ["S2-", "Al3+"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(SOAP().simplified(halves), SOAP().simplified(whole), atol=1e-12)


def test_soap_refuses_what_is_not_simplified(crystal):
    lif = Structure(Lattice.cubic(4), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(DataError, match="holds F"):
        SOAP().simplified(lif)
    with pytest.raises(ConfigurationError, match="l_max"):
        SOAP(l_max=7)


@pytest.mark.parametrize("name", ["CAN", "A-40"])
def test_the_pattern_is_that_of_matminer(name):
    matminer = pytest.importorskip("matminer.featurizers.structure")
    halite = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    olivine = Structure(
        Lattice.orthorhombic(4.7, 6.01, 10.33),
        ["Li", "P", "O", "O", "O", "O"],
        [
            [0, 0, 0],
            [0.1, 0.25, 0.42],
            [0.1, 0.25, 0.74],
            [0.46, 0.25, 0.2],
            [0.2, 0.54, 0.28],
            [0.7, 0.04, 0.3],
        ],
    )
    for structure in (halite, olivine):
        one = simplify(structure, name)
        want = matminer.XRDPowderPattern(pattern_length=451).featurize(one)
        mine = modified_xrd(one)
        # Intensities near a whole number may be cut to the one below, a hundredth of the highest.
        assert np.linalg.norm(mine - want) < 0.02 * np.linalg.norm(want)


def test_the_pattern_integrates_to_one():
    halite = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    pattern = modified_xrd(simplify(halite, "CAMN"))
    assert pattern.shape == (N_POINTS,)
    assert pattern.sum() * STOP / (N_POINTS - 1) == pytest.approx(1, abs=0.02)


def test_densities_are_those_of_matminer(crystal):
    matminer = pytest.importorskip("matminer.featurizers.structure")
    np.testing.assert_allclose(
        density_features(crystal), matminer.DensityFeatures().featurize(crystal), rtol=1e-6
    )


def test_cavities_of_a_simple_cubic_lattice_are_known():
    """Included: the middle of the cube. Free: through the middle of a face, in all directions."""
    a = 5.6
    cubic = Structure(Lattice.cubic(a), ["S2-"], [[0, 0, 0]])
    radius = atom_radius(cubic[0].specie)
    included, *free = cavity_radii(cubic)
    assert included == pytest.approx(a * np.sqrt(3) / 2 - radius, abs=1e-6)
    np.testing.assert_allclose(free, a / np.sqrt(2) - radius, atol=1e-6)


def test_cavities_of_a_close_packing_are_known():
    """Included: the octahedron. Free: through the triangle between octahedron and tetrahedron."""
    a = 8.0
    packed = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["S2-"], [[0, 0, 0]])
    radius = atom_radius(packed[0].specie)
    included, *free = cavity_radii(packed, resolution=0.12)
    assert included == pytest.approx(a / 2 - radius, abs=1e-6)
    np.testing.assert_allclose(free, a / np.sqrt(6) - radius, atol=0.03)


def test_layers_let_a_sphere_pass_along_them_only():
    layers = Structure(Lattice.tetragonal(2.5, 12), ["S2-"], [[0, 0, 0]])
    included, one, two, three = cavity_radii(layers)
    assert included == pytest.approx(one, abs=0.15)
    assert one == pytest.approx(two, abs=1e-6)
    assert three < two - 2


def test_every_descriptor_of_the_paper_is_there():
    assert len(DESCRIPTORS) == 20


def test_a_descriptor_that_fails_says_why(crystal):
    pytest.importorskip("matminer")
    mixed = Structure(Lattice.cubic(4), [{"Li+": 0.5, "Na+": 0.5}, "Cl-"], [[0] * 3, [0.5] * 3])
    with pytest.raises(DataError, match="takes no shared sites"):
        describe("ewald", mixed, unperturbed=True)
    with pytest.raises(ConfigurationError, match="Known: band_center"):
        describe("bandcentre", mixed, unperturbed=True)
