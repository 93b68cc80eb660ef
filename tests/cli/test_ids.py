"""An entry of a pool is found by its name and its ids wherever it has got to."""

import csv
import io
import json

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data.dataset import dataset_of
from ssefw.data.labels.sets import save_label_set
from ssefw.data.materials import read_materials
from ssefw.data.pools import read_pool
from ssefw.screening.base import make_screener, save_screener
from ssefw.store import connect
from tests.conftest import call_ssefw
from tests.outcomes import outcome
from tests.screening.conftest import make_labels

IDS = ("mp-1153", "jqc", "73187")
"""Materials Project, OBELiX and ICSD call it so."""

CAMPAIGN = """\
campaign: ids
pool: {path: selected.jsonl}
engine: {calculator: ase.calculators.lj.LennardJones}
md: {temperatures: [600, 800], length: 3}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A pool in which one crystal stands twice, a ranking of it, and a campaign with an outcome."""
    folder = tmp_path_factory.mktemp("ids")
    fluorite = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.7), ["Li", "S"], [[0.25, 0.25, 0.25], [0, 0, 0]]
    )
    row = {"mp_id": IDS[0], "ID": IDS[1], "icsd_id": float(IDS[2]), "band_gap": 3.4}
    again = {"name": "same-crystal", "structure": fluorite.get_primitive_structure().as_dict()}
    rows = [row | {"structure": fluorite.as_dict()}, again]
    (folder / "pool.jsonl").write_text("\n".join(json.dumps(r, default=float) for r in rows))
    labels = make_labels(["Li3PS4", "Li3PO4", "Li6PS5Cl", "LiF"], [1e-3, 1e-8, 1e-3, 1e-9])
    screener = make_screener("composition", {"n_splits": 1, "members": ["nb"], "test_share": 0.5})
    save_screener(screener.fit(dataset_of(labels)), folder / "m.model")
    save_label_set(labels, folder / "labels.json")
    rank = ("screen", "rank", "pool.jsonl", "--model", "m.model", "-o", "ranking.json")
    assert call_ssefw(*rank, "--pool-out", "selected.jsonl", folder=folder) == 0
    (folder / "ids.yaml").write_text(CAMPAIGN)
    assert call_ssefw("submit", "ids.yaml", "--store", "st", folder=folder) == 0
    (planned,) = read_pool(folder / "selected.jsonl").candidates
    found = outcome("Li2S", 1e-5, candidate_id=planned.id, campaign="ids")
    with connect(folder / "st") as store:
        store.results.add(found, candidate=planned.id, campaign="ids")
    return folder


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


def test_the_label_it_becomes_says_what_it_is_called(said):
    said("feedback", "ingest", "--store", "st")
    for word in (*IDS, "same-crystal"):
        found = said("results", "find", "labels", "--source", word, "--json", "--store", "st")
        assert json.loads(found.splitlines()[0])["formula"] == "Li2S"


def test_the_report_names_it(said, folder):
    said("report", "ids", "--no-frames", "-o", "ids.html", "--store", "st")
    page = (folder / "ids.html").read_text()
    assert all(word in page for word in (*IDS, "same-crystal"))


def test_every_table_of_materials_is_a_pool(said, folder):
    said("screen", "rank", "pool.jsonl", "--model", "m.model", "--json")
    (folder / "lines.jsonl").write_text(
        said("screen", "rank", "pool.jsonl", "--model", "m.model", "--json")
    )
    assert {row.name for row in read_materials(folder / "lines.jsonl")} == {IDS[0], "same-crystal"}
    said("results", "find", "labels", "--csv", "-o", "labels.csv", "--store", "st")
    (label,) = read_materials(folder / "labels.csv")
    assert label.formula == "Li2S"
