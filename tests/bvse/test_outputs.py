"""Files for VESTA, records for programs, and batches."""

import json

import numpy as np
import pytest
from ase.io.cube import read_cube
from pymatgen.core import Lattice, Structure

from ssefw.bvse import cell_field, hop_images, site_energy_landscape
from ssefw.bvse.batch import barriers_of_many
from ssefw.bvse.outputs import landscape_record, write_cube, write_grd


@pytest.fixture(scope="module")
def li2te():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.517), ["Te2-", "Li+"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )


@pytest.fixture(scope="module")
def field(li2te):
    return cell_field(li2te, resolution=0.5)


def test_a_cube_file_read_by_ase_holds_cell_atoms_and_energies(li2te, field, tmp_path):
    write_cube(tmp_path / "x.cube", field, li2te)
    with (tmp_path / "x.cube").open() as lines:
        read = read_cube(lines)
    assert read["atoms"].get_chemical_formula("hill") == "Li8Te4"
    assert read["atoms"].cell.array == pytest.approx(6.517 * np.eye(3), abs=1e-4)
    assert read["data"] == pytest.approx(field.energies - field.minimum, rel=1e-4, abs=1e-4)


def test_a_grd_file_has_the_cell_the_grid_and_the_last_axis_fastest(field, tmp_path):
    write_grd(tmp_path / "x.grd", field)
    lines = (tmp_path / "x.grd").read_text().splitlines()
    assert [float(x) for x in lines[1].split()] == pytest.approx([6.517] * 3 + [90] * 3)
    assert [int(x) for x in lines[2].split()] == list(field.energies.shape)
    values = np.array([float(x) for x in lines[3:]]).reshape(field.energies.shape)
    assert values == pytest.approx(field.energies - field.minimum, abs=1e-5)


def test_a_record_of_hops_is_json_in_the_cell_that_was_given(li2te):
    result = site_energy_landscape(li2te, resolution=0.3)
    record = json.loads(json.dumps(landscape_record(result, n_images=21)))
    hop = record["hops"][0]
    assert hop["saddle_ev"] == pytest.approx(result.landscape.thresholds.one, abs=1e-5)
    cart = np.array(hop["frac_images"]) @ li2te.lattice.matrix
    assert cart == pytest.approx(hop_images(result.landscape.hops[0], n_images=21), abs=1e-4)
    energies = result.landscape.framework.energies(cart) - result.landscape.minimum
    assert energies.max() == pytest.approx(hop["saddle_ev"], abs=0.02)
    assert min(site["distance_angstrom"] for site in record["sites"]) == pytest.approx(
        0.0, abs=0.01
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_goes_on_after_a_structure_that_cannot_be_computed(li2te, lif, workers):
    hydride = Structure(Lattice.cubic(4.1), ["Li+", "H-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    named = [("a", li2te), ("b", hydride), ("c", lif)]
    items = {item.name: item for item in barriers_of_many(named, workers=workers, resolution=0.5)}
    assert set(items) == {"a", "b", "c"}
    assert items["a"].barrier.barrier_3d.value == pytest.approx(0.253, abs=0.002)
    assert items["b"].barrier is None
    assert "No Morse parameters for Li+ and H-" in items["b"].reason
