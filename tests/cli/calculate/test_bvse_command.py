"""``ssefw bvse`` from files to table, JSON, figures and paths."""

import json

import pytest
from click.testing import CliRunner
from pymatgen.core import Lattice, Structure

from ssefw.cli.calculate.bvse import command
from ssefw.errors import DataError


@pytest.fixture
def cif(tmp_path):
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.517), ["Te", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    path = tmp_path / "Li2Te.cif"
    structure.to(str(path))
    return path


def run(*arguments):
    result = CliRunner().invoke(command, [str(x) for x in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_has_the_three_barriers(cif):
    record = json.loads(run(cif, "--resolution", "0.4", "--json"))
    for key in ("barrier_1d_ev", "barrier_2d_ev", "barrier_3d_ev"):
        assert record[key]["value"] == pytest.approx(0.253, abs=0.002)
    assert record["status"] == "computed"
    assert record["warnings"] == ["oxidation states guessed by bond valence"]


def test_a_table_is_printed_for_people(cif):
    shown = run(cif, "--resolution", "0.4")
    assert "Li2Te.cif" in shown
    assert "0.253" in shown


def test_figures_grid_and_paths_are_written(cif, tmp_path):
    folder = tmp_path / "out"
    run(
        cif,
        "--resolution",
        "0.4",
        "--figure",
        folder,
        "--paths",
        "--grid",
        "cube",
        "--folder",
        folder,
    )
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "Li2Te_bvse.svg",
        "Li2Te_bvse.png",
        "Li2Te_bvse.cube",
        "Li2Te_paths.json",
    }
    assert json.loads((folder / "Li2Te_paths.json").read_text())["hops"]


def test_a_batch_lists_what_was_rejected(cif, tmp_path):
    hydride = Structure(Lattice.cubic(4.1), ["Li", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    hydride.to(str(tmp_path / "LiH.cif"))
    lines = run(tmp_path, "--resolution", "0.5", "--workers", "1", "--json").splitlines()
    records = {record["name"]: record for record in map(json.loads, lines)}
    assert records["Li2Te.cif"]["status"] == "computed"
    assert records["LiH.cif"]["status"] == "rejected"
    assert records["LiH.cif"]["reason"]


def test_one_structure_that_cannot_be_computed_is_an_error(cif):
    with pytest.raises(DataError, match="Li2Te has no Na"):
        run(cif, "--specie", "Na")


def test_a_mistyped_ion_is_told_at_once(cif):
    with pytest.raises(DataError, match="Cannot read the mobile ion 'lith'"):
        run(cif, "--specie", "lith")


def test_barriers_are_kept_in_a_store_once(ssefw, tmp_path, li2o):
    from ssefw.documents import Barrier
    from ssefw.store import connect

    li2o.to(tmp_path / "li2o.cif")
    for _ in range(2):
        ssefw("bvse", "li2o.cif", "--resolution", "0.3", "--keep", "st")
    with connect(tmp_path / "st", read_only=True) as connection:
        (barrier,) = connection.results.find(Barrier)
    assert barrier.formula == "Li2O"
    assert barrier.candidate_id
