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

from ssefw.campaigns.running.lost import release_lost
from ssefw.campaigns.running.worker import work
from ssefw.data import join_chunks
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.stopping import install_signal_handlers
from ssefw.engines.vasp import VaspEngine, dynamics, leg, policy, watch
from ssefw.makers import MDMaker
from ssefw.makers import md as md_module
from ssefw.settings import load_settings
from ssefw.store import connect
from ssefw.store.frames.trajectories import TrajectoryStore

pytestmark = [
    pytest.mark.filterwarnings("ignore:POTCAR data with symbol"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING"),
]

STEPS = 60
PER_LEG = 20
WELL_ON = 8
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


class _Allocation(threading.Event):
    """An allocation that ends while a VASP is in the middle of its run."""

    def __init__(self, scratch):
        super().__init__()
        self.before = legs(scratch)
        self.scratch = scratch
        self.over = scratch.parent / "over"

    def is_set(self):
        return self.over.exists()

    def check(self):
        """Say so, as `stop_check` does."""
        if not self.over.exists() and steps_of_running(self.scratch, self.before) >= WELL_ON:
            self.over.touch()
        return "walltime" if self.over.exists() else None


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
    process.join(180)
    assert process.exitcode == 0


def steps_on_scratch(scratch):
    """Ionic steps of all VASP runs so far."""
    plain = (file.read_text() for file in scratch.glob("runs/*/vasp-*/vasp.out"))
    packed = scratch.glob("runs/*/vasp-*/vasp.out.gz")
    unpacked = (gzip.decompress(file.read_bytes()).decode() for file in packed)
    return sum(text.count(" T= ") for text in (*plain, *unpacked))


def legs(scratch):
    return set(scratch.glob("runs/*/vasp-*"))


def steps_of_running(scratch, before):
    """Ionic steps of the newest VASP that was not there before."""
    files = [leg / "vasp.out" for leg in legs(scratch) - before if (leg / "vasp.out").exists()]
    newest = max(files, key=lambda file: file.stat().st_mtime, default=None)
    return newest.read_text().count(" T= ") if newest else 0


def wait_until_well_on(scratch, before):
    """Wait for a new VASP that has frames to keep and steps left."""
    end = time.monotonic() + 120
    while not WELL_ON <= steps_of_running(scratch, before) < PER_LEG - 4:
        assert time.monotonic() < end, "VASP does not move"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_ladder_survives_everything_without_gap_or_doubled_frame(
    vasp_site, lif, tmp_path, monkeypatch
):
    monkeypatch.setattr(leg, "POLL", 0.05)
    monkeypatch.setattr(policy, "FROZEN_AFTER", 3.0)
    monkeypatch.setattr(watch, "ASK_EVERY", 0.2)
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    scratch = tmp_path / "scratch"
    quiet = {t: undisturbed(lif, t, tmp_path / f"quiet-{t:g}") for t in TEMPERATURES}
    monkeypatch.setattr(dynamics, "STEPS_PER_LEG", PER_LEG)
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
        step_time=0.1,
    )
    worker = in_worker(tmp_path / "store")
    while vasp_site.left:
        assert worker.is_alive()
        time.sleep(0.1)
    wait_until_well_on(scratch, legs(scratch))
    worker.terminate()
    end_well(worker)
    # kill -9.
    before = legs(scratch)
    worker = in_worker(tmp_path / "store")
    wait_until_well_on(scratch, before)
    worker.kill()
    worker.join()
    # The end of the allocation.
    allocation = _Allocation(scratch)
    with monkeypatch.context() as patch:
        patch.setattr(md_module, "stop_check", lambda: allocation.check)
        worker = in_worker(tmp_path / "store", stop=allocation)
        end_well(worker)
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
    for told in ("edddav", "Frozen job", "outlived its worker"):
        assert any(told in event for event in events)
    assert os.environ["SSEFW_SCRATCH"] == str(scratch)
