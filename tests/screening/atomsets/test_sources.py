"""Site vectors do not depend on how a crystal is written, and MEGNet is the published one."""

from itertools import islice

import numpy as np
import pytest
import torch
from pymatgen.core import Element, Lattice, Structure, SymmOp

from ssefw.data.materials import Material, read_materials
from ssefw.data.pools import Reject
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.atomsets import chgnet
from ssefw.screening.atomsets.sources import make_source, material_set, pooled, set_statistics
from ssefw.screening.features.sites import structure_sites
from ssefw.screening.papers import megnet
from ssefw.screening.papers.megnet import (
    MegnetSource,
    find_megnet_weights,
    read_megnet_weights,
)


@pytest.fixture(scope="module")
def random_megnet():
    """MEGNet's shape with random weights: invariances do not need the published ones."""
    rng = np.random.default_rng(0)
    arrays = {"embedding_1/embeddings": rng.normal(size=(95, 16))}
    sizes = {1: 16, 3: 100, 5: 2}
    for number in range(1, 19):
        width = (sizes.get(number, 32) if number % 2 else 64) if number < 7 else 32
        width = 64 if number % 2 == 0 else width
        arrays[f"dense_{number}/kernel"] = rng.normal(size=(width, 64 if number % 2 else 32)) / 8
        arrays[f"dense_{number}/bias"] = rng.normal(size=64 if number % 2 else 32) / 8
    for block in (1, 2, 3):
        for kind, width in (("e", 128), ("v", 96), ("u", 96)):
            for k, (rows, columns) in enumerate(((width, 64), (64, 64), (64, 32))):
                name = f"meg_net_layer_{block}"
                arrays[f"{name}/weight_{kind}_{k}"] = rng.normal(size=(rows, columns)) / 8
                arrays[f"{name}/bias_{kind}_{k}"] = rng.normal(size=columns) / 8
    return MegnetSource(arrays)


@pytest.fixture
def disordered():
    return Structure(
        Lattice.from_parameters(4.1, 5.2, 6.3, 80, 95, 100),
        [{"Li": 0.6, "Na": 0.3}, "P", {"S": 0.7, "Cl": 0.3}, "S"],
        [[0.1, 0.2, 0.3], [0.6, 0.5, 0.4], [0.8, 0.1, 0.7], [0.3, 0.8, 0.6]],
    )


def as_set(structure, source, layer, representation="CAMN"):
    material = Material(
        name="x", formula=structure.composition.reduced_formula, build=lambda: structure
    )
    return material_set(material, source, layer=layer, representation=representation)


def turned(structure):
    op = SymmOp.from_axis_angle_and_translation([1, 2, 3], 37.0)
    other = structure.copy()
    other.apply_operation(op)
    return other


def shuffled(structure):
    return Structure.from_sites([structure[k] for k in (2, 0, 3, 1)])


def shifted(structure):
    other = structure.copy()
    other.translate_sites(range(len(other)), [0.37, 0.71, 0.13])
    return other


def supercell(structure):
    return structure * (2, 1, 2)


@pytest.mark.parametrize("change", [turned, shuffled, shifted, supercell])
@pytest.mark.parametrize("layer", ["v0", "v1", "v3"])
@pytest.mark.parametrize("representation", ["CAMN", "CANS"])
def test_megnet_vectors_do_not_depend_on_the_description(
    change, layer, representation, disordered, random_megnet
):
    one = as_set(disordered, random_megnet, layer, representation)
    other = as_set(change(disordered), random_megnet, layer, representation)
    np.testing.assert_allclose(set_statistics([one]), set_statistics([other]), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("change", [turned, shuffled, supercell])
def test_chgnet_vectors_do_not_depend_on_the_description(change, disordered):
    source = make_source("chgnet")
    one = as_set(disordered, source, "v1")
    other = as_set(change(disordered), source, "v1")
    np.testing.assert_allclose(pooled([one]), pooled([other]), rtol=1e-3, atol=1e-3)


def test_the_first_layer_of_chgnet_needs_no_angles(disordered):
    """Computed without the graph of bonds, it is what the whole network passes on."""
    source = make_source("chgnet")
    sites = structure_sites(disordered)
    species = [Element.from_Z(int(z)) for z in sites.occupancy.argmax(axis=1)]
    cell = Structure(Lattice(sites.lattice), species, sites.fractional)
    own = torch.from_numpy(sites.occupancy @ source.embedding).float()
    np.testing.assert_allclose(
        source.vectors(sites, layer=1), chgnet._layer(cell, own, 1), rtol=1e-4, atol=1e-4
    )


def test_a_lone_atom_keeps_a_finite_chgnet_vector():
    wide = Structure(Lattice.cubic(12), ["Li"], [[0, 0, 0]])
    assert np.isfinite(as_set(wide, make_source("chgnet"), "v1").vectors).all()


def test_a_mixed_site_is_the_mix_of_the_embeddings(disordered, random_megnet):
    sites = structure_sites(disordered)
    table = random_megnet.embedding
    np.testing.assert_allclose(
        random_megnet.vectors(sites, layer=0)[0], 0.6 * table[3] + 0.3 * table[11]
    )


def test_an_ordered_structure_and_its_composition_have_the_same_first_layer(random_megnet):
    cell = Structure(Lattice.cubic(4), ["Li", "Li", "O"], [[0, 0, 0], [0.5, 0, 0], [0, 0, 0.5]])
    one, other = (as_set(cell, random_megnet, layer) for layer in ("elements", "v0"))
    np.testing.assert_allclose(set_statistics([one]), set_statistics([other]), atol=1e-12)


def test_a_lone_atom_is_bonded_to_its_images_however_wide_the_cell(random_megnet):
    wide = Structure(Lattice.cubic(7.3), ["Li"], [[0, 0, 0]])
    assert np.isfinite(as_set(wide, random_megnet, "v1").vectors).all()
    empty = Structure(Lattice.cubic(30), ["Li"], [[0, 0, 0]])
    with pytest.raises(DataError, match="no neighbor within 20 A"):
        as_set(empty, random_megnet, "v1")


def test_sites_that_coincide_are_refused(random_megnet):
    double = Structure(Lattice.cubic(4), [{"Li": 0.5}, {"Na": 0.5}], [[0, 0, 0], [0, 0, 0]])
    with pytest.raises(DataError, match="coincide"):
        as_set(double, random_megnet, "v1")


def test_a_material_without_structure_is_refused_where_one_is_needed(random_megnet):
    with pytest.raises(DataError, match="no structure"):
        material_set(
            Material(name="x", formula="Li3PS4"), random_megnet, layer="v1", representation="CAMN"
        )


def test_absent_weights_are_refused_with_where_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(megnet, "find_spec", lambda _name: None)
    with pytest.raises(DataError, match="pip install --no-deps maml"):
        find_megnet_weights()
    with pytest.raises(DataError, match="no MEGNet weights at"):
        find_megnet_weights(tmp_path / "none.hdf5")


def test_a_file_of_something_else_is_no_weights(tmp_path):
    path = tmp_path / "x.hdf5"
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="holds no weights"):
        read_megnet_weights(path)
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(DataError, match="not the weights"):
        MegnetSource(read_megnet_weights(tmp_path / "x.npz"))
    with pytest.raises(ConfigurationError, match="chgnet, megnet"):
        make_source("magnet")


def test_published_weights_give_formation_energies(shared_data):
    """Chen et al. 2019 state a mean error of 0.026 eV/atom for this model."""
    folder = shared_data / "weights"
    arrays = read_megnet_weights(folder / "mp-2019.4.1_formation_energy.hdf5")
    again = read_megnet_weights(folder / "megnet_mp2019.4.1_formation_energy.npz")
    assert arrays.keys() == again.keys()
    source = MegnetSource(arrays)
    rows = read_materials(shared_data / "pools" / "li_pool.jsonl.gz")
    chosen = list(islice((r for r in rows if not isinstance(r, Reject)), 0, 5200, 26))
    found = [source.formation_energy(structure_sites(m.structure)) for m in chosen]
    error = np.abs(np.array(found) - [m.properties["e_form_ev_atom"] for m in chosen])
    assert len(error) == 200
    assert error.mean() < 0.03


def test_threads_of_torch_are_left_as_they_were(random_megnet, disordered):
    before = torch.get_num_threads()
    as_set(disordered, random_megnet, "v1")
    assert torch.get_num_threads() == before
