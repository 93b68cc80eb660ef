"""Makers do their work in somebody's own flow, where no store was named."""

import pytest
from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore

from ssefw.engines import MDSettings
from ssefw.engines.ase import AseEngine
from ssefw.errors import StoreError
from ssefw.makers import DiffusivityMaker, MDMaker, RelaxMaker
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


@pytest.mark.slow  # atomate2 and what it needs take five seconds to import
@pytest.mark.filterwarnings("ignore")  # of what atomate2 imports
def test_a_maker_of_atomate2_stands_before_ours_and_behind(copper, tmp_path, monkeypatch):
    """What docs/how-to/mix-with-atomate2.md shows, with a potential that takes no time."""
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker, ForceFieldStaticMaker

    connect(tmp_path / "st").close()
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "st"))
    monkeypatch.chdir(tmp_path)
    emt = {"@module": "ase.calculators.emt", "@callable": "EMT"}
    stretched = copper.copy()
    stretched.scale_lattice(1.05 * copper.volume)
    theirs = ForceFieldRelaxMaker(force_field_name=emt).make(stretched)
    settings = MDSettings(temperature=900.0, timestep=2.0, steps_per_frame=5)
    ours = MDMaker(engine=ENGINE, settings=settings).make(
        theirs.output.structure, candidate_id="Cu", steps=200, equilibration_steps=20
    )
    diffusivity = DiffusivityMaker(specie="Cu").make(ours.output)
    relaxed = RelaxMaker(engine=ENGINE).make(theirs.output.structure)
    static = ForceFieldStaticMaker(force_field_name=emt).make(relaxed.output.structure)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    flow = Flow([theirs, ours, diffusivity, relaxed, static])
    found = run_locally(flow, store=store, log=False, raise_immediately=True)
    outputs = {job.uuid: found[job.uuid][1].output for job in flow.jobs}
    assert outputs[theirs.uuid].structure.volume < 0.99 * stretched.volume
    start = outputs[ours.uuid].structure
    assert start.volume == pytest.approx(outputs[theirs.uuid].structure.volume)
    assert outputs[diffusivity.uuid].specie == "Cu"
    assert outputs[diffusivity.uuid].n_frames > 0
    # Both relaxed with one potential, so that theirs finds the energy that ours ended with.
    mine = outputs[relaxed.uuid]
    assert outputs[static.uuid].output.energy == pytest.approx(mine.energy, abs=1e-6)
