"""A ladder of VASP runs through FireWorks, with everything going wrong that does on a cluster."""

import gzip
import multiprocessing
import os
import threading
import time

import numpy as np
import pytest
from jobflow import Flow
from jobflow.managers.fireworks import flow_to_workflow

from ssefw.campaigns.launch import work
from ssefw.campaigns.lost import release_lost
from ssefw.data import join_chunks
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.stopping import install_signal_handlers
from ssefw.engines.vasp import VaspEngine, engine, leg, policy, watch
from ssefw.makers import MDMaker
from ssefw.settings import load_settings
from ssefw.store import connect
from ssefw.store.trajectories import TrajectoryStore

pytestmark = [
    pytest.mark.filterwarnings("ignore:POTCAR data with symbol"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING"),
]

STEPS = 60
PER_LEG = 20
TEMPERATURES = (500.0, 600.0, 700.0, 800.0)
VASP = VaspEngine(preset="kang2022")


def settings(temperature):
    return MDSettings(temperature=temperature, steps_per_frame=5, frames_per_chunk=4, seed=1)


def undisturbed(structure, temperature, folder):
    """Return the positions of a run of a single VASP that nothing interrupts."""
    run = RunDirectory(folder, key="k")
    VASP.md(structure, settings(temperature), run, until=STEPS)
    (only,) = run.segments()
    return join_chunks(run.chunks_of(only)).positions


class _OneJob(threading.Event):
    """A stop event that lets one job begin."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    def is_set(self):
        self.asked += 1
        return self.asked > 1


def in_worker(address, *, stop=None):
    """Start a worker process, as `ssefw work` is one."""

    def main():
        event = install_signal_handlers()
        with connect(address) as connection:
            release_lost(connection)
            work(connection, load_settings().settings, stop=stop or event)

    process = multiprocessing.get_context("fork").Process(target=main)
    process.start()
    return process


def end_well(process):
    process.join(60)
    assert process.exitcode == 0


def steps_on_scratch(scratch):
    """Ionic steps of all VASP runs so far."""
    plain = (file.read_text() for file in scratch.glob("runs/*/vasp-*/vasp.out"))
    packed = scratch.glob("runs/*/vasp-*/vasp.out.gz")
    unpacked = (gzip.decompress(file.read_bytes()).decode() for file in packed)
    return sum(text.count(" T= ") for text in (*plain, *unpacked))


def wait_for_steps(scratch, n):
    end = time.monotonic() + 60
    while steps_on_scratch(scratch) < n:
        assert time.monotonic() < end, "VASP does not move"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_ladder_survives_everything_without_gap_or_doubled_frame(
    vasp_site, lif, tmp_path, monkeypatch
):
    monkeypatch.setattr(leg, "POLL", 0.05)
    monkeypatch.setattr(policy, "FROZEN_AFTER", 1.0)
    monkeypatch.setattr(watch, "ASK_EVERY", 0.2)
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    scratch = tmp_path / "scratch"
    quiet = {t: undisturbed(lif, t, tmp_path / f"quiet-{t:g}") for t in TEMPERATURES}
    monkeypatch.setattr(engine, "STEPS_PER_LEG", PER_LEG)
    makers = {
        t: MDMaker(
            engine=VASP,
            settings=settings(t),
        )
        for t in TEMPERATURES
    }
    jobs = [m.make(lif, candidate_id="lif", steps=STEPS) for m in makers.values()]
    with connect(tmp_path / "store") as connection:
        for job in jobs:
            connection.launchpad.add_wf(flow_to_workflow(Flow([job])))

    # An error of the electrons and a frozen VASP, then SIGTERM.
    vasp_site.tell(
        {"step": 12, "do": "say", "text": "Error EDDDAV: Call to ZHEGV failed.", "then": "exit"},
        {"step": 17, "do": "hang"},
        step_time=0.03,
    )
    worker = in_worker(tmp_path / "store")
    wait_for_steps(scratch, 40)
    worker.terminate()
    end_well(worker)
    # kill -9.
    before = steps_on_scratch(scratch)
    worker = in_worker(tmp_path / "store")
    wait_for_steps(scratch, before + 15)
    worker.kill()
    worker.join()
    # The end of the allocation.
    vasp_site.tell(step_time=0.25)
    monkeypatch.setenv("SSEFW_END_TIME", str(time.time() + 67.0))
    worker = in_worker(tmp_path / "store", stop=_OneJob())
    end_well(worker)
    monkeypatch.delenv("SSEFW_END_TIME")
    # A quiet night.
    vasp_site.tell()
    worker = in_worker(tmp_path / "store")
    end_well(worker)

    reasons, events, n_legs = set(), [], 0
    with connect(tmp_path / "store") as connection:
        assert {s["state"] for s in connection.launchpad.fireworks.find({})} == {"COMPLETED"}
        store = TrajectoryStore(connection.blobs)
        for temperature, maker in makers.items():
            ledger = store.ledger(maker.key(lif))
            assert (ledger.n_steps, ledger.n_frames) == (STEPS, STEPS // 5 + 1)
            assert len(ledger.segments) >= STEPS // PER_LEG
            frames = join_chunks(store.chunks(ledger)).positions
            assert np.abs(frames - quiet[temperature]).max() < 1e-3
            n_legs += len(ledger.segments)
            reasons |= {segment.end_reason for segment in ledger.segments}
            events += [event for segment in ledger.segments for event in segment.events]
    assert reasons == {"complete", "corrected", "preempted", "killed", "walltime"}
    # A run of VASP evaluates its starting point again, and one that is torn before its first frame
    # is computed again: three times here at most.
    assert steps_on_scratch(scratch) <= len(TEMPERATURES) * STEPS + 2 * n_legs + 3 * 5
    told = " ".join(events)
    assert "edddav" in told
    assert "Frozen job" in told
    assert "outlived its worker" in told
    assert os.environ["SSEFW_SCRATCH"] == str(scratch)
