"""Whatever interrupts a run, its trajectory is the one of a run that nothing interrupted."""

import contextlib
import itertools
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from ssefw.documents import Trajectory
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.ase import AseEngine
from ssefw.makers import MDMaker
from ssefw.makers import md as md_module
from ssefw.store.frames.blobs import FileBlobs
from ssefw.store.frames.trajectories import TrajectoryStore

COPPER = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
STEPS = 36
CHUNKS = 9


class PowerCut(BaseException):
    """The process is gone, as after kill -9: nothing catches this."""


# What happens to one process, and to the files before the next one starts.
ends = st.one_of(
    st.tuples(st.just("stop"), st.integers(0, CHUNKS)),  # asked to stop before chunk n
    st.tuples(st.just("kill"), st.integers(0, CHUNKS)),  # killed before chunk n
    st.tuples(st.just("kill while storing"), st.integers(0, 4)),  # at the n-th blob it writes
)
damages = st.sampled_from(["none", "torn chunk", "lost scratch", "partial file"])
schedules = st.lists(st.tuples(ends, damages), max_size=6)


class Site:
    """Scratch, store and the one job, in a folder."""

    def __init__(self, folder, monkeypatch, thermostat):
        self.folder = folder
        self.blobs = FileBlobs(folder / "blobs")
        self.store = TrajectoryStore(self.blobs)
        self.scratch = folder / "scratch"
        self.maker = MDMaker(
            engine=AseEngine(calculator="ase.calculators.emt.EMT"),
            settings=MDSettings(
                temperature=900.0,
                steps_per_frame=2,
                frames_per_chunk=2,
                thermostat=thermostat,
                seed=5,
            ),
        )
        self.computed = 0
        monkeypatch.setattr(md_module, "run_folder", lambda key: self.scratch / key)
        monkeypatch.setattr(os, "fsync", lambda _: None)  # nothing here outlives the test
        self.monkeypatch = monkeypatch

    def process(self, how=None, when=0):
        """Run the job in a process that ends so; return whether the trajectory is complete."""
        key = self.maker.key(COPPER)
        ledger = self.store.ledger(key) or self.maker._new_ledger(COPPER, candidate_id="c")
        ledger = ledger.model_copy(update={"target_steps": STEPS})
        if ledger.is_complete:
            return True
        count = itertools.count()

        def check():
            if how in {"stop", "kill"} and next(count) >= when:
                if how == "kill":
                    raise PowerCut
                return "preempted"
            self.computed += 1
            return None

        writes = itertools.count()
        put = self.blobs.put

        def failing_put(name, payload):
            if how == "kill while storing" and next(writes) == when:
                raise PowerCut
            return put(name, payload)

        with self.monkeypatch.context() as patch, contextlib.suppress(PowerCut):
            patch.setattr(md_module, "stop_check", lambda: check)
            patch.setattr(self.blobs, "put", failing_put)
            self.maker._advance(COPPER, ledger, self.store)
        found = self.store.ledger(key)
        return found is not None and found.n_steps >= STEPS

    def damage(self, how):
        """Do to the files what power cuts and purges do."""
        chunks = sorted(self.scratch.glob("*/chunk-*.npz"))
        if how == "lost scratch":
            for file in sorted(self.scratch.glob("*/*")):
                file.unlink()
            for folder in self.scratch.glob("*"):
                folder.rmdir()
        elif how == "torn chunk" and chunks:
            chunks[-1].write_bytes(chunks[-1].read_bytes()[:300])
        elif how == "partial file" and chunks:
            chunks[-1].with_name(".chunk-000000099.npz.1").write_bytes(b"torn")

    def ledger(self):
        return self.store.ledger(self.maker.key(COPPER))


def undisturbed(thermostat):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        site = Site(Path(folder), patch, thermostat)
        assert site.process()
        return frames(site)


@pytest.fixture(scope="module")
def truth():
    found = {name: undisturbed(name) for name in ("nose-hoover", "langevin")}
    return found.get  # hypothesis prints fixtures, and a function is short


def frames(site):
    chunks = list(site.store.chunks(site.ledger()))
    for before, after in itertools.pairwise(chunks):
        assert after.first_frame == before.first_frame + before.n_frames
        assert after.first_step == before.last_step
    return (
        np.concatenate([chunk.positions for chunk in chunks]),
        np.concatenate([chunk.energies for chunk in chunks]),
        chunks[-1].state["momenta"],
    )


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(schedule=schedules, thermostat=st.sampled_from(["nose-hoover", "langevin"]))
@example([(("kill", 3), "lost scratch"), (("stop", 2), "torn chunk")], "nose-hoover")
@example([(("stop", 3), "lost scratch"), (("kill", 2), "none")], "langevin")
@example([(("kill while storing", 1), "none"), (("stop", 1), "none")], "nose-hoover")
@example([(("stop", 2), "none"), (("stop", 2), "torn chunk"), (("kill", 1), "none")], "langevin")
def test_frames_are_never_missing_doubled_or_different(truth, schedule, thermostat):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        site = Site(Path(folder), patch, thermostat)
        lost = 0
        for (how, when), damage in schedule:
            site.process(how, when)
            ledger = site.ledger()
            stored = ledger.n_steps if ledger else 0
            if stored:
                assert ledger.n_frames == stored // 2 + 1
            site.damage(damage)
            lost += {"none": 0, "partial file": 0, "torn chunk": 1, "lost scratch": CHUNKS}[damage]
        assert site.process()
        ledger = site.ledger()
        assert isinstance(ledger, Trajectory)
        assert (ledger.n_steps, ledger.n_frames) == (STEPS, STEPS // 2 + 1)
        for found, expected in zip(frames(site), truth(thermostat), strict=True):
            assert np.array_equal(found, expected)
        assert CHUNKS <= site.computed <= CHUNKS + lost
        assert not any(site.scratch.glob("*/chunk-*"))  # also none that were set aside


def test_a_folder_of_frames_that_do_not_follow_is_refused(truth, tmp_path, monkeypatch):
    """A chunk that vanished from the middle is an error, not a gap."""
    site = Site(tmp_path, monkeypatch, "nose-hoover")
    site.process("kill", 5)
    (folder,) = site.scratch.iterdir()
    run = RunDirectory(folder, key=folder.name)
    run.chunk_files()[2].unlink()
    with pytest.raises(Exception, match=r"frame|step"):
        site.process()
