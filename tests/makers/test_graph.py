"""The graph of a candidate through FireWorks: gates reject, failures end in an outcome."""

import json

import pytest

from ssefw.documents import Failure, Outcome
from ssefw.store import connect
from tests.conftest import CAMPAIGN, call_ssefw, work_here


def outcomes_of(folder, text):
    (folder / "c.yaml").write_text(text)
    work_here(submit="c.yaml", folder=folder)
    with connect(folder / "st", read_only=True) as connection:
        found = {outcome.formula: outcome for outcome in connection.results.find(Outcome)}
        failures = list(connection.results.find(Failure))
        states = connection.launchpad.fireworks.distinct("state")
    return found, failures, states


def test_a_supercell_beyond_the_limit_rejects_without_dynamics(tmp_path):
    # Cells that might just fit if they grew, so that the plan does not refuse them before.
    text = CAMPAIGN.replace("min_length: 3, max_atoms: 40", "min_length: 7.6, max_atoms: 40")
    found, failures, states = outcomes_of(tmp_path, text)
    for outcome in found.values():
        assert outcome.status == "rejected"
        assert "max_atoms = 40" in outcome.reason
        assert outcome.gates[-1].code == "too_large"
        assert outcome.relaxed is not None
        assert outcome.cost.md_steps == 0
    assert failures == []
    assert states == ["COMPLETED"]


def test_a_triage_without_hops_ends_with_its_bound(tmp_path):
    text = CAMPAIGN + "  triage: {temperature: 600, length: 0.6, min_hops: 5}\n"
    found, _, _ = outcomes_of(tmp_path, text)
    for outcome in found.values():
        assert outcome.status == "bound"
        assert "0 hops" in outcome.reason
        assert [run.temperature for run in outcome.diffusivities] == [600.0]
        assert outcome.cost.md_steps == 300


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A campaign whose second compound has an element that EMT does not know."""
    text = CAMPAIGN.replace("Au Cu", "Xe Cu").replace("copper-gold", "copper-xenon")
    folder = tmp_path_factory.mktemp("broken")
    found = outcomes_of(folder, text)
    assert call_ssefw("report", "--store", "st", folder=folder) == 0
    return folder, *found


def test_a_failed_candidate_is_an_outcome_and_does_not_stop_the_others(broken):
    _, found, _, _ = broken
    assert found["Cu"].status == "bound"
    (failed,) = (outcome for formula, outcome in found.items() if "Xe" in formula)
    assert failed.status == "failed"
    assert failed.reason.startswith("relax: ")
    assert "Xe" in failed.reason
    assert failed.conductivity is None


def test_the_failed_job_is_a_failed_job_of_the_launch_pad_with_its_reason_stored(broken, ssefw):
    folder, _, failures, states = broken
    assert {failure.stage for failure in failures} == {"relax"}
    assert "FIZZLED" in states
    done = ssefw("status", "--json", "--store", folder / "st")
    record = json.loads(done.stdout)
    assert [job["job"] for job in record["failed"]] == ["relax"]
    assert record["done"] is True


def test_the_report_shows_why(broken):
    folder, _, _, _ = broken
    page = (folder / "st/small/report.html").read_text()
    assert 'class="chip failed"' in page
    assert "relax: " in page


def test_the_report_compares_with_a_fixed_protocol(broken):
    folder, found, _, _ = broken
    page = (folder / "st/small/report.html").read_text()
    assert "the fixed protocol XRDMatch" in " ".join(page.split())
    assert found["Cu"].cost.saved_core_hours > 0
