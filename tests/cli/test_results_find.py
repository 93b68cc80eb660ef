"""`ssefw results find`, `export` and `ssefw feedback` as a user meets them."""

import csv
import io
import json
import sys

import pytest

from ssefw.data.labels.outcomes import label_from_outcome
from ssefw.documents import Estimate, LabelSet
from ssefw.store import connect
from tests.outcomes import bound, outcome, value


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "st"
    with connect(folder) as connection:
        for formula, sigma in (("Li3PS4", 1e-4), ("Li6PS5Cl", 2e-3), ("Li2O", bound(1e-9))):
            item = outcome(formula, sigma)
            connection.results.add(item, candidate=item.candidate_id, campaign="x")
        broken = outcome("LiH", status="failed", reason="no energy")
        connection.results.add(broken, candidate="h", campaign="x")
    return folder


def test_a_table_json_and_csv_say_the_same(ssefw, store):
    asked = ("results", "find", "--store", store, "--element", "S", "--sort", "sigma")
    lines = [json.loads(line) for line in ssefw(*asked, "--json").stdout.splitlines()]
    assert [line["formula"] for line in lines] == ["Li6PS5Cl", "Li3PS4"]
    rows = list(csv.DictReader(io.StringIO(ssefw(*asked, "--csv").stdout)))
    assert [row["formula"] for row in rows] == ["Li6PS5Cl", "Li3PS4"]
    assert "Li6PS5Cl" in ssefw(*asked).stdout


def test_pages(ssefw, store):
    asked = ("results", "find", "--store", store, "--sort", "sigma", "--limit", 1, "--csv")
    assert "Li6PS5Cl" in ssefw(*asked).stdout
    assert "Li3PS4" in ssefw(*asked, "--page", 2).stdout


def test_nothing_found_is_an_empty_table_with_its_columns(ssefw, store):
    done = ssefw("results", "find", "--store", store, "--formula", "Xe", "--csv")
    assert done.stdout.startswith("campaign,candidate_id")


def test_parquet_without_pyarrow_is_one_line(ssefw, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = ssefw("results", "find", "--store", store, "--parquet", "x.parquet", check=False)
    assert done.returncode == 1
    assert "pip install 'ssefw[tables]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_parquet_is_read_back(ssefw, store, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    ssefw("results", "find", "--store", store, "--parquet", tmp_path / "x.parquet")
    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("results", "find", "--element", "Xx"), "'Xx' is no element"),
        (("results", "find", "--json", "--csv"), "give one of --json, --csv"),
        (("results", "find", "trajectories", "--min-sigma", "1"), "no such range"),
        (("results", "find", "--sort", "beauty"), "'beauty'"),
        (("results", "export", "Xe", "-o", "out"), "'Xe'"),
        (("results", "find", "--after", "record-1"), "--after needs --sort"),
        (("results", "find", "--sort", "sigma", "--after", "record-1"), "no record 'record-1'"),
        (("results", "find", "labels", "--sort", "sigma", "--after", "x"), "have no keys"),
        (("results", "find", "--source", "x"), "have no 'sources'"),
        (("feedback", "ingest", "nobody"), "no outcomes of campaign 'nobody'"),
        (("feedback", "ingest", "--outcomes", "nothing.jsonl"), "Cannot read"),
        (("feedback", "ingest", "--method", "EMT"), "ENGINE=KIND"),
        (("feedback", "rerank"), "no campaign"),
        (("feedback", "next", "nobody"), "no campaign 'nobody'"),
        (("feedback", "check", "record-1", "--campaign", "x"), "x"),
    ],
)
def test_bad_input_is_one_line(ssefw, store, arguments, said):
    done = ssefw(*arguments, "--store", store, check=False)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_page_behind_the_last_says_so(ssefw, store):
    done = ssefw("results", "find", "--store", store, "--page", 9)
    assert "Page 9 is empty" in done.stderr


def test_labels_that_were_moved_show_what_was_computed(ssefw, store):
    with connect(store) as connection:
        label = label_from_outcome(outcome("Li3PS4", 1e-4))
        moved = label.model_copy(
            update={"conductivity": value(2e-5), "as_computed": label.conductivity}
        )
        labels = LabelSet(name="mixed", labels=(moved,))
        connection.results.add(labels, candidate="", campaign="")
    shown = ssefw("results", "find", "labels", "--store", store).stdout
    assert "as computed" in shown
    assert "2e-05" in shown
    assert "0.0001" in shown


def test_ingest_lists_labels_and_refusals_and_writes_the_set(ssefw, store, tmp_path):
    done = ssefw("feedback", "ingest", "--store", store, "-o", "computed.json", "--json")
    record = json.loads(done.stdout)
    assert (record["labels"], record["refused"], record["is_new"]) == (3, 1, True)
    assert "no energy" in done.stderr
    shown = ssefw("labels", "show", tmp_path / "computed.json", "--json").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in shown] == ["mlip"] * 3
    again = json.loads(ssefw("feedback", "ingest", "--store", store, "--json").stdout)
    assert (again["version"], again["is_new"]) == (record["version"], False)


def test_conductivities_and_labels_are_listed(ssefw, store):
    asked = ("results", "find", "conductivities", "--store", store, "--sort", "sigma", "--csv")
    rows = list(csv.DictReader(io.StringIO(ssefw(*asked, "--min-sigma", 1e-3).stdout)))
    assert [(row["formula"], row["from"]) for row in rows] == [("Li6PS5Cl", "fit")]
    rows = list(csv.DictReader(io.StringIO(ssefw(*asked, "--temperature", 750).stdout)))
    assert {row["from"] for row in rows} == {"run"}
    assert {row["temperature_k"] for row in rows} == {"750.0"}
    ssefw("feedback", "ingest", "--store", store)
    done = ssefw("results", "find", "labels", "--store", store, "--source", "campaign x",
                 "--element", "S", "--json")  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {item["formula"] for item in found} == {"Li3PS4", "Li6PS5Cl"}
    shown = ssefw("results", "find", "conductivities", "--store", store).stdout
    assert "Li6PS5Cl" in shown
    assert "fit of" in shown


def test_a_page_says_behind_which_key_the_next_one_lies(ssefw, store):
    asked = ("results", "find", "--store", store, "--sort", "sigma", "--limit", 1, "--csv")
    found, key = [], ()
    for _ in range(5):
        done = ssefw(*asked, *key)
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        found += [row["formula"] for row in rows]
        if "--after" not in done.stderr:
            break
        key = ("--after", done.stderr.split()[-1])
    assert found[:2] == ["Li6PS5Cl", "Li3PS4"]
    assert sorted(found[2:]) == ["Li2O", "LiH"]


def test_polymorphs_are_told_apart_by_an_id_that_show_takes(ssefw, tmp_path):
    with connect(tmp_path / "st") as connection:
        for candidate in ("aaaaaaaa11112222", "bbbbbbbb11112222"):
            item = outcome("Li3PS4", 1e-4, candidate_id=candidate)
            connection.results.add(item, candidate=candidate, campaign="x")
    table = ssefw("results", "--store", "st").stdout
    assert "aaaaaaaa" in table
    assert "bbbbbbbb" in table
    assert "bbbbbbbb11112222" in ssefw("results", "show", "bbbbbbbb", "--store", "st").stdout


# What somebody means, and what is said where nothing is


def test_both_listings_read_a_range_alike(ssefw, store):
    """Of the formula of 1e-4 the interval reaches from 5e-5 to 2e-4."""
    for command in (("results",), ("results", "find", "--all")):
        asked = (*command, "--store", store, "--json", "--min-sigma")
        for least, possible, expected in (
            (1e-4, (), {"Li6PS5Cl"}),
            (5e-5, (), {"Li6PS5Cl", "Li3PS4"}),
            (1e-4, ("--possible",), {"Li6PS5Cl", "Li3PS4"}),
            (1e-10, ("--possible",), {"Li6PS5Cl", "Li3PS4", "Li2O"}),
        ):
            lines = ssefw(*asked, least, *possible).stdout.splitlines()
            assert {json.loads(line)["formula"] for line in lines} == expected, (command, least)


def test_a_lower_bound_above_is_certain_and_an_upper_bound_never(ssefw, store):
    with connect(store) as connection:
        above = Estimate(kind="lower_bound", lower=2e-2, unit="S/cm")
        item = outcome("Li7P3S11", above)
        connection.results.add(item, candidate=item.candidate_id, campaign="x")
    for command in (("results",), ("results", "find")):
        done = ssefw(*command, "--store", store, "--min-sigma", 1e-2, "--json")
        assert [json.loads(line)["formula"] for line in done.stdout.splitlines()] == ["Li7P3S11"]


def test_an_unknown_candidate_is_an_error_with_what_is_near(ssefw, store):
    asked = ("results", "find", "trajectories", "--store", store, "--candidate")
    done = ssefw(*asked, "Li6PS5Br", check=False)
    assert done.returncode == 1
    assert "Did you mean Li6PS5Cl" in done.stderr
    done = ssefw(*asked, "Li3PS4")
    assert "No trajectories fit." in done.stderr


def test_an_unknown_campaign_is_an_error(ssefw, store):
    for command in (("results",), ("results", "find")):
        done = ssefw(*command, "--store", store, "--campaign", "y", check=False)
        assert done.returncode == 1
        assert "no campaign 'y'" in done.stderr


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--min-sigma", "1"), "None of the 4 outcomes fits. Only what is certain counts"),
        (("--status", "undetermined"), "None of the 4 outcomes fits."),
        (("--formula", "Li3PS3"), "Did you mean Li3PS4"),
    ],
)
def test_why_nothing_fits_is_said(ssefw, store, asked, said):
    for command in (("results",), ("results", "find")):
        assert said in ssefw(*command, "--store", store, *asked).stderr
