"""The report of a campaign: one file with everything in it, for people."""

import base64
import csv
import io
import re
from dataclasses import replace
from functools import partial

import pytest
import yaml
from pymatgen.core import Structure

from ssefw.analysis import pymatgen_rules
from ssefw.campaigns.running.watch import Snapshot
from ssefw.documents import CampaignRecord, Cost, Estimate, Outcome, PlannedCandidate
from ssefw.makers.diffusivity import read_frames
from ssefw.report import pymatgen_column
from ssefw.report.page import _Saving, render_report
from ssefw.report.pymatgen_column import PymatgenColumn
from ssefw.report.rows import rank_outcomes
from ssefw.report.wording import decades_words, estimate_words, number_words
from ssefw.store import connect
from tests.outcomes import bound, outcome, relaxation, value

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def page():
    cell = Structure([[4, 0, 0], [0, 4, 0], [0, 0, 4]], ["Li", "Cl"], [[0, 0, 0], [0.5] * 3])
    outcomes = [
        outcome("LiCl", value(1e-4), candidate_id="one").model_copy(
            update={"relaxed": relaxation(cell)}
        ),
        outcome("Li2O", bound(1e-9), candidate_id="two"),
        outcome("LiF", value(1e-6, decades=1.0), candidate_id="three"),
        outcome("LiH", status="failed", reason="no energy", candidate_id="four"),
    ]
    record = CampaignRecord(
        campaign="salts",
        plan_key="k",
        spec={"specie": "Li", "conductivity": {"temperature": 300.0}, "md": {"length": 2}},
        candidates=tuple(
            PlannedCandidate(
                candidate_id=key, formula=formula, source=source, n_atoms=2, md_steps=1
            )
            for key, formula, source in (
                ("one", "LiCl", f"LiCl ({SCRIPT.replace('/', '')})"),
                ("five", "LiBr", ""),
            )
        ),
    )
    now = Snapshot("salts", 5, 4, {}, (("five", "relax"),), ())
    return render_report(record, rank_outcomes(outcomes), now, store="demo")


def carried(page, name):
    """Return a file that the page carries."""
    content = re.search(rf'download="{re.escape(name)}" href="data:[^,]*base64,([^"]*)"', page)[1]
    return base64.b64decode(content.replace("&#43;", "+")).decode()


def ranking(page):
    table = page[page.index('id="ranking-table"') :].partition("</table>")[0]
    return re.findall(r"<tr .*?</tr>", table, re.DOTALL)


def test_only_what_is_determined_has_a_place_and_the_rest_is_grouped(page):
    rows = [re.sub(r"<[^>]*>", " ", row).split() for row in ranking(page)]
    assert [row[:2] for row in rows[:2]] == [["1", "LiCl"], ["2", "LiF"]]
    assert rows[2][0] == "Bounds:"
    assert rows[3][0] == "Li₂O"
    assert rows[4] == ["Failed"]
    assert rows[6] == ["Not", "concluded"]
    assert "LiBr" in rows[7]


def test_a_determined_candidate_says_how_wide_its_interval_is(page):
    one, two, *_ = ranking(page)
    assert "0.6 decades" in one
    assert "2.0 decades" in two
    assert "decades" not in ranking(page)[3]


def test_files_come_with_the_page(page):
    cell = Structure.from_str(carried(page, "LiCl-one.cif"), fmt="cif")
    assert cell.composition.reduced_formula == "LiCl"
    table = list(csv.DictReader(io.StringIO(carried(page, "salts.csv"))))
    assert [row["formula"] for row in table] == ["LiCl", "LiF", "Li2O", "LiH"]
    assert yaml.safe_load(carried(page, "salts.yaml"))["md"] == {"length": 2}


def test_there_is_no_empty_figure_and_no_markup_from_files(page):
    assert "<figure>" in page
    failed = page[page.index('id="four"') :].partition("</section>")[0]
    assert "<figure>" not in failed
    assert page.count("<script>") == 1
    assert "alert(1)" in page


def test_both_ends_of_an_interval_are_written_alike():
    energy = Estimate(value=0.5, lower=0.45, upper=0.554, unit="eV")
    assert estimate_words(energy) == "0.50 (0.45 … 0.55)"
    assert estimate_words(value(1.0)) == "1.0 (0.50 … 2.0)"
    assert estimate_words(value(0.01)) == "1.0×10⁻² (5.0×10⁻³ … 2.0×10⁻²)"
    around_zero = Estimate(value=0.135, lower=-0.0066, upper=0.276, unit="eV")
    assert estimate_words(value(2.52e-3)) == "2.5×10⁻³ (1.3×10⁻³ … 5.0×10⁻³)"
    wide = value(0.2).model_copy(update={"lower": 5e-3, "upper": 8.0})
    assert estimate_words(wide) == "2.0×10⁻¹ (5.0×10⁻³ … 8.0)"
    assert estimate_words(around_zero) == "0.14 (-0.01 … 0.28)"


def test_what_has_no_interval_has_no_width():
    assert decades_words(None) == ""
    assert decades_words(bound(1e-9)) == ""
    assert decades_words(Estimate.undetermined("no hops", unit="S/cm")) == ""


def test_pymatgens_numbers_stand_beside_ours_where_they_are_asked_for(
    ssefw, finished_campaign, tmp_path, monkeypatch
):
    store = finished_campaign[0] / "st"
    ssefw("report", "--store", store, "--no-frames", "-o", "short.html", "--rules", "pymatgen")
    assert "D of pymatgen" not in (tmp_path / "short.html").read_text()  # it asks for longer runs
    # As if frames lay ten times further apart, and for an analyzer that is content with fewer.
    content_with = partial(pymatgen_rules.DiffusionAnalyzer, min_obs=5)
    monkeypatch.setattr(pymatgen_rules, "DiffusionAnalyzer", content_with)
    monkeypatch.setattr(
        pymatgen_column,
        "read_frames",
        lambda ledger, store: replace(read_frames(ledger, store), timestep=100.0),
    )
    ssefw("report", "--store", store, "--no-frames", "-o", "page.html", "--rules", "pymatgen")
    text = (tmp_path / "page.html").read_text()
    with connect(store, read_only=True) as connection:
        outcomes = list(connection.results.find(Outcome))
        column = PymatgenColumn.of(connection, outcomes)
    (mixed,) = (found for found in outcomes if found.formula != "Cu")
    section = text[text.index(f'<section id="{mixed.candidate_id}"') :].partition("</section>")[0]
    assert "D of pymatgen" in section
    assert len(mixed.diffusivities) == 2
    for run in mixed.diffusivities:
        theirs = column.runs[run.trajectory_key]
        assert theirs.diffusivity > 0.0
        assert f">{number_words(theirs.diffusivity, 3)}</td>" in section
    line = column.lines[mixed.candidate_id]
    assert f"= {number_words(line.conductivity, 3)} S/cm" in section
    ssefw("report", "--store", store, "--no-frames", "-o", "plain.html")
    assert "pymatgen's" not in (tmp_path / "plain.html").read_text()


def test_the_cost_of_a_number_counts_what_is_determined_and_how_well():
    cost = Cost(core_hours=3.0, protocol="P", protocol_core_hours=6.0)
    found = [
        outcome("LiCl", value(1e-4)).model_copy(update={"cost": cost}),  # 0.6 decades wide
        outcome("LiF", bound(1e-9)).model_copy(update={"cost": cost}),
    ]
    saving = _Saving.of(found)
    assert saving.each == 6.0
    assert saving.per_decade == pytest.approx(6.0 / 9.4)
    assert _Saving.of(found[1:]).each is None
