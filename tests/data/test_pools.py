"""Pools: every format users have, duplicates found, malformed entries named."""

import gzip
import json
import math

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data import read_pool
from ssefw.data.materials import read_materials
from ssefw.data.structures import same_structure
from ssefw.errors import DataError


@pytest.fixture
def folder(tmp_path, li2o, lif):
    """Two compounds, one of them twice in different cells and formats, and a malformed file."""
    li2o.to(tmp_path / "li2o.cif")
    li2o.get_primitive_structure().to(tmp_path / "POSCAR-li2o-primitive", fmt="poscar")
    lif.to(tmp_path / "lif.json")
    (tmp_path / "broken.cif").write_text("data_\nloop_\n_atom_site_label\n")
    (tmp_path / "notes.txt").write_text("not a structure")
    return tmp_path


def test_a_folder_gives_candidates_rejects_and_duplicates(folder):
    pool = read_pool(folder)
    assert sorted(candidate.formula for candidate in pool.candidates) == ["Li2O", "LiF"]
    assert [reject.source for reject in pool.rejects] == ["broken.cif"]
    assert len(pool.merged) == 1
    (li2o,) = (candidate for candidate in pool.candidates if candidate.formula == "Li2O")
    assert len(li2o.aliases) == 1


def test_strict_stops_at_the_malformed_file(folder):
    with pytest.raises(DataError, match=r"broken\.cif"):
        read_pool(folder, strict=True)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_json_lines_hold_structures_and_properties(tmp_path, li2o, lif, suffix):
    lines = [
        json.dumps({"structure": li2o.as_dict(), "energy_above_hull_ev": 0.0}),
        json.dumps(lif.as_dict()),
        "{not json",
    ]
    path = tmp_path / f"pool.jsonl{suffix}"
    opener = gzip.open if suffix else open
    with opener(path, "wt") as file:
        file.write("\n".join(lines))
    pool = read_pool(path)
    assert [candidate.formula for candidate in pool.candidates] == ["Li2O", "LiF"]
    assert pool.candidates[0].properties == {"energy_above_hull_ev": 0.0}
    assert pool.rejects[0].source == f"{path.name}:3"


def test_a_table_needs_a_cif_column(tmp_path):
    (tmp_path / "pool.csv").write_text("formula,sigma\nLiF,1\n")
    with pytest.raises(DataError, match=r"needs a column 'cif'; it has formula, sigma"):
        read_pool(tmp_path / "pool.csv")


def test_a_table_with_cifs(tmp_path, li2o):
    import csv

    with (tmp_path / "pool.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["name", "cif"])
        writer.writeheader()
        writer.writerow({"name": "antifluorite", "cif": li2o.to(fmt="cif")})
        writer.writerow({"name": "nothing", "cif": ""})
    pool = read_pool(tmp_path / "pool.csv")
    assert pool.candidates[0].properties == {"name": "antifluorite"}
    assert pool.rejects[0].source == "pool.csv:3"


def test_atoms_on_top_of_each_other_are_rejected(tmp_path):
    crowded = Structure(Lattice.cubic(4), ["Li", "F"], [[0, 0, 0], [0.01, 0, 0]])
    crowded.to(tmp_path / "crowded.cif")
    with pytest.raises(DataError, match="closer than"):
        read_pool(tmp_path)


def test_the_id_does_not_depend_on_the_file(tmp_path, li2o):
    li2o.to(tmp_path / "a.cif")
    li2o.to(tmp_path / "b.json")
    ids = {read_pool(tmp_path / name).candidates[0].id for name in ("a.cif", "b.json")}
    assert len(ids) == 1


def test_json_lines_of_plain_numbers(tmp_path, lif):
    record = {
        "id": "one",
        "lattice": [*lif.lattice.abc, *lif.lattice.angles],
        "species": [site.specie.symbol for site in lif],
        "frac": lif.frac_coords.tolist(),
        "band_gap": 8.7,
    }
    bad = record | {"lattice": [4.0, 4.0]}
    (tmp_path / "pool.jsonl").write_text(json.dumps(record) + "\n" + json.dumps(bad) + "\n")
    pool = read_pool(tmp_path / "pool.jsonl")
    assert [candidate.formula for candidate in pool.candidates] == ["LiF"]
    assert pool.candidates[0].properties == {"id": "one", "band_gap": 8.7}
    assert "make no crystal" in pool.rejects[0].reason


def test_oxidation_states_make_no_second_crystal_in_either_order(li2o):
    charged = li2o.copy().add_oxidation_state_by_element({"Li": 1, "O": -2})
    primitive = li2o.get_primitive_structure()
    assert same_structure(charged, primitive)
    assert same_structure(primitive, charged)


def test_a_cif_in_latin_1_is_read(tmp_path, li2o):
    text = "# J. Rodríguez-Carvajal\n" + li2o.to(fmt="cif")
    (tmp_path / "old.cif").write_bytes(text.encode("latin-1"))
    assert read_pool(tmp_path).candidates[0].formula == "Li2O"


def test_compressed_files_and_relaxed_positions_are_taken_from_a_folder(tmp_path, li2o, lif):
    (tmp_path / "li2o.cif.gz").write_bytes(gzip.compress(li2o.to(fmt="cif").encode()))
    lif.to(tmp_path / "CONTCAR.lif", fmt="poscar")
    assert {candidate.formula for candidate in read_pool(tmp_path).candidates} == {"Li2O", "LiF"}


def test_a_folder_of_folders_says_what_it_looks_for(tmp_path, li2o):
    (tmp_path / "Li2O").mkdir()
    li2o.to(tmp_path / "Li2O/POSCAR", fmt="poscar")
    with pytest.raises(DataError, match=r"POSCAR\*.*folders within are not entered"):
        read_pool(tmp_path)


def test_a_table_with_the_mark_of_excel_is_read(tmp_path, li2o):
    cif = li2o.to(fmt="cif").replace('"', '""')
    (tmp_path / "pool.csv").write_text(f'cif\n"{cif}"\n', encoding="utf-8-sig")
    assert read_pool(tmp_path / "pool.csv").candidates[0].formula == "Li2O"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("pool.jsonl", bytes(range(128, 256)), "not UTF-8"),
        ("pool.csv", "cif,name\n,é\n".encode("latin-1"), "not UTF-8"),
        ("pool.jsonl.gz", b"{}\n", "not compressed by gzip"),
        ("pool.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 500, mtime=0)[:-20], "cut off"),
    ],
)
@pytest.mark.parametrize("read", [read_pool, lambda path: list(read_materials(path))])
def test_a_damaged_pool_is_named_in_one_line(tmp_path, name, content, words, read):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}.*{words}"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"lattice": [5, 5, 5, 90, 90, 90], "species": ["Zz"], "frac": [[0, 0, 0]]}, "no element"),
        (
            {"lattice": [5, 5, 5, 90, 90, 90], "species": ["Li"], "frac": [[0, 0, math.nan]]},
            "no number",
        ),
        ({"lattice": [5, 5, 5, 9, 9, 170], "species": ["Li"], "frac": [[0, 0, 0]]}, "volume"),
        (
            {"lattice": [400, 400, 400, 90, 90, 90], "species": ["Li"], "frac": [[0, 0, 0]]},
            "another unit",
        ),
    ],
)
def test_a_row_that_is_no_crystal_is_rejected_and_the_next_is_read(tmp_path, lif, record, words):
    lines = [json.dumps(record), json.dumps(lif.as_dict())]
    (tmp_path / "pool.jsonl").write_text("\n".join(lines))
    pool = read_pool(tmp_path / "pool.jsonl")
    assert [candidate.formula for candidate in pool.candidates] == ["LiF"]
    assert words in pool.rejects[0].reason
