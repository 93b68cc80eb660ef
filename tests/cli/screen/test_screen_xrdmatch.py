"""The pattern screen from labels and a pool to a ranking, a table and figures."""

import csv
import json

import pytest
from click.testing import CliRunner

from ssefw.cli.screen.group import command as screen
from ssefw.data.labels.sets import save_label_set
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.features import PatternGrid, xrd_pattern
from ssefw.screening.xrdmatch.pattern_files import read_pattern_files
from tests.screening.conftest import METALS, make_labels, rock_salt

QUICK = ["--set", "members=2", "--set", "iterations=20", "--set", "batch=8"]


def run(*arguments):
    result = CliRunner().invoke(screen, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labels of which one has no structure, a pool of which one row has none, and a model."""
    folder = tmp_path_factory.mktemp("xrdmatch")
    formulas = [f"Li3{m}{x}4" for x in "SO" for m in METALS]
    sigmas = [1e-3] * len(METALS) + [1e-9] * len(METALS)
    labels = make_labels(
        [*formulas, "LiF"], [*sigmas, 1e-9], None, lambda f: None if f == "LiF" else rock_salt(f)
    )
    save_label_set(labels, folder / "labels.json")
    rows = [
        {"structure": rock_salt(f).as_dict(), "id": f} for f in ("Li6Na2S8", "Li2KO3", "LiMgS2")
    ]
    rows.append({"formula": "LiCl", "id": "bare"})
    text = "\n".join(json.dumps(row, default=float) for row in rows)
    (folder / "pool.jsonl").write_text(text + "\n")
    return folder


@pytest.fixture(scope="module")
def model(folder):
    path = folder / "xrd.model"
    result = run(
        "train",
        "--system",
        "xrdmatch",
        "--labels",
        folder / "labels.json",
        "--pool",
        folder / "pool.jsonl",
        "--out",
        path,
        "--set",
        f"checkpoints={folder / 'members'}",
        *QUICK,
    )
    assert "1 labels have no structure and are left out" in result.stderr
    assert "xrdmatch learned from 30 labels" in result.stdout
    return path


def test_members_are_put_aside_while_they_train(model, folder):
    assert len(list((folder / "members").glob("member-*.npz"))) == 2


def test_a_pool_is_ranked_and_rows_without_pattern_are_counted(model, folder):
    result = run("rank", folder / "pool.jsonl", "--model", model, "--json")
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    assert {entry["source"] for entry in entries} == {"Li6Na2S8", "Li2KO3", "LiMgS2"}
    assert "score: 4 -> 3 (1 undetermined)" in result.stderr


def test_an_evaluation_leaves_out_labels_without_structure_and_says_so(model, folder):
    result = run("evaluate", model, "--labels", folder / "labels.json", "--json")
    assert json.loads(result.stdout)["n"] == 30
    assert "1 labels have no structure" in result.stderr


def test_the_table_names_the_nearest_conductor_of_each_candidate(model, folder, tmp_path):
    table, figure = tmp_path / "table.csv", tmp_path / "panels.svg"
    run(
        "patterns",
        model,
        folder / "pool.jsonl",
        "--votes",
        0,
        "--out",
        table,
        "--figure",
        figure,
        "--json",
    )
    rows = {row["name"]: row for row in csv.DictReader(table.read_text().splitlines())}
    assert rows["Li6Na2S8"]["nearest_conductor"] == "Li3NaS4"
    assert float(rows["Li6Na2S8"]["similarity"]) > 0.9
    assert figure.read_text().startswith("<?xml")


def test_measured_patterns_are_voted_on_as_calculated_ones(model, folder, tmp_path):
    grid = PatternGrid()
    measured = tmp_path / "measured"
    measured.mkdir()
    for formula in ("Li6Na2S8", "Li2KO3"):
        values = 873 * xrd_pattern(rock_salt(formula), grid) + 20  # counts, and a background
        rows = "\n".join(f"{a:.2f} {i:.1f} 3.0" for a, i in zip(grid.angles, values, strict=True))
        (measured / f"{formula}.xye").write_text(f"2theta intensity error\n# mine\n{rows}\n")
    figure = tmp_path / "panels.svg"
    told = {}
    for pool in (measured, folder / "pool.jsonl"):
        shown = run("patterns", model, pool, "--votes", 0, "--figure", figure, "--json").stdout
        told[pool] = {row["name"]: row for row in map(json.loads, shown.splitlines())}
    for name, row in told[measured].items():
        other = told[folder / "pool.jsonl"][name]
        assert row["formula"] == ""
        assert row["votes"] == other["votes"]
        assert row["nearest_conductor"] == other["nearest_conductor"]
        assert row["probability"] == pytest.approx(other["probability"], abs=0.02)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10 5\n9 4\n", "do not increase"),
        ("10 5\n11 -4\n", "negative"),
        ("10 5\nnonsense\n", "line 2: 'nonsense' is not an angle"),
        ("10 nan\n11 2\n12 1\n13 inf\n", "line 4"),
        ("", "holds no pattern"),
        ("100 5\n110 4\n", "no intensity between 0 and 90"),
    ],
)
def test_what_is_no_pattern_is_refused(text, reason, tmp_path):
    path = tmp_path / "scan.xy"
    path.write_text(text)
    with pytest.raises(DataError, match=reason):
        read_pattern_files([path], PatternGrid(), bin_width=0.5)


def test_votes_on_labels_are_drawn(model, folder, tmp_path):
    figure = tmp_path / "votes.svg"
    run("votes", model, "--labels", folder / "labels.json", "--figure", figure)
    assert figure.read_text().startswith("<?xml")


def test_a_structure_is_explained_by_ranges_of_angles(model, tmp_path):
    cif = tmp_path / "candidate.cif"
    rock_salt("Li3NaS4").to(filename=str(cif))
    result = run("explain", model, "--structure", cif, "--top", 3, "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 3
    assert all(line["feature"].endswith("degrees") for line in lines)


def test_a_formula_alone_or_beside_a_structure_is_not_explained(model, tmp_path):
    with pytest.raises(DataError, match="has no structure"):
        CliRunner().invoke(screen, ["explain", str(model), "Li2S"], catch_exceptions=False)
    both = ["explain", str(model), "Li2S", "--structure", str(tmp_path)]
    result = CliRunner().invoke(screen, both)
    assert result.exit_code == 2
    assert "not both" in result.output


def test_machines_vote_and_rank_as_networks_do(folder, tmp_path):
    path = tmp_path / "svm.model"
    labels = ("--labels", folder / "labels.json")
    run("train", "--system", "xrdmatch", *labels, "--out", path, "--set", "model=svm")
    lines = run("rank", folder / "pool.jsonl", "--model", path, "--json").stdout.splitlines()
    entries = [json.loads(line) for line in lines]
    assert {entry["n_votes"] for entry in entries} == {10}
    assert entries[-1]["source"] == "Li2KO3"  # the only oxide


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ["train", "--system", "xrdmatch", "--labels", "starter", "--out", "x"],
            DataError,
            "superionic",
        ),
        (["patterns", "MODEL", "POOL", "--votes", "11"], DataError, "Lower --votes"),
        (["patterns", "COMPOSITION", "POOL"], ConfigurationError, "sees no patterns"),
    ],
)
def test_what_cannot_be_done_ends_in_a_known_error(model, folder, arguments, error, message):
    other = folder / "composition.model"
    if "COMPOSITION" in arguments:
        members = ["--system", "composition", "--set", "n_splits=2", "--set", "members=[nb]"]
        run("train", "--labels", "starter", "--out", other, *members)
    places = {"MODEL": model, "POOL": folder / "pool.jsonl", "COMPOSITION": other}
    words = [str(places.get(word, word)) for word in arguments]
    with pytest.raises(error, match=f"(?i){message}"):
        CliRunner().invoke(screen, words, catch_exceptions=False)
