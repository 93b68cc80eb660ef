"""Pools: every format users have, duplicates found, malformed entries named."""

import gzip
import json
import math
import os
import sys
import zipfile

import numpy as np
import pytest
from monty.json import MontyEncoder
from pymatgen.core import Lattice, Structure

from ssefw.data import Reject, parallel, pools, read_pool
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


SITE = {"species": [{"element": "Li", "occu": 1}], "abc": [0, 0, 0], "label": "Li"}
CUBE = {"matrix": [[3, 0, 0], [0, 3, 0], [0, 0, 3]]}
FLAT = {"lattice": [5, 5, 5, 90, 90, 90], "species": ["Li"], "frac": [[0, 0, 0]]}


def site(**changes):
    return {"lattice": CUBE, "sites": [SITE | changes]}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (json.dumps(FLAT | {"species": ["Li", "F"]}), "give 6, n and"),
        (json.dumps(FLAT | {"species": []}), "give 6, n and"),
        (json.dumps(FLAT | {"lattice": [-5, 5, 5, 90, 90, 90]}), "cell lengths are positive"),
        (json.dumps(FLAT | {"lattice": [5, 5, 5, 90, 90, 180]}), "angles lie between"),
        (json.dumps(FLAT | {"lattice": None}), "make no crystal"),
        (json.dumps(FLAT)[:-1] + ', "n": ' + "9" * 5000 + "}", "4300 digits"),
        (json.dumps(FLAT)[:-1] + ', "n": ' + "9" * 4000 + "}", "more than 63"),
        (json.dumps(FLAT)[:-1] + ', "n": ' + "[" * 5000 + "]" * 5000 + "}", "nested too deeply"),
        (json.dumps(FLAT)[:-1] + ', "n": ' + "[" * 200 + "]" * 200 + "}", "nested more than 64"),
        (json.dumps(FLAT | {"name": "a\0b"}), "control character"),
        (json.dumps(FLAT | {"name": "\ud800"}), "control character"),
        (json.dumps({"structure": {"@module": "this", "@class": "X"}}), "asks for this.X"),
        (json.dumps({"structure": site(properties={"a": {"@module": "this", "@class": "X"}})}),
         "asks for this.X"),
        (json.dumps({"structure": {"@module": "pymatgen.io.vasp", "@class": "Vasprun"}}),
         "asks for pymatgen.io.vasp.Vasprun"),
        (json.dumps({"structure": site(abc=["x", 0, 0])}), "not a pymatgen structure"),
        (json.dumps({"structure": site(abc=[math.nan, 0, 0])}), "no number"),
        (json.dumps({"structure": site(species=[{"element": "Li", "occu": -1}])}),
         "atom 1 has the occupancy -1"),
        (json.dumps({"structure": site(species=[{"element": "Li", "occu": math.nan}])}),
         "occupancy"),
        (json.dumps({"structure": site(species=[{"element": "Li", "occu": 1.5}])}), "occup"),
        (json.dumps({"structure": site(species=[{"element": "Qq", "occu": 1}])}), "Qq"),
        (json.dumps({"structure": [1, 2]}), "not a pymatgen structure"),
        ("[]", "expected an object"),
    ],
)  # fmt: skip
def test_one_bad_row_is_listed_and_the_rest_is_read(tmp_path, lif, line, words):
    (tmp_path / "pool.jsonl").write_text(f"{line}\n{json.dumps(lif.as_dict())}\n")
    pool = read_pool(tmp_path / "pool.jsonl")
    assert [candidate.formula for candidate in pool.candidates] == ["LiF"]
    (reject,) = pool.rejects
    assert reject.source == "pool.jsonl:1"
    assert words in reject.reason
    assert reject.reason.startswith("pool.jsonl:1: ")


def test_a_pool_imports_no_module(tmp_path, lif):
    records = [
        {"structure": {"@module": "antigravity", "@class": "X"}},
        {"structure": site(properties={"a": {"@module": "antigravity", "@class": "X"}})},
        {"structure": site(properties={"a": {"@callable": "x", "@module": "antigravity"}})},
        lif.as_dict(),
    ]
    (tmp_path / "pool.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    assert len(read_pool(tmp_path / "pool.jsonl").rejects) == 3
    found = [row for row in read_materials(tmp_path / "pool.jsonl") if isinstance(row, Reject)]
    assert len(found) >= 2
    assert "antigravity" not in sys.modules


def test_arrays_of_a_site_are_decoded(tmp_path, lif):
    lif.add_site_property("magmom", [np.float64(0.5)] * 8)
    lif.add_site_property("forces", [np.ones(3)] * 8)
    (tmp_path / "pool.jsonl").write_text(json.dumps(lif.as_dict(), cls=MontyEncoder))
    (candidate,) = read_pool(tmp_path / "pool.jsonl").candidates
    assert candidate.structure.site_properties["magmom"] == [0.5] * 8


CIF = """data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_occupancy
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Li1 1.0 0 0 0
F1 1.0 0.5 0.5 0.5
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("length_a 4", "length_a -4", "cell lengths are positive"),
        ("length_a 4", "length_a nan", "_cell_length_a is 'nan'"),
        ("alpha 90", "alpha 190", "cell angles lie between"),
        ("Li1 1.0", "Li1 -1.0", "atom 1 has the occupancy -1.0"),
        ("Li1 1.0", "Li1 nan", "'nan', no number"),
        ("Li1 1.0", "Li1 3", "atom 1 has the occupancy 3"),
        ("F1 1.0 0.5", "F1 1.0 abc0.5", "_atom_site_fract_x is 'abc0.5'"),
        ("F1 1.0 0.5 0.5 0.5", "F1 1.0 0.01 0 0", "closer than 0.5 A"),
        ("Li1 1.0", "Qq1 1.0", "'Qq1', no element"),
        ("F1 1.0 0.5 0.5 0.5\n", "F1 1.0 0.5 0.5\n", "not a readable cif"),
        ("Li1 1.0 0 0 0\nF1 1.0 0.5 0.5 0.5\n", "", "a loop_ has no names, or no values"),
        ("data_x", "data_\0x", "NUL"),
    ],
)
def test_a_cif_that_states_what_no_crystal_has_is_refused(tmp_path, old, new, words):
    assert old in CIF
    (tmp_path / "good.cif").write_text(CIF)
    assert read_pool(tmp_path).candidates[0].formula == "LiF"
    (tmp_path / "bad.cif").write_text(CIF.replace(old, new))
    pool = read_pool(tmp_path)
    assert [reject.source for reject in pool.rejects] == ["bad.cif"]
    assert words in pool.rejects[0].reason


def test_split_sites_may_lie_close_to_each_other(tmp_path):
    split = CIF.replace("Li1 1.0 0 0 0", "Li1 0.5 0 0 0\nLi2 0.54 0.1 0 0")
    (tmp_path / "split.cif").write_text(split)
    assert len(read_pool(tmp_path).candidates[0].structure) == 3


@pytest.mark.parametrize("cell", ["nan 0 0", "0 0 0", "inf 0 0", "a b c", "1 0"])
def test_a_poscar_without_a_cell_is_refused(tmp_path, cell):
    text = f"Cu\n1.0\n{cell}\n0 2.5 0\n0 0 2.5\nCu\n1\ndirect\n0 0 0\n"
    (tmp_path / "POSCAR").write_text(text)
    with pytest.raises(DataError, match="POSCAR: "):
        read_pool(tmp_path / "POSCAR")


def test_a_poscar_takes_no_memory_for_atoms_it_does_not_hold(tmp_path):
    text = "Cu\n1.0\n2.5 0 0\n0 2.5 0\n0 0 2.5\nCu\n1000000000000\ndirect\n0 0 0\n"
    (tmp_path / "POSCAR").write_text(text)
    with pytest.raises(DataError, match="1000000000000 atoms in a file of 9 lines"):
        read_pool(tmp_path / "POSCAR")


def test_rows_of_a_table_that_are_none_are_listed(tmp_path, lif):
    cif = lif.to(fmt="cif").replace('"', "'")
    text = f'cif,name\n"{cif}",one\n"{cif}",two,three,four\n"{cif}","\'=1+1"\n'
    (tmp_path / "pool.csv").write_text(text)
    pool = read_pool(tmp_path / "pool.csv", merge=False)
    assert [candidate.properties["name"] for candidate in pool.candidates] == ["one", "=1+1"]
    assert pool.rejects[0].source == "pool.csv:3"
    assert "4 cells under 2 columns" in pool.rejects[0].reason


def test_a_zip_is_a_pool_and_its_bad_members_are_listed(tmp_path, lif, li2o):
    with zipfile.ZipFile(tmp_path / "pool.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/LiF.cif", lif.to(fmt="cif"))
        archive.writestr("POSCAR-Li2O", li2o.to(fmt="poscar"))
        archive.writestr("bad.cif", "nothing")
        archive.writestr("bomb.cif", b"0" * 2**24)
        archive.writestr("README", "not a crystal")
    pool = read_pool(tmp_path / "pool.zip")
    assert {candidate.formula for candidate in pool.candidates} == {"LiF", "Li2O"}
    reasons = {reject.source: reject.reason for reject in pool.rejects}
    assert set(reasons) == {"bad.cif", "bomb.cif"}
    assert "unpacks to more than" in reasons["bomb.cif"]


def test_pipes_and_links_in_a_folder_are_listed_without_waiting(tmp_path, lif):
    lif.to(tmp_path / "good.cif")
    os.mkfifo(tmp_path / "pipe.cif")
    (tmp_path / "zero.cif").symlink_to("/dev/zero")
    (tmp_path / "loop.cif").symlink_to(tmp_path / "loop.cif")
    pool = read_pool(tmp_path)
    assert [reject.source for reject in pool.rejects] == ["loop.cif", "pipe.cif", "zero.cif"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0 0 0\n", "1e9 0 0\n", "more than 1000 cells away"),
        ("2.5 0 0\n", "100 2e4 0\n", "faces"),
        ("2.5 0 0\n0 2.5 0\n", "0.001 0 0\n0 6000 0\n", "faces"),
    ],
)
def test_what_would_take_all_memory_for_neighbors_is_refused(tmp_path, old, new, words):
    text = "Cu\n1.0\n2.5 0 0\n0 2.5 0\n0 0 2.5\nCu\n2\ndirect\n0.5 0.5 0.5\n0 0 0\n"
    head, _, tail = text.rpartition(old) if old.startswith("0 0") else text.partition(old)
    (tmp_path / "POSCAR").write_text(head + new + tail)
    with pytest.raises(DataError, match=words):
        read_pool(tmp_path / "POSCAR")


@pytest.mark.slow
def test_processes_hold_the_candidates_that_reading_gives(tmp_path, li2o, lif, monkeypatch):
    """One name stands twice, one line is broken: names and rejects are told in the pool's order."""
    monkeypatch.setattr(pools, "WORTH_A_PROCESS", 2)
    monkeypatch.setattr(parallel, "CHUNK", 1)
    rows = [
        {"name": name, "structure": crystal.as_dict(), "e_hull": 0.1 * number}
        for number, (name, crystal) in enumerate([("a", li2o), ("b", lif), ("a", lif), ("c", li2o)])
    ]
    lines = [json.dumps(row) for row in rows]
    path = tmp_path / "pool.jsonl"
    path.write_text("\n".join([*lines[:1], "{broken", *lines[1:]]))
    one, several = [], []
    read = list(pools.read_candidates(path, strict=False, rejects=one))
    held = list(pools.hold_candidates(path, strict=False, rejects=several, workers=2))
    assert [candidate.source for candidate in held] == ["a", "b", "a (pool.jsonl:4)", "c"]
    assert one == several
    assert [reject.source for reject in several] == ["pool.jsonl:2"]
    for candidate, other in zip(read, held, strict=True):
        assert other.whole == candidate
    with pytest.raises(DataError, match=r"pool\.jsonl:2"):
        list(pools.hold_candidates(path, strict=True, rejects=[], workers=2))
