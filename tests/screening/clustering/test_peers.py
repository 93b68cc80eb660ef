"""Descriptors computed here against the matminer classes whose numbers they are."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.errors import DataError
from ssefw.screening.features.descriptors import describe
from ssefw.screening.features.force_field import distributions
from ssefw.screening.features.pairs import radial_distribution, sine_coulomb
from ssefw.screening.features.voronoi import (
    bond_fractions,
    chemical_ordering,
    heterogeneity,
    orbital_field,
    packing_efficiency,
    voronoi_cells,
)

matminer = pytest.importorskip("matminer.featurizers.structure")
pytestmark = pytest.mark.filterwarnings("ignore")


def triclinic():
    coords = np.random.default_rng(3).random((7, 3))
    lattice = Lattice.from_parameters(4.1, 5.3, 6.2, 80, 95, 104)
    return Structure(lattice, ["Li", "Li", "Al", "S", "S", "S", "Mg"], coords)


def halite():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.13), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def phosphate():
    return Structure.from_spacegroup(
        "Pmn2_1",
        Lattice.orthorhombic(6.115, 5.239, 4.855),
        ["Li+", "Li+", "P5+", "O2-", "O2-", "O2-"],
        [
            [0.248, 0.328, 0.986],
            [0.5, 0.843, 0.989],
            [0, 0.824, 0],
            [0.208, 0.686, 0.897],
            [0, 0.105, 0.914],
            [0.5, 0.187, 0.822],
        ],
    )


CRYSTALS = pytest.mark.parametrize("make", [triclinic, halite, phosphate])


@CRYSTALS
def test_cells_fill_the_crystal_and_surround_each_atom(make):
    structure = make()
    cells = voronoi_cells(structure)
    assert cells.volume.sum() == pytest.approx(structure.volume, rel=1e-6)
    np.testing.assert_allclose(cells.per_site(cells.angle), 4 * np.pi, rtol=1e-6)


def test_cells_of_a_cube_are_cubes():
    cells = voronoi_cells(Structure(Lattice.cubic(3.0), ["S"], [[0.2, 0.3, 0.4]]))
    assert (cells.area > 1e-6).sum() == 6
    assert cells.area.sum() == pytest.approx(54)
    np.testing.assert_allclose(cells.distance[cells.area > 1e-6], 3.0, rtol=1e-8)


def test_atoms_that_coincide_have_no_cells():
    twice = Structure(Lattice.cubic(4.0), ["S", "S"], [[0, 0, 0], [0, 0, 0]])
    with pytest.raises(DataError, match="coincide"):
        voronoi_cells(twice)


@CRYSTALS
def test_descriptors_of_cells_are_those_of_matminer(make):
    structure = make()
    field = matminer.OrbitalFieldMatrix(period_tag=True)
    bonds = matminer.BondFractions()
    bare = structure.copy()
    bare.remove_oxidation_states()
    bonds.fit([bare])
    assert bond_fractions(structure) == pytest.approx(
        dict(zip(bonds.feature_labels(), bonds.featurize(bare), strict=True))
    )
    for mine, peer in (
        (packing_efficiency(structure), matminer.MaximumPackingEfficiency()),
        (heterogeneity(structure), matminer.StructuralHeterogeneity()),
        (chemical_ordering(structure), matminer.ChemicalOrdering()),
        (orbital_field(structure, field.ohvs), field),
    ):
        np.testing.assert_allclose(mine, peer.featurize(structure.copy()), rtol=1e-6, atol=1e-7)


@CRYSTALS
def test_descriptors_of_pairs_are_those_of_matminer(make):
    structure = make()
    peer = matminer.RadialDistributionFunction(cutoff=10, bin_size=0.1)
    np.testing.assert_allclose(radial_distribution(structure), peer.featurize(structure))
    matrix = matminer.SineCoulombMatrix(flatten=False).featurize(structure)[0]
    want = np.linalg.eigvalsh(np.array(matrix, dtype=float))
    mine = sine_coulomb(structure)
    np.testing.assert_allclose(np.sort(mine), want, rtol=1e-9, atol=1e-9)
    assert (np.diff(np.abs(mine)) <= 1e-12).all()


@pytest.mark.parametrize("make", [halite, phosphate])
def test_instability_is_that_of_matminer(make):
    structure = make()
    want = matminer.GlobalInstabilityIndex(r_cut=6.0).featurize(structure)
    np.testing.assert_allclose(describe("instability", structure, unperturbed=True), want)


def test_instability_needs_a_tabulated_pair():
    alloy = Structure(Lattice.cubic(3.4), ["Li+", "Al-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(DataError, match="no bond-valence parameters"):
        describe("instability", alloy, unperturbed=True)


@CRYSTALS
def test_angles_are_those_of_matminer(make):
    structure = make()
    structure.remove_oxidation_states()
    want = matminer.JarvisCFID().get_distributions(structure)
    for mine, theirs in zip(distributions(structure), want, strict=True):
        np.testing.assert_allclose(mine, np.asarray(theirs, dtype=float), atol=1e-12)


def test_an_atom_in_a_large_box_has_no_angles():
    alone = Structure(Lattice.cubic(12.0), ["S"], [[0, 0, 0]])
    with pytest.raises(DataError, match="too few shells"):
        distributions(alone)
