"""The diffusivity of a run while it goes on, from the files that it has written so far."""

import json

import numpy as np
import pytest

from ssefw.data import Chunk
from ssefw.engines import RunDirectory
from ssefw.serve import growing
from ssefw.serve.growing import GrowingRuns
from ssefw.serve.growing_process import GrowingProcess
from ssefw.store import Address, connect
from ssefw.store.frames.blobs import FileBlobs
from ssefw.store.frames.trajectories import TrajectoryStore

N_MOBILE, N_FRAMEWORK, TIMESTEP, PER_FRAME, SKIPPED = 20, 20, 2.0, 10, 5
STEP = 0.3  # of a walk, angstrom, in each direction and frame
D = STEP**2 / 2.0 / (PER_FRAME * TIMESTEP / 1000.0) * 1e-4  # cm^2/s: <x^2> = 2 D t


@pytest.fixture
def walk():
    rng = np.random.default_rng(3)
    moves = STEP * rng.normal(size=(3000, N_MOBILE, 3))
    rest = 8.0 * rng.random((N_FRAMEWORK, 3)) + 0.05 * rng.normal(size=(3000, N_FRAMEWORK, 3))
    return np.concatenate([np.cumsum(moves, axis=0), rest], axis=1)


@pytest.fixture
def run(tmp_path):
    about = {
        "candidate": "c",
        "temperature": 600.0,
        "timestep": TIMESTEP,
        "steps_per_frame": PER_FRAME,
        "equilibration_steps": SKIPPED * PER_FRAME,
        "symbols": ["Li"] * N_MOBILE + ["O"] * N_FRAMEWORK,
    }
    run = RunDirectory(tmp_path / "runs/k", key="k", about=about)
    run.note_progress(step=0, until=1, steps_per_second=1.0)
    return run


def write(run, positions, first, energies=None):
    run.append(
        Chunk(
            first_step=first * PER_FRAME,
            last_step=(first + len(positions)) * PER_FRAME,
            first_frame=first,
            positions=positions,
            energies=np.zeros(len(positions)) if energies is None else energies,
            temperatures=np.full(len(positions), 600.0),
            cell=8.0 * np.eye(3),
            notes={"segment": 0},
        )
    )


@pytest.fixture
def runs(tmp_path):
    return GrowingRuns(TrajectoryStore(FileBlobs(tmp_path / "blobs")), tmp_path / "runs")


def look(runs):
    return runs.look("k", None, specie="Li", level=0.95)


def test_a_run_is_analyzed_as_it_grows(run, runs, walk, monkeypatch):
    monkeypatch.setattr(growing, "rest_after", lambda _: 0.0)
    assert look(runs) == []
    write(run, walk[:400], 0)
    first = look(runs)
    write(run, walk[400:800], 400)
    counted = []
    estimate = growing.Growing._estimate
    monkeypatch.setattr(
        growing.Growing, "_estimate", lambda self, n: counted.append(n) or estimate(self, n)
    )
    then = look(runs)
    frame = PER_FRAME * TIMESTEP / 1000.0
    assert first[-1].duration == pytest.approx((400 - SKIPPED - 1) * frame)
    assert then[-1].duration == pytest.approx((800 - SKIPPED - 1) * frame)
    assert 2 <= len(counted) < len(then)  # the others are known
    assert {found.duration for found in first[-4:-1]} <= {found.duration for found in then}
    last = then[-1].tracer
    assert last.lower < D < last.upper
    widths = [e.tracer.upper / e.tracer.lower for e in then if e.tracer.kind == "value"]
    assert widths[-1] < widths[0]


def test_a_long_run_is_thinned_and_says_the_same(run, runs, walk, monkeypatch):
    monkeypatch.setattr(growing, "MOST_FRAMES", 300)
    for first in range(0, 3000, 250):
        write(run, walk[first : first + 250], first)
    estimates = look(runs)
    assert runs._kept["k"].stride == 8
    assert len(runs._kept["k"]._positions) <= 600
    span = (3000 - SKIPPED) * PER_FRAME * TIMESTEP / 1000.0
    assert estimates[-1].duration == pytest.approx(span, abs=8 * 0.02)
    assert estimates[-1].tracer.lower < D < estimates[-1].tracer.upper


@pytest.mark.parametrize("most_frames", [300, 5000])
def test_what_settles_at_the_start_is_left_out_as_in_the_outcome(
    run, runs, walk, monkeypatch, most_frames
):
    """Ions that find their sites first, with energies that fall, move tenfold as far."""
    monkeypatch.setattr(growing, "MOST_FRAMES", most_frames)
    settles = 600
    positions = walk.copy()
    moves = np.diff(walk[: settles + 1, :N_MOBILE], axis=0)
    positions[:settles, :N_MOBILE] -= 9.0 * np.cumsum(moves[::-1], axis=0)[::-1]
    rng = np.random.default_rng(4)
    energies = 0.1 * rng.normal(size=len(walk)) + 3.0 * (np.arange(len(walk)) < settles)
    for first in range(0, 3000, 250):
        part = slice(first, first + 250)
        write(run, positions[part], first, energies[part])
    last = look(runs)[-1]
    frame = PER_FRAME * TIMESTEP / 1000.0
    assert last.equilibration == pytest.approx(settles * frame, abs=0.05 * settles * frame)
    assert last.equilibration + last.duration == pytest.approx(3000 * frame, abs=16 * frame)
    assert last.tracer.lower < D < last.tracer.upper


def test_a_folder_that_says_too_little_has_no_curve(run, runs, walk):
    about = json.loads((run.path / "run.json").read_text())
    del about["symbols"]
    (run.path / "run.json").write_text(json.dumps(about))
    write(run, walk[:400], 0)
    assert look(runs) == []


@pytest.mark.slow
def test_a_process_that_analyzes_is_started_again_and_ends(run, walk, tmp_path):
    write(run, walk[:400], 0)
    connect(tmp_path).close()
    asked = GrowingProcess(Address(tmp_path), tmp_path / "runs")
    first = look(asked)
    process = asked._process
    process.kill()
    process.wait()
    assert [found.duration for found in look(asked)] == [found.duration for found in first]
    again = asked._process
    asked.end()
    assert again.poll() is not None
