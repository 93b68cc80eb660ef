"""A stored trajectory is analyzed in memory that its length does not decide."""

import tracemalloc

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data import Chunk
from ssefw.documents import Segment, Trajectory
from ssefw.errors import AnalysisError
from ssefw.makers.diffusivity import DiffusivityMaker, read_frames
from ssefw.store.frames.blobs import FileBlobs
from ssefw.store.frames.trajectories import TrajectoryStore

LIF = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.026), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
BLOB = 250


def stored(folder, n_frames, *, equilibration_steps=0, energies=None):
    """Return the ledger of a run with a frame every second step, its store and its positions."""
    store = TrajectoryStore(FileBlobs(folder))
    rng = np.random.default_rng(2)
    positions = np.round(LIF.cart_coords + 0.1 * rng.normal(size=(n_frames, 8, 3)).cumsum(0), 5)
    energies = np.zeros(n_frames) if energies is None else energies
    chunks = [
        Chunk(
            first_step=max(0, 2 * first - 2),
            last_step=2 * min(first + BLOB, n_frames) - 2,
            first_frame=first,
            positions=positions[first : first + BLOB],
            energies=energies[first : first + BLOB],
            temperatures=np.arange(first, min(first + BLOB, n_frames), dtype=float),
            cell=LIF.lattice.matrix,
        )
        for first in range(0, n_frames, BLOB)
    ]
    segment = Segment(
        index=0,
        first_step=0,
        last_step=chunks[-1].last_step,
        first_frame=0,
        n_frames=n_frames,
        velocities="drawn",
        end_reason="complete",
        settings_hash="s",
        wall_time=1.0,
    )
    ledger = Trajectory(
        key="k",
        candidate_id="c",
        temperature=300.0,
        timestep=2.0,
        steps_per_frame=2,
        equilibration_steps=equilibration_steps,
        target_steps=chunks[-1].last_step,
        seed=0,
        thermostat="nose-hoover",
        structure=LIF,
        segments=(store.put_frames("k", segment, chunks),),
    )
    return ledger, store, positions


def test_frames_begin_behind_the_equilibration(tmp_path):
    ledger, store, positions = stored(tmp_path, 1000, equilibration_steps=601)
    frames = read_frames(ledger, store)
    assert np.allclose(frames.positions, positions[301:], atol=1e-5)
    assert (frames.start, frames.timestep) == (pytest.approx(1.204), 4.0)
    assert frames.temperatures.tolist() == list(range(301, 1000))
    assert frames.species == ("Li",) * 4 + ("F",) * 4


def settling(n_frames, within):
    noise = np.random.default_rng(0).normal(size=n_frames)
    return noise + 5.0 * (np.arange(n_frames) < within)


def test_frames_begin_where_the_potential_energy_has_settled(tmp_path):
    energies = settling(1000, within=400)
    ledger, store, positions = stored(tmp_path, 1000, equilibration_steps=200, energies=energies)
    frames = read_frames(ledger, store)
    assert frames.n_frames == pytest.approx(600, abs=20)
    assert np.allclose(frames.positions, positions[-frames.n_frames :], atol=1e-5)
    assert frames.start == pytest.approx((1000 - frames.n_frames) * 0.004)
    found = DiffusivityMaker().estimate(ledger, store)
    assert found.equilibration == frames.start
    assert "settles within 1.6" in found.warnings[0]
    assert "of which 0.4 were set" in found.warnings[0]


def test_a_run_that_has_not_settled_says_so(tmp_path):
    ledger, store, _ = stored(tmp_path, 1000, energies=settling(1000, within=520))
    found = DiffusivityMaker().estimate(ledger, store)
    assert found.equilibration == pytest.approx(2.0, abs=0.1)
    assert "has not settled in the first half of the run" in found.warnings[0]


def test_a_run_that_is_settled_keeps_the_equilibration_that_was_set(tmp_path):
    energies = settling(1000, within=0)
    ledger, store, _ = stored(tmp_path, 1000, equilibration_steps=201, energies=energies)
    found = DiffusivityMaker().estimate(ledger, store)
    assert found.equilibration == pytest.approx(0.402)
    assert not any("settle" in warning for warning in found.warnings)


def test_what_does_not_fit_is_thinned_and_keeps_its_times(tmp_path):
    ledger, store, positions = stored(tmp_path, 1000)
    frames = read_frames(ledger, store, memory=350 * 8 * 24)
    assert np.allclose(frames.positions, positions[::3], atol=1e-5)
    assert frames.timestep == 12.0
    assert frames.temperatures.tolist() == list(range(0, 1000, 3))


def test_reading_a_longer_run_takes_no_more_memory(tmp_path):
    peaks = []
    for n_frames in (2000, 8000):
        ledger, store, _ = stored(tmp_path / str(n_frames), n_frames)
        tracemalloc.start()
        read_frames(ledger, store, memory=1000 * 8 * 24)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_run_that_ends_within_its_equilibration_is_refused(tmp_path):
    ledger, store, _ = stored(tmp_path, 300, equilibration_steps=600)
    with pytest.raises(AnalysisError, match="end within its equilibration of 600 steps"):
        read_frames(ledger, store)
