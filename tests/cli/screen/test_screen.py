"""The commands labels and screen, from a table to a ranking and its measures."""

import json
import re

import click.testing
import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from ssefw.cli.records.labels import command as labels
from ssefw.cli.screen.group import command as screen
from ssefw.errors import ConfigurationError, DataError

QUICK = ["--system", "composition", "--set", "n_splits=3", "--set", "members=[dt, nb]"]


def run(command, *arguments):
    result = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "starter.model"
    run(screen, "train", "--labels", "starter", "--out", path, *QUICK)
    return path


def test_a_table_becomes_a_set_and_a_table_again(tmp_path):
    table, saved, back = tmp_path / "a.csv", tmp_path / "a.json.gz", tmp_path / "b.csv"
    table.write_text("formula,sigma (mS/cm)\nLi3N,0.5\nLi6N2,0.7\nLi2S + P,1\nLi2S,1e-7\n")
    result = run(labels, "import", table, "-o", saved, "--json")
    record = json.loads(result.stdout)
    assert (record["labels"], record["reports"], record["rejected_rows"]) == (2, 3, 1)
    assert "rejected a.csv:4" in result.stderr
    run(labels, "export", saved, "-o", back)
    assert json.loads(run(labels, "stats", back, "--json").stdout)["labels"] == 2


def test_labels_are_shown_most_conductive_first():
    lines = run(labels, "show", "starter", "--top", 2, "--json").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert records[1]["formula"] == "Li10GeP2S12"
    assert {"kind", "value", "lower", "upper"} < set(records[1]["sigma_s_per_cm"])
    assert not {"conductivity", "temperature", "row_id"} & set(records[1])


def test_splits_are_written_one_file_each(tmp_path):
    run(labels, "split", "starter", "--kind", "random", "-k", 3, "-o", tmp_path / "splits")
    assert len(list((tmp_path / "splits").glob("random-*.json"))) == 3


def test_a_pool_is_ranked_filtered_and_written(model, tmp_path, lif):
    pool = tmp_path / "pool.jsonl"
    rows = [
        {"formula": "Li3PS4", "id": "a", "band_gap": 2.5},
        {"formula": "LiCoO2", "id": "b", "band_gap": 2.5},
        {"structure": lif.as_dict(), "id": "c", "band_gap": 8.0},
        {"formula": "Zz", "id": "d"},
    ]
    pool.write_text("\n".join(json.dumps(row, default=float) for row in rows))
    out, pool_out, trails = (tmp_path / n for n in ("r.json", "p.jsonl", "t.csv"))
    result = run(
        screen,
        "rank",
        pool,
        "--model",
        model,
        "--preset",
        "mchaffie2025",
        "--out",
        out,
        "--pool-out",
        pool_out,
        "--trails",
        trails,
        "--json",
    )
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    assert {entry["source"] for entry in entries} == {"b", "c"}
    assert "1 rows of the pool cannot be read" in result.stderr
    assert "novel composition: 3 -> 2" in result.stderr
    assert len(pool_out.read_text().splitlines()) == 1
    assert "within 0.05 of Li3PS4" in trails.read_text()
    from ssefw.documents import Ranking

    assert Ranking.model_validate(json.loads(out.read_text())).screener == "composition"


def test_an_evaluation_has_the_four_measures_with_intervals(model, tmp_path):
    file = tmp_path / "result.json"
    run(screen, "evaluate", model, "--labels", "starter", "--out", file)
    record = json.loads(file.read_text())
    for name in ("mcc", "auc_pr", "accuracy", "f1"):
        assert record[name]["lower"] <= record[name]["value"] <= record[name]["upper"]
    assert record["record"]["similar_to_training"] == record["n"]


def test_an_evaluation_draws_its_figure(model, tmp_path):
    pytest.importorskip("ssefw.report")
    figure = tmp_path / "result.svg"
    run(screen, "evaluate", model, "--labels", "starter", "--figure", figure)
    assert figure.read_text().startswith("<?xml")


def test_an_explanation_has_as_many_lines_as_asked(model):
    result = run(screen, "explain", model, "Li6PS5Cl", "--top", 3, "--json")
    assert len(result.stdout.splitlines()) == 3


def test_what_cannot_be_written_is_said_before_anything_is_learned(tmp_path):
    away = tmp_path / "none" / "x.model"
    result = CliRunner().invoke(screen, ["train", "--labels", "starter", "--out", str(away)])
    assert result.exit_code == 2
    assert "There is no folder" in result.stderr
    result = CliRunner().invoke(screen, ["train", "--labels", "starter", "--out", str(tmp_path)])
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["train", "--labels", "nothing", "--out", "x"], DataError),
        (["train", "--labels", "starter", "--system", "magic", "--out", "x"], ConfigurationError),
        (["train", "--labels", "starter", "--set", "colour=1", "--out", "x"], ConfigurationError),
    ],
)
def test_wrong_words_end_in_a_known_error(arguments, error):
    with pytest.raises(error):
        CliRunner().invoke(screen, arguments, catch_exceptions=False)


def test_the_atomsets_system_trains_ranks_and_evaluates(tmp_path, lif):
    path, pool = tmp_path / "sets.model", tmp_path / "pool.jsonl"
    quick = ["--set", "runs=2", "--set", "networks=[{epochs: 3, neurons: 8, readout: 4}]"]
    run(screen, "train", "--system", "atomsets", "--labels", "starter", "--out", path, *quick)
    mixed = lif.copy()
    mixed.replace_species({"F": {"F": 0.5, "Cl": 0.5}})
    rows = [
        {"formula": "Li3PS4", "id": "a"},
        {"structure": lif.as_dict(), "id": "b"},
        {"structure": mixed.as_dict(), "id": "c"},
        {"formula": "LiAr", "id": "d"},
    ]
    pool.write_text("\n".join(json.dumps(row, default=float) for row in rows))
    drawn, scatter = tmp_path / "pool.svg", tmp_path / "sigma.png"
    found = run(
        screen, "rank", pool, "--model", path, "--top", 2, "--figure", drawn, "--json"
    ).stdout.splitlines()
    assert len(found) == 2
    assert drawn.stat().st_size > 1000
    file = tmp_path / "result.json"
    run(screen, "evaluate", path, "--labels", "starter", "--out", file, "--scatter", scatter)
    assert json.loads(file.read_text())["screener"] == "atomsets"
    assert scatter.stat().st_size > 1000
    assert (
        run(screen, "explain", path, "Li6PS5Cl", "--top", 3, "--json").stdout.count("feature") == 3
    )
    lines = run(screen, "explain", path, "--top", 3).stdout.splitlines()
    assert len(lines) == 3
    assert all("labels)" in line for line in lines)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("layer=v1", "no structure"),
        ("source=magnet", "chgnet, megnet"),
        ("networks=[{width: 3}]", "no setting 'width'"),
        ("networks=[{dropout: a}]", "dropout of a network is a number, got 'a'"),
        ("networks=abc", "networks must be a whole number"),
        ("networks=[3]", "networks must be a whole number"),
        ("runs=abc", "runs must be a whole number at least 1"),
        ("test_share=2", "above 0 and below 1"),
        ("members=net", "must be a list"),
        ("pretrain=pool.jsonl", "none among the members et, gb"),
        ("{source: megnet", "no setting"),
    ],
)
def test_bad_settings_of_the_atomsets_system_are_named(tmp_path, setting, message):
    arguments = ["train", "--system", "atomsets", "--labels", "starter"]
    arguments += [
        "--out",
        str(tmp_path / "x"),
        "--set",
        setting if "=" in setting else f"{setting}=1",
    ]
    with pytest.raises((ConfigurationError, DataError), match=message):
        CliRunner().invoke(screen, arguments, catch_exceptions=False)


def test_votes_beside_a_calibrated_score_are_explained(model, tmp_path):
    (tmp_path / "pool.csv").write_text("formula\nLi6PS5Br\nLi4SiO4\n")
    said = " ".join(run(screen, "rank", tmp_path / "pool.csv", "--model", model).stdout.split())
    assert "votes: members whose own probability, before calibration, is 0.5 or more" in said
    assert "the order counts" in said


def test_an_mcc_of_0_beside_a_good_order_is_explained(model, tmp_path):
    """Scores of a weak model, calibrated, may all lie on one side of 0.5."""
    from ssefw.cli.screen.evaluate import _say_one_sided
    from ssefw.data.dataset import dataset_of
    from ssefw.data.labels.sources import find_label_set
    from ssefw.screening.base import load_screener
    from ssefw.screening.evaluation.evaluate import evaluate_model

    table = tmp_path / "t.csv"
    table.write_text(
        "formula,sigma (S/cm)\nLi6PS5Br,1e-3\nLi4SiO4,1e-9\nLi2ZrCl6,4e-4\nLi2CO3,1e-10\n"
    )
    data = dataset_of(find_label_set(table), threshold=1e-4)
    result = evaluate_model(load_screener(model), data)
    record = result.record
    assert 0 <= record["answered_superionic"] <= 4
    assert 0 <= record["lowest_score"] <= record["highest_score"] <= 1

    def said(yes):
        sided = result.model_copy(update={"record": record | {"answered_superionic": yes}})
        with click.testing.CliRunner().isolation() as streams:
            _say_one_sided(sided)
            return streams[1].getvalue().decode() or streams[0].getvalue().decode()

    assert "every material is answered 'no'" in said(0)
    assert "mcc is then 0 by definition" in said(0)
    assert "answered 'yes'" in said(4)
    assert "answered" not in said(1)
    # The score to cut at is the model's own, found on what it had held out.
    cut = load_screener(model).trained_on["best_cut"]
    assert f"mcc_best_cut answers superionic from a score of {cut:.2f} on" in said(1)
    older = result.model_copy(update={"metrics": {"mcc": result.metrics["mcc"]}})
    with click.testing.CliRunner().isolation() as streams:
        _say_one_sided(older.model_copy(update={"record": record | {"best_cut": None}}))
        told = streams[1].getvalue().decode() or streams[0].getvalue().decode()
    assert "knows no best score to cut at" in told


def test_systems_are_validated_beside_baselines(tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("ssefw.screening.baselines.TREES", 10)
    out, figure = tmp_path / "v.json", tmp_path / "v.svg"
    labels_ = ("--labels", "starter", "-k", 2, "--workers", 1)
    where = ("--out", out, "--figure", figure)
    result = run(screen, "validate", *labels_, "--member", "dt", "--set", "n_splits=2", *where)
    records = {record["contestant"]: record for record in json.loads(out.read_text())}
    assert set(records) > {"composition: dt", "plain extra trees", "constant"}
    assert records["composition: dt"]["differences"]["auc_pr"]["lower"] < 1
    assert 0 < records["plain extra trees"]["mae"]["value"] < 10
    assert "nearest composition" in result.stdout
    assert "AUC-PR less plain extra trees's: " in result.stdout
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in result.stdout.splitlines()]
    assert max(map(cell_len, lines)) <= 80
    assert {"AUC-PR", "MCC", "Brier"} < {*" ".join(lines).split()}
    assert figure.read_text().count("AUC-PR") == 1


def test_a_kind_of_split_that_is_none_is_said():
    with pytest.raises(DataError, match=r"no protocol 'faimly'.*groups, families"):
        run(screen, "validate", "--labels", "starter", "--kind", "faimly", "--no-baselines")


def test_a_ranking_is_a_pool_again_and_names_stay(model, tmp_path, lif):
    from ssefw.data import read_pool
    from ssefw.data.materials import read_materials

    pool, out = tmp_path / "pool.jsonl", tmp_path / "ranking.json"
    rows = [
        {"structure": lif.as_dict(), "mp_id": "mp-1138", "band_gap": 8.7},
        {"formula": "Li3PS4", "id": "icsd-180318"},
        {"formula": "SiS4", "id": "no-lithium"},
    ]
    pool.write_text("\n".join(json.dumps(row, default=float) for row in rows))
    result = run(screen, "rank", pool, "--model", model, "--out", out)
    assert "1 rows hold no lithium and are no candidates" in result.stderr
    (candidate,) = read_pool(out).candidates
    assert (candidate.source, candidate.properties["band_gap_ev"]) == ("mp-1138", 8.7)
    assert {row.name for row in read_materials(out)} == {"mp-1138", "icsd-180318"}
    again = run(screen, "rank", out, "--model", model, "--json").stdout.splitlines()
    assert {json.loads(line)["source"] for line in again} == {"mp-1138", "icsd-180318"}
