"""The ASE engine: relaxation, and dynamics that survive interruption."""

import itertools

import numpy as np
import pytest
from ase import units

from ssefw.data import encode_chunk
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.ase import AseEngine
from ssefw.engines.ase import relax as ase_relax
from ssefw.engines.ase.verlet import Dynamics, draw_momenta
from ssefw.engines.stopping import InterruptionError
from ssefw.errors import BusyError, ConfigurationError, DataError, EngineError

EMT = AseEngine(calculator="ase.calculators.emt.EMT")
WARM = MDSettings(temperature=600.0, steps_per_frame=5, frames_per_chunk=4, seed=3)


def stop_after(n_chunks):
    """A check that asks to stop before chunk number `n_chunks`."""
    counter = itertools.count()
    return lambda: "preempted" if next(counter) >= n_chunks else None


def frames(run):
    return np.concatenate([c.positions for s in run.segments() for c in run.chunks_of(s)])


@pytest.fixture
def undisturbed(copper, tmp_path):
    run = RunDirectory(tmp_path / "undisturbed", key="k")
    assert EMT.md(copper * (2, 2, 2), WARM, run, until=100) == "complete"
    return run


def test_relaxation_finds_the_known_lattice_parameter(copper):
    result = EMT.relax(copper, fmax=0.005, max_steps=200, relax_cell=True)
    assert result.converged
    assert result.structure.lattice.a == pytest.approx(3.59, abs=0.01)
    assert result.provenance.versions["ase"]


def test_relaxation_that_does_not_converge_says_so(copper):
    copper.perturb(0.1)
    assert not EMT.relax(copper, fmax=1e-6, max_steps=2, relax_cell=True).converged


def test_relaxation_of_a_sheared_cell_of_fifty_atoms_is_quiet(copper):
    """A warning, which is an error here, of a logarithm that is exact to 4e-13."""
    cell = copper.get_primitive_structure() * (5, 5, 2)
    shear = np.array([[1, 0.01, 0], [0.01, 1, 0.005], [0, 0.005, 1]])
    cell.lattice = cell.lattice.matrix @ shear
    EMT.relax(cell, fmax=0.01, max_steps=2, relax_cell=True)


def test_stopped_dynamics_continue_bit_by_bit(copper, tmp_path, undisturbed):
    run = RunDirectory(tmp_path / "stopped", key="k")
    cell = copper * (2, 2, 2)
    reasons = [EMT.md(cell, WARM, run, until=100, stop=stop_after(2)) for _ in range(4)]
    assert reasons == ["preempted", "preempted", "complete", "complete"]
    assert np.array_equal(frames(run), frames(undisturbed))
    assert [s.end_reason for s in run.segments()] == ["preempted", "preempted", "complete"]
    assert [s.velocities for s in run.segments()] == ["drawn", "continued", "continued"]


def test_langevin_dynamics_continue_bit_by_bit(copper, tmp_path):
    settings = WARM.model_copy(update={"thermostat": "langevin"})
    whole, parts = (RunDirectory(tmp_path / name, key="k") for name in ("whole", "parts"))
    EMT.md(copper, settings, whole, until=60)
    for until in (20, 40, 60):
        EMT.md(copper, settings, parts, until=until)
    assert np.array_equal(frames(whole), frames(parts))


def test_a_damaged_last_chunk_is_computed_again(copper, tmp_path, undisturbed):
    run = RunDirectory(tmp_path / "damaged", key="k")
    EMT.md(copper * (2, 2, 2), WARM, run, until=60)
    newest = run.chunk_files()[-1]
    newest.write_bytes(newest.read_bytes()[:200])
    EMT.md(copper * (2, 2, 2), WARM, run, until=100)
    assert np.array_equal(frames(run), frames(undisturbed))


def test_frames_are_neither_doubled_nor_missing(undisturbed):
    segments = undisturbed.segments()
    assert sum(s.n_frames for s in segments) == 100 // 5 + 1
    assert segments[-1].last_step == 100


def test_nose_hoover_conserves_its_energy(copper, tmp_path):
    run = RunDirectory(tmp_path / "run", key="k")
    settings = WARM.model_copy(update={"timestep": 1.0})
    EMT.md(copper * (2, 2, 2), settings, run, until=1000)
    conserved = [c.notes["conserved_energy"] for s in run.segments() for c in run.chunks_of(s)]
    assert np.ptp(conserved) < 1e-3 * 32  # eV over 32 atoms and 1 ps


@pytest.mark.parametrize("thermostat", ["nose-hoover", "langevin"])
def test_thermostat_gives_canonical_kinetic_energy(thermostat):
    """Mean and variance of the kinetic energy of anharmonic springs with their center at rest.

    Purely harmonic springs exchange no energy, so that no global thermostat would be ergodic.
    """
    n, temperature = 20, 500.0
    masses = np.full(n, 7.0)
    rng = np.random.default_rng(5)
    stiffness = rng.uniform(0.5, 2.0, n)[:, None]

    def springs(x):
        # Neighbors on a ring, so that the center of mass feels no force.
        stretch = np.roll(x, -1, axis=0) - x
        force = stiffness * (stretch + 5.0 * stretch**3)
        pull = force - np.roll(force, 1, axis=0)
        return float((stiffness * (0.5 * stretch**2 + 1.25 * stretch**4)).sum()), pull

    dynamics = Dynamics(
        masses=masses,
        positions=np.zeros((n, 3)),
        momenta=draw_momenta(masses, temperature=temperature, rng=rng),
        temperature=temperature,
        timestep=1.0,
        damping=30.0,
        thermostat=thermostat,
        rng=rng,
    )
    dynamics.compute_forces(springs)
    kinetic = []
    for step in range(30_000):
        dynamics.step(springs)
        if step > 2_000:
            kinetic.append(dynamics.kinetic_energy)
    dof = 3 * n - 3
    kT = units.kB * temperature
    assert np.mean(kinetic) == pytest.approx(dof * kT / 2, rel=0.02)
    assert np.var(kinetic) == pytest.approx(dof * kT**2 / 2, rel=0.25)


@pytest.mark.parametrize("timestep", [100.0, 1000.0])
def test_an_exploding_run_is_an_error_with_a_remedy(copper, tmp_path, timestep):
    argon = AseEngine(
        calculator="ase.calculators.lj.LennardJones", options={"sigma": 2.3, "epsilon": 0.4}
    )
    settings = MDSettings(temperature=300.0, timestep=timestep, seed=1)
    with pytest.raises(EngineError, match="lower the time step"):
        argon.md(copper, settings, RunDirectory(tmp_path / "hot", key="k"), until=100)


def test_disordered_structures_are_refused(copper, tmp_path):
    copper.replace_species({"Cu": {"Cu": 0.5, "Ni": 0.5}})
    with pytest.raises(DataError, match="partly occupied"):
        EMT.md(copper, WARM, RunDirectory(tmp_path / "run", key="k"), until=10)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("ase.calculators.nothing.X", {}, "Cannot import"),
        ("ase.calculators.singlepoint.SinglePointCalculator", {}, "needs the option 'atoms'"),
        ("ase.atoms.Atoms", {}, "not an ASE calculator"),
    ],
)
def test_wrong_calculators_are_configuration_errors(copper, path, options, message):
    engine = AseEngine(calculator=path, options=options)
    with pytest.raises(ConfigurationError, match=message):
        engine.static(copper)


def test_a_folder_of_another_run_is_refused(tmp_path):
    RunDirectory(tmp_path / "run", key="one")
    with pytest.raises(EngineError, match="holds the run one"):
        RunDirectory(tmp_path / "run", key="other")


def test_two_processes_cannot_share_a_run(tmp_path):
    run = RunDirectory(tmp_path / "run", key="k")
    again = RunDirectory(run.path, key=run.key)
    with run.lock(), pytest.raises(BusyError, match="Another process"), again.lock():
        pass


def test_restored_chunk_continues_the_run(copper, tmp_path, undisturbed):
    run = RunDirectory(tmp_path / "moved", key="k")
    middle = undisturbed.chunks_of(undisturbed.segments()[0])[2]
    run.restore(encode_chunk(middle))
    EMT.md(copper * (2, 2, 2), WARM, run, until=100)
    assert np.array_equal(run.last_chunk().positions, undisturbed.last_chunk().positions)


class PowerCut(BaseException):
    """The process is gone, as after kill -9."""


@pytest.fixture
def strained(copper):
    """Copper that needs some tens of steps."""
    cell = copper * (2, 1, 1)
    cell.perturb(0.15)
    cell.scale_lattice(cell.volume * 1.05)
    return cell


@pytest.mark.parametrize("relax_cell", [True, False])
def test_a_killed_relaxation_goes_on_where_it_was_and_ends_as_if_it_had_not_been(
    strained, tmp_path, monkeypatch, relax_cell
):
    settings = {"fmax": 0.01, "max_steps": 300, "relax_cell": relax_cell}
    truth = EMT.relax(strained, **settings)
    monkeypatch.setattr(ase_relax, "SAVE_EVERY", 0.0)
    for lifetime in (4, 1, 7):
        steps = itertools.count()

        def cut(steps=steps, lifetime=lifetime):
            if next(steps) == lifetime:
                raise PowerCut

        with pytest.raises(PowerCut):
            EMT.relax(strained, directory=tmp_path / "r", stop=cut, **settings)
    asked = itertools.count()

    def count():
        next(asked)

    found = EMT.relax(strained, directory=tmp_path / "r", stop=count, **settings)
    assert found.n_steps == truth.n_steps
    assert next(asked) < truth.n_steps - 8  # what the others did was not done again
    assert found.energy == pytest.approx(truth.energy, abs=1e-9)
    assert np.allclose(found.structure.cart_coords, truth.structure.cart_coords, atol=1e-8)
    assert np.allclose(found.structure.lattice.matrix, truth.structure.lattice.matrix, atol=1e-8)
    assert not (tmp_path / "r").exists()


def test_a_relaxation_that_is_told_to_stop_says_so_and_continues(strained, tmp_path):
    settings = {"fmax": 0.01, "max_steps": 300, "relax_cell": True}
    with pytest.raises(InterruptionError, match=r"interrupted \(preempted\) after step 5"):
        EMT.relax(strained, directory=tmp_path / "r", stop=stop_after(5), **settings)
    found = EMT.relax(strained, directory=tmp_path / "r", **settings)
    assert found.n_steps == EMT.relax(strained, **settings).n_steps


def test_a_damaged_state_of_a_relaxation_is_computed_again(strained, tmp_path):
    settings = {"fmax": 0.01, "max_steps": 300, "relax_cell": False}
    with pytest.raises(InterruptionError):
        EMT.relax(strained, directory=tmp_path / "r", stop=stop_after(5), **settings)
    file = tmp_path / "r" / "relaxation.npz"
    file.write_bytes(file.read_bytes()[:100])
    assert EMT.relax(strained, directory=tmp_path / "r", **settings).converged
    assert not file.exists()
