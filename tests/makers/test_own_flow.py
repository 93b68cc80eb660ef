"""Makers do their work in somebody's own flow, where no store was named."""

import pytest
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore

from ssefw.engines import MDSettings
from ssefw.engines.ase import AseEngine
from ssefw.errors import StoreError
from ssefw.makers import MDMaker, RelaxMaker
from ssefw.store import connect

ENGINE = AseEngine(calculator="ase.calculators.emt.EMT")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})

    def run(job):
        done = run_locally(job, store=store, log=False, raise_immediately=True)
        return done[job.uuid][1].output

    return run


def test_a_relaxation_needs_no_store_the_first_time_and_the_second(run, copper):
    found = [run(RelaxMaker(engine=ENGINE).make(copper)) for _ in range(2)]
    assert all(relaxed.converged for relaxed in found)


def test_dynamics_say_that_they_need_a_store_and_take_one_that_is_named(
    run, copper, tmp_path, monkeypatch
):
    settings = MDSettings(temperature=300.0, steps_per_frame=5)
    maker = MDMaker(engine=ENGINE, settings=settings)
    with pytest.raises(StoreError, match="set SSEFW_STORE"):
        run(maker.make(copper, candidate_id="Cu", steps=10))
    connect(tmp_path / "st").close()
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "st"))
    assert run(maker.make(copper, candidate_id="Cu", steps=10)).n_steps == 10
