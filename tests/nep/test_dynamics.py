"""Compiled dynamics: those of the engines, formula by formula, and the same bits after a stop."""

import numpy as np
import pytest

from ssefw.engines.ase.verlet import Dynamics, draw_momenta
from ssefw.nep import MDState, Thermostat, advance, evaluate
from tests.nep.conftest import alloy

ATOMS = alloy()
MASSES = ATOMS.get_masses()
CELL = ATOMS.cell.array


def fresh(temperature=600.0, seed=3):
    rng = np.random.default_rng(seed)
    return MDState(
        positions=ATOMS.get_positions(),
        momenta=draw_momenta(MASSES, temperature=temperature, rng=rng),
        chain=np.zeros(3),
        chain_momenta=np.zeros(3),
    )


def run(model, state, thermostat, **others):
    return advance(
        model,
        state,
        masses=MASSES,
        types=model.types_of(ATOMS.get_chemical_symbols()),
        cell=CELL,
        thermostat=thermostat,
        **{"timestep": 2.0, "every": 10, **others},
    )


@pytest.mark.parametrize("kind", ["nose-hoover", "langevin"])
def test_the_integrators_are_those_of_the_engines(model, kind):
    rng = np.random.default_rng(11)
    state, n_steps = fresh(), 30
    plain = Dynamics(
        masses=MASSES,
        positions=state.positions.copy(),
        momenta=state.momenta.copy(),
        temperature=600.0,
        timestep=2.0,
        damping=100.0,
        thermostat=kind,
        rng=np.random.default_rng(11),
    )
    types = model.types_of(ATOMS.get_chemical_symbols())

    def forces(positions):
        found = evaluate(model, positions, types, CELL)
        return found.energy, found.forces

    plain.compute_forces(forces)
    for _ in range(n_steps):
        plain.step(forces)
    noise = rng.standard_normal((n_steps, len(MASSES), 3)) if kind == "langevin" else None
    frames = run(model, state, Thermostat(np.full(n_steps, 600.0), 100.0, noise))
    assert state.positions == pytest.approx(plain.positions, abs=1e-10)
    assert state.momenta == pytest.approx(plain.momenta, abs=1e-9)
    assert state.chain == pytest.approx(plain.chain, abs=1e-10)
    assert frames.temperatures[-1] == pytest.approx(plain.kinetic_temperature, rel=1e-9)
    assert frames.energies[-1] == pytest.approx(plain.energy, abs=1e-9)


def test_the_same_state_gives_the_same_bits(model):
    def twice():
        state = fresh()
        run(model, state, Thermostat(np.full(200, 900.0), 100.0))
        return state

    one, other = twice(), twice()
    assert np.array_equal(one.positions, other.positions)
    assert np.array_equal(one.momenta, other.momenta)


def test_a_ramp_and_frames_between_calls(model):
    state = fresh(temperature=100.0)
    frames = run(model, state, Thermostat(np.linspace(100, 900, 45), 20.0), first_frame_after=5)
    assert frames.n_steps == 45
    assert len(frames.positions) == 5  # after 5, 15, 25, 35 and 45 steps
    assert np.array_equal(frames.positions[-1], state.positions)


def test_energy_is_kept_without_a_thermostat(model):
    """A chain of infinite inertia does nothing: the total energy stays."""
    state = fresh(temperature=300.0)
    frames = run(model, state, Thermostat(np.full(2000, 300.0), 1e12), timestep=1.0)
    kinetic = 1.5 * (len(MASSES) - 1) * 8.617330337e-5 * frames.temperatures
    total = (frames.energies + kinetic) / len(MASSES)
    slope = np.polyfit(np.arange(len(total)) * 0.01, total, 1)[0]
    assert abs(slope) < 1e-4  # eV/atom/ps
    assert np.ptp(total) < 1e-3


def test_a_run_that_explodes_ends_early_and_says_so(model):
    state = fresh()
    state.momenta *= 1e6
    frames = run(model, state, Thermostat(np.full(500, 600.0), 1e9))
    assert (
        frames.n_steps < 500
        or not np.isfinite(frames.temperatures).all()
        or (frames.temperatures.max() > 6000)
    )
