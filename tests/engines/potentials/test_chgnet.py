"""The fast CHGNet calculator, beside the one that ships with CHGNet."""

import contextlib
import functools
import io
import itertools

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE
from chgnet.graph import converter, crystalgraph
from chgnet.model import CHGNet, model
from chgnet.model.dynamics import CHGNetCalculator

from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.ase import AseEngine
from ssefw.engines.ase.verlet import draw_momenta
from ssefw.engines.potentials import chgnet
from ssefw.engines.potentials.chgnet import FastCHGNet
from ssefw.engines.potentials.chgnet_network import MODELS, Network
from ssefw.errors import EngineError
from tests.engines.potentials.structures import (
    STRUCTURES,
    antifluorite,
    layered,
    shaken,
)

# CHGNet 0.4.2 with torch 2.13, not us.
pytestmark = pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")

TIMES = 10
"""How many times the rounding errors of CHGNet ours may be.

Both depend on the processor and on the order of summation: ours are up to four times larger where
two atoms have all their bonds with images of each other. What is wrong rather than rounded shows in
double precision.
"""


@functools.cache
def peer(name="0.3.0"):
    with contextlib.redirect_stdout(io.StringIO()):
        network = CHGNet.load(model_name=name, use_device="cpu", verbose=False)
        return CHGNetCalculator(network, use_device="cpu", on_isolated_atoms="ignore")


def results(calculator, atoms, stress=True):
    atoms = atoms.copy()
    atoms.calc = calculator
    atoms.get_forces()
    if stress:
        atoms.get_stress()
    return dict(calculator.results)


def differences(ours, theirs):
    n = len(ours["forces"])
    return {
        "energy": abs(ours["energy"] - theirs["energy"]) / n,
        "stress": np.abs(voigt(ours["stress"]) - voigt(theirs["stress"])).max(),
        **{name: np.abs(ours[name] - theirs[name]).max() for name in ("forces", "magmoms")},
    }


def voigt(tensor):
    return tensor if tensor.ndim == 1 else tensor[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


@contextlib.contextmanager
def in_double_precision(name="0.3.0"):
    """FastCHGNet and CHGNet in double precision, where no rounding hides a difference."""
    with contextlib.redirect_stdout(io.StringIO()):
        network = CHGNet.load(model_name=name, use_device="cpu", verbose=False).double().eval()
    # Fractions of elements come in single precision, whatever the weights.
    network.composition_model.fc.register_forward_pre_hook(lambda _, x: (x[0].double(),))
    with pytest.MonkeyPatch.context() as patch:
        for module in (converter, crystalgraph, model):
            patch.setattr(module, "TORCH_DTYPE", torch.float64)
        patch.setattr(chgnet, "load_network", lambda *_: Network(network))
        torch.set_default_dtype(torch.float64)
        calculator = CHGNetCalculator(network, use_device="cpu", on_isolated_atoms="ignore")
        yield FastCHGNet(), calculator
        torch.set_default_dtype(torch.float32)


def rounding(frames, name="0.3.0"):
    """Return the largest error of CHGNet in single precision, on this processor, and the truth.

    Some numbers are right by chance: no error counts as smaller than a few last digits of the
    energy an atom, of neighbors' pulls of 10 eV/A, of stresses of 1 eV/A^3, of moments of 10.
    """
    with in_double_precision(name) as (_, exact):
        truths = [results(exact, atoms) for atoms in frames]
    found = [results(peer(name), atoms) for atoms in frames]
    errors = [differences(ours, truth) for ours, truth in zip(found, truths, strict=True)]
    energy = max(abs(truth["energy"]) / len(truth["forces"]) for truth in truths)
    scales = {"energy": energy, "forces": 10.0, "stress": 1.0, "magmoms": 10.0}
    floors = {key: 4 * np.finfo(np.float32).eps * scale for key, scale in scales.items()}
    return {key: max(floors[key], *(error[key] for error in errors)) for key in floors}, truths


@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURES)
def test_ten_frames_agree_with_chgnet_to_its_rounding(name):
    rng = np.random.default_rng(7)
    frames = [shaken(STRUCTURES[name](), rng) for _ in range(10)]
    allowed, truths = rounding(frames)
    fast = FastCHGNet()
    for atoms, truth in zip(frames, truths, strict=True):
        ours = results(fast, atoms)
        for key, difference in differences(ours, truth).items():
            assert difference < TIMES * allowed[key], key


@pytest.fixture
def double():
    """FastCHGNet and CHGNet in double precision."""
    with in_double_precision() as both:
        yield both


@pytest.mark.parametrize("name", STRUCTURES)
def test_in_double_precision_nothing_differs_from_chgnet(double, name):
    atoms = shaken(STRUCTURES[name](), np.random.default_rng(11))
    ours, theirs = (results(calculator, atoms) for calculator in double)
    worst = differences(ours, theirs)
    assert worst["energy"] < 2e-7  # of the fractions of elements, which stay in single precision
    assert worst["forces"] < 1e-9
    assert worst["magmoms"] < 1e-9
    assert worst["stress"] < 1e-8


@pytest.mark.parametrize("name", MODELS)
def test_all_models_agree_with_chgnet(name):
    atoms = shaken(layered(), np.random.default_rng(1))
    allowed, (truth,) = rounding([atoms], name)
    for key, difference in differences(results(FastCHGNet(model=name), atoms), truth).items():
        assert difference < TIMES * allowed[key], key


@pytest.mark.parametrize("name", ["layered", "thin", "one atom", "sheared"])
def test_forces_and_stress_are_derivatives_of_the_energy(double, name):
    atoms = shaken(STRUCTURES[name](), np.random.default_rng(3), displacement=0.05)
    atoms.calc = double[0]
    forces, stress = atoms.get_forces(), atoms.get_stress(voigt=False)
    h, last = 1e-4, len(atoms) - 1
    for k in range(3):
        pair = []
        for step in (h, -h):
            moved = atoms.copy()
            moved.calc = double[0]
            moved.positions[last, k] += step
            pair.append(moved.get_potential_energy())
        assert forces[last, k] == pytest.approx((pair[1] - pair[0]) / (2 * h), abs=1e-5)
    for i, j in itertools.combinations_with_replacement(range(3), 2):
        pair = []
        for step in (h, -h):
            strain = np.eye(3)
            strain[i, j] += step / 2
            strain[j, i] += step / 2
            moved = atoms.copy()
            moved.calc = double[0]
            moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            pair.append(moved.get_potential_energy())
        by_strain = (pair[0] - pair[1]) / (2 * h) / atoms.get_volume()
        assert stress[i, j] == pytest.approx(by_strain, abs=1e-5)


def test_neighbors_that_come_and_go_are_noticed():
    """An atom that wanders through the crystal, far beyond any skin."""
    rng = np.random.default_rng(5)
    atoms, fast = antifluorite(), FastCHGNet(skin=0.4)
    for _ in range(25):
        atoms.positions += 0.15 * rng.normal(size=3) + 0.05 * rng.normal(size=(12, 3))
        atoms.positions[4] += [0.3, 0.2, 0.1]
        fresh = results(FastCHGNet(skin=0.0), atoms, stress=False)
        kept = results(fast, atoms, stress=False)
        assert np.array_equal(kept["forces"], fresh["forces"])
        assert kept["energy"] == fresh["energy"]


def test_results_do_not_depend_on_the_steps_before():
    rng = np.random.default_rng(6)
    start = layered()
    frames = [shaken(start, rng, strain=0.0, displacement=0.1) for _ in range(6)]
    forward, backward = FastCHGNet(), FastCHGNet()
    one = [results(forward, atoms)["forces"] for atoms in frames]
    other = [results(backward, atoms)["forces"] for atoms in reversed(frames)]
    assert all(np.array_equal(a, b) for a, b in zip(one, reversed(other), strict=True))


def test_stopped_dynamics_continue_bit_by_bit(li2o, tmp_path):
    engine = AseEngine.of("chgnet")
    settings = MDSettings(temperature=900.0, steps_per_frame=2, frames_per_chunk=5, seed=1)
    whole, parts = (RunDirectory(tmp_path / name, key="k") for name in ("whole", "parts"))
    engine.md(li2o, settings, whole, until=30)
    for until in (10, 20, 30):
        engine.md(li2o, settings, parts, until=until)
    last = [run.last_chunk() for run in (whole, parts)]
    assert np.array_equal(last[0].positions, last[1].positions)
    assert np.array_equal(last[0].energies, last[1].energies)


def test_lattice_translations_of_atoms_change_nothing():
    atoms = shaken(layered(), np.random.default_rng(8))
    moved = atoms.copy()
    moved.positions[[0, 5]] += [[2.0], [-1.0]] * atoms.cell.array[[0, 2]]
    allowed, _ = rounding([atoms])
    worst = differences(results(FastCHGNet(), atoms), results(FastCHGNet(), moved))
    assert all(worst[key] < TIMES * allowed[key] for key in allowed)


def test_a_supercell_has_the_energy_an_atom_of_its_cell():
    atoms = shaken(antifluorite(primitive=True), np.random.default_rng(9))
    fast = FastCHGNet()
    small, large = (results(fast, a)["energy"] / len(a) for a in (atoms, atoms * (2, 1, 2)))
    allowed, _ = rounding([atoms])
    assert small == pytest.approx(large, abs=TIMES * allowed["energy"])


def test_replicas_in_one_pass_equal_replicas_one_by_one():
    rng = np.random.default_rng(10)
    atoms, fast = antifluorite(), FastCHGNet()
    positions = atoms.positions + 0.1 * rng.normal(size=(4, 12, 3))
    energies, forces = fast.evaluate(positions, atoms.numbers, atoms.cell.array)
    frames = [atoms.copy() for _ in positions]
    for frame, coords in zip(frames, positions, strict=True):
        frame.positions = coords
    allowed, _ = rounding(frames)
    for k, frame in enumerate(frames):
        alone = results(FastCHGNet(), frame)
        assert energies[k] == pytest.approx(alone["energy"], abs=12 * TIMES * allowed["energy"])
        assert forces[k] == pytest.approx(alone["forces"], abs=TIMES * allowed["forces"])


def test_batches_and_single_structures_share_a_calculator():
    atoms, fast = antifluorite(), FastCHGNet()
    before = results(fast, atoms)["energy"]
    fast.evaluate(np.stack([atoms.positions] * 3), atoms.numbers, atoms.cell.array)
    assert results(fast, atoms)["energy"] == before


@pytest.mark.slow
def test_dynamics_keep_their_energy_no_worse_than_with_chgnet():
    drift = {}
    for name, calculator in (("fast", FastCHGNet()), ("peer", peer())):
        atoms = antifluorite()
        atoms.calc = calculator
        atoms.set_momenta(
            draw_momenta(atoms.get_masses(), temperature=900.0, rng=np.random.default_rng(2))
        )
        dynamics = VelocityVerlet(atoms, timestep=1.0 * units.fs)
        total = []
        for _ in range(60):
            dynamics.run(1)
            total.append(atoms.get_total_energy() / len(atoms))
        drift[name] = np.ptp(total)
    # 60 steps show the oscillation of the integrator and, of the drift, more than rounding.
    assert drift["fast"] < 1.02 * drift["peer"] + 2e-6


def test_stress_is_computed_when_asked_and_only_then(monkeypatch):
    atoms, runs = antifluorite(), []
    fast = FastCHGNet()
    run = fast._run
    monkeypatch.setattr(fast, "_run", lambda *args: runs.append(1) or run(*args))
    atoms.calc = fast
    atoms.get_forces()
    atoms.get_potential_energy()
    assert "stress" not in fast.results
    atoms.get_stress()
    assert len(runs) == 1


def test_a_failed_calculation_leaves_nothing_behind():
    atoms = antifluorite()
    atoms.calc = FastCHGNet()
    atoms.get_forces()
    atoms.positions[1] = atoms.positions[0]
    for _ in range(2):
        with pytest.raises(EngineError, match="apart"):
            atoms.get_stress()


def test_cell_relaxation_follows_chgnet():
    volumes = []
    for calculator in (FastCHGNet(), peer()):
        atoms = antifluorite(a=4.5, primitive=True)
        atoms.calc = calculator
        FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.02, steps=100)
        volumes.append(atoms.get_volume())
    assert volumes[0] == pytest.approx(volumes[1], rel=1e-4)


def test_threads_are_what_was_asked_for():
    before = torch.get_num_threads()
    try:
        FastCHGNet(threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.set_positions(np.full((12, 3), np.nan)), "no finite position"),
        (lambda a: a.set_cell(np.zeros((3, 3))), "no volume"),
        (lambda a: a.numbers.__setitem__(0, 99), "knows the atomic numbers"),
        (lambda a: a.set_pbc([True, True, False]), "stress"),
    ],
)
def test_nonsense_is_refused(change, message):
    atoms = antifluorite()
    change(atoms)
    atoms.calc = FastCHGNet()
    with pytest.raises(EngineError, match=message):
        atoms.get_stress()


def test_unknown_models_are_refused():
    with pytest.raises(EngineError, match="Known models"):
        FastCHGNet(model="0.9")


def test_replicas_of_the_wrong_shape_are_a_mistake():
    atoms = antifluorite()
    with pytest.raises(ValueError, match="shape"):
        FastCHGNet().evaluate(atoms.positions, atoms.numbers, atoms.cell.array)


def test_a_molecule_needs_no_cell():
    molecule = Atoms("LiF", [(0, 0, 0), (0.3, 1.5, 0.2)])
    crystal = Atoms("LiF", molecule.positions, cell=[30] * 3, pbc=True)
    ours, boxed = (results(FastCHGNet(), atoms, stress=False) for atoms in (molecule, crystal))
    assert np.array_equal(ours["forces"], boxed["forces"])
