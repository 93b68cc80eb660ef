"""The fast SevenNet calculator, beside the one that ships with SevenNet."""

import contextlib
import functools
import io
import itertools
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from matscipy.neighbours import neighbour_list

from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.ase import AseEngine
from ssefw.engines.ase.verlet import draw_momenta
from ssefw.engines.potentials import sevennet_weights
from ssefw.engines.potentials.sevennet import FastSevenNet
from ssefw.engines.potentials.sevennet_convert import convert
from ssefw.engines.potentials.sevennet_weights import checkpoint_path
from ssefw.errors import EngineError
from tests.engines.potentials.structures import STRUCTURES, antifluorite, layered, shaken

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of torch_geometric, for what torch deprecates
    from e3nn.o3 import wigner_3j
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.calculator import SevenNetCalculator
    from sevenn.checkpoint import SevenNetCheckpoint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

FINE = 0.01
"""Spacing of knots, in A, at which splines differ from the radial networks by less than 1e-10."""


def quiet(make, *args, **kwargs):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return make(*args, **kwargs)


def convert_here(path, modality, spacing, target):
    """Convert in this process, which has imported SevenNet anyway."""
    arrays = convert(path, modality=modality, spacing=spacing)
    with target.open("wb") as file:
        np.savez(file, **arrays)


@functools.cache
def peer(model="0"):
    return quiet(
        SevenNetCalculator,
        str(checkpoint_path(model)),
        device="cpu",
        modal="PBE" if model == "mf-0" else None,
    )


@functools.cache
def fast(model="0", precision="single", **options):
    modality = "PBE" if model == "mf-0" else None
    if precision == "double":
        options["spacing"] = FINE
    return FastSevenNet(model=model, modality=modality, precision=precision, **options)


def results(calculator, atoms, stress=True):
    atoms = atoms.copy()
    atoms.calc = calculator
    found = {"forces": atoms.get_forces(), "energy": atoms.get_potential_energy()}
    if stress:
        found["stress"] = atoms.get_stress()
    return found


def assert_close(ours, theirs, *, energy, force, stress):
    assert abs(ours["energy"] - theirs["energy"]) / len(ours["forces"]) < energy
    assert np.abs(ours["forces"] - theirs["forces"]).max() < force
    assert ours["stress"] == pytest.approx(theirs["stress"], abs=stress)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["0", "l3i5"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_ten_frames_agree_with_sevennet_to_its_rounding(name, model):
    rng = np.random.default_rng(7)
    for _ in range(10):
        atoms = shaken(STRUCTURES[name](), rng)
        calculators = fast(model), peer(model), fast(model, "double")
        ours, theirs, exact = (results(one, atoms) for one in calculators)
        # Sums of single-precision numbers of several eV an atom: SevenNet's own are off by up to
        # 7e-6 eV for a single atom of l3i5, and by 1e-6 eV an atom in cells of twelve.
        few = 5 if len(atoms) < 8 else 1
        assert_close(ours, exact, energy=few * 1e-6, force=1e-4, stress=3e-5)
        assert_close(theirs, exact, energy=few * 2e-6, force=1e-4, stress=3e-5)


@pytest.mark.parametrize("model", ["l3i5", "mf-0"])
def test_all_models_agree_with_sevennet(model):
    atoms = shaken(layered(), np.random.default_rng(1))
    ours, theirs = results(fast(model), atoms), results(peer(model), atoms)
    assert_close(ours, theirs, energy=1e-6, force=1e-4, stress=3e-5)


def exact_results(model, atoms):
    """What SevenNet's own network gives in double precision, constants of e3nn included."""
    network = quiet(SevenNetCheckpoint(str(checkpoint_path(model))).build_model).double().eval()
    network.set_is_batch_data(False)
    for module in network.modules():
        for key in [key for key in dir(module) if re.fullmatch(r"_w3j_\d_\d_\d", key)]:
            degrees = map(int, key.split("_")[2:])
            setattr(module, key, wigner_3j(*degrees, dtype=torch.float64))

    def to_double(_, __, data):
        for key in ("x", "node_attr"):
            if torch.is_tensor(data[key]) and data[key].is_floating_point():
                data[key] = data[key].double()

    network._modules["onehot_idx_to_onehot"].register_forward_hook(to_double)
    i, j, vectors = neighbour_list("ijD", atoms, network.cutoff)
    data = AtomGraphData.from_numpy_dict(
        {
            "x": atoms.numbers,
            "atomic_numbers": atoms.numbers,
            "edge_index": np.stack([i, j]),
            "num_atoms": np.array(len(atoms)),
            "cell_volume": np.array(atoms.get_volume()),
        }
    )
    data["edge_vec"] = torch.from_numpy(vectors)
    data["cell_volume"] = torch.tensor(atoms.get_volume(), dtype=torch.float64)
    output = network(data)
    stress = -output["inferred_stress"].detach().numpy()[[0, 1, 2, 4, 5, 3]]
    return {
        "energy": float(output["inferred_total_energy"]),
        "forces": output["inferred_force"].detach().numpy(),
        "stress": stress,
    }


@pytest.mark.parametrize("model", ["0", "l3i5"])
def test_in_double_precision_nothing_differs_from_sevennet(model):
    atoms = shaken(STRUCTURES["thin"](), np.random.default_rng(11))
    ours, theirs = results(fast(model, "double"), atoms), exact_results(model, atoms)
    assert_close(ours, theirs, energy=1e-9, force=1e-9, stress=1e-9)


@pytest.mark.parametrize("name", ["layered", "thin", "one atom"])
def test_forces_and_stress_are_derivatives_of_the_energy(name):
    atoms = shaken(STRUCTURES[name](), np.random.default_rng(3), displacement=0.05)
    found = results(fast("0", "double"), atoms)
    h, last = 1e-4, len(atoms) - 1

    def energy_of(change):
        moved = atoms.copy()
        change(moved)
        return results(fast("0", "double"), moved, stress=False)["energy"]

    for k in range(3):
        pair = []
        for step in (h, -h):

            def move(moved, step=step, k=k):
                moved.positions[last, k] += step

            pair.append(energy_of(move))
        assert found["forces"][last, k] == pytest.approx((pair[1] - pair[0]) / (2 * h), abs=1e-6)
    voigt = {(0, 0): 0, (1, 1): 1, (2, 2): 2, (1, 2): 3, (0, 2): 4, (0, 1): 5}
    for i, j in itertools.combinations_with_replacement(range(3), 2):
        pair = []
        for step in (h, -h):
            strain = np.eye(3)
            strain[i, j] += step / 2
            strain[j, i] += step / 2

            def deform(moved, strain=strain):
                moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)

            pair.append(energy_of(deform))
        by_strain = (pair[0] - pair[1]) / (2 * h) / atoms.get_volume()
        assert found["stress"][voigt[i, j]] == pytest.approx(by_strain, abs=1e-6)


def test_single_precision_differs_from_double_by_its_rounding():
    """Also where the spline's knots are as wide as they are for dynamics."""
    for model in ("0", "l3i5"):
        atoms = shaken(layered(), np.random.default_rng(2))
        ours, exact = results(fast(model), atoms), results(fast(model, "double"), atoms)
        assert_close(ours, exact, energy=1e-6, force=5e-5, stress=1e-5)


def test_neither_the_past_nor_threads_change_a_bit():
    rng = np.random.default_rng(5)
    atoms, kept = antifluorite(), FastSevenNet(model="0", skin=0.4, threads=2)
    for _ in range(12):
        atoms.positions += 0.15 * rng.normal(size=3) + 0.05 * rng.normal(size=(12, 3))
        atoms.positions[4] += [0.3, 0.2, 0.1]  # far beyond any skin, in the end
        fresh = results(FastSevenNet(model="0", skin=0.0), atoms)
        now = results(kept, atoms)
        assert np.array_equal(now["forces"], fresh["forces"])
        assert now["energy"] == fresh["energy"]
        assert np.array_equal(now["stress"], fresh["stress"])


def test_stopped_dynamics_continue_bit_by_bit(li2o, tmp_path):
    engine = AseEngine(
        calculator="ssefw.engines.potentials.sevennet.FastSevenNet", options={"model": "0"}
    )
    settings = MDSettings(temperature=900.0, steps_per_frame=2, frames_per_chunk=5, seed=1)
    whole, parts = (RunDirectory(tmp_path / name, key="k") for name in ("whole", "parts"))
    engine.md(li2o, settings, whole, until=30)
    for until in (10, 20, 30):
        engine.md(li2o, settings, parts, until=until)
    last = [run.last_chunk() for run in (whole, parts)]
    assert np.array_equal(last[0].positions, last[1].positions)
    assert np.array_equal(last[0].energies, last[1].energies)


def test_dynamics_keep_their_energy_as_in_double_precision():
    total = {}
    for precision in ("single", "double"):
        atoms = antifluorite()
        atoms.calc = fast("0", precision)
        rng = np.random.default_rng(2)
        atoms.set_momenta(draw_momenta(atoms.get_masses(), temperature=900.0, rng=rng))
        dynamics = VelocityVerlet(atoms, timestep=1.0 * units.fs)
        total[precision] = []
        for _ in range(60):
            dynamics.run(1)
            total[precision].append(atoms.get_total_energy() / len(atoms))
    assert np.ptp(total["double"]) < 2e-3  # what the time step leaves, of 0.12 eV an atom
    assert np.abs(np.subtract(total["single"], total["double"])).max() < 2e-6


def test_what_is_known_of_an_atom_is_the_same_for_every_orientation_and_grows_with_layers():
    atoms = shaken(antifluorite(), np.random.default_rng(4), displacement=0.1)
    turned, far = atoms.copy(), atoms.copy()
    turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
    sulfur = int(np.argmax(atoms.numbers))
    far.positions[sulfur] += [0.3, 0.0, 0.0]

    def features(a, n_layers):
        return fast().site_features(a.positions, a.numbers, a.cell.array, n_layers=n_layers)

    known = features(atoms, 2)
    assert known.shape == (len(atoms), 128)
    assert np.allclose(known, features(turned, 2), atol=1e-4)
    assert not np.allclose(known, features(far, 2), atol=1e-2)
    # The element alone, before any interaction.
    assert np.array_equal(features(atoms, 0), features(far, 0))
    assert len(np.unique(features(atoms, 0), axis=0)) == 2


def test_replicas_in_one_pass_equal_replicas_one_by_one():
    rng = np.random.default_rng(10)
    atoms = antifluorite()
    positions = atoms.positions + 0.1 * rng.normal(size=(3, 12, 3))
    energies, forces, stresses = fast().evaluate(
        positions, atoms.numbers, atoms.cell.array, stress=True
    )
    for k in range(3):
        alone = fast().evaluate(positions[k], atoms.numbers, atoms.cell.array, stress=True)
        assert energies[k] == pytest.approx(alone[0], abs=12e-6)
        assert forces[k] == pytest.approx(alone[1], abs=1e-4)
        assert stresses[k] == pytest.approx(alone[2], abs=3e-5)


def test_a_lattice_vector_moves_nothing_and_a_supercell_has_the_same_energy_an_atom():
    atoms = shaken(antifluorite(primitive=True), np.random.default_rng(9))
    moved = atoms.copy()
    moved.positions[[0, 2]] += [[2.0], [-1.0]] * atoms.cell.array[[0, 2]]
    once, shifted, large = (results(fast(), a) for a in (atoms, moved, atoms * (2, 1, 2)))
    assert shifted["forces"] == pytest.approx(once["forces"], abs=1e-4)
    assert large["energy"] / 12 == pytest.approx(once["energy"] / 3, abs=3e-6)
    assert large["stress"] == pytest.approx(once["stress"], abs=3e-5)


def test_what_repeats_along_no_direction_has_forces_and_no_stress():
    molecule = Atoms("LiF", [(0, 0, 0), (0.3, 1.5, 0.2)], pbc=False)
    crystal = Atoms("LiF", molecule.positions, cell=[30] * 3, pbc=True)
    ours, theirs = (results(fast(), atoms, stress=False) for atoms in (molecule, crystal))
    assert np.array_equal(ours["forces"], theirs["forces"])
    molecule.calc = fast()
    with pytest.raises(EngineError, match="repeats along 0 of three directions"):
        molecule.get_stress()


@pytest.mark.parametrize("pbc", [(True, True, False), (False, True, False)])
def test_slabs_and_chains_are_right(pbc):
    atoms = shaken(antifluorite(), np.random.default_rng(6))
    atoms.pbc = pbc
    ours, theirs = (results(calc, atoms, stress=False) for calc in (fast(), peer()))
    assert ours["energy"] == pytest.approx(theirs["energy"], abs=1e-5)
    assert ours["forces"] == pytest.approx(theirs["forces"], abs=1e-4)


@pytest.mark.parametrize("name", ["one atom", "thin"])
def test_strongly_strained_cells_are_right(name):
    """With bonds of an atom to several images of itself, too."""
    atoms = STRUCTURES[name]()
    strain = [[1.3, 0.2, 0.0], [0.0, 0.8, -0.3], [0.1, 0.0, 1.1]]
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    ours, theirs = results(fast("l3i5"), atoms), results(peer("l3i5"), atoms)
    assert_close(ours, theirs, energy=5e-6, force=1e-4, stress=3e-5)


def test_a_lone_atom_has_an_energy_and_no_force():
    found = results(fast(), Atoms("Li", [(0, 0, 0)], cell=[20, 20, 20], pbc=True))
    assert np.isfinite(found["energy"])
    assert not found["forces"].any()


@pytest.mark.parametrize(
    ("model", "distance", "share"),
    [
        ("0", 0.38, 1e-4),
        ("0", 0.2, 1e-4),
        ("l3i5", 0.6, 1e-4),
        ("l3i5", 0.38, 5e-3),  # forces of 1e8 and 1e10 eV/A, on networks that bend within a knot
        ("l3i5", 0.2, 5e-3),
    ],
)
def test_atoms_as_close_as_no_chemistry_brings_them_are_still_right(model, distance, share):
    pair = Atoms("Li2", [(0, 0, 0), (distance, 0, 0)], cell=[9, 9, 9], pbc=True)
    ours, theirs = (results(calc, pair, stress=False) for calc in (fast(model), peer(model)))
    scale = float(np.abs(theirs["forces"]).max())
    assert ours["forces"] == pytest.approx(theirs["forces"], abs=share * max(1.0, scale))


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms("Li2", [(0, 0, 0), (0.05, 0, 0)], cell=[9] * 3, pbc=True), "0 and 1 are 0.05 A"),
        (Atoms("Li", [(np.nan, 0, 0)], cell=[9] * 3, pbc=True), "Atom 0 has no finite position"),
        (Atoms("Og", [(0, 0, 0)], cell=[9] * 3, pbc=True), r"does not know .* \[118\]"),
        (Atoms("Li", [(0, 0, 0)], cell=[9, 9, 0], pbc=True), "has no volume"),
    ],
)
def test_what_has_no_meaning_is_refused(atoms, message):
    atoms.calc = fast()
    with pytest.raises(EngineError, match=message):
        atoms.get_forces()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "l3i6"}, "no SevenNet 'l3i6'. Known models: 0, l3i5, mf-0"),
        ({"model": "0", "modality": "PBE"}, "takes no modality"),
        ({"model": "mf-0"}, "give the modality as one of PBE, R2SCAN"),
        ({"model": __file__}, "cannot be read as a checkpoint"),
    ],
)
def test_a_model_that_there_is_not_is_refused_in_one_line(options, message, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sevennet_weights, "_convert_elsewhere", convert_here)
    with pytest.raises(EngineError, match=message) as caught:
        FastSevenNet(**options)
    assert "\n" not in str(caught.value)


def test_a_worker_loads_neither_torch_nor_sevennet_and_needs_no_home(tmp_path):
    """Not even a folder of its own for what is converted or compiled: it finds another."""
    spare = tmp_path / f"ssefw-cache-{os.getuid()}"
    spare.mkdir(mode=0o700)
    name = f"sevennet-{fast().checkpoint}-any-{sevennet_weights.SPACING:g}-v*.npz"
    for file in (Path.home() / ".cache/ssefw").glob(name):
        shutil.copy(file, spare)
    code = """
import sys
from ase.build import bulk
from ssefw.engines.potentials.sevennet import FastSevenNet
atoms = bulk("LiF", "rocksalt", a=4.0)
atoms.calc = FastSevenNet(model="0")
atoms.get_forces()
print(sorted({"torch", "sevenn", "e3nn", "torch_geometric"} & set(sys.modules)))
"""
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_broken_file_in_the_cache_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = checkpoint_path("0")
    made = []

    def convert(_path, _modality, _spacing, target):
        made.append(target)
        with target.open("wb") as file:
            np.savez(file, cutoff=np.array(5.0))

    monkeypatch.setattr(sevennet_weights, "_convert_elsewhere", convert)
    for _ in range(2):
        assert sevennet_weights.load_arrays(path)["cutoff"] == 5.0
    assert len(made) == 1
    (stored,) = (tmp_path / "ssefw").glob("*.npz")
    stored.write_bytes(stored.read_bytes()[:100])
    assert sevennet_weights.load_arrays(path)["cutoff"] == 5.0
    assert len(made) == 2
