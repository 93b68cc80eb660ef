"""A campaign from its file to its report, in the processes a user would start."""

import csv
import io
import json
import re
import signal

import ssefw
from ssefw.documents import CampaignRecord, Conductivity, Diffusivity, Outcome, RelaxResult
from ssefw.documents import Trajectory as Ledger
from ssefw.engines.stopping import stop_event
from ssefw.store import connect, open_blobs
from ssefw.store.frames.trajectories import TrajectoryStore
from tests.conftest import run_ssefw


def test_run_concludes_every_candidate_and_says_where_the_report_is(finished_campaign):
    folder, done = finished_campaign
    assert "2 of 2 candidates concluded" in done.stderr
    assert (folder / "st/small/report.html").exists()


def test_each_result_is_stored_once(finished_campaign):
    folder, _ = finished_campaign
    with connect(folder / "st", read_only=True) as connection:
        count = connection.results.count
        assert count(Outcome, campaign="small") == 2
        assert count(CampaignRecord, campaign="small") == 1
        assert count(RelaxResult, campaign="small") == 2
        assert count(Ledger, campaign="small") == 4
        assert count(Diffusivity, campaign="small") == 4
        assert count(Conductivity) == 0  # it is a part of the outcome


def test_a_vibrating_metal_is_a_bound_with_its_temperatures_and_cost(finished_campaign):
    folder, _ = finished_campaign
    with connect(folder / "st", read_only=True) as connection:
        for outcome in connection.results.find(Outcome):
            assert outcome.status == "bound"
            assert outcome.conductivity.conductivity.kind == "upper_bound"
            assert [d.temperature for d in outcome.diffusivities] == [300.0, 600.0]
            assert outcome.cost.md_steps == 1000
            assert outcome.provenance.settings_hash
            assert outcome.provenance.versions["ase"]


def test_the_frames_of_a_ledger_are_in_the_blob_store(finished_campaign):
    folder, _ = finished_campaign
    store = TrajectoryStore(open_blobs(folder / "st"))
    with connect(folder / "st", read_only=True) as connection:
        ledgers = list(connection.results.find(Ledger))
    for ledger in ledgers:
        chunks = list(store.chunks(ledger))
        assert ledger.n_steps == 500
        assert ledger.n_frames == sum(chunk.n_frames for chunk in chunks) == 101
        assert [segment.end_reason for segment in ledger.segments] == ["complete"]


def test_scratch_is_empty_when_all_is_stored(finished_campaign):
    folder, _ = finished_campaign
    assert list((folder / "st/scratch/runs").iterdir()) == []
    assert list((folder / "st/scratch/launches").iterdir()) == []


def test_running_again_adds_nothing(finished_campaign):
    folder, _ = finished_campaign
    again = run_ssefw("run", "small.yaml", "--store", "st", folder=folder)
    assert "0 candidates submitted, 2 there before" in again.stderr
    with connect(folder / "st", read_only=True) as connection:
        assert connection.results.count(Outcome) == 2
        assert connection.launchpad.fireworks.count_documents({"state": "READY"}) == 0


def test_from_python_it_gives_the_outcomes_and_leaves_signals_alone(finished_campaign, monkeypatch):
    folder, _ = finished_campaign
    monkeypatch.chdir(folder)
    before = signal.getsignal(signal.SIGINT)
    outcomes = ssefw.run("small.yaml", store="st")
    assert [outcome.status for outcome in outcomes] == ["bound", "bound"]
    assert len(outcomes[0].trajectory(300).to_ase(first=0)) == 101
    assert signal.getsignal(signal.SIGINT) is before
    assert not stop_event().is_set()


def test_other_settings_under_the_same_name_are_refused(finished_campaign, ssefw, tmp_path):
    folder, _ = finished_campaign
    text = (folder / "small.yaml").read_text().replace("length: 1.0", "length: 2.0")
    (tmp_path / "other.yaml").write_text(text)
    done = ssefw("submit", "other.yaml", "--store", folder / "st", check=False)
    assert done.returncode == 1
    assert "other settings" in done.stderr
    assert "another name" in done.stderr


def test_results_come_as_table_json_and_csv(finished_campaign, ssefw):
    folder, _ = finished_campaign
    assert "AuCu3" in ssefw("results", "--store", folder / "st").stdout.replace("Cu3Au", "AuCu3")
    lines = ssefw("results", "--json", "--store", folder / "st").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["status"] for record in records} == {"bound"}
    assert all(record["sigma_s_per_cm"]["upper"] > 0 for record in records)
    rows = list(
        csv.DictReader(io.StringIO(ssefw("results", "--csv", "--store", folder / "st").stdout))
    )
    assert [row["sigma_kind"] for row in rows] == ["upper_bound", "upper_bound"]


def test_an_upper_bound_does_not_pass_a_threshold_below_it(finished_campaign, ssefw):
    folder, _ = finished_campaign
    found = ssefw("results", "--json", "--min-sigma", "1e-30", "--store", folder / "st")
    assert found.stdout == ""


def test_results_show_finds_a_candidate_by_formula_and_by_the_start_of_its_id(
    finished_campaign, ssefw
):
    folder, _ = finished_campaign
    record = json.loads(ssefw("results", "show", "Cu", "--json", "--store", folder / "st").stdout)
    again = ssefw("results", "show", record["candidate_id"][:8], "--json", "--store", folder / "st")
    assert json.loads(again.stdout) == record


def test_status_counts_jobs_by_stage(finished_campaign, ssefw):
    folder, _ = finished_campaign
    record = json.loads(ssefw("status", "--json", "--store", folder / "st").stdout)
    assert record["done"] is True
    assert record["concluded"] == record["candidates"] == 2
    jobs = {(job["stage"], job["state"]): job["count"] for job in record["jobs"]}
    assert jobs["md", "done"] == 4
    assert jobs["relax", "done"] == 2


def test_the_report_is_one_file_with_ranking_figures_and_references(finished_campaign):
    folder, _ = finished_campaign
    page = (folder / "st/small/report.html").read_text()
    assert page.count("<svg") == 4
    assert "Straumanis" in page
    elsewhere = r'src=|<link|url\(http|href="(?!#|data:|report-frames/|https://doi\.org/)'
    assert not re.findall(elsewhere, page)
    assert "Methods to cite" in page
    assert "10.1088/1361-648X/aa680e" in page  # ASE ran it
    assert "CHGNet" not in page
    assert "Runs this short" in page


def test_report_can_be_written_elsewhere(finished_campaign, ssefw, tmp_path):
    folder, _ = finished_campaign
    done = ssefw("report", "--store", folder / "st", "-o", "page.html")
    assert done.stdout.strip() == "page.html"
    assert "small" in (tmp_path / "page.html").read_text()
