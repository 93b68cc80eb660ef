"""Bands as jobs: shared ends, interruptions, gates, and what a campaign of them says."""

import itertools
import json
import os
import signal
import time
from dataclasses import replace

import pytest
from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder
from pymatgen.core import Lattice, Structure

from ssefw.data.defects import mark_interstitials
from ssefw.documents import Barrier, Candidate, Estimate, Failure, NebPath, Outcome, RelaxResult
from ssefw.engines import MDSettings, NebSettings
from ssefw.engines.ase import AseEngine
from ssefw.engines.migration import MigrationSettings
from ssefw.errors import DataError
from ssefw.makers import LadderMaker, MDMaker, NebMaker
from ssefw.makers import neb as neb_module
from ssefw.makers import state as state_module
from ssefw.makers.gates import neb_gate
from ssefw.store import connect
from tests.conftest import CAMPAIGN, REPOSITORY, call_ssefw, run_ssefw, start_ssefw, work_here

EMT = AseEngine(calculator="ase.calculators.emt.EMT")
QUICK = MigrationSettings(
    min_length=5.0, n_images=3, end_fmax=0.02, path="linear", band=NebSettings(fmax=0.05)
)
MAKER = NebMaker(engine=EMT, settings=QUICK, specie="Cu", max_hop=2.9)
BANDS = CAMPAIGN[: CAMPAIGN.index("md:\n")] + (
    "neb: {min_length: 5, images: 3, max_hop: 2.8, fmax: 0.05, end_fmax: 0.02, path: idpp}\n"
)


class PowerCut(BaseException):
    """The process is gone, as after kill -9: nothing catches this."""


def relaxed(structure):
    return EMT.relax(structure, fmax=0.001, max_steps=300, relax_cell=True)


def candidate(structure):
    return Candidate(id="c", formula=structure.composition.reduced_formula, structure=structure)


def run(maker, structure, store=None):
    """Run the jobs of a maker in this process; return the barrier and all records."""
    store = store or JobStore(MemoryStore())
    jobs = maker.jobs(relaxed(structure), candidate=candidate(structure))
    run_locally(Flow(jobs), store=store, log=False, raise_immediately=True, ensure_success=True)
    records = list(store.query(load=True))
    barrier = store.get_output(jobs[-1].uuid, load=True)
    return Barrier(**barrier), records


@pytest.fixture
def site(monkeypatch, tmp_path):
    """Run folders below the folder of the test."""
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path


def names(records):
    return [record["name"] for record in records]


def test_one_vacancy_is_relaxed_for_a_hop_between_equivalent_sites(site, copper):
    barrier, records = run(MAKER, copper)
    assert sum(name.startswith("neb end") for name in names(records)) == 1
    assert sum(name.startswith("neb hop") for name in names(records)) == 1
    assert barrier.method == "neb"
    assert barrier.barrier_3d.value == pytest.approx(barrier.barrier_1d.value)
    (band,) = barrier.bands
    assert band.hop.n_equivalent == 24  # twelve neighbors of four sites, each hop once
    assert band.forward == pytest.approx(band.reverse, abs=0.002)


def test_vacancies_that_symmetry_does_not_join_are_relaxed_each(site):
    """In Cu3Au stretched along c, copper beside gold in the plane and above it differ."""
    lattice = Lattice.tetragonal(3.75, 3.9)
    places = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    crystal = Structure(lattice, ["Au", "Cu", "Cu", "Cu"], places)
    maker = NebMaker(engine=EMT, settings=QUICK, specie="Cu", max_hop=2.9, hops="all")
    fixed = RelaxResult(
        structure=crystal, energy=0, energy_per_atom=0, converged=True, n_steps=0, max_force=0,
        volume_change=0, wall_time=0,
    )  # fmt: skip
    store = JobStore(MemoryStore())
    jobs = maker.jobs(fixed, candidate=candidate(crystal))
    run_locally(Flow(jobs), store=store, log=False, raise_immediately=True, ensure_success=True)
    found = names(store.query(properties=["name"]))
    assert sorted({name for name in found if name.startswith("neb end")}) == [
        "neb end Cu2",
        "neb end Cu3",
    ]
    assert sum(name.startswith("neb hop") for name in found) == 2


def test_an_interstitial_that_pushes_another_is_a_band_of_jobs(site, copper, monkeypatch):
    marks = [[0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    monkeypatch.setattr(  # the site energy knows no metals
        neb_module,
        "prepared_for",
        lambda _, crystal, *, specie: mark_interstitials(crystal, marks, ion=specie),
    )
    settings = QUICK.model_copy(update={"mechanism": "concerted", "path": "idpp"})
    maker = NebMaker(engine=EMT, settings=settings, specie="Cu", max_hop=3.7)
    barrier, records = run(maker, copper)
    ends = [name for name in names(records) if name.startswith("neb end")]
    assert len(ends) == 1
    assert ends[0].startswith("neb end X")
    first = barrier.bands[0]
    assert first.hop.via is not None
    assert first.climbed
    assert first.forward == pytest.approx(first.reverse, abs=0.002)
    assert barrier.formula == "Cu"


def test_a_hop_that_a_cheaper_engine_finds_impossible_is_not_computed(site, copper, monkeypatch):
    """Where its ends collapse there, the costly engine relaxes neither ends nor band."""
    cheap = AseEngine(calculator="ase.calculators.emt.EMT", options={"asap_cutoff": True})

    def barrier_of(engine, *arguments, **options):
        if engine == cheap:
            raise DataError("the ends fell onto each other")
        raise AssertionError("it was computed")

    monkeypatch.setattr(neb_module, "hop_barrier", barrier_of)
    store = JobStore(MemoryStore())
    jobs = replace(MAKER, first=cheap).jobs(relaxed(copper), candidate=candidate(copper))
    run_locally(Flow(jobs), store=store, log=False)
    found = names(store.query(properties=["name"]))
    assert sum(name.startswith("neb first") for name in found) == 1
    assert not any(name.startswith(("neb end", "neb hop")) for name in found)


def test_bands_begin_where_those_of_a_cheaper_engine_ended(site, copper):
    barrier, records = run(replace(MAKER, first=EMT), copper)
    assert sum(name.startswith("neb first") for name in names(records)) == 1
    (band,) = barrier.bands
    assert band.climbed
    assert band.history[0].max_force < QUICK.band.fmax


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_interrupted_band_continues_in_its_folder(site, copper, monkeypatch, how):
    undisturbed, _ = run(MAKER, copper)
    count = itertools.count()

    def check():
        if next(count) == 3:
            if how == "kill":
                raise PowerCut
            return "preempted"
        return None

    monkeypatch.setattr(neb_module, "stop_check", lambda: check)
    monkeypatch.setenv("SSEFW_SCRATCH", str(site / "other"))
    store = JobStore(MemoryStore())
    if how == "kill":
        with pytest.raises(PowerCut):
            run(MAKER, copper, store)
    barrier, _ = run(MAKER, copper, store)
    (band,), (whole,) = barrier.bands, undisturbed.bands
    assert band.status == "converged"
    assert band.forward == pytest.approx(whole.forward, abs=2e-3)
    assert [record.iteration for record in band.history] == list(range(len(band.history)))
    assert band.history[0].max_force == pytest.approx(whole.history[0].max_force)
    assert len(list((site / "other/runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_atoms": 20}, "more than max_atoms = 20"),
        ({"max_hop": 2.0}, "Allow longer hops"),
        ({"specie": "Li"}, "holds no Li"),
        ({"max_hop": 8.0, "hops": "all", "max_hops": 2}, "more than max_hops = 2"),
    ],
)
def test_what_cannot_be_computed_is_refused_before_any_end_is_relaxed(copper, change, message):
    maker = NebMaker(**{"engine": EMT, "settings": QUICK, "specie": "Cu", "max_hop": 2.9} | change)
    with pytest.raises(DataError, match=message):
        maker.choose(copper)


@pytest.mark.parametrize(("value", "passed"), [(0.3, True), (0.7, False), (None, True)])
def test_a_gate_of_barriers_rejects_only_what_is_known(value, passed):
    level = (
        Estimate.undetermined("the band did not converge", unit="eV")
        if value is None
        else Estimate(value=value, lower=value, upper=value, unit="eV")
    )
    barrier = Barrier(
        formula="X", specie="Li", method="neb",
        barrier_1d=level, barrier_2d=level, barrier_3d=level,
    )  # fmt: skip
    assert neb_gate(barrier, max_barrier=0.5).passed is passed


@pytest.fixture(scope="module")
def bands(tmp_path_factory):
    """A campaign without dynamics whose second compound has an element that EMT does not know."""
    folder = tmp_path_factory.mktemp("bands")
    text = BANDS.replace("Au Cu", "Xe Cu").replace("copper-gold", "copper-xenon")
    (folder / "c.yaml").write_text(text)
    work_here(submit="c.yaml", folder=folder)
    assert call_ssefw("report", "--store", "st", folder=folder) == 0
    return folder


def test_a_campaign_of_bands_ends_in_barriers(bands):
    with connect(bands / "st", read_only=True) as connection:
        found = {outcome.formula: outcome for outcome in connection.results.find(Outcome)}
        failures = list(connection.results.find(Failure))
        paths = list(connection.results.find(NebPath))
    outcome = found["Cu"]
    assert outcome.status == "determined"
    assert 0.4 < outcome.barrier.barrier_1d.value < 1.0
    assert outcome.cost.wall_time > outcome.relaxed.wall_time
    (other,) = (outcome for formula, outcome in found.items() if formula != "Cu")
    assert other.status == "failed"
    assert {failure.stage for failure in failures} == {"relax"}
    assert len(paths) == 1
    assert len(paths[0].structures) == 3


def test_bands_before_dynamics_stay_in_the_outcome(tmp_path, monkeypatch):
    def asked(candidate):
        raise AssertionError("the barrier was just computed")

    monkeypatch.setattr(state_module, "recorded_barrier", asked)
    text = CAMPAIGN.replace("  structures:", "  limit: 1\n  structures:").replace(
        "[300, 600]", "[300]"
    )
    bands = BANDS[BANDS.index("neb:") :].replace("neb: {", "neb: {max_barrier: 2.0, ")
    (tmp_path / "c.yaml").write_text(text + bands)
    work_here(submit="c.yaml", folder=tmp_path)
    with connect(tmp_path / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
    assert outcome.status == "bound"
    assert outcome.barrier.barrier_1d.value is not None
    assert [gate.name for gate in outcome.gates] == ["relaxation", "neb"]
    assert len(outcome.diffusivities) == 1


def test_jobs_of_earlier_versions_find_the_barrier_in_the_store(site, copper, monkeypatch):
    """They were not told it; a job is now, also that there is none."""
    monkeypatch.setenv("SSEFW_STORE", str(site / "st"))
    connect(site / "st").close()
    ladder = LadderMaker(md=MDMaker(engine=EMT, settings=MDSettings(temperature=300.0)))
    study = {
        "candidate": candidate(copper),
        "gates": [],
        "relaxed": relaxed(copper),
        "diffusivities": [],
        "trajectories": [],
    }
    bands = MAKER.jobs(study["relaxed"], candidate=study["candidate"])
    told, untold = ladder.conclude(**study, barrier=None, lesson=None), ladder.conclude(**study)
    flow = Flow([*bands, told, untold], order="linear")
    flow.update_metadata({"campaign": "c", "candidate": "c"}, dynamic=True)
    store = JobStore(MemoryStore())
    run_locally(flow, store=store, log=False, raise_immediately=True, ensure_success=True)
    barrier, found, none = (
        MontyDecoder().process_decoded(store.get_output(job.uuid, load=True))
        for job in (bands[-1], untold, told)
    )
    assert barrier == found.barrier
    assert none.barrier is None


def test_results_and_report_show_barriers(bands, ssefw):
    done = ssefw("results", "--json", "--store", bands / "st")
    records = {record["formula"]: record for record in map(json.loads, done.stdout.splitlines())}
    shown = records["Cu"]["barrier_ev"]
    assert shown["1d"]["value"] == pytest.approx(shown["3d"]["value"], abs=0.01)
    assert shown["bands"][0]["status"] == "converged"
    page = (bands / "st/small/report.html").read_text()
    assert "Barriers of hops" in page
    assert "from molecular dynamics" not in page


@pytest.mark.slow
def test_a_worker_told_to_stop_keeps_the_band_and_the_next_one_ends_it(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time\nfrom ase.calculators.emt import EMT\n\n"
        "class Slow(EMT):\n    def calculate(self, *args, **kwargs):\n"
        "        time.sleep(0.05)\n        super().calculate(*args, **kwargs)\n"
    )
    text = BANDS.replace("ase.calculators.emt.EMT", "slow.Slow").replace(
        "  structures:", "  limit: 1\n  structures:"
    )
    (tmp_path / "c.yaml").write_text(text.replace("fmax: 0.05", "fmax: 0.01"))
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, REPOSITORY))),
        "SSEFW_CALCULATOR_PACKAGES": "slow",
    }
    run_ssefw("submit", "c.yaml", "--store", "st", folder=tmp_path, env=environment)
    worker = start_ssefw("work", "--store", "st", folder=tmp_path, env=environment)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("st/scratch/runs/*/band.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=120)
    assert worker.returncode == 0
    with connect(tmp_path / "st", read_only=True) as connection:
        states = connection.launchpad.fireworks.distinct("state")
        assert not {"RUNNING", "FIZZLED"} & set(states)
        assert connection.results.count(Outcome) == 0
    run_ssefw("work", "--store", "st", folder=tmp_path, env=environment)
    with connect(tmp_path / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
    assert outcome.status == "determined"
    assert outcome.barrier.bands[0].climbed
