"""Which candidates a campaign takes: filters with reasons, and a trained model's order."""

import json

import pytest
from jobflow import Flow, JobOrder, JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from ssefw import bvse
from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.running.submission import submit
from ssefw.errors import ConfigurationError, DataError, LaunchError
from ssefw.store import connect
from tests.conftest import run_ssefw

BASE = "campaign: c\npool: {path: pool.jsonl}\nmd: {temperatures: [900], length: 5}\n"


def rock_salt(cation, anion, a):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


@pytest.fixture
def plan(tmp_path):
    """Plan a campaign on four compounds with some lines added to its file."""
    rows = [
        (rock_salt("Li", "F", 4.026), {"band_gap": 8.7}),
        (rock_salt("Li", "Cl", 5.13), {"band_gap": 6.3}),
        (rock_salt("Na", "Cl", 5.64), {"band_gap": 5.0}),
        (rock_salt("Li", "Br", 5.50), {}),
    ]
    with (tmp_path / "pool.jsonl").open("w") as file:
        for structure, properties in rows:
            file.write(json.dumps({"structure": structure.as_dict(), **properties}) + "\n")

    def make(lines=""):
        (tmp_path / "c.yaml").write_text(BASE + lines)
        return make_plan(read_campaign(tmp_path / "c.yaml"))

    return make


def test_a_pool_entry_without_the_mobile_ion_is_left_out(plan):
    made = plan()
    assert [candidate.formula for candidate in made.candidates] == ["LiF", "LiCl", "LiBr"]
    assert [(x.formula, x.code) for x in made.excluded] == [("NaCl", "no_mobile_ion")]


FILTERED = "filters: [{bvse_barrier: {below: 9, dimensions: 1}}, {bvse_barrier: {below: 8}}]\n"


def test_the_barrier_of_a_filter_is_that_of_the_gate_and_computed_once(plan, tmp_path, monkeypatch):
    computed = []
    monkeypatch.setattr(
        bvse, "site_energy_barrier",
        lambda *a, do=bvse.site_energy_barrier, **k: computed.append(1) or do(*a, **k),
    )  # fmt: skip
    made = plan(FILTERED + "bvse: {max_barrier: 9.0}\n")
    assert len(computed) == len(made.barriers) == 3  # for two filters
    with connect(tmp_path / "st") as connection:
        submit(made, connection)
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "st"))
    jobs = [made.maker.bvse.make(candidate.whole) for candidate in made.candidates]
    found = run_locally(
        Flow(jobs, order=JobOrder.LINEAR), store=JobStore(MemoryStore()), ensure_success=True
    )
    assert len(computed) == 3
    for candidate, job in zip(made.candidates, jobs, strict=True):
        barrier = found[job.uuid][1].output
        again = bvse.site_energy_barrier(candidate.structure, ion="Li", resolution=0.2)
        assert barrier.candidate_id == candidate.id
        assert barrier.barrier_1d == made.barriers[candidate.id].barrier_1d == again.barrier_1d


def test_a_barrier_on_another_grid_than_the_gates_is_not_the_gates(plan):
    assert not plan(FILTERED + "bvse: {max_barrier: 9.0, resolution: 0.3}\n").barriers


def test_filters_look_for_the_barrier_of_the_campaigns_ion(plan):
    made = plan("specie: Na\nfilters: [{bvse_barrier: {below: 9, dimensions: 1}}]\n")
    assert [candidate.formula for candidate in made.candidates] == ["NaCl"]


def test_filters_count_and_give_reasons_and_pass_none_for_want_of_a_number(plan):
    made = plan("filters: [{band_gap: {at_least: 7.0}}]\n")
    assert [candidate.formula for candidate in made.candidates] == ["LiF"]
    assert [(step.name, step.n_in, step.n_passed) for step in made.steps] == [
        ("holds element", 4, 3),
        ("band gap", 3, 1),
    ]
    reasons = {item.formula: (item.code, item.reason) for item in made.excluded}
    assert reasons["LiCl"][0] == "outside_limit"
    assert "6.3 eV" in reasons["LiCl"][1]
    assert reasons["LiBr"][0] == "undetermined"


def test_a_preset_of_a_paper_is_a_filter_list(plan):
    with pytest.raises(LaunchError, match="No candidate is left of the 4"):
        plan("filters: kang2022\n")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("filters: kang2202\n", "Unknown preset"),
        ("filters: [{bad_gap: {}}]\n", "Unknown filter 'bad_gap'"),
        ("filters: [{band_gap: {at_last: 1}}]\n", "did you mean 'at_least'"),
    ],
)
def test_what_is_not_known_is_refused(plan, lines, words):
    with pytest.raises(ConfigurationError, match=words):
        plan(lines)


def test_a_screen_orders_the_pool_and_takes_the_best(plan, tmp_path):
    arguments = ["--system", "composition", "--labels", "starter", "--out", "m.model"]
    run_ssefw("screen", "train", *arguments, folder=tmp_path)
    made = plan("screen: {model: m.model, top: 2}\n")
    assert len(made.candidates) == 2
    assert {item.code for item in made.excluded} == {"no_mobile_ion", "rank"}


def test_a_model_that_is_not_there_is_named(plan):
    with pytest.raises(DataError, match=r"no\.model.*ssefw screen train"):
        plan("screen: {model: no.model}\n")
