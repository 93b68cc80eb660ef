"""Energies, forces and stresses of a NEP, against another program and against differences."""

import json
from pathlib import Path

import numpy as np
import pytest

from ssefw.errors import DataError
from ssefw.nep import NEP, evaluate, read_nep
from tests.nep.conftest import alloy, shaken_alloys

DATA = Path(__file__).parents[1] / "data" / "nep"


@pytest.fixture(scope="module")
def crystal(model):
    """A rattled, sheared alloy with its types."""
    frame = shaken_alloys(1, first_seed=900)[0]
    return frame.positions, model.types_of(list(frame.symbols)), frame.cell


def test_energy_forces_and_stress_are_those_of_calorine():
    model = read_nep(DATA / "nep.txt")
    known = json.loads((DATA / "calorine.json").read_text())
    found = evaluate(
        model,
        np.array(known["positions"]),
        model.types_of(known["symbols"]),
        np.array(known["cell"]),
    )
    assert found.energy == pytest.approx(known["energy"], abs=1e-7)
    assert found.forces == pytest.approx(np.array(known["forces"]), abs=1e-6)
    assert found.stress == pytest.approx(np.array(known["stress"]), abs=1e-8)


def test_forces_are_the_slope_of_the_energy(model, crystal):
    positions, types, cell = crystal
    forces = evaluate(model, positions, types, cell).forces
    step = 1e-4
    for atom, axis in [(0, 0), (5, 1), (17, 2), (31, 0)]:
        ends = []
        for sign in (1, -1):
            moved = positions.copy()
            moved[atom, axis] += sign * step
            ends.append(evaluate(model, moved, types, cell).energy)
        assert forces[atom, axis] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=1e-6)


def test_stress_is_the_slope_of_the_energy_by_strain(model, crystal):
    positions, types, cell = crystal
    stress = evaluate(model, positions, types, cell).stress
    volume, step = abs(np.linalg.det(cell)), 1e-5
    for a, b in [(0, 0), (1, 1), (0, 1), (2, 1)]:
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step / 2
            strain[b, a] += sign * step / 2
            ends.append(evaluate(model, positions @ strain, types, cell @ strain).energy)
        slope = (ends[0] - ends[1]) / (2 * step) / volume
        assert stress[a, b] == pytest.approx(slope, abs=1e-7)


def test_a_supercell_has_the_same_energy_per_atom_and_forces(model, crystal):
    positions, types, cell = crystal
    one = evaluate(model, positions, types, cell)
    twice = np.concatenate([positions, positions + cell[0] - 3 * cell[1]])
    two = evaluate(model, twice, np.tile(types, 2), cell * np.array([[2], [1], [1]]))
    assert two.energy == pytest.approx(2 * one.energy, abs=1e-9)
    assert two.forces[: len(types)] == pytest.approx(one.forces, abs=1e-10)
    assert two.stress == pytest.approx(one.stress, abs=1e-12)


def test_a_primitive_cell_meets_its_own_images(model):
    """One atom, whose neighbors are all images of itself, against the cube of 32."""
    from ase.build import bulk

    primitive = bulk("Cu", "fcc", a=3.75)
    cube = bulk("Cu", "fcc", a=3.75, cubic=True) * 2
    energies = [
        evaluate(
            model, atoms.positions, model.types_of(atoms.get_chemical_symbols()), atoms.cell.array
        ).energy
        / len(atoms)
        for atoms in (primitive, cube)
    ]
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)


def test_order_and_origin_of_atoms_do_not_matter(model, crystal):
    positions, types, cell = crystal
    order = np.random.default_rng(3).permutation(len(types))
    one = evaluate(model, positions, types, cell)
    other = evaluate(model, positions[order] + [0.3, -7.0, 2.2], types[order], cell)
    assert other.energy == pytest.approx(one.energy, abs=1e-10)
    assert other.forces == pytest.approx(one.forces[order], abs=1e-10)


def test_what_was_not_in_training_is_told(model, crystal):
    positions, types, cell = crystal
    assert model.knows_its_range
    assert evaluate(model, positions, types, cell).excess < 0.5
    squeezed = 0.8
    assert evaluate(model, squeezed * positions, types, squeezed * cell).excess > 2.0


def test_an_element_of_another_compound_is_refused(model):
    with pytest.raises(DataError, match="knows Ag, Cu, not Au"):
        model.types_of(["Cu", "Au"])


def test_a_potential_is_the_same_after_bytes_and_text(model, tmp_path):
    back = NEP.from_bytes(model.to_bytes())
    assert back.digest == model.digest
    path = tmp_path / "nep.txt"
    path.write_text(model.nep_txt())
    read = read_nep(path)
    assert not read.knows_its_range  # GPUMD's format has no room for it
    atoms = alloy()
    types = model.types_of(atoms.get_chemical_symbols())
    one = evaluate(model, atoms.positions, types, atoms.cell.array)
    other = evaluate(read, atoms.positions, types, atoms.cell.array)
    assert other.energy == one.energy


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no nep.txt"),
        ("nep3 1 Li\n", "no nep.txt"),
        (
            "nep4 1 Li\ncutoff 6 4\nn_max 4 4\nbasis_size 4 4\nl_max 4 2 1\nANN 5 0\n",
            "another kind",
        ),
        (
            "nep4 1 Li\ncutoff 6 4\nn_max 4 4\nbasis_size 4 4\nl_max 4 2 0\nANN 5 0\n1.0\n",
            "asks for",
        ),
        ("nep4 1 Li\ncutoff 6 x\n", "no nep.txt"),
    ],
)
def test_a_file_that_is_no_such_potential_is_refused(tmp_path, text, why):
    path = tmp_path / "nep.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=why):
        read_nep(path)


def test_bytes_that_are_torn_or_no_numbers_are_refused(model):
    payload = model.to_bytes()
    with pytest.raises(DataError, match="not the bytes"):
        NEP.from_bytes(payload[: len(payload) // 2])
    from dataclasses import replace

    with pytest.raises(DataError, match="not finite"):
        NEP.from_bytes(replace(model, bias=model.bias * np.nan).to_bytes())
    with pytest.raises(DataError, match="shape"):
        NEP.from_bytes(replace(model, bias=model.bias[:1]).to_bytes())
