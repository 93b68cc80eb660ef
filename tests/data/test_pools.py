"""Pools: every format users have, duplicates found, malformed entries named."""

import gzip
import json

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data import read_pool
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
