"""An entry of a pool is found by its name and its ids wherever it has got to."""

import csv
import io
import json

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.plan import make_plan
from ssefw.data.dataset import dataset_of
from ssefw.data.labels.sets import save_label_set
from ssefw.data.materials import read_materials
from ssefw.data.pools import read_pool
from ssefw.documents import Barrier, Estimate, Gate
from ssefw.screening.base import make_screener, save_screener
from ssefw.screening.ranking import rank_pool
from ssefw.store import connect
from tests.conftest import call_ssefw
from tests.outcomes import outcome
from tests.screening.conftest import make_labels

IDS = ("mp-1153", "jqc", "73187")
"""Materials Project, OBELiX and ICSD call it so."""

EV = {"unit": "eV"}
BARRIER = Barrier(
    candidate_id="",
    formula="Li2S",
    specie="Li",
    method="neb",
    barrier_1d=Estimate(value=0.27, lower=0.25, upper=0.29, **EV),
    barrier_2d=Estimate.undetermined("", **EV),
    barrier_3d=Estimate.undetermined("", **EV),
)

CAMPAIGN = """\
campaign: ids
pool: {path: selected.jsonl}
engine: {calculator: ase.calculators.lj.LennardJones}
md: {temperatures: [600, 800], length: 3}
"""


def toy_labels():
    return make_labels(["Li3PS4", "Li3PO4", "Li6PS5Cl", "LiF"], [1e-3, 1e-8, 1e-3, 1e-9])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pool in which one crystal stands twice, a ranking of it, and a campaign with an outcome."""
    folder = tmp_path_factory.mktemp("ids")
    fluorite = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.7), ["Li", "S"], [[0.25, 0.25, 0.25], [0, 0, 0]]
    )
    row = {
        "mp_id": IDS[0],
        "ID": IDS[1],
        "icsd_id": float(IDS[2]),
        "band_gap": 3.4,
        "e_above_hull": 0.0,
    }
    again = {"name": "same-crystal", "structure": fluorite.get_primitive_structure().as_dict()}
    rows = [row | {"structure": fluorite.as_dict()}, again]
    (folder / "pool.jsonl").write_text("\n".join(json.dumps(r, default=float) for r in rows))
    labels = toy_labels()
    screener = make_screener("composition", {"n_splits": 1, "members": ["nb"], "test_share": 0.5})
    save_screener(screener.fit(dataset_of(labels)), folder / "m.model")
    save_label_set(labels, folder / "labels.json")
    rank = ("screen", "rank", "pool.jsonl", "--model", "m.model", "-o", "ranking.json")
    assert call_ssefw(*rank, "--pool-out", "selected.jsonl", folder=folder) == 0
    (folder / "ids.yaml").write_text(CAMPAIGN)
    assert call_ssefw("submit", "ids.yaml", "--store", "st", folder=folder) == 0
    (planned,) = read_pool(folder / "selected.jsonl").candidates
    gate = Gate(name="bvse", passed=True, code="ok", message="", numbers={"barrier_1d_ev": 0.31})
    found = outcome("Li2S", 1e-5, candidate_id=planned.id, campaign="ids")
    found = found.model_copy(update={"gates": (gate,), "barrier": BARRIER})
    with connect(folder / "st") as store:
        store.results.add(found, candidate=planned.id, campaign="ids")
    return folder


@pytest.fixture(scope="module")
def numbers(folder):
    """A model that predicts the conductivity, beside the one that votes."""
    screener = make_screener("conductivity", {"folds": 2}).fit(dataset_of(toy_labels()))
    save_screener(screener, folder / "n.model")


@pytest.fixture(scope="module")
def label(folder):
    """The outcome as a label of the store."""
    assert call_ssefw("feedback", "ingest", "--store", "st", folder=folder) == 0


@pytest.fixture
def said(folder, capsys):
    def call(*arguments):
        capsys.readouterr()
        assert call_ssefw(*arguments, folder=folder) == 0
        return capsys.readouterr().out

    return call


def test_the_check_of_a_pool_and_the_plan_name_it(said):
    assert f"same-crystal is {IDS[0]}" in said("pool", "check", "pool.jsonl")
    assert IDS[0] in said("plan", "ids.yaml")
    shown = json.loads(said("pool", "show", "selected.jsonl", "--json").splitlines()[0])
    assert shown["source"] == IDS[0]


@pytest.mark.parametrize("file", ["ranking.json", "selected.jsonl"])
def test_a_ranking_is_a_pool_with_all_ids(folder, file):
    (one,) = read_pool(folder / file).candidates
    assert {one.source, *one.aliases} == {*IDS, "same-crystal"}
    assert one.properties["band_gap_ev"] == 3.4
    names = {row.name for row in read_materials(folder / file)}
    assert names == {IDS[0], "same-crystal"}


@pytest.mark.parametrize("word", [*IDS, "same-crystal"])
def test_it_is_found_in_a_store_by_each_of_its_ids(said, word):
    assert IDS[0] in said("results", "show", word, "--store", "st")
    found = said("results", "find", "--candidate", word, "--json", "--store", "st")
    (row,) = map(json.loads, found.splitlines())
    assert row["name"] == IDS[0]
    assert word in row["source"].split("; ")


def test_tables_of_results_name_it_and_are_pools(said, tmp_path):
    assert IDS[0] in said("results", "--store", "st")
    text = said("results", "--csv", "--store", "st")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["name"], row["formula"]) == (IDS[0], "Li2S")
    (tmp_path / "again.csv").write_text(text)
    (again,) = read_materials(tmp_path / "again.csv")
    assert (again.name, again.formula) == (IDS[0], "Li2S")


@pytest.mark.usefixtures("label")
def test_the_label_it_becomes_says_what_it_is_called(said):
    for word in (*IDS, "same-crystal"):
        found = said("results", "find", "labels", "--source", word, "--json", "--store", "st")
        assert json.loads(found.splitlines()[0])["formula"] == "Li2S"


def test_the_report_names_it(said, folder):
    said("report", "ids", "--no-frames", "-o", "ids.html", "--store", "st")
    page = (folder / "ids.html").read_text()
    assert all(word in page for word in (*IDS, "same-crystal"))


@pytest.mark.usefixtures("label")
def test_every_table_of_materials_is_a_pool(said, folder):
    (folder / "lines.jsonl").write_text(
        said("screen", "rank", "pool.jsonl", "--model", "m.model", "--json")
    )
    assert {row.name for row in read_materials(folder / "lines.jsonl")} == {IDS[0], "same-crystal"}
    said("results", "find", "labels", "--csv", "-o", "labels.csv", "--store", "st")
    (row,) = read_materials(folder / "labels.csv")
    assert row.formula == "Li2S"


def test_what_is_left_is_tabulated_as_papers_do(said, folder):
    (row,) = csv.DictReader(io.StringIO(said("results", "table", "--csv", "--store", "st")))
    assert (row["name"], row["formula"]) == (IDS[0], "Li2S")
    assert (row["space_group"], row["space_group_number"]) == ("Fm-3m", "225")
    assert row["e_hull_ev_atom"] == "0.0"
    assert (row["band_gap_ev"], row["band_gap_from"]) == ("3.4", "pool")
    assert (row["bvse_barrier_ev"], row["neb_barrier_ev"]) == ("0.31", "0.27")
    assert float(row["sigma_s_per_cm"]) == 1e-5
    assert 0 <= float(row["score"]) <= 1
    assert row["ids"].split("; ")[:3] == list(IDS)
    (as_json,) = map(json.loads, said("results", "table", "--json", "--store", "st").splitlines())
    assert as_json["neb_barrier_ev"] == 0.27
    table = said("results", "table", "--store", "st")
    assert all(word in table for word in ("Fm-3m", "3.40", "0.31", "0.27", "sigma (S/cm)"))
    said("results", "table", "-o", "table2.csv", "--store", "st")
    assert (folder / "table2.csv").read_text().splitlines()[0].startswith("name,formula,")


@pytest.mark.usefixtures("numbers")
def test_the_table_of_a_ranking_says_what_is_known_before(said, folder):
    said("screen", "rank", "pool.jsonl", "--model", "n.model", "--table", "survivors.csv")
    table = io.StringIO((folder / "survivors.csv").read_text())
    rows = {row["name"]: row for row in csv.DictReader(table)}
    row = rows[IDS[0]]
    assert (row["space_group"], row["band_gap_ev"], row["status"]) == ("Fm-3m", "3.4", "")
    assert row["ids"].split("; ") == list(IDS)
    low, value, high = (
        float(row[f"predicted_sigma{end}_s_per_cm"]) for end in ("_lower", "", "_upper")
    )
    assert low < value < high


@pytest.mark.usefixtures("numbers")
def test_a_campaign_with_a_screen_keeps_what_it_predicted(folder):
    text = CAMPAIGN.replace("campaign: ids", "campaign: screened").replace("selected", "pool")
    screen = "screen: {model: n.model, threshold: 1.0e-6}\n"
    (folder / "screened.yaml").write_text(text + screen)
    plan = make_plan(read_campaign(folder / "screened.yaml"))
    (candidate,) = plan.candidates
    asked = rank_pool(folder / "pool.jsonl", folder / "n.model", threshold=1e-6).ranking
    (entry, *_) = [one for one in asked.entries if one.source == IDS[0]]
    assert candidate.properties["screen_score"] == pytest.approx(entry.score)
    assert candidate.properties["screen_sigma"] == pytest.approx(entry.sigma.value)
