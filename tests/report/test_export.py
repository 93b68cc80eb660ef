"""Frames that were exported are analyzed as what they are, without being told anything."""

import json

import numpy as np
import pytest

from ssefw.analysis.readers import read_frames
from ssefw.data import Chunk
from ssefw.documents import Segment, Trajectory
from ssefw.report.training_frames import frames_of, write_frame
from ssefw.store import connect
from ssefw.store.frames.trajectories import TrajectoryStore
from tests.outcomes import outcome


@pytest.fixture
def store(tmp_path, lif):
    """A store with one candidate whose run has a frame every 10 steps of 2 fs, 2 ps in all."""
    with connect(tmp_path / "st") as connection:
        ledger = put_run(TrajectoryStore(connection.blobs), lif)
        item = outcome("LiF", 1e-5)
        connection.results.add(item, candidate=item.candidate_id, campaign="x")
        connection.results.add(ledger, candidate=item.candidate_id, campaign="x")
    return tmp_path / "st"


def put_run(store, structure, *, n_frames=101, steps_per_frame=10):
    """Keep a random walk of the Li ions as a run."""
    rng = np.random.default_rng(1)
    moves = rng.normal(0.0, 0.3, (n_frames, len(structure), 3))
    moves *= np.array([site.specie.symbol == "Li" for site in structure])[None, :, None]
    chunk = Chunk(
        first_step=0,
        last_step=(n_frames - 1) * steps_per_frame,
        first_frame=0,
        positions=structure.cart_coords + np.cumsum(moves, axis=0),
        energies=np.zeros(n_frames),
        temperatures=np.full(n_frames, 890.0),
        cell=structure.lattice.matrix,
    )
    ledger = Trajectory(
        key="0123456789abcdef",
        candidate_id="id-LiF",
        temperature=900.0,
        timestep=2.0,
        steps_per_frame=steps_per_frame,
        equilibration_steps=200,
        target_steps=chunk.last_step,
        seed=0,
        thermostat="nose-hoover",
        structure=structure,
    )
    segment = Segment(
        index=0,
        first_step=0,
        last_step=chunk.last_step,
        first_frame=0,
        n_frames=n_frames,
        velocities="drawn",
        end_reason="complete",
        settings_hash="x",
        wall_time=1.0,
        mean_temperature=890.0,
    )
    kept = store.put_frames(ledger.key, segment, [chunk])
    ledger = Trajectory(**dict(ledger) | {"segments": (kept,)})
    store.save(ledger)
    return ledger


def test_exported_frames_need_no_options(ssefw, store, tmp_path):
    ssefw("results", "export", "LiF", "-o", "out", "--frames", "--no-structures", "--store", store)
    (path,) = (tmp_path / "out").glob("*.extxyz")
    frames = read_frames(path)
    assert frames.timestep == pytest.approx(20.0)
    assert frames.set_temperature == 900.0
    assert frames.n_frames == 81
    bare = json.loads(ssefw("analyze", path, "--json").stdout)
    full = json.loads(
        ssefw("analyze", path, "--temperature", 900, "--timestep", 2, "--stride", 10,
              "--json").stdout
    )  # fmt: skip
    step_only = json.loads(ssefw("analyze", path, "--timestep", 2, "--json").stdout)
    assert bare["diffusivity_cm2_per_s"] == full["diffusivity_cm2_per_s"]
    assert step_only["diffusivity_cm2_per_s"] == full["diffusivity_cm2_per_s"]
    assert bare["temperature_K"] == 900.0


@pytest.mark.parametrize("wrong", [("--stride", 1), ("--timestep", 1), ("--temperature", 600)])
def test_what_contradicts_exported_frames_is_one_line(ssefw, store, tmp_path, wrong):
    ssefw("results", "export", "LiF", "-o", "out", "--frames", "--no-structures", "--store", store)
    (path,) = (tmp_path / "out").glob("*.extxyz")
    done = ssefw("analyze", path, *wrong, check=False)
    assert done.returncode == 1
    assert "or correct it" in done.stderr


def test_every_frame_carries_step_time_and_set_temperature(store, tmp_path):
    with connect(store, read_only=True) as connection:
        blobs = TrajectoryStore(connection.blobs)
        first, second, *_ = frames_of(blobs.ledger("0123456789abcdef"), blobs, stride=3)
        with (tmp_path / "x").open("w") as file:
            write_frame(second, file)
    comment = (tmp_path / "x").read_text().splitlines()[1]
    assert first.number == 20
    for part in ("step=230 ", "time_ps=0.460000 ", "timestep_fs=2 ", "set_temperature=900 "):
        assert part in comment
