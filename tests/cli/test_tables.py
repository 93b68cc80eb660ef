"""Tables say whose each record is, and fit the terminal; what does not fit is named."""

import csv
import io
import json
import re

import pytest
from rich.cells import cell_len

from ssefw.cli.listing import Heading, Listing
from tests.conftest import CAMPAIGN, REPOSITORY, work_here

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with a campaign file and the store `st` in which it was run to its end."""
    folder = tmp_path_factory.mktemp("ran")
    text = CAMPAIGN.replace("length: 1.0", "length: 0.5").replace("[300, 600]", "[600]")
    (folder / "c.yaml").write_text(text)
    work_here(submit="c.yaml", folder=folder)
    return folder


@pytest.fixture
def called(ran, ssefw):
    """The command line, with the store of the campaign named."""

    def call(*arguments, **how):
        return ssefw(*arguments, "--store", ran / "st", **how)

    return call


@pytest.fixture
def narrow(monkeypatch):
    """A terminal of 80 columns."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")


def lines_of(text):
    return [ESCAPES.sub("", line) for line in text.splitlines()]


KINDS = ["outcomes", "conductivities", "trajectories", "candidates"]


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    "words", [["results"], ["config", "show"], *(["results", "find", kind] for kind in KINDS)]
)
def test_a_table_fits_a_terminal_of_80_columns(called, words):
    lines = lines_of(called(*words).stdout)
    assert len(lines) > 3
    assert max(map(cell_len, lines)) <= 80


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    "words",
    [
        ["plan", "c.yaml"],
        ["pool", "show", "pool"],
        ["labels", "show", "starter"],
        ["labels", "stats", "starter"],
    ],
)
def test_a_table_without_a_store_fits_a_terminal_of_80_columns(ssefw, tmp_path, copper, words):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    (tmp_path / "pool").mkdir()
    copper.to(tmp_path / f"pool/{'copper' * 20}.cif")
    lines = lines_of(ssefw(*words).stdout)
    table = lines[: next(k for k, line in enumerate(lines) if line.startswith("  ") or not line)] \
        if words[0] == "plan" else lines  # fmt: skip
    assert max(map(cell_len, table)) <= 80


def test_every_table_is_of_one_kind():
    """But for the stages below the bars of a campaign that is worked, which are drawn anew."""
    modules = (REPOSITORY / "ssefw/cli").rglob("*.py")
    others = {path.stem for path in modules if "rich.table" in path.read_text()}
    assert others == {"progress"}


@pytest.mark.usefixtures("narrow")
def test_the_reason_stands_below_its_row(called):
    lines = lines_of(called("results").stdout)
    (row,) = (k for k, line in enumerate(lines) if line.startswith("Cu3Au"))
    assert lines[row + 1].startswith("    ")
    assert "E_a" in " ".join(lines[row + 1 : row + 4])


def test_a_file_gets_all_columns_of_a_table(called):
    shown = called("results", "find", "trajectories").stdout
    for title in ("campaign", "candidate id", "temperature (K)", "duration (ps)", "ended"):
        assert title in shown
    assert "Too narrow" not in shown


@pytest.mark.parametrize("kind", [*KINDS, "diffusivities"])
def test_every_record_says_whose_it_is(called, kind):
    rows = list(csv.DictReader(io.StringIO(called("results", "find", kind, "--csv").stdout)))
    assert list(rows[0])[:5] == ["campaign", "candidate_id", "name", "formula", "source"]
    assert {row["campaign"] for row in rows} == {"small"}
    assert {(row["name"], row["formula"], row["source"]) for row in rows} == {
        ("copper", "Cu", "copper"),
        ("copper-gold", "Cu3Au", "copper-gold"),
    }
    told = [json.loads(x) for x in called("results", "find", kind, "--json").stdout.splitlines()]
    assert [one["candidate_id"] for one in told] == [row["candidate_id"] for row in rows]
    assert all(len(row["candidate_id"]) == 16 for row in rows)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_a_table_is_written_as_its_file_is_called(called, tmp_path, name):
    called("results", "find", "--sort", "formula", "-o", name)
    path = tmp_path / name
    if name.endswith("csv"):
        assert (
            path.read_bytes().decode()
            == called("results", "find", "--sort", "formula", "--csv").stdout
        )
    elif name.endswith("jsonl"):
        assert [json.loads(x)["name"] for x in path.read_text().splitlines()] == [
            "copper", "copper-gold"]  # fmt: skip
    else:
        pytest.importorskip("pyarrow", reason="the extra 'tables' brings pyarrow")
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path).to_pydict()
        assert table["source"] == ["copper", "copper-gold"]


def test_a_file_of_no_known_kind_is_refused_before_the_store_is_read(called, tmp_path):
    done = called("results", "find", "-o", "t.xlsx", check=False)
    assert "end its name with .csv" in done.stderr
    assert not (tmp_path / "t.xlsx").exists()


@pytest.mark.usefixtures("narrow")
def test_columns_are_left_out_by_what_they_are_worth_and_named(capsys):
    table = Listing([Heading("a"), Heading("b", 2), Heading("c", 1), Heading("σ", 0, "right")])
    table.add("x" * 20, "y" * 40, "[1, 2]" * 8, "1.5", notes=["why \x1b[31m" + "word " * 40])
    table.show()
    lines = lines_of(capsys.readouterr().out)
    assert lines[0].split() == ["a", "c", "σ"]
    assert lines[-1] == "Too narrow for b: a wider window or --json has them."
    assert max(map(cell_len, lines)) <= 80
    assert "\x1b" not in "".join(lines)
