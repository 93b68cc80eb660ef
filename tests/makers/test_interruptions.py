"""Whatever interrupts a run, its trajectory is the one of a run that nothing interrupted."""

import contextlib
import itertools
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jobflow import JobStore
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from ssefw.documents import Trajectory
from ssefw.engines import MDSettings
from ssefw.engines.ase import AseEngine
from ssefw.errors import EngineError
from ssefw.makers import MDMaker
from ssefw.makers import md as md_module
from ssefw.store import connect
from ssefw.store.frames.blobs import BlobError, FileBlobs
from ssefw.store.frames.salvage import sound_part
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
damages = st.sampled_from(
    [
        "none", "torn chunk", "lost scratch", "partial file", "purged notes", "purged oldest",
        "purged middle", "torn notes", "torn oldest", "lost blob", "flipped blob", "cut ledger",
        "lost ledger",
    ]
)  # fmt: skip
schedules = st.lists(st.tuples(ends, damages), max_size=6)


def cut(file, length):
    file.write_bytes(file.read_bytes()[:length] if file.exists() else b"torn")


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


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
        new = self.maker._new_ledger(COPPER, candidate_id="c")
        new = new.model_copy(update={"target_steps": STEPS})
        ledger, lost = sound_part(self.store, new)
        ledger = ledger.model_copy(update={"target_steps": STEPS})
        if ledger.is_complete and not lost:
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
            self.maker._advance(COPPER, new, self.store)
        found = self.ledger()
        return found is not None and found.n_steps >= STEPS

    def damage(self, how):
        """Do to the files what power cuts, purges and bad disks do."""
        if how == "lost scratch":
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch.mkdir()
            return
        chunks = sorted(self.scratch.glob("*/chunk-*.npz"))
        notes = [*self.scratch.glob("*/segment-*.json"), *self.scratch.glob("*/run.json")]
        blobs = [self.folder / "blobs" / key for key in self.blobs.keys()]  # noqa: SIM118
        frames = [path for path in blobs if path.name != "ledger.json"]
        ledgers = [path for path in blobs if path.name == "ledger.json"]
        half = len(chunks) // 2
        files, act = {
            "none": ([], None),
            "torn chunk": (chunks[-1:], lambda file: cut(file, 300)),
            "partial file": (chunks[-1:], lambda file: cut(file.with_name(".chunk-09.npz.1"), 9)),
            "purged notes": (notes, Path.unlink),
            "torn notes": (notes, lambda file: cut(file, 20)),
            "purged oldest": (chunks[:half], Path.unlink),
            "purged middle": (chunks[half : half + 1], Path.unlink),
            "torn oldest": (chunks[:1], lambda file: cut(file, 0)),
            "lost blob": (frames[len(frames) // 2 :][:1], Path.unlink),
            "flipped blob": (frames[-1:], flip),
            "cut ledger": (ledgers, lambda file: cut(file, 200)),
            "lost ledger": (ledgers, Path.unlink),
        }[how]
        for file in files:
            act(file)

    def ledger(self):
        """Return the ledger if it can be read."""
        with contextlib.suppress(BlobError):
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
            lost += {"none": 0, "partial file": 0, "torn chunk": 1}.get(damage, CHUNKS)
        assert site.process()
        ledger = site.ledger()
        assert isinstance(ledger, Trajectory)
        assert (ledger.n_steps, ledger.n_frames) == (STEPS, STEPS // 2 + 1)
        for found, expected in zip(frames(site), truth(thermostat), strict=True):
            assert np.array_equal(found, expected)
        assert CHUNKS <= site.computed <= CHUNKS + lost
        assert not any(site.scratch.glob("*/chunk-*"))  # also none that were set aside


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("purged notes", "the note of its start was gone"),
        ("purged oldest", "did not follow step 0, since files before them were gone"),
        ("purged middle", "did not follow step"),
        ("torn oldest", "was damaged and is computed again"),
    ],
)
def test_what_a_purge_of_scratch_took_is_computed_again_and_said(  # noqa: PLR0917
    truth, tmp_path, monkeypatch, caplog, damage, said
):
    site = Site(tmp_path, monkeypatch, "nose-hoover")
    site.process("kill", 5)
    site.damage(damage)
    assert site.process()
    for found, expected in zip(frames(site), truth("nose-hoover"), strict=True):
        assert np.array_equal(found, expected)
    events = " ".join(event for segment in site.ledger().segments for event in segment.events)
    assert said in events
    assert said in caplog.text


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("lost blob", "is not there: the run went on from step"),
        ("flipped blob", "does not fit its checksum): the run went on from step"),
        ("cut ledger", "bytes of .* are there.* was put together again from its frames"),
    ],
)
def test_what_was_damaged_in_the_store_is_computed_again_and_said(
    truth, tmp_path, monkeypatch, damage, said
):
    site = Site(tmp_path, monkeypatch, "langevin")
    for _ in range(3):
        site.process("stop", 2)
        site.damage("lost scratch")
    site.damage(damage)
    assert site.process()
    for found, expected in zip(frames(site), truth("langevin"), strict=True):
        assert np.array_equal(found, expected)
    events = " ".join(event for segment in site.ledger().segments for event in segment.events)
    assert re.search(said.replace(")", r"\)"), events), events


def test_frames_whose_ledger_is_lost_are_not_computed_again(tmp_path, monkeypatch):
    site = Site(tmp_path, monkeypatch, "nose-hoover")
    site.process("stop", 6)
    site.damage("lost scratch")
    site.damage("lost ledger")
    assert site.computed == 6
    assert site.process()
    assert site.computed == CHUNKS


class StandsStill(AseEngine):
    """Says that it is done and has done nothing."""

    def md(self, *_, **__):
        return "complete"


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Run one job, and return its output and what it is replaced by."""
    connect(tmp_path / "store").close()
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)

    def run(engine, **arguments):
        maker = MDMaker(engine=engine, settings=MDSettings(temperature=900.0, steps_per_frame=2))
        task = maker.make(COPPER, candidate_id="c", steps=STEPS, **arguments)
        outputs = JobStore(MemoryStore())
        outputs.connect()
        return task.run(outputs)

    return run


def test_a_run_that_does_not_grow_is_a_failure_and_no_circle(alone):
    engine = StandsStill(calculator="ase.calculators.emt.EMT")
    with pytest.raises(EngineError, match=r"ended \(complete\) without a new frame"):
        alone(engine)


def test_jobs_that_are_always_stopped_at_once_are_a_failure_in_the_end(alone, monkeypatch):
    monkeypatch.setattr(md_module, "stop_check", lambda: lambda: "walltime")
    engine = AseEngine(calculator="ase.calculators.emt.EMT")
    response = alone(engine)
    (again,) = response.replace.jobs
    assert again.function_kwargs["fruitless"] == 1
    with pytest.raises(EngineError, match="were stopped 10 times in a row before one chunk"):
        alone(engine, fruitless=9)
