"""``ssefw pool order`` and what ``pool check`` says of disordered crystals."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ssefw.cli import main, ssefw
from ssefw.data import read_pool

CRYSTALS = Path(__file__).parents[1] / "data" / "disordered"
HALF_EMPTY = """data_x
_symmetry_space_group_name_H-M 'F m -3 m'
_cell_length_a 4.2
_cell_length_b 4.2
_cell_length_c 4.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Li1 Li 0 0 0 0.5
O1 O 0.5 0.5 0.5 1
"""


def run(*words):
    return CliRunner().invoke(ssefw, list(map(str, words)))


def test_order_writes_cells_and_a_table(tmp_path):
    result = run("pool", "order", CRYSTALS / "Li3YCl6.cif", "--number", 2, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    table = (tmp_path / "out" / "orderings.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    assert len(rows) == 2
    for row in rows:
        cell = read_pool(tmp_path / "out" / row["file"]).candidates[0].structure
        assert cell.is_ordered
        assert cell.composition.reduced_formula == "Li3YCl6"
        assert len(cell) == int(row["atoms"])
    assert min(float(row["above_lowest_meV_per_atom"]) for row in rows) == 0.0


def test_check_says_how_each_would_be_ordered_or_why_not(tmp_path):
    (tmp_path / "bad.cif").write_text(HALF_EMPTY)
    (tmp_path / "good.cif").write_text((CRYSTALS / "LATP.cif").read_text())
    lines = run("pool", "check", tmp_path, "--json").stdout.splitlines()
    told = {record["source"]: record for record in map(json.loads, lines)}
    assert told["good.cif"]["ordered"]
    assert told["good.cif"]["n_atoms"] <= 400
    assert not told["bad.cif"]["ordered"]
    assert "charge" in told["bad.cif"]["reason"]
    text = run("pool", "check", tmp_path).stdout
    assert "disordered: bad.cif: LiO2 cannot be ordered" in text
    assert "good.cif" in text


def test_order_goes_on_after_a_refusal_and_exits_with_one(tmp_path, capsys):
    (tmp_path / "bad.cif").write_text(HALF_EMPTY)
    words = ["pool", "order", str(tmp_path / "bad.cif"), str(CRYSTALS / "LATP.cif")]
    words += ["--number", "1"]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1
    told = capsys.readouterr()
    assert "bad.cif: LiO2 cannot be ordered" in told.err
    assert "LATP.cif" in told.out
