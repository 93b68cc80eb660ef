"""A relaxation as a job: continued where it was interrupted, or left out."""

import numpy as np
import pytest
from jobflow import JobStore
from maggma.stores import MemoryStore

from ssefw.engines.ase import AseEngine
from ssefw.engines.stopping import InterruptionError
from ssefw.errors import EngineError
from ssefw.makers import RelaxMaker
from ssefw.makers import relax as relax_module
from ssefw.makers.replacement import MAX_TURNS
from ssefw.store import connect

EMT = AseEngine(calculator="ase.calculators.emt.EMT")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a job here, with its scratch and store in the test's folder."""
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    with connect(tmp_path / "store"):
        pass  # made
    jobs = JobStore(MemoryStore())
    jobs.connect()
    return lambda job: job.run(jobs)


def test_a_relaxation_that_was_stopped_is_replaced_by_its_rest(run, copper, tmp_path, monkeypatch):
    copper.perturb(0.1)
    job = RelaxMaker(engine=EMT, fmax=0.01).make(copper)
    with monkeypatch.context() as patch:
        patch.setattr(relax_module, "stop_check", lambda: iter([None] * 4 + ["walltime"]).__next__)
        rest = run(job).replace
    assert list((tmp_path / "scratch").glob("runs/relax-*/relaxation.npz"))
    (rest,) = rest.jobs
    assert rest.uuid == job.uuid
    asked = []
    monkeypatch.setattr(relax_module, "stop_check", lambda: lambda: asked.append(1))
    found = run(rest).output
    whole = EMT.relax(copper, fmax=0.01, max_steps=500, relax_cell=True)
    assert found.n_steps == whole.n_steps
    assert len(asked) == whole.n_steps - 4
    assert list((tmp_path / "scratch").glob("runs/*")) == []


def test_a_relaxation_that_is_stopped_for_ever_fails_in_the_end(run, copper, monkeypatch):
    copper.perturb(0.1)
    job = RelaxMaker(engine=EMT, fmax=0.01).make(copper)
    monkeypatch.setattr(relax_module, "stop_check", lambda: lambda: "walltime")
    for turn in range(1, 4):
        job.index = turn
        (job,) = run(job).replace.jobs
    job.index = MAX_TURNS
    with pytest.raises(EngineError, match=r"relax was stopped 100 times .* give its jobs"):
        run(job)


def test_a_structure_may_be_taken_as_it_is(run, copper):
    found = run(RelaxMaker(engine=EMT, skip=True).make(copper)).output
    static = EMT.static(copper)
    assert (found.n_steps, found.volume_change) == (0, 0.0)
    assert found.converged
    assert (found.energy, found.max_force) == (static.energy, static.max_force)
    assert np.array_equal(found.structure.cart_coords, copper.cart_coords)


def test_a_relaxation_that_is_stopped_before_its_first_step_has_nothing_to_keep(copper, tmp_path):
    copper.perturb(0.1)
    with pytest.raises(InterruptionError, match="after step 0"):
        EMT.relax(
            copper,
            fmax=0.01,
            max_steps=5,
            relax_cell=False,
            directory=tmp_path / "r",
            stop=lambda: "preempted",
        )
    assert not (tmp_path / "r").exists()
